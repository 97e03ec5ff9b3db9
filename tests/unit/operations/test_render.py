"""Images of the pages of a PDF."""

import asyncio
import sys
from pathlib import Path

import psutil
import pypdfium2
import pytest
from PIL import Image, ImageChops

from operations import render
from operations.registry import progress_to
from operations.render import RenderParams
from store.errors import DamagedFileError, LimitExceededError, PageRangeError
from tests import pdfs


@pytest.mark.parametrize("dpi", [72, 150, 300])
async def test_an_image_has_the_size_of_its_page_times_the_resolution(
    dpi: int, tmp_path: Path, out: Path
) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 3)
    result = await render.fn(source, RenderParams(dpi=dpi), folder=out)
    assert result.files == ["page-0001.png", "page-0002.png", "page-0003.png"]
    for name, (width, height) in zip(result.files, pdfs.sizes(source), strict=True):
        with Image.open(out / name) as image:
            assert image.format == "PNG"
            assert image.size == (-(-width * dpi // 72), -(-height * dpi // 72))
            assert image.info["dpi"] == pytest.approx((dpi, dpi), abs=0.1)


async def test_a_turned_page_is_shown_as_it_is_seen(samples: Path, out: Path) -> None:
    source = samples / "rotated_skew.pdf"
    result = await render.fn(source, RenderParams(dpi=100), folder=out)
    with pypdfium2.PdfDocument(source) as document, Image.open(out / result.files[0]) as image:
        assert document[0].get_rotation() == 90
        seen = document[0].render(scale=100 / 72).to_pil()  # pyright: ignore[reportArgumentType]  # its default is an int
        assert abs(image.width - seen.width) <= 1
        seen = seen.resize(image.size)
        difference = ImageChops.difference(image.convert("L"), seen.convert("L"))
        assert sum(difference.histogram()[64:]) < 0.01 * image.width * image.height


async def test_only_pages_with_colour_are_in_colour(tmp_path: Path, out: Path) -> None:
    gray, red = Image.new("L", (200, 300), 120), Image.new("RGB", (200, 300), "red")
    source = pdfs.scans(tmp_path / "two.pdf", [gray, red])
    result = await render.fn(source, RenderParams(dpi=72), folder=out)
    modes: list[str] = []
    for name in result.files:
        with Image.open(out / name) as image:
            modes.append(image.mode)
    assert modes == ["L", "RGB"]


async def test_what_was_typed_into_a_form_is_seen(samples: Path, tmp_path: Path, out: Path) -> None:
    result = await render.fn(samples / "acroform.pdf", RenderParams(dpi=72), folder=out)
    with Image.open(out / result.files[0]) as image:
        assert sum(image.convert("L").histogram()[:128]) > 1000


async def test_pages_that_are_asked_for_are_made_and_no_others(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 5)
    result = await render.fn(source, RenderParams(dpi=72, pages="2,4-"), folder=out)
    assert result.page_numbers == [2, 4, 5]
    assert sorted(path.name for path in out.iterdir()) == result.files
    with pytest.raises(PageRangeError):
        await render.fn(source, RenderParams(pages="6"), folder=out)


async def test_a_resolution_that_is_too_high_is_refused_with_the_one_that_is_not(
    tmp_path: Path, out: Path
) -> None:
    source = pdfs.raw(
        tmp_path / "poster.pdf",
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 7200 7200]>>",
    )
    with pytest.raises(LimitExceededError) as caught:
        await render.fn(source, RenderParams(dpi=300), folder=out)
    assert caught.value.details["most_dpi"] == 100
    result = await render.fn(source, RenderParams(dpi=90), folder=out)
    with Image.open(out / result.files[0]) as image:
        assert image.size == (9000, 9000)


async def test_a_page_whose_image_cannot_be_decoded_is_no_white_page(
    tmp_path: Path, out: Path
) -> None:
    source = pdfs.image_page(
        tmp_path / "jpx.pdf",
        b"\0\0\0\x0cjP  \r\n\x87\nnothing",
        Width=1000,
        Height=1000,
        Filter=pdfs.Name.JPXDecode,
    )
    with pytest.raises(DamagedFileError) as caught:
        await render.fn(source, RenderParams(), folder=out)
    assert caught.value.details == {"filters": ["JPXDecode"], "page_number": 1}


async def test_a_cancel_ends_the_children(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["operations.render"], "PAGES_AT_ONCE", 1000)
    source = pdfs.book(tmp_path / "book.pdf", 400)
    first_page = asyncio.Event()

    async def tell(current: int, total: int) -> None:
        first_page.set()

    async def work() -> None:
        async with progress_to(tell):
            await render.fn(source, RenderParams(dpi=600), folder=out)

    me = psutil.Process()
    task = asyncio.create_task(work())
    await asyncio.wait_for(first_page.wait(), 120)
    server = me.children()
    children = [child for one in server for child in one.children(recursive=True)]
    assert children
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Their end was waited for, KILL_SECONDS at most, before the cancel came through.
    assert not any(child.is_running() and child.status() != "zombie" for child in children)
    assert not out.exists()
