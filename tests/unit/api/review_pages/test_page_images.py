import re

import pytest

from store.states import State
from tests.review_site import Site
from tests.unit.api.review_pages.visits import Browser, task_of


async def test_the_words_of_a_page_are_sent_in_their_order(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    answer = await ana.get(f"/review/{task_id}/pages/1/words")
    words_ = answer.json()
    assert [word[0] for word in words_[:2]] == ["Northwind", "Paper"]
    assert len(words_[0]) == 6
    again = {"If-None-Match": answer.headers["etag"]}
    assert (await ana.get(f"/review/{task_id}/pages/1/words", headers=again)).status_code == 304


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


async def test_what_is_at_an_address_for_good_is_kept_until_somebody_signs_out(
    ana: Browser, site: Site
) -> None:
    site.details = [b"detail of page 1", b"detail of page 2"]
    task_id = await site.add_task()
    page = await ana.open(f"/review/{task_id}")
    preloaded = re.search(r'<link rel="preload" href="([^"]+)" as="image"', page)
    detail = re.search(r'data-detail="([^"]+)"', page)
    spoken = re.search(r'data-words="([^"]+)"', page)
    assert preloaded
    assert detail
    assert spoken
    assert page.count(f'"{preloaded[1]}"') == 2  # fetched ahead is what is shown
    for address in (preloaded[1], detail[1], spoken[1]):
        answer = await ana.get(address)
        assert answer.headers["cache-control"] == "private, max-age=3600, immutable"
    assert (await ana.get(detail[1])).content == site.details[0]
    old = await ana.get(f"{preloaded[1]}0")
    assert old.headers["cache-control"] == "private, no-cache"
    left = await ana.press("/sign-out")
    assert left.headers["clear-site-data"] == '"cache"'


async def test_a_page_of_which_there_is_no_more_to_see_has_no_detail(
    ana: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    assert "data-detail" not in await ana.open(f"/review/{task_id}")
    assert (await ana.get(f"/review/{task_id}/pages/1/detail")).status_code == 404


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
        'attachment; filename="Rechnung _M_rz_.pdf";'
        " filename*=UTF-8''Rechnung%20%22M%C3%A4rz%22.pdf"
    )
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_file_is_sent_only_with_the_task_it_belongs_to(ana: Browser, site: Site) -> None:
    file_id = (await task_of(site, await site.add_task())).input_file_id
    other = await site.add_task()
    assert (await ana.get(f"/review/{other}/files/{file_id}")).status_code == 404


async def test_the_export_of_a_completed_task_can_be_saved(ana: Browser, site: Site) -> None:
    task_id = await site.add_task(State.COMPLETED)
    page = await ana.open(f"/review/{task_id}")
    address = re.findall(r'href="(/review/[^"]+/files/[^"]+)" download>data.json', page)[0]
    assert (await ana.get(address)).json() == {"total": "1285.20"}
