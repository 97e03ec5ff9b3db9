import hashlib
import re
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlmodel import col, delete, select, update

from api.rate_limits import RateLimits
from api.review_pages import PARTS, assets, sessions, words
from api.review_pages.page_route import HEADERS
from api.review_pages.queue import PAGE_SIZE
from api.review_pages.sign_in import inside
from flows import erase, purge, verbs
from store.database import database
from store.fields import FieldType, FieldValue
from store.finding import documents_of, find_task
from store.ids import now
from store.keys import create_key
from store.lifecycle import ACTIVITY_OF, FINAL
from store.models import ApiKey, Document, Outbox, Session, Task
from store.people import revoke_key
from store.project_fields import FieldPart
from store.states import State
from tests.review_site import ANA, BEN, PROJECT, Site, app, settings_of

HOST = "http://papertray.test"
ROUTES = [route for part in PARTS for route in part.router.routes if isinstance(route, APIRoute)]
PAINT = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("prepared"))
    made.prepare()
    return made


@pytest.fixture
async def site(prepared: Site, tmp_path: Path) -> AsyncIterator[Site]:
    home = tmp_path / "home"
    shutil.copytree(prepared.home, home)
    with settings_of(home):
        shared_app().state.rate_limits = RateLimits()  # as its lifespan makes them
        yield Site(home, prepared.keys, prepared.callers, images=prepared.images)
        await database().close()


class Browser(httpx.AsyncClient):
    """A browser without a window: keeps cookies, sends the token of the last page."""

    token = ""

    async def open(self, address: str, **headers: str) -> str:
        """The text of a page."""
        answer = await self.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        self.token = token_of(answer.text) or self.token
        return answer.text

    async def press(self, address: str, **fields: str) -> httpx.Response:
        """The answer to a form."""
        data = {"csrf_token": self.token} | {k.replace("__", "."): v for k, v in fields.items()}
        return await self.post(address, data=data)

    async def sign_in(self, key: str) -> httpx.Response:
        """The answer to the sign-in form."""
        await self.open("/sign-in")
        answer = await self.press("/sign-in", key=key)
        if answer.status_code == 303:
            await self.open("/review")
        return answer


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    return found[1] if found else ""


shared_app = cache(app)


def browser(base: str = HOST) -> Browser:
    return Browser(transport=httpx.ASGITransport(shared_app()), base_url=base)


@pytest.fixture
async def stranger(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        yield client


@pytest.fixture
async def ana(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        await client.sign_in(site.keys[ANA])
        yield client


@pytest.fixture
async def ben(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        await client.sign_in(site.keys[BEN])
        yield client


async def task_of(site: Site, public_id: str) -> Task:
    async with database().reading() as session:
        return await find_task(session, site.callers[ANA], public_id)


async def document_of(site: Site, public_id: str) -> Document:
    async with database().reading() as session:
        task = await find_task(session, site.callers[ANA], public_id)
        return (await documents_of(session, task))[0]


async def age_claim(site: Site, public_id: str, left: timedelta = timedelta(minutes=20)) -> None:
    """Let time go by for who holds a task."""
    task = await task_of(site, public_id)
    async with database().writing() as session:
        (await session.get_one(Task, task.id)).claimed_until = now() + left


def address_of(route: APIRoute) -> str:
    return (
        re.sub(r"\{task_id\}", "task_aaaaaaaaaaaaaaaa", route.path)
        .replace("{verb}", "discard")
        .replace("{page_number}", "1")
        .replace("{index}", "0")
        .replace("{file_id}", "file_a")
    )


PERSONAL = [route for route in ROUTES if route.path.startswith("/review")]
POSTS = [route for route in ROUTES if "POST" in (route.methods or ())]


# Who is let in


@pytest.mark.parametrize("route", PERSONAL, ids=lambda route: f"{route.name}")
async def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_page(
    stranger: Browser, route: APIRoute
) -> None:
    answer = await stranger.request("POST" if route in POSTS else "GET", address_of(route))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=/review")


@pytest.mark.parametrize("route", POSTS, ids=lambda route: f"{route.name}")
@pytest.mark.parametrize("token", ["", "wrong", "ä"])
async def test_no_form_is_taken_without_the_token_of_its_session(
    ana: Browser, site: Site, route: APIRoute, token: str
) -> None:
    task_id = await site.add_task()
    ana.token = token
    address = address_of(route).replace("task_aaaaaaaaaaaaaaaa", task_id)
    answer = await ana.press(address, key=site.keys[ANA])
    assert answer.status_code == 403
    assert (await task_of(site, task_id)).state is State.IN_REVIEW
    assert (await ana.get("/review")).status_code == 200


async def test_the_token_of_one_person_is_no_good_for_another(
    ana: Browser, ben: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    ana.token = ben.token
    assert (await ana.press(f"/review/{task_id}/discard")).status_code == 403


async def test_signing_in_keeps_hashes_only_and_ends_after_twelve_hours(
    stranger: Browser, site: Site
) -> None:
    answer = await stranger.sign_in(site.keys[ANA])
    assert answer.headers["location"] == "/review"
    cookie = stranger.cookies[sessions.COOKIE]
    async with database().reading() as session:
        row = (await session.execute(select(Session))).scalar_one()
    assert row.sha256 == hashlib.sha256(cookie.encode()).hexdigest()
    assert cookie not in repr(row)
    assert timedelta(hours=11.9) < row.expires_at - now() <= timedelta(hours=12)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    stranger: Browser, site: Site
) -> None:
    answer = await stranger.sign_in(site.keys[ANA])
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_stays_on_https(site: Site) -> None:
    async with browser("https://papertray.test") as client:
        answer = await client.sign_in(site.keys[ANA])
    assert all("Secure" in c for c in answer.headers.get_list("set-cookie") if "max-age" in c)
    assert "Secure" in answer.headers["set-cookie"]


async def test_behind_a_proxy_that_ends_https_the_cookie_stays_on_https(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_PUBLIC_URL", "https://tray.example.org")
    with settings_of(site.home):
        async with browser() as client:
            page = await client.get("/sign-in")
        await database().close()
    assert "Secure" in page.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "ptk_wrong", " ", "\x00", "ключ", "x" * 5000])
async def test_a_wrong_key_opens_nothing_and_says_so(stranger: Browser, key: str) -> None:
    answer = await stranger.sign_in(key)
    assert answer.status_code == 401
    assert "This key is not valid" in answer.text
    assert sessions.COOKIE not in stranger.cookies


async def test_a_key_with_spaces_around_it_from_copying_is_taken(
    stranger: Browser, site: Site
) -> None:
    assert (await stranger.sign_in(f"  {site.keys[ANA]}\n")).status_code == 303


async def test_another_site_cannot_sign_a_browser_in(stranger: Browser, site: Site) -> None:
    answer = await stranger.post("/sign-in", data={"key": site.keys[ANA], "csrf_token": "made-up"})
    assert answer.status_code == 403
    assert sessions.COOKIE not in stranger.cookies


async def test_two_sign_in_pages_side_by_side_both_work(stranger: Browser, site: Site) -> None:
    first = token_of((await stranger.get("/sign-in")).text)
    await stranger.get("/sign-in")
    answer = await stranger.post("/sign-in", data={"key": site.keys[ANA], "csrf_token": first})
    assert answer.status_code == 303


async def test_signing_out_ends_the_session_wherever_its_cookie_still_is(ana: Browser) -> None:
    cookie = ana.cookies[sessions.COOKIE]
    answer = await ana.press("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert sessions.COOKIE not in ana.cookies
    ana.cookies.set(sessions.COOKIE, cookie)
    assert (await ana.get("/review")).status_code == 303


async def test_a_session_that_ran_out_opens_nothing_and_is_forgotten(
    ana: Browser, stranger: Browser, site: Site
) -> None:
    async with database().writing() as session:
        row = (await session.execute(select(Session))).scalar_one()
        row.expires_at = now() - timedelta(seconds=1)
    assert (await ana.get("/review")).status_code == 303
    await stranger.sign_in(site.keys[BEN])
    async with database().reading() as session:
        assert len((await session.execute(select(Session))).all()) == 1


async def test_with_its_key_a_session_ends_too(ana: Browser, site: Site) -> None:
    async with database().reading() as session:
        query = select(ApiKey).where(col(ApiKey.prefix) == site.keys[ANA][:12])
        key = (await session.execute(query)).scalar_one()
    await revoke_key(site.callers[ANA], str(key.id))
    assert (await ana.get("/review")).status_code == 303


async def test_after_signing_in_people_are_where_they_wanted_to_be(
    stranger: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    sent = await stranger.get(f"/review/{task_id}?notice=saved")
    page = await stranger.open(sent.headers["location"])
    wanted = unescape(re.findall(r'name="next" value="([^"]*)"', page)[0])
    answer = await stranger.press("/sign-in", key=site.keys[ANA], next=wanted)
    assert answer.headers["location"] == f"/review/{task_id}?notice=saved"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/review",
        "//evil.example/review",
        "/\\evil.example/review",
        "/review\\@evil.example",
        "javascript:alert(1)//review",
        "/elsewhere",
        "",
        "/reviewed",
        "http:/review",
        "///review",
    ],
)
def test_the_way_back_never_leads_to_another_site(address: str) -> None:
    assert inside(address) == "/review"


async def test_a_page_that_follows_a_task_is_sent_whole_to_the_sign_in_page(
    stranger: Browser, site: Site
) -> None:
    task_id = await site.add_task(State.RUNNING)
    answer = await stranger.get(
        f"/review/{task_id}/status",
        headers={"HX-Request": "true", "HX-Current-URL": f"{HOST}/review/{task_id}"},
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == f"/sign-in?next=/review/{task_id}"


# What every answer has


async def test_every_kind_of_answer_has_the_headers_of_trust(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    addresses = ["/", "/sign-in", "/review", f"/review/{task_id}", "/review/task_nope"]
    addresses += ["/review?state=nowhere", f"/review/{task_id}/pages/9/image"]
    for address in addresses:
        answer = await ana.get(address)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (address, name)


def test_the_policy_allows_no_inline_script_or_style() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy


def test_no_template_has_an_inline_script_or_style_or_trusts_a_value() -> None:
    templates = (Path(words.__file__).parent / "templates").glob("*.html")
    for template in templates:
        text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|Markup", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text), template


async def test_the_files_of_the_pages_are_kept_for_ever_under_their_version(
    stranger: Browser,
) -> None:
    for name, asset in assets.ASSETS.items():
        answer = await stranger.get(assets.static(name))
        assert answer.content == asset.content
        assert "immutable" in answer.headers["cache-control"]
        assert (await stranger.get(f"/static/{name}")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nope.css", "..%2Fassets.py", "%2e%2e/assets.py", ".css"])
async def test_no_other_file_is_sent(stranger: Browser, name: str) -> None:
    assert (await stranger.get(f"/static/{name}")).status_code == 404


async def test_the_start_leads_to_the_queue(ana: Browser) -> None:
    assert (await ana.get("/")).headers["location"] == "/review"


@pytest.mark.parametrize("length", [None, "999999999", "-1", "x"])
async def test_a_form_that_is_too_large_is_not_read(stranger: Browser, length: str | None) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"key=x"

    headers = {"content-type": "application/x-www-form-urlencoded"}
    headers |= {"content-length": length} if length else {}
    answer = await stranger.post("/sign-in", content=body(), headers=headers)
    assert answer.status_code == 413


# The queue


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


def names_in(page: str) -> set[str]:
    return {unescape(one) for one in re.findall(r'class="task-name">([^<]*)<', page)}


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
    assert f'<link rel="prefetch" href="/review/{last}/pages/1/image"' in page
    sent = {"field__1__total": "1285.20", "project": "invoices"}
    answer = await ana.press(f"/review/{first}/complete-next", **sent)
    assert answer.headers["location"].startswith(f"/review/{last}?notice=next")
    assert verbs.holder(await task_of(site, last)) == ANA
    answer = await ana.press(f"/review/{last}/complete-next", **sent)
    assert answer.headers["location"].startswith("/review?")
    assert "No other task waits for you" in await ana.open(answer.headers["location"])


async def test_a_task_is_commented_reported_and_handed_over(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    address = f"/review/{task_id}"
    assert (await ana.press(f"{address}/comment", text="  A line\r\nand one more ")).is_redirect
    assert (await ana.press(f"{address}/comment", text=" ")).status_code == 422
    assert (await ana.press(f"{address}/report", field="total", reason="Torn.")).is_redirect
    assert (await ana.press(f"{address}/report", field="total", reason="")).status_code == 422
    answer = await ana.press(f"{address}/assign", to="nobody@example.org")
    assert answer.status_code == 404
    assert (await ana.press(f"{address}/assign", to=BEN)).is_redirect
    page = await ana.open(address)
    assert "A line\nand one more" in page
    assert "Total: Torn." in page
    assert f"<strong>{BEN}</strong> holds this task" in page
    # Whoever leaves keeps what was handed over.
    assert (await ana.press(f"{address}/leave")).status_code == 204
    assert verbs.holder(await task_of(site, task_id)) == BEN


async def test_every_value_shows_who_made_it_of_what(
    ana: Browser, ben: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    await ana.press(f"/review/{task_id}/save", field__1__supplier=PAINT)
    await ana.press(f"/review/{task_id}/release")
    await ben.press(f"/review/{task_id}/save", field__1__supplier="Northwind")
    page = await ben.open(f"/review/{task_id}")
    changes = page.partition('id="field-1-supplier-changes"')[2].partition("</details>")[0]
    assert "Changed 2 times" in changes
    told = re.findall(r"<del>(.*?)</del>.*?<ins>(.*?)</ins>", changes)
    assert [(unescape(a), unescape(b)) for a, b in told] == [
        (PAINT, "Northwind"),
        ("Northwind Paper Mill Ltd.", PAINT),
    ]
    assert changes.index(BEN) < changes.index(ANA)


async def test_the_words_of_a_page_are_sent_in_their_order(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    answer = await ana.get(f"/review/{task_id}/pages/1/words")
    words_ = answer.json()
    assert [word[0] for word in words_[:2]] == ["Northwind", "Paper"]
    assert len(words_[0]) == 6
    again = {"If-None-Match": answer.headers["etag"]}
    assert (await ana.get(f"/review/{task_id}/pages/1/words", headers=again)).status_code == 304


async def test_every_block_is_shown_and_its_media_are_sent_by_papertray(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_data_task()
    page = await ana.open(f"/review/{task_id}")
    assert set(re.findall(r'(?:src|href)="(?:https?:)?//([^/"]+)', page)) == {"example.org"}
    assert set(re.findall(r'src="([^"?]+)', page)) <= {
        *(f"/static/{name}" for name in assets.ASSETS),
        *(f"/review/{task_id}/media/{index}" for index in range(19)),
    }
    picture = await ana.get(f"/review/{task_id}/media/6")
    assert picture.headers["content-type"] == "image/png"
    assert "sandbox" in picture.headers["content-security-policy"]
    assert picture.content == site.images[0][0]
    contract = await ana.get(f"/review/{task_id}/media/9")
    assert contract.headers["content-disposition"].startswith("attachment")
    assert (await ana.get(f"/review/{task_id}/media/1")).status_code == 404
    assert (await ana.get(f"/review/{task_id}/media/99")).status_code == 404
    assert (await ana.get(f"/review/{await site.add_task()}/media/0")).status_code == 404


async def test_nothing_is_fetched_from_an_address_inside(ana: Browser, site: Site) -> None:
    task_id = await site.add_data_task(scan="http://169.254.169.254/latest/meta-data")
    answer = await ana.get(f"/review/{task_id}/media/6")
    assert answer.status_code in {422, 503}
    assert "169.254" not in answer.text or "address" in answer.text


async def test_blocks_are_filled_in_as_they_are_shown(ana: Browser, site: Site) -> None:
    task_id = await site.add_data_task()
    await ana.open(f"/review/{task_id}")
    sent: dict[str, str | list[str]] = {
        "csrf_token": ana.token,
        "choice.subjects": ["", "place", "person"],
        "block.amounts": "3\r\n\r\n4.5",
        "row.0.0.items": "Rope",
        "row.0.1.items": "7",
        "row.5.0.items": "",
        "row.5.1.items": "",
        "row.0.author.talk": "",
        "row.0.text.talk": "Hello",
    }
    assert (await ana.post(f"/review/{task_id}/save", data=sent)).is_redirect
    data = (await task_of(site, task_id)).task_data or {}
    assert data["subjects"] == ["place", "person"]
    assert data["amounts"] == [3, 4.5]
    assert data["items"] == [{"what": "Rope", "count": 7}]
    assert data["talk"] == [{"text": "Hello"}]  # it was an object before
    # What does not fit is refused with its reason, and shown as it was typed.
    sent = {"csrf_token": ana.token, "block.amounts": "three", "choice.subjects": ""}
    answer = await ana.post(f"/review/{task_id}/complete", data=sent)
    assert answer.status_code == 422
    assert "Amounts must be a list of numbers" in answer.text
    assert ">\nthree</textarea>" in answer.text


async def test_a_document_is_said_to_be_of_another_type_and_keeps_what_was_typed(
    ana: Browser, site: Site
) -> None:
    await verbs.install_project(site.callers[ANA], TYPES)
    task_id = await site.add_task(project="letters")
    page = await ana.open(f"/review/{task_id}")
    assert "Change type" in page
    kept = {"type__1": "invoice", "field__1__supplier": "Typed"}
    await ana.press(f"/review/{task_id}/types", **kept)
    document = await document_of(site, task_id)
    assert document.fields["supplier"]["value"] == "Typed"
    assert (await task_of(site, task_id)).state is State.IN_REVIEW
    await ana.press(f"/review/{task_id}/types", type__1="note")
    document = await document_of(site, task_id)
    assert (document.document_type, document.is_extracted) == ("note", False)
    assert (await task_of(site, task_id)).state is State.RUNNING


TYPES = """\
name: letters
document_types:
  - name: invoice
    keywords: [invoice]
    fields: [{name: supplier, labels: [Supplier]}]
  - name: note
    keywords: [note]
    fields: [{name: subject, labels: [Subject]}]
"""


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


async def test_another_organization_sees_nothing_of_it(site: Site) -> None:
    task_id = await site.add_task(name="secret name")
    file_id = (await task_of(site, task_id)).input_file_id
    key = await create_key(["admin"], organization="others", user="eve@example.org")
    async with browser() as eve:
        await eve.sign_in(key.key)
        assert "secret name" not in await eve.open("/review?state=all")
        for rest in ("", "/status", "/pages/1/image", f"/files/{file_id}"):
            assert (await eve.get(f"/review/{task_id}{rest}")).status_code == 404
        for verb in ("claim", "save", "complete", "discard", "cancel", "release", "unlock"):
            assert (await eve.press(f"/review/{task_id}/{verb}")).status_code == 404


async def test_what_people_and_documents_wrote_is_shown_as_text(ana: Browser, site: Site) -> None:
    task_id = await site.add_task(
        State.DISCARDED, name=PAINT, file_name=f"{PAINT}.pdf", note=PAINT, reason=PAINT
    )
    other = await site.add_task(name=PAINT, reason=PAINT, values=site.values(supplier=PAINT))
    for address in ("/review?state=all", f"/review/{task_id}", f"/review/{other}"):
        page = await ana.open(address)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


# A task


async def test_the_page_of_a_task_shows_its_fields_in_the_order_of_the_project(
    ana: Browser, site: Site
) -> None:
    values = site.values()
    shuffled = {name: values[name] for name in sorted(values)}
    page = await ana.open(f"/review/{await site.add_task(values=shuffled)}")
    names = re.findall(r'name="field\.1\.(\w+)"', page)
    assert names == re.findall(r"\{name: (\w+)", PROJECT)


async def test_every_field_has_a_label_a_word_for_its_state_and_a_reason(
    ana: Browser, site: Site
) -> None:
    page = await ana.open(f"/review/{await site.add_task()}")
    for name in site.values():
        assert f'for="field-1-{name}">' in page
        assert f'id="field-1-{name}-mark"' in page
    assert re.search(r'id="field-1-total"[^>]*aria-invalid="true"', page)
    for text in ("Invalid", "To be confirmed", "Sure", "Low confidence: 58 % (asked: 70 %)"):
        assert text in page
    assert "Total is not the sum of Net amount and VAT." in page


async def test_the_boxes_of_the_fields_are_in_the_pixels_of_their_page(
    ana: Browser, site: Site
) -> None:
    page = await ana.open(f"/review/{await site.add_task()}")
    left, top, right, bottom = site.invoice.boxes["total"]
    found = re.search(
        r'data-box-of="field-1-total" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"',
        page,
    )
    assert found
    x, y, width, height = (float(number) for number in found.groups())
    assert x < left
    assert y < top
    assert x + width > right
    assert y + height > bottom
    assert f'viewBox="0 0 {site.images[0][1]} {site.images[0][2]}"' in page
    assert page.count("<figure") == len(site.images)


async def test_saving_keeps_values_valid_or_not_and_claims_the_task(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    await ana.open(f"/review/{task_id}")
    answer = await ana.press(f"/review/{task_id}/save", field__1__supplier="Mill\r\nSecond line")
    assert answer.headers["location"] == f"/review/{task_id}?notice=saved"
    page = await ana.open(answer.headers["location"])
    assert "Saved." in page
    assert (await document_of(site, task_id)).fields["supplier"]["text"] == "Mill\nSecond line"
    task = await task_of(site, task_id)
    assert task.state is State.IN_REVIEW
    assert verbs.holder(task) == ANA


async def test_completing_sends_the_task_on(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    await ana.open(f"/review/{task_id}")
    answer = await ana.press(f"/review/{task_id}/complete", field__1__total="1285.20")
    assert answer.status_code == 303
    task = await task_of(site, task_id)
    assert task.state is State.RUNNING
    assert (task.decision or {})["actor"] == ANA
    page = await ana.open(answer.headers["location"])
    assert "Completed. The task goes on by itself." in page
    assert "Running" in page
    assert 'name="field.' not in page


async def test_a_failed_export_is_tried_again_by_completing(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    assert 'name="arrangement"' in await ana.open(f"/review/{task_id}")
    async with database().writing() as session:
        await session.execute(
            update(Task)
            .where(col(Task.code) == task_id.removeprefix("task_"))
            .values(review_step="export", review_reason="the export failed: Permission denied")
        )
    page = await ana.open(f"/review/{task_id}")
    assert "The export failed: Permission denied" in page
    assert 'name="arrangement"' not in page  # the documents are decided
    await ana.press(f"/review/{task_id}/complete", field__1__total="1285.20")
    assert (await task_of(site, task_id)).state is State.RUNNING


async def test_what_is_not_valid_is_refused_with_reasons_and_nothing_typed_is_lost(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    before = (await document_of(site, task_id)).fields
    await ana.open(f"/review/{task_id}")
    answer = await ana.press(
        f"/review/{task_id}/complete",
        field__1__supplier="Typed <b>name</b>",
        field__1__total="99.00",
    )
    assert answer.status_code == 422
    assert 'value="Typed &lt;b&gt;name&lt;/b&gt;"' in answer.text
    assert 'value="99.00"' in answer.text
    assert re.search(r'id="field-1-total"[^>]*aria-invalid="true"', answer.text)
    assert 'href="#field-1-total"' in answer.text
    assert "Not completed" in answer.text
    assert (await document_of(site, task_id)).fields == before
    assert (await task_of(site, task_id)).state is State.IN_REVIEW


async def test_a_field_that_the_project_does_not_have_is_refused(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    answer = await ana.press(f"/review/{task_id}/save", field__1__nonsense="1")
    assert answer.status_code == 422


async def test_of_two_people_who_decide_the_second_is_told_by_whom_and_keeps_the_text(
    ana: Browser, ben: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    await ben.press(f"/review/{task_id}/complete", field__1__total="1285.20")
    answer = await ana.press(
        f"/review/{task_id}/complete", field__1__total="7", field__1__vat="214.20"
    )
    assert answer.status_code == 409
    assert f"{BEN} decided this task before you. It is running now." in answer.text
    lost = re.findall(r"<dt>([^<]+)</dt><dd>([^<]*)</dd>", answer.text.split("was not saved")[1])
    assert ("Total", "7") in lost
    assert "VAT" not in dict(lost)
    assert 'action="/review/next"' in answer.text


async def test_who_decides_twice_is_told_that_it_is_done(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    await ana.press(f"/review/{task_id}/discard", reason="Twice.")
    answer = await ana.press(f"/review/{task_id}/discard", reason="Twice.")
    assert answer.status_code == 409
    assert "You decided this task already. It is discarded now." in answer.text


@pytest.mark.parametrize("verb", ["claim", "save", "complete", "discard"])
async def test_what_another_holds_can_be_read_only(ana: Browser, site: Site, verb: str) -> None:
    task_id = await site.add_task(claimed_by=BEN)
    page = await ana.open(f"/review/{task_id}")
    assert f"<strong>{BEN}</strong> holds this task" in page
    assert 'name="field.' not in page
    answer = await ana.press(f"/review/{task_id}/{verb}", field__1__total="1")
    assert answer.status_code == 409
    assert f"{BEN} has claimed this task" in answer.text
    assert verbs.holder(await task_of(site, task_id)) == BEN


async def test_claiming_and_releasing_change_who_holds_it(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    await ana.press(f"/review/{task_id}/claim")
    assert "You hold this task until" in await ana.open(f"/review/{task_id}")
    answer = await ana.press(f"/review/{task_id}/release")
    page = await ana.open(answer.headers["location"])
    assert "Released." in page
    assert "Nobody is on this task." in page
    again = await ana.press(f"/review/{task_id}/release")
    assert again.status_code == 409
    assert "You do not hold this task any more" in again.text


async def test_an_open_page_renews_its_claim_and_the_history_shows_one(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    headers = {"X-CSRF-Token": ana.token}
    await ana.press(f"/review/{task_id}/claim")
    for _ in range(3):
        await age_claim(site, task_id)
        answer = await ana.post(f"/review/{task_id}/renew", headers=headers, data={"a": "field"})
        assert answer.status_code == 204
        until = (await task_of(site, task_id)).claimed_until
        assert until is not None
        assert until > now() + timedelta(minutes=29)
    version = (await task_of(site, task_id)).version
    await ana.post(f"/review/{task_id}/renew", headers=headers, data={"a": "field"})
    assert (await task_of(site, task_id)).version == version  # nothing to renew yet
    page = await ana.open(f"/review/{task_id}")
    assert page.count('<span class="what">Claimed</span>') == 1


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("discard", State.IN_REVIEW, State.DISCARDED),
        ("cancel", State.IN_REVIEW, State.CANCELED),
        ("cancel", State.RUNNING, State.CANCELED),
        ("cancel", State.QUEUED, State.CANCELED),
        ("retry", State.FAILED, State.QUEUED),
        ("unlock", State.DISCARDED, State.IN_REVIEW),
        ("unlock", State.COMPLETED, State.IN_REVIEW),
    ],
)
async def test_each_button_does_what_it_says(
    ana: Browser, site: Site, verb: str, before: State, after: State
) -> None:
    task_id = await site.add_task(before)
    page = await ana.open(f"/review/{task_id}")
    assert f'action="/review/{task_id}/{verb}"' in page
    answer = await ana.press(f"/review/{task_id}/{verb}", reason="  Because.  ")
    assert answer.status_code == 303
    assert (await task_of(site, task_id)).state is after
    if verb != "retry":
        assert "Because." in await ana.open(f"/review/{task_id}")


async def test_a_button_that_is_not_there_is_not_found(ana: Browser, site: Site) -> None:
    assert (await ana.press(f"/review/{await site.add_task()}/erase")).status_code == 404


async def test_what_cannot_happen_now_is_told_in_words(ana: Browser, site: Site) -> None:
    task_id = await site.add_task(State.FAILED)
    answer = await ana.press(f"/review/{task_id}/cancel")
    assert answer.status_code == 409
    assert "This is not possible now: the task is failed." in answer.text


async def test_a_key_that_may_only_read_sees_no_buttons_and_changes_nothing(site: Site) -> None:
    task_id = await site.add_task()
    async with browser() as reader:
        await reader.sign_in(site.keys["reader"])
        page = await reader.open(f"/review/{task_id}")
        assert "Your key allows reading only." in page
        assert 'name="field.' not in page
        for verb in ("claim", "save", "complete", "discard", "cancel"):
            assert f"/{verb}" not in page
            assert (await reader.press(f"/review/{task_id}/{verb}")).status_code == 403
        assert (await reader.press("/review/next")).status_code == 403
        file_id = (await task_of(site, task_id)).input_file_id
        assert (await reader.get(f"/review/{task_id}/files/{file_id}")).status_code == 403
    assert (await task_of(site, task_id)).state is State.IN_REVIEW


async def test_a_failed_task_says_what_went_wrong(ana: Browser, site: Site) -> None:
    result = {"error": "The file is damaged.", "details": {"code": "file_damaged", "page": 3}}
    page = await ana.open(f"/review/{await site.add_task(State.FAILED, result=result)}")
    for text in ("What went wrong", "The file is damaged.", "file_damaged", "<dd>3</dd>"):
        assert text in page


async def test_the_result_of_an_operation_is_shown(ana: Browser, site: Site) -> None:
    async with database().writing() as session:
        made = Task(
            organization_id=site.callers[ANA].organization_id,
            operation="extract-text",
            state=State.COMPLETED,
            result={"format": "plain", "content": "Read <this>"},
        )
        session.add(made)
    page = await ana.open(f"/review/{made.public_id}")
    assert "<h1>Extract text</h1>" in page
    assert "Read &lt;this&gt;" in page
    assert "Open again" not in page


# Following a task


async def test_the_status_of_a_running_task_is_sent_only_when_it_changed(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task(State.RUNNING, progress=("read", 2, 5))
    page = await ana.open(f"/review/{task_id}")
    assert "Reading the pages: 2 of 5" in page
    assert "every 2s" in page
    poll = unescape(re.findall(r'hx-get="([^"]+)"', page)[0])
    assert (await ana.get(poll)).status_code == 204
    async with database().writing() as session:
        (await session.get_one(Task, (await task_of(site, task_id)).id)).progress_current = 3
    answer = await ana.get(poll)
    assert "Reading the pages: 3 of 5" in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize("state", [State.IN_REVIEW, State.COMPLETED, State.FAILED])
async def test_a_task_that_stopped_running_has_its_page_loaded_anew(
    ana: Browser, site: Site, state: State
) -> None:
    answer = await ana.get(f"/review/{await site.add_task(state)}/status")
    assert answer.headers["HX-Refresh"] == "true"
    assert answer.text == ""


# Images and files


async def test_a_page_image_is_sent_once_and_then_only_confirmed(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    answer = await ana.get(f"/review/{task_id}/pages/2/image")
    assert answer.content == site.images[1][0]
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = await ana.get(
        f"/review/{task_id}/pages/2/image", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize(
    "page", ["0/image", "3/image", "-1/image", "x/image", "1", "99999999999999999999/words"]
)
async def test_a_page_that_is_not_there_is_not_found(ana: Browser, site: Site, page: str) -> None:
    assert (await ana.get(f"/review/{await site.add_task()}/pages/{page}")).status_code == 404


async def test_an_image_whose_bytes_are_gone_is_not_found(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    task = await task_of(site, task_id)
    (site.home / "blobs" / "tasks" / str(task.id) / "read" / "page-1.png").unlink()
    assert (await ana.get(f"/review/{task_id}/pages/1/image")).status_code == 404


async def test_files_are_saved_and_never_opened_in_the_window(ana: Browser, site: Site) -> None:
    task_id = await site.add_task(file_name='Rechnung "März"\n.pdf')
    task = await task_of(site, task_id)
    answer = await ana.get(f"/review/{task_id}/files/{task.input_file_id}")
    assert answer.content == site.invoice.pdf
    assert answer.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''Rechnung%20%22M%C3%A4rz%22.pdf"
    )
    assert answer.headers["content-security-policy"].startswith("sandbox")


async def test_a_file_is_sent_only_with_the_task_it_belongs_to(ana: Browser, site: Site) -> None:
    file_id = (await task_of(site, await site.add_task())).input_file_id
    other = await site.add_task()
    assert (await ana.get(f"/review/{other}/files/{file_id}")).status_code == 404


async def test_the_export_of_a_completed_task_can_be_saved(ana: Browser, site: Site) -> None:
    task_id = await site.add_task(State.COMPLETED)
    page = await ana.open(f"/review/{task_id}")
    address = re.findall(r'href="(/review/[^"]+/files/[^"]+)" download>data.json', page)[0]
    assert (await ana.get(address)).json() == {"total": "1285.20"}


# Words


def test_every_state_has_a_tone() -> None:
    assert set(words.TONE_OF) == set(State)
    assert {words.TONE_OF[state] for state in FINAL} == {"sure", "quiet", "invalid"}


def test_every_activity_has_words() -> None:
    for activity in ACTIVITY_OF.values():
        assert re.fullmatch(r"[A-Z][a-z ]+", words.activity_words(activity))
    amended = {"task.created", "task.audited", "task.assigned", "task.left"}
    assert set(words.ACTIVITIES) <= {*ACTIVITY_OF.values(), *amended, "task.report_not_told"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 day"), (200000, "2 days")],
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds: int, text: str) -> None:
    assert words.length(timedelta(seconds=seconds)) == text


def test_a_due_time_says_whether_it_is_past() -> None:
    assert words.due(now() + timedelta(minutes=5, seconds=30)) == "in 5 min"
    assert words.due(now() - timedelta(days=2, seconds=30)) == "2 days overdue"


@pytest.mark.parametrize(
    ("facts", "word", "confidence"),
    [
        ({"value": "x", "confidence": 0.95}, "Sure", "High confidence: 95 %"),
        ({"value": "x", "confidence": 0.8}, "Sure", "Confidence: 80 %"),
        (
            {"value": "x", "confidence": 0.3, "needs_confirmation": True},
            "To be confirmed",
            "Low confidence: 30 % (asked: 70 %)",
        ),
        ({"value": "x", "valid": False, "confidence": 0.95}, "Invalid", "High confidence: 95 %"),
        ({}, "Not found", ""),
        ({"value": "x", "method": "person"}, "Sure", "Entered by a person"),
    ],
)
def test_a_field_says_how_sure_it_is(facts: dict[str, object], word: str, confidence: str) -> None:
    value = FieldValue.model_validate(
        {"name": "total", "label": "Total", "type": FieldType.TEXT, **facts}
    )
    part = FieldPart(name="total", labels=["Total"])
    assert words.field_mark(value).word == word
    assert words.confidence_words(value, part) == confidence


async def test_the_page_of_an_erased_task_shows_how_it_ended_and_no_more(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    before = await ana.open(f"/review/{task_id}")
    name = (await task_of(site, task_id)).name
    assert name
    assert name in before
    await verbs.discard(site.callers[ANA], task_id, "not wanted")
    async with database().writing() as session:
        await session.execute(delete(Outbox))
    await purge.make_due(site.callers[ANA], older_than=timedelta(0))
    while await erase.erase_due():
        pass
    after = await ana.open(f"/review/{task_id}")
    assert name not in after
    assert "not wanted" not in after
    assert "iscarded" in after
