import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest

from api.review_pages import queue
from api.review_pages.queue import PAGE_SIZE
from flows import verbs
from store.database import database
from store.ids import now
from store.models import Task
from store.states import State
from tests.review_site import ANA, BEN, Site
from tests.unit.api.review_pages.visits import Browser, task_of


async def test_the_queue_shows_what_waits_for_a_person_oldest_first(
    ana: Browser, site: Site
) -> None:
    young = await site.add_task(name="young", age=timedelta(minutes=1))
    old = await site.add_task(name="old", age=timedelta(days=3), claimed_by=BEN)
    await site.add_task(State.RUNNING, name="busy")
    page = await ana.open("/review")
    assert page.index(old) < page.index(young)
    assert "busy" not in page
    for text in ("3 days", "in 10 days", BEN, "invoices", "In review", "not valid: total"):
        assert text.lower() in page.lower()


async def test_the_queue_shows_what_waits_in_the_order_in_which_next_gives_it(
    ana: Browser, site: Site
) -> None:
    day = timedelta(days=1)
    # priority, days until it is due, age in days
    facts = [(0, None, 9), (2, None, 1), (0, 3, 2), (2, None, 5), (0, -1, 1), (0, None, 8)]
    for number, (priority, due, age) in enumerate([*facts, (1, 0, 0)]):
        task = await task_of(site, await site.add_task(name=f"Task {number}", age=age * day))
        async with database().writing() as session:
            row = await session.get_one(Task, task.id)
            row.priority, row.due_at = priority, None if due is None else now() + due * day
    found: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "PAGE_SIZE", 2)
        pages = [await ana.open("/review")]
        while following := link_of(pages[-1], "next"):
            pages.append(await ana.open(following))
        assert names_of(await ana.open(link_of(pages[-1], "prev"))) == names_of(pages[-2])
        assert names_of(await ana.open(link_of(pages[2], "prev"))) == names_of(pages[1])
    for page in pages:
        found += names_of(page)
    given: list[str] = []
    while (task := await verbs.next_task(site.callers[ANA])) is not None:
        given.append(task.name)
    assert found == given == [f"Task {number}" for number in (3, 1, 6, 4, 2, 0, 5)]


async def test_every_state_has_a_tab_with_its_count(ana: Browser, site: Site) -> None:
    await site.add_task()
    await site.add_task(project="delivery-notes")
    await site.add_task(State.DISCARDED)
    counts = tabs_of(await ana.open("/review"))
    assert counts == {"In review": "2", "Discarded": "1", "All": "3"}
    assert tabs_of(await ana.open("/review?project=invoices&state=discarded")) == {
        "In review": "1",
        "Discarded": "1",
        "All": "2",
    }


def tabs_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<li><a href="/review\?[^>]*>([^<]+?) <span class="count">(\d+)', page))


async def test_each_filter_shows_only_its_tasks(ana: Browser, site: Site) -> None:
    ids = {
        ("in_review", "invoices"): await site.add_task(),
        ("in_review", "delivery-notes"): await site.add_task(project="delivery-notes"),
        ("failed", "invoices"): await site.add_task(State.FAILED),
    }
    for (state, project), task_id in ids.items():
        page = await ana.open(f"/review?state={state}&project={project}")
        assert re.findall(r"/review/(task_\w+)", page) == [task_id]
    everything = await ana.open("/review?state=all")
    assert all(task_id in everything for task_id in ids.values())


@pytest.mark.parametrize("query", ["state=nowhere", "project=nope", "after=%21", "after=YWJj"])
async def test_an_address_that_makes_no_sense_is_refused_in_words(ana: Browser, query: str) -> None:
    answer = await ana.get(f"/review?{query}")
    assert answer.status_code == 422
    assert "Go to the queue" in answer.text


@pytest.mark.parametrize("state", ["in_review", "all"])
async def test_paging_through_the_queue_shows_every_task_once_and_leads_back(
    ana: Browser, site: Site, state: str
) -> None:
    template = await task_of(site, await site.add_task(age=timedelta(days=9)))
    moment = now() - timedelta(days=5)
    async with database().writing() as session:
        for index in range(2 * PAGE_SIZE + 7):
            facts = template.model_dump(exclude={"id", "code", "number", "created_at"})
            # Several at the same moment: the id decides their order.
            facts["created_at"] = moment + timedelta(seconds=index // 3)
            session.add(Task.model_validate(facts))
    pages: list[list[str]] = []
    address = f"/review?state={state}"
    page = ""
    while address:
        page = await ana.open(address)
        pages.append(re.findall(r'href="/review/(task_\w+)"', page))
        address = link_of(page, "next")
    assert [len(ids) for ids in pages] == [PAGE_SIZE, PAGE_SIZE, 8]
    assert len({task_id for ids in pages for task_id in ids}) == 2 * PAGE_SIZE + 8
    backwards = [pages[-1]]
    while address := link_of(page, "prev"):
        page = await ana.open(address)
        backwards.append(re.findall(r'href="/review/(task_\w+)"', page))
    assert backwards[::-1] == pages


def link_of(page: str, rel: str) -> str:
    found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
    return unescape(found[1]) if found else ""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"assignee": "me"}, {"mine"}),
        ({"assignee": BEN}, {"bens"}),
        ({"assignee": "nobody"}, {"old", "urgent"}),
        ({"age": "1d"}, {"old"}),
        ({"due": "1d"}, {"urgent"}),
        ({"due": "overdue"}, set[str]()),
        ({"age": "1d", "assignee": "me"}, set[str]()),
    ],
)
async def test_a_filter_leaves_what_fits_it_and_counts_that(
    ana: Browser, site: Site, query: dict[str, str], expected: set[str]
) -> None:
    await site.add_task(name="old", age=timedelta(days=2))
    await site.add_task(name="mine", claimed_by=ANA)
    await site.add_task(name="bens", claimed_by=BEN)
    urgent = await task_of(site, await site.add_task(name="urgent"))
    async with database().writing() as session:
        (await session.get_one(Task, urgent.id)).due_at = now() + timedelta(hours=5)
    page = await ana.open("/review?" + urlencode(query))
    assert names_in(page) == expected
    assert f"{len(expected)} found" in page or not expected
    # What is filtered by is what the filters show, and what the other pages of it ask for.
    for name, value in query.items():
        assert re.search(rf'<select id="{name}".*?<option[^>]*selected[^>]*>', page, re.DOTALL)
        assert value


def names_of(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'class="task-name">([^<]*)<', page)]


def names_in(page: str) -> set[str]:
    return set(names_of(page))


async def test_finished_tasks_are_filtered_by_who_decided_and_by_the_verdict(
    ana: Browser, site: Site
) -> None:
    judged = await site.add_task(State.COMPLETED, name="judged")
    await site.add_task(State.COMPLETED, name="not judged")
    await ana.press(f"/review/{judged}/audit", verdict="wrong", wrong="total")
    page = await ana.open(f"/review/{judged}")
    assert re.search(r'value="wrong" checked', page)
    assert re.search(r'value="total" checked', page)
    assert "Judged wrong: Total" in page
    for query, expected in (
        ({"verdict": "wrong"}, {"judged"}),
        ({"verdict": "correct"}, set[str]()),
        ({"verdict": "none"}, {"not judged"}),
        ({"assignee": "me"}, {"judged", "not judged"}),
        ({"assignee": "nobody"}, set[str]()),
    ):
        page = await ana.open("/review?" + urlencode({"state": "completed", **query}))
        assert names_in(page) == expected, query
    metrics = await ana.open("/review/metrics")
    assert "not audited" not in metrics
    assert re.search(r"<th scope=\"row\">Total</th>.*?0 %", metrics, re.DOTALL)


async def test_what_is_done_with_several_tasks_is_told_of_each(ana: Browser, site: Site) -> None:
    free = [await site.add_task() for _ in range(2)]
    held = await site.add_task(claimed_by=BEN)
    await ana.open("/review")
    sent = {"csrf_token": ana.token, "verb": "discard", "reason": "Twice.", "project": "invoices"}
    answer = await ana.post("/review/bulk", data={**sent, "task": [*free, held, free[0]]})
    assert answer.status_code == 303
    page = await ana.open(answer.headers["location"])
    assert "2 tasks discarded. 1 not" in page
    assert "project=invoices" in answer.headers["location"]
    states = [(await task_of(site, one)).state for one in (*free, held)]
    assert states == [State.DISCARDED, State.DISCARDED, State.IN_REVIEW]
    for wrong in ({"verb": "complete", "task": free}, {"verb": "claim", "task": []}):
        answer = await ana.post("/review/bulk", data={**sent, **wrong})
        assert answer.status_code in {404, 422}
    # Of the address only whole numbers are shown.
    page = await ana.open("/review?notice=discard&done=<b>1&refused=0")
    assert "discarded" not in page.partition("<table")[0].partition('role="status"')[2]


async def test_completing_and_going_on_leads_to_the_next_of_the_same_project(
    ana: Browser, site: Site
) -> None:
    first = await site.add_task(age=timedelta(days=3))
    await site.add_task(age=timedelta(days=2), project="delivery-notes")
    last = await site.add_task(age=timedelta(days=1))
    page = await ana.open(f"/review/{first}?project=invoices")
    # What comes next is fetched ahead.
    assert f'<link rel="prefetch" href="/review/{last}/pages/1/image?v=' in page
    sent = {"field__1__total": "1285.20", "project": "invoices"}
    answer = await ana.press(f"/review/{first}/complete-next", **sent)
    assert answer.headers["location"].startswith(f"/review/{last}?notice=next")
    assert verbs.holder(await task_of(site, last)) == ANA
    answer = await ana.press(f"/review/{last}/complete-next", **sent)
    assert answer.headers["location"].startswith("/review?")
    assert "No other task waits for you" in await ana.open(answer.headers["location"])


async def test_next_task_claims_the_one_that_waits_longest(ana: Browser, site: Site) -> None:
    await site.add_task(age=timedelta(days=3), claimed_by=BEN)
    oldest_free = await site.add_task(age=timedelta(days=2))
    await site.add_task(age=timedelta(days=1))
    answer = await ana.press("/review/next")
    assert answer.headers["location"] == f"/review/{oldest_free}"
    assert verbs.holder(await task_of(site, oldest_free)) == ANA


async def test_next_task_says_when_nothing_waits(ana: Browser, site: Site) -> None:
    answer = await ana.press("/review/next", project="invoices")
    page = await ana.open(answer.headers["location"])
    assert "No task waits for you here" in page
    assert "Nothing waits for review" in page
