"""Searchable PDFs: text where it stands on the page, and the page as it was."""

import json
import math
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from operations import make_searchable_pdf, read_pages
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams, ReadPagesResult
from operations.tools import pdf
from operations.tools.reading import ReadPage
from operations.tools.text_layer import words_of
from store.errors import PageRangeError
from store.fields import Box, Word


async def read_and_make(source: Path, out: Path) -> tuple[ReadPagesResult, Path]:
    pages = await read_pages.fn(source, ReadPagesParams(), folder=out)
    layers = [out / name for name in pages.text_layer_files]
    made = await make_searchable_pdf.fn([source, *layers], MakeSearchablePdfParams(), folder=out)
    assert made.page_count == pages.page_count
    return pages, out / made.files[0]


def words_in(path: Path, number: int, size: tuple[int, int]) -> list[Word]:
    with pdf.open_page(path, number) as page:
        return words_of(pdf.text_layer(page, *size), *size)


def on_the_page(box: Box, page: ReadPage, size: tuple[int, int]) -> tuple[float, float]:
    """The middle of a box of the straightened image, on the page as it is."""
    x = (box[0] + box[2] - page.width_pixels) / 2
    y = (box[1] + box[3] - page.height_pixels) / 2
    sin, cos = (f(math.radians(page.skew_degrees)) for f in (math.sin, math.cos))
    return size[0] / 2 + x * cos - y * sin, size[1] / 2 + x * sin + y * cos


async def test_the_words_of_a_skewed_page_stand_where_they_are(samples: Path, out: Path) -> None:
    pages, made = await read_and_make(samples / "baiona_alpha.png", out)
    page = pages.pages[0]
    assert page.skew_degrees
    with Image.open(samples / "baiona_alpha.png") as image:
        size = image.size
    read = json.loads((out / page.words_file).read_text())["words"]
    found = words_in(made, 1, size)
    scale = size[0] * math.cos(math.radians(page.skew_degrees))
    scale += size[1] * math.sin(math.radians(abs(page.skew_degrees)))
    assert page.width_pixels == pytest.approx(scale, abs=2)
    texts = [word["text"] for word in read]
    for word in (word for word in read if texts.count(word["text"]) == 1):
        left, top, right, bottom = next(w.box for w in found if w.text == word["text"])
        middle = (left + right) / 2, (top + bottom) / 2
        assert middle == pytest.approx(on_the_page(word["box"], page, size), abs=2)


@pytest.mark.parametrize("name", ["vector.pdf", "phototest.tif", "linn.pdf"])
async def test_the_words_stand_where_they_were_read(name: str, samples: Path, out: Path) -> None:
    pages, made = await read_and_make(samples / name, out)
    page = pages.pages[0]
    assert page.skew_degrees == 0
    read = json.loads((out / page.words_file).read_text())["words"]
    found = words_in(made, 1, (page.width_pixels, page.height_pixels))
    assert sorted(word["text"] for word in read) == sorted(word.text for word in found)
    texts = [word["text"] for word in read if any(map(str.isalnum, word["text"]))]
    once = [word for word in read if texts.count(word["text"]) == 1]
    for word in once:
        place = next(w.box for w in found if w.text == word["text"])
        assert place == pytest.approx(word["box"], abs=2)


async def test_the_text_leans_with_a_skewed_page_in_a_turned_box(samples: Path, out: Path) -> None:
    """The page that people see is skewed; so are the words under it."""
    pages, made = await read_and_make(samples / "rotated_skew.pdf", out)
    page = pages.pages[0]
    with pypdfium2.PdfDocument(made) as document:
        width, height = (round(side * 2) for side in document[0].get_size())
        assert document[0].get_rotation() == 90
    found = words_in(made, 1, (width, height))
    assert len(found) == page.word_count
    with pypdfium2.PdfDocument(made) as document:
        seen = document[0].render(scale=2, grayscale=True).to_pil()
    long = [word for word in found if len(word.text) > 5]
    inked = [any(seen.crop(word.box).histogram()[:140]) for word in long]
    assert sum(inked) > 0.97 * len(inked)


async def test_the_page_looks_the_same(samples: Path, out: Path) -> None:
    source = samples / "rotated_skew.pdf"
    _, made = await read_and_make(source, out)
    with pypdfium2.PdfDocument(source) as before, pypdfium2.PdfDocument(made) as after:
        images = [document[0].render(scale=1).to_pil() for document in (before, after)]
    assert images[0].tobytes() == images[1].tobytes()


async def test_the_images_of_a_scan_are_not_encoded_anew(demo: Path, out: Path) -> None:
    source = demo / "invoice-office-scan.pdf"
    _, made = await read_and_make(source, out)
    with pikepdf.open(source) as before, pikepdf.open(made) as after:
        streams = [
            next(iter(document.pages[0].get_images().values())).read_raw_bytes()
            for document in (before, after)
        ]
    assert streams[0] == streams[1]


async def test_a_photo_is_embedded_as_it_is(demo: Path, out: Path) -> None:
    source = demo / "receipt-tea-photo.jpg"
    _, made = await read_and_make(source, out)
    assert made.stat().st_size < source.stat().st_size + 30_000
    with pikepdf.open(made) as document:
        image = next(iter(document.pages[0].get_images().values()))
        assert image.Filter == pikepdf.Name.DCTDecode


async def test_pages_with_a_text_layer_stay_as_they_are(demo: Path, out: Path) -> None:
    source = demo / "invoice-electric-two-pages.pdf"
    _, made = await read_and_make(source, out)
    with pikepdf.open(source) as before, pikepdf.open(made) as after:
        for one, other in zip(before.pages, after.pages, strict=True):
            assert one.Contents.read_bytes() == other.Contents.read_bytes()


async def test_each_page_of_a_tiff_becomes_one(samples: Path, tmp_path: Path, out: Path) -> None:
    path = tmp_path / "two.tif"
    with Image.open(samples / "phototest.tif") as page:
        page.save(path, save_all=True, append_images=[page.rotate(180)], dpi=(200, 200))
    pages, made = await read_and_make(path, out)
    assert pages.pages[1].turned_degrees == 180
    size = pages.pages[0].width_pixels, pages.pages[0].height_pixels
    texts = [{word.text for word in words_in(made, number, size)} for number in (1, 2)]
    assert texts[0] == texts[1]


async def test_a_layer_of_a_page_that_is_not_there_is_refused(
    samples: Path, demo: Path, tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "two.tif"
    with Image.open(samples / "phototest.tif") as page:
        page.save(path, save_all=True, append_images=[page])
    pages = await read_pages.fn(path, ReadPagesParams(pages="2"), folder=out)
    with pytest.raises(PageRangeError) as caught:
        await make_searchable_pdf.fn(
            [demo / "invoice-joinery.pdf", *(out / name for name in pages.text_layer_files)],
            MakeSearchablePdfParams(),
            folder=tmp_path / "made",
        )
    assert caught.value.details == {"page_number": 2}
    assert not (tmp_path / "made").exists()


async def test_the_same_input_gives_the_same_bytes(samples: Path, out: Path) -> None:
    _, first = await read_and_make(samples / "vector.pdf", out / "1")
    _, second = await read_and_make(samples / "vector.pdf", out / "2")
    assert first.read_bytes() == second.read_bytes()
