import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from flows import verbs
from store.database import database
from store.finding import documents_of, find_task
from store.ids import now
from store.models import Task
from store.states import State
from tests.browser import DESKTOP, PHONE, open_browser, signed_in_page
from tests.review_site import ANA, BEN, Site, fill, settings_of

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PAYLOADS = (
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover=alert(1) style='position:fixed;inset:0",
    "javascript:alert(1)",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "<form action=//evil.example><button>x",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>*{background:url(//evil.example)}</style>",
    "<svg><script>alert&#40;1&#41;</script>",
    "<math><mtext></mtext><script>alert(1)</script>",
    "<template><script>alert(1)</script></template>",
    "{{ 7 * 7 }}{% for x in (1).__class__.__base__.__subclasses__() %}",
    "${alert(1)}`+alert(1)+`",
    "<img src=1 hx-get=/review hx-trigger=load hx-on::load=alert(1)>",
    "<div hx-on:click=alert(1) data-opens=x>",
    "\u202egnp.exe<script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.prepare()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def ids(site: Site) -> dict[str, str]:
    """A task in every state that has a page of its own kind."""
    return fill(site)


@pytest.fixture(autouse=True)
async def _store(site: Site) -> AsyncIterator[None]:
    with settings_of(site.home):
        yield
        await database().close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    async with signed_in_page(browser, site.url, site.keys[ANA]) as opened:
        yield opened


def signed_in(
    browser: Browser, site: Site, person: str, **settings: Any
) -> AbstractAsyncContextManager[Page]:
    return signed_in_page(browser, site.url, site.keys[person], **settings)


async def task_of(site: Site, public_id: str) -> Task:
    async with database().reading() as session:
        return await find_task(session, site.callers[ANA], public_id)


async def press_until(page: Page, name: str, key: str = "Tab") -> None:
    """Press a key until the element with that text has the focus, as a person without a mouse."""
    for _ in range(80):
        await page.keyboard.press(key)
        if await page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    raise AssertionError(f"{name} cannot be reached with {key}")


# The way of a task


async def test_a_task_goes_from_the_queue_to_completed_by_keyboard_alone(
    browser: Browser, site: Site
) -> None:
    task_id = await site.add_task(age=timedelta(days=13))
    context = await browser.new_context(viewport=DESKTOP)  # pyright: ignore[reportArgumentType]  # a mapping of two numbers
    page = await context.new_page()
    await page.goto(site.url)
    await page.keyboard.type(site.keys[ANA])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("n")
    await expect(page).to_have_url(re.compile(task_id))
    # The task is held, so the first field in doubt has the focus.
    await expect(page.get_by_label("Purchase order")).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("PO-7712")
    for _ in range(3):
        await page.keyboard.press("Enter")
    await expect(page.get_by_label("Total")).to_be_focused()
    await page.keyboard.press("Shift+Enter")
    await expect(page.get_by_label("VAT")).to_be_focused()
    await page.keyboard.press("Alt+ArrowDown")  # the next one in doubt
    await page.keyboard.press("Control+A")
    await page.keyboard.type("1,285.20")
    await expect(page.locator("#field-1-total-mark")).to_have_text("Changed, not saved")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_text("Saved. The task still waits")).to_be_visible()
    # The value tells who made it of what; single keys work outside of fields.
    await page.keyboard.press("Escape")
    await page.keyboard.press("c")
    await page.keyboard.type("Checked with the mill.")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator("#comments")).to_contain_text("Checked with the mill.")
    await page.keyboard.press("Escape")
    changes = page.locator("#field-1-total-changes")
    await expect(changes.locator("summary")).to_have_text("Changed once")
    following = await site.add_task(age=timedelta(days=12))
    await page.get_by_label("Total").focus()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("Completed. This is the next task.")).to_be_visible()
    await expect(page).to_have_url(re.compile(following))
    assert verbs.holder(await task_of(site, following)) == ANA
    await page.goto(f"{site.url}/review/{task_id}")
    await site.finish_task(task_id)
    # The page follows by itself.
    await expect(page.get_by_role("link", name="data.json")).to_be_visible(timeout=15_000)
    await expect(page.locator(".task-title .badge")).to_have_text("Completed")
    await expect(page.locator(".values .changes").last).to_contain_text("Changed once")
    task = await task_of(site, task_id)
    assert task.state is State.COMPLETED
    assert (task.decision or {})["actor"] == ANA
    await verbs.release(site.callers[ANA], following)
    await context.close()


async def test_what_is_pointed_at_on_the_page_goes_into_the_field(page: Page, site: Site) -> None:
    await page.emulate_media(reduced_motion="reduce")  # the pages stand still at once
    task_id = await site.add_task()
    await page.goto(f"{site.url}/review/{task_id}")
    total = page.get_by_label("Total")
    await total.focus()
    await expect_inside(page, '[data-box-of="field-1-total"]', ".sheets")
    await click_word(page, site, "1,285.20")
    await expect(total).to_have_value("1,285.20")
    await expect(total).to_be_focused()
    supplier = page.get_by_label("Supplier")
    await supplier.focus()
    await expect_inside(page, '[data-box-of="field-1-supplier"]', ".sheets")
    first = await place_of_word(page, site, "12")
    last = await place_of_word(page, site, "Kendal")
    await page.mouse.move(first[0] - 4, first[1] - 4)
    await page.mouse.down()
    await page.mouse.move(last[0] + 4, last[1] + 4, steps=4)
    await page.mouse.up()
    await expect(supplier).to_have_value("12 Weir Lane, Kendal")
    # The same on a page that is turned and larger.
    await page.keyboard.press("Escape")
    for key in ("r", "+"):
        await page.keyboard.press(key)
    number = page.get_by_label("Invoice number")
    await number.focus()
    await expect_inside(page, '[data-box-of="field-1-invoice_number"]', ".sheets")
    await click_word(page, site, "NW-2026-01847")
    await expect(number).to_have_value("NW-2026-01847")
    await page.get_by_role("button", name="Words").click()
    await expect(page.locator("#page-1 .words")).to_be_attached()
    # What is typed over stands nowhere; what was picked is where it was picked, saved or not.
    await number.press_sequentially("7")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Taken from the page by a person")).to_have_count(2)
    async with database().reading() as session:
        fields = (await documents_of(session, await task_of(site, task_id)))[0].fields
    assert {name: one["method"] for name, one in fields.items() if one["method"] != "label"} == {
        "supplier": "picked",
        "total": "picked",
        "invoice_number": "person",
    }
    word = next(one for one in site.invoice.words[0] if one.text == "1,285.20")
    assert fields["total"]["box"] == pytest.approx(word.box, abs=0.1)
    await expect(page.locator('[data-box-of="field-1-total"]')).to_be_attached()
    await expect(page.locator('[data-box-of="field-1-invoice_number"]')).to_have_count(0)


async def test_who_zooms_in_sees_the_page_in_more_pixels(page: Page, site: Site) -> None:
    site.details = [image for image, _, _ in site.images]
    await page.goto(f"{site.url}/review/{await site.add_task()}")
    site.details = []
    await page.get_by_label("Total").focus()
    for _ in range(3):
        await page.get_by_role("button", name="Zoom in").click()
    detail = page.locator("#page-1 .detail")
    await expect(detail).to_be_attached()
    sizes = await detail.evaluate("(e) => [e.clientWidth, e.previousElementSibling.clientWidth]")
    assert sizes[0] == sizes[1]
    await expect(page.locator("#page-2 .detail")).to_have_count(0)


async def place_of_word(page: Page, site: Site, text: str) -> tuple[float, float]:
    """Where the middle of a word of the first page is in the window."""
    word = next(one for one in site.invoice.words[0] if one.text == text)
    left, top, right, bottom = word.box
    x, y = await page.evaluate(
        """([x, y]) => {
            const matrix = document.querySelector("#page-1 .boxes").getScreenCTM();
            const point = new DOMPoint(x, y).matrixTransform(matrix);
            return [point.x, point.y];
        }""",
        [(left + right) / 2, (top + bottom) / 2],
    )
    return x, y


async def click_word(page: Page, site: Site, text: str) -> None:
    await page.mouse.click(*await place_of_word(page, site, text))


async def test_a_field_with_the_focus_shows_its_box_and_a_box_finds_its_field(
    page: Page, site: Site
) -> None:
    await page.goto(f"{site.url}/review/{await site.add_task()}")
    for name in ("payment_terms", "supplier", "total"):
        await page.locator(f"#field-1-{name}").focus()
        box = page.locator(f'[data-box-of="field-1-{name}"]')
        await expect(box).to_have_class(re.compile("is-active"))
        await expect(page.locator(".box.is-active")).to_have_count(1)
        await expect_inside(page, f'[data-box-of="field-1-{name}"]', ".sheets")
    await page.locator('[data-box-of="field-1-vat"]').click()
    await expect(page.get_by_label("VAT")).to_be_focused()
    before = await page.locator("#page-1").evaluate("(e) => e.getBoundingClientRect().width")
    await page.get_by_role("button", name="Zoom in").click()
    after = await page.locator("#page-1").evaluate("(e) => e.getBoundingClientRect().width")
    assert after == pytest.approx(1.25 * before, rel=0.02)
    await page.get_by_role("button", name="Rotate the page").click()
    size = await page.locator("#page-1").evaluate("(e) => [e.clientWidth, e.clientHeight]")
    assert size[0] > size[1]


async def expect_inside(page: Page, inner: str, outer: str) -> None:
    """The inner element comes to lie within the outer one, within two seconds."""
    script = """([inner, outer]) => {
        const [a, b] = [inner, outer].map((s) => document.querySelector(s).getBoundingClientRect());
        return a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
    }"""
    await page.wait_for_function(script, arg=[inner, outer], timeout=2000)


async def test_the_boxes_lie_on_the_words_they_stand_for(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/review/{await site.add_task()}")
    placed = await page.evaluate(
        """() => {
            const image = document.querySelector("#page-1 img").getBoundingClientRect();
            const box = document.querySelector('[data-box-of="field-1-total"]');
            const place = box.getBoundingClientRect();
            return [(place.left + place.width / 2 - image.left) / image.width,
                    (place.top + place.height / 2 - image.top) / image.height];
        }"""
    )
    left, top, right, bottom = site.invoice.boxes["total"]
    _, width, height = site.images[0]
    assert placed == pytest.approx(
        [(left + right) / 2 / width, (top + bottom) / 2 / height], abs=0.002
    )


async def test_what_is_refused_comes_back_with_its_reasons_and_all_that_was_typed(
    page: Page, site: Site
) -> None:
    await page.goto(f"{site.url}/review/{await site.add_task()}")
    await page.get_by_label("Supplier").fill("Typed by hand")
    await page.get_by_label("Invoice date").fill("the 31st of never")
    await page.get_by_role("button", name="Complete", exact=True).click()
    alert = page.get_by_role("alert")
    await expect(alert).to_be_focused()
    await expect(page.get_by_label("Supplier")).to_have_value("Typed by hand")
    await expect(page.get_by_label("Invoice date")).to_have_value("the 31st of never")
    await expect(page.locator("#field-1-invoice_date-note .message")).to_contain_text("date")
    await alert.get_by_role("link", name="Invoice date").click()
    await expect(page.get_by_label("Invoice date")).to_be_focused()


async def test_of_two_people_on_one_task_the_second_is_told_and_loses_nothing(
    browser: Browser, page: Page, site: Site
) -> None:
    task_id = await site.add_task()
    async with signed_in(browser, site, BEN) as other:
        for one in (page, other):
            await one.goto(f"{site.url}/review/{task_id}")
        # First: a page in which nothing was typed is shown anew when somebody claims the task.
        await other.get_by_label("Supplier").fill("What Ben typed")
        await page.get_by_role("button", name="Claim").click()
        await expect(page.get_by_role("button", name="Release")).to_be_visible()
        await other.get_by_role("button", name="Complete", exact=True).click()
        alert = other.get_by_role("alert")
        await expect(alert).to_contain_text(f"{ANA} has claimed this task")
        await expect(alert).to_contain_text("What Ben typed")
        await page.get_by_label("Total").fill("1285.20")
        await page.get_by_role("button", name="Complete", exact=True).click()
        await expect(page.get_by_text("Completed. The task goes on by itself.")).to_be_visible()
        # Told of it, too, the second still has what was typed.
        await expect(other.locator("#changed-words")).to_contain_text(f"{ANA}: ", timeout=15_000)
        await expect(alert).to_contain_text("What Ben typed")
        await alert.get_by_role("link", name="Show the task as it is").click()
        await expect(other.locator(".live .badge")).to_have_text("Running")
    assert ((await task_of(site, task_id)).decision or {})["actor"] == ANA


async def test_two_people_see_what_the_other_does_as_it_happens(
    browser: Browser, page: Page, site: Site
) -> None:
    task_id = await site.add_task()
    async with signed_in(browser, site, BEN) as other:
        await page.goto(f"{site.url}/review/{task_id}")
        await other.goto(f"{site.url}/review/{task_id}")
        await expect(page.locator("#here")).to_have_text(f"Also here: {BEN}", timeout=15_000)
        await expect(other.locator("#here")).to_have_text(f"Also here: {ANA}", timeout=15_000)
        await page.get_by_role("button", name="Claim").click()
        await expect(other.locator("#claim")).to_contain_text(f"{ANA} holds this task")
        await expect(other.get_by_role("button", name="Save")).to_have_count(0)
        await other.get_by_label("Write a comment").fill("I know this mill.")
        await other.get_by_role("button", name="Send the comment").click()
        await page.get_by_label("Supplier").fill("Typed meanwhile")
        await expect(page.locator("#comments")).to_contain_text("I know this mill.", timeout=15_000)
        await expect(page.get_by_label("Supplier")).to_have_value("Typed meanwhile")
        await page.get_by_role("button", name="Save").click()
        await expect(other.locator(".values")).to_contain_text("Typed meanwhile", timeout=15_000)
        # Who leaves the page frees the task for others shortly after.
        await page.get_by_role("link", name="Queue").first.click()
        await expect(page.get_by_role("heading", name="Queue")).to_be_visible()
        await expect(other.locator("#here")).to_have_text("", timeout=15_000)

        async def left() -> bool:
            until = (await task_of(site, task_id)).claimed_until
            return until is not None and until <= now() + verbs.LEFT_FOR

        for _ in range(100):
            if await left():
                break
            await page.wait_for_timeout(100)
        assert await left()
        # The queue follows, too.
        await page.goto(f"{site.url}/review")
        await verbs.discard(site.callers[ANA], task_id, "Not ours.")
        await expect(page.locator(f'a[href="/review/{task_id}"]')).to_have_count(0, timeout=15_000)
        await expect(other.locator(".task-title .badge")).to_have_text("Discarded", timeout=15_000)


async def test_several_tasks_are_claimed_and_discarded_by_keyboard(page: Page, site: Site) -> None:
    ids = [await site.add_task(project="delivery-notes", name=f"Bulk {n}") for n in range(3)]
    await verbs.claim(site.callers[BEN], ids[2])
    await page.goto(f"{site.url}/review?project=delivery-notes")
    for one in ids:
        await page.locator(f'a[href="/review/{one}"]').focus()
        await page.keyboard.press("x")
    await expect(page.locator("#chosen-count")).to_have_text("3 chosen")
    await page.keyboard.press("c")
    await expect(page.get_by_text("2 tasks claimed. 1 not")).to_be_visible()
    assert [verbs.holder(await task_of(site, one)) for one in ids] == [ANA, ANA, BEN]
    await page.goto(f"{site.url}/review?project=delivery-notes&assignee=me")
    await page.keyboard.press("a")
    await page.keyboard.press("d")
    await page.keyboard.type("Sent twice.")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("2 tasks discarded.")).to_be_visible()
    tasks = [await task_of(site, one) for one in ids]
    assert [task.state for task in tasks] == [State.DISCARDED] * 2 + [State.IN_REVIEW]
    assert {(task.decision or {})["note"] for task in tasks[:2]} == {"Sent twice."}


async def test_every_type_of_block_is_drawn_and_can_be_filled_in(page: Page, site: Site) -> None:
    task_id = await site.add_data_task()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{site.url}/review/{task_id}")
    await expect(page.locator(".marked mark")).to_have_text("Ada LovelacePerson")
    await expect(page.locator(".picture .place")).to_have_attribute("width", "300")
    for picture in await page.locator(".media img, .picture img").all():
        assert await picture.evaluate("async (i) => { await i.decode(); return i.naturalWidth }")
    # A second name is marked by choosing it in the text.
    await page.evaluate(
        """() => {
            const text = document.querySelector(".marked").lastChild.firstChild;
            const at = text.data.indexOf("London");
            getSelection().setBaseAndExtent(text, at, text, at + 6);
        }"""
    )
    await (
        page.get_by_role("group", name="Marks of Names").get_by_role("button", name="Place").click()
    )
    await expect(page.locator(".marked mark")).to_have_text(["Ada LovelacePerson", "LondonPlace"])
    # A second place is drawn on the picture.
    frame = page.locator(".picture .marks")
    await frame.scroll_into_view_if_needed()
    box = await frame.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 40, box["y"] + 200)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 140, box["y"] + 260, steps=3)
    await page.mouse.up()
    await expect(page.locator(".picture .place")).to_have_count(2)
    # A row is added to a form, and one is removed, by keyboard.
    await page.get_by_label("What, row 1").first.focus()
    await page.keyboard.press("Alt+Insert")
    await page.keyboard.type("Door")
    await page.keyboard.press("Enter")
    await page.keyboard.type("3")
    await page.get_by_label("What, row 1").first.focus()
    await page.keyboard.press("Alt+Delete")
    await page.get_by_label("Place").check()
    await page.get_by_label("Amounts").fill("1\n2.5")
    await page.get_by_label("Title").fill("Lease, signed")
    await page.keyboard.press("Control+s")
    await expect(page.get_by_text("Saved. The task still waits")).to_be_visible()
    data = (await task_of(site, task_id)).task_data or {}
    assert data["items"] == [{"what": "Lamp", "count": 1}, {"what": "Door", "count": 3}]
    assert data["amounts"] == [1, 2.5]
    assert data["subjects"] == ["person", "place"]
    assert data["title"] == "Lease, signed"
    assert data["talk"] == [{"author": "Ada", "text": "Is it signed?"}, "It is."]
    assert data["names"]["entities"][1] == {"start": 30, "end": 36, "label": "place"}
    assert data["stamps"]["boxes"][1]["label"] == "person"
    await page.keyboard.press("Control+Enter")
    await expect(page).not_to_have_url(re.compile(task_id))
    assert (await task_of(site, task_id)).state is State.RUNNING
    assert complaints == []


async def test_discarding_asks_first_and_keeps_the_reason(page: Page, site: Site) -> None:
    task_id = await site.add_task()
    await page.goto(f"{site.url}/review/{task_id}")
    opener = page.get_by_role("button", name="Discard…")
    await opener.click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(opener).to_be_focused()
    await opener.click()
    await dialog.get_by_role("button", name="Keep it").click()
    assert (await task_of(site, task_id)).state is State.IN_REVIEW
    await opener.click()
    await dialog.get_by_label("Reason").fill("An advertisement.")
    await page.keyboard.press("Enter")
    await expect(page.locator(".task-title .badge")).to_have_text("Discarded")
    await expect(page.locator(".history")).to_contain_text("An advertisement.")


async def test_a_button_pressed_twice_is_sent_once(page: Page, site: Site) -> None:
    task_id = await site.add_task()
    await page.goto(f"{site.url}/review/{task_id}")
    await page.get_by_label("Total").fill("1285.20")
    requests: list[tuple[str, str]] = []
    page.on("request", lambda request: requests.append((request.method, request.url)))
    await page.get_by_role("button", name="Complete", exact=True).dblclick()
    await expect(page.get_by_text("Completed. The task goes on by itself.")).to_be_visible()
    sent = [url for method, url in requests if method == "POST"]
    assert sent == [f"{site.url}/review/{task_id}/complete"]


async def test_leaving_with_changes_asks_first_and_saving_does_not(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/review/{await site.add_task()}")
    asked: list[str] = []

    async def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    page.on("dialog", stay)
    await page.get_by_label("Supplier").fill("Changed")
    await page.get_by_role("link", name="Queue").first.click(no_wait_after=True)
    await page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. The task still waits")).to_be_visible()
    await page.get_by_role("link", name="Queue").first.click()
    await expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    assert asked == ["beforeunload"]


async def test_a_running_task_is_followed_until_it_needs_a_person(page: Page, site: Site) -> None:
    task_id = await site.add_task(State.RUNNING, progress=("read", 1, 3))
    await page.goto(f"{site.url}/review/{task_id}")
    await expect(page.get_by_text("Reading the pages: 1 of 3")).to_be_visible()
    async with database().writing() as session:
        (await session.get_one(Task, (await task_of(site, task_id)).id)).progress_current = 2
    await expect(page.get_by_text("Reading the pages: 2 of 3")).to_be_visible(timeout=15_000)
    await verbs.cancel(site.callers[BEN], task_id, "Not needed.")
    await expect(page.locator(".task-title .badge")).to_have_text("Canceled", timeout=15_000)
    await expect(page.locator(".history")).to_contain_text("Not needed.")


async def test_a_page_that_follows_a_task_leads_to_the_sign_in_once_signed_out(
    page: Page, site: Site
) -> None:
    task_id = await site.add_task(State.RUNNING)
    await page.goto(f"{site.url}/review/{task_id}")
    await page.context.clear_cookies()
    await page.wait_for_url(f"**/sign-in?next=/review/{task_id}", timeout=15_000)
    await page.get_by_label("API key").fill(site.keys[ANA])
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**/review/{task_id}")


async def test_without_scripts_a_task_can_be_claimed_and_completed(
    browser: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    async with signed_in(browser, site, ANA, java_script_enabled=False) as page:
        await page.goto(f"{site.url}/review/{task_id}")
        await page.get_by_role("button", name="Claim").click()
        await page.get_by_label("Total").fill("1285.20")
        await page.get_by_role("button", name="Complete", exact=True).click()
        await expect(page.get_by_text("Completed. The task goes on by itself.")).to_be_visible()


async def test_times_are_those_of_the_reader(browser: Browser, site: Site) -> None:
    task_id = await site.add_task()
    moment = (await task_of(site, task_id)).created_at
    async with signed_in(browser, site, ANA, timezone_id="Asia/Tokyo", locale="en-GB") as page:
        await page.goto(f"{site.url}/review/{task_id}")
        tokyo = moment + timedelta(hours=9)
        await expect(page.locator(".facts time")).to_have_text(
            f"{tokyo.day} {tokyo:%b %Y}, {tokyo:%H:%M}"
        )


async def test_nothing_is_asked_of_any_other_machine_and_nothing_is_refused(
    page: Page, site: Site, ids: dict[str, str]
) -> None:
    hosts: set[str] = set()
    complaints: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in ("", *(f"/{task_id}" for task_id in ids.values())):
        await page.goto(f"{site.url}/review{path}", wait_until="load")
    assert hosts == {urlsplit(site.url).netloc}
    assert complaints == []


# What hostile text can do


async def test_hostile_text_stays_text_wherever_it_is_shown(
    browser: Browser, page: Page, site: Site
) -> None:
    complaints: list[str] = []

    async def complain(dialog: Any) -> None:
        complaints.append(f"{dialog.type}: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", complain)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    shapes: defaultdict[str, set[str]] = defaultdict(set)
    await site.add_task(age=timedelta(days=9))  # so that each page fetches one ahead
    for number, payload in enumerate(PAYLOADS):
        hostile: dict[str, Any] = {
            "name": payload,
            "file_name": f"{payload.replace('/', '-')}.pdf",
            "values": site.values(supplier=payload, payment_terms=f"{payload}\n{payload}"),
            "reason": payload,
        }
        kinds: list[tuple[State, dict[str, Any]]] = [
            (State.IN_REVIEW, hostile),
            (State.DISCARDED, hostile | {"note": payload}),
            (State.IN_REVIEW, hostile | {"claimed_by": payload}),
            (State.FAILED, {"name": payload, "note": payload, "result": {"error": payload}}),
        ]
        # Each payload where it is typed and where it is read; the rest by turns.
        for state, facts in (*kinds[:2], kinds[2 + number % 2]):
            task_id = await site.add_task(state, **facts)
            ana = site.callers[ANA]
            await verbs.comment(ana, task_id, payload)
            await verbs.report(ana, task_id, [{"label": payload, "value": payload}])
            if state is State.IN_REVIEW and not facts.get("claimed_by"):
                # In the history of a value, too.
                await verbs.save(ana, task_id, {"invoice_number": payload})
                await verbs.save(ana, task_id, {"invoice_number": "NW-2026-01847"})
            await page.goto(f"{site.url}/review/{task_id}")
            assert await page.get_by_role("heading", level=1).text_content() == payload
            assert await page.title() == f"{' '.join(payload.split())} · Papertray"
            if state is State.IN_REVIEW and not facts.get("claimed_by"):
                assert await page.get_by_label("Supplier").input_value() == payload
                await page.get_by_label("Payment terms").focus()
            # A long value has a field of several lines.
            kind = f"{state} {'claimed_by' in facts} {await page.locator('textarea').count()}"
            shapes[kind].add(await elements_of(page))
        values = {
            "title": payload,
            "names": {"text": payload, "entities": [{"start": 0, "end": 3, "label": "person"}]},
            "talk": [{"author": payload, "text": payload}],
            "items": [{"what": payload}],
            "letter": payload,
        }
        await page.goto(f"{site.url}/review/{await site.add_data_task(**values)}")
        assert await page.get_by_label("Title").input_value() == payload
        # What is drawn by scripts is text, too.
        input_ = page.locator(f"#{await page.locator('.marked').get_attribute('data-marked')}")
        await input_.evaluate("e => e.dispatchEvent(new Event('input', { bubbles: true }))")
        await expect(page.locator("[data-pdf] img")).to_have_count(2)  # the pages of its PDF
        kind = f"data {await page.locator('textarea').count()}"
        shapes[kind].add(await elements_of(page))
    await page.goto(f"{site.url}/review?state=discarded")
    assert set(PAYLOADS) <= set(await page.locator(".task-name").all_text_contents())
    assert complaints == []
    assert hosts == {urlsplit(site.url).netloc}
    # The same elements for every payload: none added one, none swallowed one.
    assert len(shapes) >= 4
    assert {kind: len(found) for kind, found in shapes.items()} == dict.fromkeys(shapes, 1)


async def elements_of(page: Page) -> str:
    """How many elements of each kind, and of each attribute, the page has."""
    counts = await page.evaluate(
        """() => {
            const counts = {};
            for (const element of document.querySelectorAll("*")) {
                for (const name of [element.localName, ...element.getAttributeNames()]) {
                    counts[name] = (counts[name] ?? 0) + 1;
                }
            }
            return counts;
        }"""
    )
    return str(sorted(counts.items()))


# For everybody


VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
}


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_nothing_to_say(
    browser: Browser, site: Site, ids: dict[str, str], view: str
) -> None:
    found: list[str] = []

    async def look(page: Page, name: str) -> None:
        results = await Axe().run(page)
        if results.violations_count:
            found.append(f"{name}:\n{results.generate_report()}")

    context = await browser.new_context(**VIEWS[view])
    page = await context.new_page()
    await page.goto(f"{site.url}/sign-in")
    await look(page, "sign in")
    await page.get_by_label("API key").fill("wrong")
    await page.get_by_role("button", name="Sign in").click()
    await look(page, "sign in refused")
    await context.close()
    async with signed_in(browser, site, ANA, **VIEWS[view]) as page:
        await look(page, "queue")
        await page.goto(f"{site.url}/review?state=timed_out")
        await look(page, "empty queue")
        await page.goto(f"{site.url}/review/task_nope")
        await look(page, "error")
        for name, task_id in ids.items():
            await page.goto(f"{site.url}/review/{task_id}")
            await look(page, name)
        await page.goto(f"{site.url}/review?state=completed")
        await look(page, "queue of what has ended")
        await page.goto(f"{site.url}/review/metrics")
        await look(page, "metrics")
        await page.goto(f"{site.url}/review/{await site.add_data_task()}")
        await look(page, "blocks")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await look(page, "keys")
        await page.goto(f"{site.url}/review/{await site.add_task()}")
        await page.get_by_label("Net amount").fill("nothing")
        await page.get_by_role("button", name="Complete", exact=True).click()
        await look(page, "refused")
        await page.get_by_role("button", name="Discard…").click()
        await look(page, "dialog")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("where", ["queue", "task", "completed"])
async def test_everything_is_reached_by_tab_and_shows_the_focus(
    page: Page, site: Site, ids: dict[str, str], where: str
) -> None:
    await site.add_task()
    path = {"queue": "", "task": f"/{await site.add_task()}", "completed": f"/{ids['completed']}"}
    await page.goto(f"{site.url}/review{path[where]}")
    # What is folded away is reached once it is unfolded, by its summary.
    await page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true })")
    wanted = await page.evaluate(
        """() => [...document.querySelectorAll(
            // Of several radio buttons one is reached by Tab, and the others from there by arrows.
            "a[href], button:enabled, input:not([type=hidden], [type=radio]:not(:checked)),"
            + " select, textarea, summary, .sheets"
          )].filter((e) => !e.closest("dialog:not([open])") && !e.closest("[hidden]")).length"""
    )
    seen: set[str] = set()
    for _ in range(wanted + 5):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            """() => {
                const e = document.activeElement;
                if (e === document.body) return null;
                const shown = e.matches(".cell-task a") ? e.closest("tr") : e;
                const style = getComputedStyle(shown);
                return [[...document.querySelectorAll("*")].indexOf(e).toString(),
                        style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if focused is None:
            continue
        index, style, width = focused
        seen.add(index)
        assert style != "none"
        assert width >= 2
    assert len(seen) == wanted


async def test_on_a_phone_everything_fits_and_a_task_can_be_completed(
    browser: Browser, site: Site, ids: dict[str, str]
) -> None:
    task_id = await site.add_task()
    async with signed_in(
        browser, site, ANA, viewport=PHONE, has_touch=True, is_mobile=True
    ) as page:
        for path in ("", "?state=all", *(f"/{one}" for one in (*ids.values(), task_id))):
            await page.goto(f"{site.url}/review{path}")
            widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert widths == [PHONE["width"]] * 2, path
        await page.get_by_label("Total").tap()
        await expect_inside(page, '[data-box-of="field-1-total"]', ".sheets")
        await expect(page.get_by_label("Total")).to_be_in_viewport()
        # Neither the pages above nor the buttons below cover the field one types in.
        covered = await page.evaluate(
            """() => {
                const place = document.activeElement.getBoundingClientRect();
                const x = place.left + place.width / 2;
                const y = place.top + place.height / 2;
                return document.elementFromPoint(x, y).id;
            }"""
        )
        assert covered == "field-1-total"
        await page.get_by_label("Total").fill("1285.20")
        await page.get_by_role("button", name="Complete", exact=True).tap()
        await expect(page.get_by_text("Completed. The task goes on by itself.")).to_be_visible()
