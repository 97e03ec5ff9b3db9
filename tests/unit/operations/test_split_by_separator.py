"""Stacks of documents that are cut where a separator page is."""

from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFont
from pydantic import ValidationError

from operations import split_by_separator
from operations.split_by_separator import SplitBySeparatorParams, SplitBySeparatorResult
from store.errors import InputError
from tests import pdfs

WIDTH, HEIGHT = 1240, 1754
"""A4 at 150 dpi."""


def page(text: str, barcode: str = "") -> Image.Image:
    """A scanned page, with the specks that every scan has."""
    random = np.random.default_rng(7)
    paper = np.full((HEIGHT, WIDTH), 245, np.uint8)
    paper[random.integers(0, HEIGHT, 40), random.integers(0, WIDTH, 40)] = 60
    image = Image.fromarray(paper)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 12, HEIGHT), 30)  # the shadow at the edge of the glass
    for line in range(6 if text else 0):
        draw.text((150, 200 + 60 * line), f"{text} line {line}", 0, ImageFont.load_default(size=32))
    if barcode:
        code = zxingcpp.create_barcode(barcode, zxingcpp.BarcodeFormat.QRCode)
        found = Image.fromarray(np.array(code.to_image(scale=6)))
        image.paste(found, (500, 900))
    return image


async def cut(source: Path, out: Path, **params: Any) -> SplitBySeparatorResult:
    given = SplitBySeparatorParams.model_validate(params)
    return await split_by_separator.fn(source, given, folder=out)


async def test_blank_pages_are_between_documents(tmp_path: Path, out: Path) -> None:
    stack = [page("a"), page(""), page("b"), page("b"), page(""), page(""), page("c")]
    source = pdfs.scans(tmp_path / "stack.pdf", stack, 150)
    result = await cut(source, out, separator="blank")
    assert result.page_numbers == [[1], [3, 4], [7]]
    assert result.separator_page_numbers == [2, 5, 6]
    assert result.files == [f"document-000{n}.pdf" for n in (1, 2, 3)]
    assert [len(pdfs.sizes(out / name)) for name in result.files] == [1, 2, 1]


async def test_a_page_with_little_on_it_is_not_blank(tmp_path: Path, out: Path) -> None:
    little = page("")
    ImageDraw.Draw(little).text((600, 1600), "Page 12 of 40", 0, ImageFont.load_default(size=30))
    source = pdfs.scans(tmp_path / "stack.pdf", [page("a"), little, page("b")], 150)
    result = await cut(source, out / "1", separator="blank")
    assert result.separator_page_numbers == []
    assert result.page_numbers == [[1, 2, 3]]
    result = await cut(source, out / "2", separator="blank", max_ink_ratio=0.001)
    assert result.separator_page_numbers == [2]


async def test_embedded_files_stay_where_all_pages_stay_together(tmp_path: Path, out: Path) -> None:
    source = pdfs.with_files(tmp_path / "invoice.pdf", data=b"<a/>")
    result = await cut(source, out / "whole", separator="barcode")
    assert pdfs.files(out / "whole" / result.files[0]) == {"data.xml": b"<a/>"}
    stack = pdfs.scans(tmp_path / "stack.pdf", [page("a"), page("x", "NEXT"), page("b")], 150)
    with pikepdf.open(stack, allow_overwriting_input=True) as pdf:
        pdf.attachments["data.xml"] = b"<a/>"
        pdf.save(stack)
    result = await cut(stack, out / "parts", separator="barcode")
    assert [pdfs.files(out / "parts" / name) for name in result.files] == [{}, {}]


async def test_barcodes_are_between_documents_or_on_their_first_pages(
    tmp_path: Path, out: Path
) -> None:
    stack = [page("a"), page("b"), page("x", "NEXT"), page("c"), page("y", "4711"), page("d")]
    source = pdfs.scans(tmp_path / "stack.pdf", stack, 150)
    result = await cut(source, out / "any", separator="barcode")
    assert result.page_numbers == [[1, 2], [4], [6]]
    result = await cut(source, out / "text", separator="barcode", barcode_text="NEXT")
    assert result.page_numbers == [[1, 2], [4, 5, 6]]
    result = await cut(source, out / "first", separator="barcode", separator_page="first")
    assert result.page_numbers == [[1, 2], [3, 4], [5, 6]]
    result = await cut(source, out / "last", separator="barcode", separator_page="last")
    assert result.page_numbers == [[1, 2, 3], [4, 5], [6]]


async def test_pages_that_are_all_separators_are_refused(samples: Path, out: Path) -> None:
    with pytest.raises(InputError, match="nothing is left"):
        await cut(samples / "no_contents.pdf", out, separator="blank")
    assert not out.exists()


@pytest.mark.parametrize(
    "params",
    [
        {"separator": "blank", "barcode_text": "NEXT"},
        {"separator": "barcode", "max_ink_ratio": 0.1},
    ],
)
def test_what_tells_of_another_kind_of_separator_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="without effect"):
        SplitBySeparatorParams.model_validate(params)
