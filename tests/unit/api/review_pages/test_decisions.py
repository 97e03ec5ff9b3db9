import re
from datetime import timedelta

import pytest
from sqlmodel import col, update

from flows import verbs
from store.database import database
from store.ids import now
from store.models import Task
from store.states import State
from tests.review_site import ANA, BEN, Site
from tests.unit.api.review_pages.visits import Browser, age_claim, browser, document_of, task_of


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


async def test_a_value_that_was_picked_keeps_its_place_and_one_that_is_typed_over_has_none(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    place = {"field__1__total": "1,285.20", "place__1__total": "2 100.5 200 190 224.5"}
    refused = await ana.press(f"/review/{task_id}/complete", **place, field__1__supplier="")
    assert refused.status_code == 422
    assert 'name="place.1.total" value="2 100.5 200.0 190.0 224.5"' in refused.text
    saved = await ana.press(f"/review/{task_id}/save", **place)
    assert saved.status_code == 303
    found = (await document_of(site, task_id)).fields["total"]
    assert (found["page_number"], found["box"]) == (2, [100.5, 200, 190, 224.5])
    assert (found["value"], found["method"]) == ("1285.20", "picked")
    page = await ana.open(f"/review/{task_id}")
    assert "Taken from the page by a person" in page
    assert 'data-box-of="field-1-total" x="96.4" y="195.9"' in page
    await ana.press(f"/review/{task_id}/complete", field__1__total="1285.20")
    assert (await document_of(site, task_id)).fields["total"]["box"] == found["box"]


@pytest.mark.parametrize(
    "place", ["3 1 1 9 9", "1 1 1 9000 9", "1 9 9 1 1", "1 -1 1 9 9", "-1 1 1 9 9"]
)
async def test_a_value_is_picked_from_a_page_of_its_task_only(
    ana: Browser, site: Site, place: str
) -> None:
    task_id = await site.add_task()
    before = (await document_of(site, task_id)).fields
    sent = {"field__1__total": "7", "place__1__total": place}
    answer = await ana.press(f"/review/{task_id}/save", **sent)
    assert answer.status_code == 422
    assert "was taken from a place that is on no page of the task" in answer.text
    assert (await document_of(site, task_id)).fields == before


@pytest.mark.parametrize("place", ["x", "1 2 3", "1 nan 1 9 9", "inf 1 1 9 9", "1 1 1 9 9 9"])
async def test_a_place_that_is_none_is_refused(ana: Browser, site: Site, place: str) -> None:
    task_id = await site.add_task()
    sent = {"field__1__total": "7", "place__1__total": place}
    answer = await ana.press(f"/review/{task_id}/save", **sent)
    assert answer.status_code == 422
    assert "The place of a value cannot be read" in answer.text
