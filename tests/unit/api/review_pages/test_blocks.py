import re

from api.review_pages import assets
from flows import verbs
from store.states import State
from tests.review_site import ANA, Site
from tests.unit.api.review_pages.visits import Browser, document_of, task_of


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
