"""Scanned PDFs that become searchable, and look as before."""

from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFont

from operations import ocr
from operations.ocr import OcrParams, OcrResult
from operations.tools import pdf
from operations.tools.text_layer import words_of
from store.errors import InputError
from tests import pdfs

WORDS = ["Invoice", "number", "Northwind", "delivery", "of", "goods", "amount", "payable"]


async def read(source: Path, out: Path, **params: object) -> tuple[OcrResult, Path]:
    result = await ocr.fn(source, OcrParams.model_validate(params), folder=out)
    return result, out / result.files[0]


def scan_of_words(path: Path) -> dict[str, tuple[float, float, float, float]]:
    """A scanned page at 200 dpi; answers with where the ink of each word is, in its pixels."""
    page = Image.new("L", (1654, 2339), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=48)
    places: dict[str, tuple[float, float, float, float]] = {}
    for n, word in enumerate(WORDS):
        at = (200 + 600 * (n % 2), 300 + 160 * (n // 2))
        draw.text(at, word, 0, font)
        alone = Image.new("L", page.size, 0)
        ImageDraw.Draw(alone).text(at, word, 255, font)
        places[word] = alone.point([0] * 128 + [255] * 128).getbbox() or (0, 0, 0, 0)
    pdfs.scans(path, [page])
    return places


async def test_the_text_is_found_where_the_ink_of_the_word_is(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "scan.pdf"
    places = scan_of_words(source)
    result, made = await read(source, out, dpi=200)
    assert result.read.ocr_pages == [1]
    with pdf.open_page(made, 1) as page:
        found = {
            word.text: word.box for word in words_of(pdf.text_layer(page, 1654, 2339), 1654, 2339)
        }
    assert set(found) == set(WORDS)
    for word, (left, top, right, bottom) in places.items():
        box = found[word]
        assert (box[0], box[2]) == pytest.approx((left, right), abs=2)
        # From the tallest to the deepest letters of the font, so that all of a line are alike.
        assert box[1] <= top + 2
        assert box[3] >= bottom - 2
        assert box[3] - box[1] < 1.6 * 48


def images_of(path: Path) -> list[bytes]:
    with pikepdf.open(path) as document:
        return [
            image.read_raw_bytes()
            for page in document.pages
            for image in page.get_images().values()
        ]


async def test_no_image_is_changed_and_the_page_looks_the_same(samples: Path, out: Path) -> None:
    source = samples / "linn.pdf"
    _, made = await read(source, out)
    assert images_of(source)
    assert images_of(made) == images_of(source)
    with pypdfium2.PdfDocument(source) as before, pypdfium2.PdfDocument(made) as after:
        seen = [document[0].render(scale=1).to_pil().tobytes() for document in (before, after)]
    assert seen[0] == seen[1]
    assert "MIDI" in pdfs.texts(made)[0]


async def test_text_of_an_earlier_ocr_is_replaced(samples: Path, out: Path) -> None:
    _, first = await read(samples / "linn.pdf", out / "1")
    kept, same = await read(first, out / "2")
    assert (kept.read.text_layer_pages, kept.read.ocr_pages) == ([1], [])
    assert same.read_bytes() == first.read_bytes()
    anew, second = await read(first, out / "3", mode="force")
    assert anew.read.ocr_pages == [1]
    assert pdfs.texts(second) == pdfs.texts(first)
    assert images_of(second) == images_of(first)


async def test_a_garbage_layer_is_replaced_unless_any_text_is_to_stay(
    tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "scan.pdf"
    scan_of_words(source)
    with pikepdf.open(source, allow_overwriting_input=True) as document:
        page = document.pages[0]
        font = pikepdf.Dictionary(
            Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
        )
        name = page.add_resource(font, pikepdf.Name.Font)
        rows = "".join(
            f"1 0 0 1 50 {700 - 14 * n} Tm (% & $ ; ] ~ [ / {n} + ?) Tj " for n in range(40)
        )
        page.contents_add(f"BT {name} 12 Tf 3 Tr {rows} ET".encode())
        document.save(source)
    assert "& $" in pdfs.texts(source)[0]
    result, made = await read(source, out / "1", mode="skip")
    assert result.read.text_layer_pages == [1]
    assert made.read_bytes() == source.read_bytes()
    result, made = await read(source, out / "2", mode="auto", dpi=200)
    assert result.read.ocr_pages == [1]
    assert "& $" not in pdfs.texts(made)[0]
    assert "Northwind" in pdfs.texts(made)[0]


async def test_only_pages_that_are_asked_for_are_read(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L")
    source = pdfs.scans(tmp_path / "two.pdf", [page, page])
    result, made = await read(source, out, pages="2", dpi=200)
    assert result.read.ocr_pages == [2]
    texts = pdfs.texts(made)
    assert texts[0] == ""
    assert "quick brown dog" in texts[1]


async def test_a_language_that_is_not_there_is_refused(samples: Path, out: Path) -> None:
    with pytest.raises(InputError, match="tesseract has no language xyz"):
        await read(samples / "linn.pdf", out, languages=["xyz"])
