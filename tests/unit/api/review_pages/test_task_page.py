import re
from datetime import timedelta
from html import unescape

import pytest
from sqlmodel import delete

from flows import erase, purge, verbs
from store.database import database
from store.keys import create_key
from store.models import Outbox, Task
from store.states import State
from tests.review_site import ANA, BEN, PROJECT, Site
from tests.unit.api.review_pages.visits import PAINT, Browser, browser, task_of


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
