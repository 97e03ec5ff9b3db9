"""Scans that are straightened without being encoded anew."""

from pathlib import Path

import pikepdf
import pypdfium2
import pytest
from PIL import Image

from operations import deskew
from operations.deskew import DeskewParams
from operations.tools.clean_page import skew_degrees
from tests import pdfs


def seen(path: Path) -> Image.Image:
    with pypdfium2.PdfDocument(path) as document:
        return document[0].render(scale=150 / 72, grayscale=True).to_pil()  # pyright: ignore[reportArgumentType]  # its default is an int


async def test_a_skewed_scan_is_straight_afterwards(samples: Path, out: Path) -> None:
    source = samples / "rotated_skew.pdf"
    assert abs(skew_degrees(seen(source))) > 1.5
    result = await deskew.fn(source, DeskewParams(), folder=out / "1")
    made = out / "1" / result.files[0]
    assert [one.number for one in result.turned] == [1]
    assert abs(skew_degrees(seen(made))) < 0.3
    assert pdfs.sizes(made) == pdfs.sizes(source)
    with pikepdf.open(source) as before, pikepdf.open(made) as after:
        streams = [
            [image.read_raw_bytes() for image in document.pages[0].get_images().values()]
            for document in (before, after)
        ]
    assert streams[0] == streams[1]
    again = await deskew.fn(made, DeskewParams(), folder=out / "2")
    assert again.turned == []


async def test_a_scan_that_lies_askew_on_its_side_is_turned_and_straightened(
    samples: Path, tmp_path: Path, out: Path
) -> None:
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L").rotate(2, expand=True, fillcolor=255).rotate(90, expand=True)
    source = pdfs.scans(tmp_path / "askew.pdf", [page])
    result = await deskew.fn(source, DeskewParams(), folder=out)
    (turn,) = result.turned
    assert turn.turned_degrees == 90
    assert turn.skew_degrees == pytest.approx(2, abs=0.2)
    assert abs(skew_degrees(seen(out / result.files[0]))) < 0.3


async def test_pages_of_text_are_left_as_they_are(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 3)
    result = await deskew.fn(source, DeskewParams(pages="1-2"), folder=out)
    assert result.turned == []
    assert pdfs.texts(out / result.files[0]) == pdfs.texts(source)
