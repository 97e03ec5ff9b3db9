"""Pages that were put between documents before these were scanned in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pypdfium2
import zxingcpp
from PIL import Image

from operations.tools import pdf
from operations.tools.assembly import Part
from operations.tools.clean_page import whiten
from operations.tools.job import page_done

_BLANK_DPI = 100
_BARCODE_DPI = 200
_INK_LEVEL = 128
"""Darker is ink; what shines through from the back of the paper is lighter."""

_EDGE_RATIO = 0.04
"""Of the sides of a page: there scanners leave shadows and holes."""


@dataclass(frozen=True)
class Separator:
    """What a page is known by that separates documents."""

    kind: Literal["blank", "barcode"]
    barcode_text: str
    """Of the barcode; empty where any will do."""
    max_ink_ratio: float
    """How much of a blank page may be ink, 0..1."""


def find_separators(path: Path, numbers: Sequence[int], separator: Separator) -> list[int]:
    """Which pages of a PDF separate documents.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        numbers: of the pages to look at.
        separator: what they are known by.

    Raises:
        DamagedFileError: a page cannot be read.
    """
    found: list[int] = []
    for number, page in zip(numbers, pdf.open_pages(path, numbers), strict=True):
        is_one = _is_blank if separator.kind == "blank" else _has_barcode
        with pdf.damage_is_of(number):
            if is_one(page, separator):
                found.append(number)
        page_done()
    return found


def _is_blank(page: pypdfium2.PdfPage, separator: Separator) -> bool:
    return pdf.is_blank(page) or is_blank(_image(page, _BLANK_DPI), separator.max_ink_ratio)


def is_blank(page: Image.Image, max_ink_ratio: float) -> bool:
    """Whether nothing is on a page but dust, and shadows at its edges.

    Args:
        page: gray; 100 dpi are enough.
        max_ink_ratio: how much of it may be ink, 0..1.
    """
    image = whiten(page)
    across, down = (round(side * _EDGE_RATIO) for side in image.size)
    inner = image.crop((across, down, image.width - across, image.height - down))
    inked = sum(inner.histogram()[:_INK_LEVEL])
    return inked <= max_ink_ratio * max(inner.width * inner.height, 1)


def _has_barcode(page: pypdfium2.PdfPage, separator: Separator) -> bool:
    return has_barcode(_image(page, _BARCODE_DPI), separator.barcode_text)


def has_barcode(page: Image.Image, text: str) -> bool:
    """Whether a barcode of any common kind is on a page.

    Args:
        page: gray; 200 dpi are enough.
        text: what it says, the whole of it; empty for anything.
    """
    found = zxingcpp.read_barcodes(page)
    return any(code.valid and text in {"", code.text} for code in found)


def _image(page: pypdfium2.PdfPage, dpi: float) -> Image.Image:
    return pdf.render(page, pdf.scale_for(page.get_size(), dpi), gray=True)


def documents_between(
    page_count: int, separators: Sequence[int], placing: Literal["drop", "first", "last"]
) -> list[list[int]]:
    """The numbers of the pages of each document, 1-based.

    Args:
        page_count: of the whole.
        separators: numbers of the pages between them.
        placing: whether a separator is dropped, the first page of the document behind it, or the
            last of that before it.
    """
    documents: list[list[int]] = [[]]
    for number in range(1, page_count + 1):
        if number not in separators:
            documents[-1].append(number)
        elif placing == "last":
            documents[-1].append(number)
            documents.append([])
        else:
            documents.append([number] if placing == "first" else [])
    return [pages for pages in documents if pages]


def parts_of(documents: Sequence[Sequence[int]]) -> list[Part]:
    """The files that documents get into."""
    return [Part(f"document-{n:04}.pdf", list(pages)) for n, pages in enumerate(documents, 1)]
