import asyncio
import io
import re
from collections.abc import Collection

import pytest
from PIL import Image

from api.review_pages import assets, media
from flows import verbs
from store.errors import UnavailableError
from store.settings import settings
from store.states import State
from tests.review_site import ANA, Site, chunks
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
        f"/review/{task_id}/media/9/pages/1",
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


async def test_the_pages_of_a_pdf_are_shown_as_images_and_never_the_pdf(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_data_task()
    page = await ana.open(f"/review/{task_id}")
    assert f'<img src="/review/{task_id}/media/9/pages/1?v=' in page
    for tag in ("<iframe", "<object", "<embed"):
        assert tag not in page
    pages = f"/review/{task_id}/media/9/pages"
    assert (await ana.get(pages)).json() == {"page_count": 2, "shown": 2}
    for number in (1, 2):
        answer = await ana.get(f"{pages}/{number}")
        assert answer.headers["content-type"] == "image/png"
        assert "sandbox" in answer.headers["content-security-policy"]
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (910, 1287)  # A4 at 110 dpi
    for other in ("9/pages/3", "9/pages/0", "9/pages/51", "6/pages/1", "1/pages", "99/pages/1"):
        assert 400 <= (await ana.get(f"/review/{task_id}/media/{other}")).status_code < 500


async def test_a_pdf_that_is_no_pdf_or_too_large_is_refused_and_can_be_saved(
    ana: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = await verbs.take_file(site.callers[ANA], name="c.pdf", chunks=chunks(b"%PDF-1.7 no"))
    task_id = await site.add_data_task(contract=damaged.id)
    assert (await ana.get(f"/review/{task_id}/media/9/pages/1")).status_code == 422
    assert (await ana.get(f"/review/{task_id}/media/9/pages")).status_code == 422
    assert (await ana.get(f"/review/{task_id}/media/9")).content == b"%PDF-1.7 no"
    whole = await site.add_data_task()
    monkeypatch.setenv("PAPERTRAY_MAX_PAGE_PIXELS", "100000")
    settings.cache_clear()
    assert (await ana.get(f"/review/{whole}/media/9/pages/1")).status_code == 422


async def test_a_pdf_at_an_address_is_fetched_once_for_all_its_pages(
    ana: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def fetch(url: str, wanted: Collection[str]) -> tuple[bytes, str]:
        asked.append(url)
        await asyncio.sleep(0)
        if url.endswith("gone.pdf"):
            raise UnavailableError("It cannot be shown.")
        assert media.PDF in wanted
        return site.invoice.pdf, media.PDF

    monkeypatch.setattr(media, "_fetch", fetch)
    task_id = await site.add_data_task(contract="https://example.org/c.pdf")
    pages = f"/review/{task_id}/media/9/pages"
    answers = await asyncio.gather(*(ana.get(f"{pages}/{number}") for number in (1, 2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert asked == ["https://example.org/c.pdf"]
    saved = await ana.get(f"/review/{task_id}/media/9")
    assert saved.headers["content-disposition"].startswith("attachment")
    gone = await site.add_data_task(contract="https://example.org/gone.pdf")
    for _ in range(2):  # it is tried again
        assert (await ana.get(f"/review/{gone}/media/9/pages/1")).status_code == 503
    assert asked.count("https://example.org/gone.pdf") == 2


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
