"""Where one document of a file ends and the next begins."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from operations.tools.job import page_done
from operations.tools.page_signs import PageSigns
from operations.tools.separators import documents_between, has_barcode, is_blank
from store.project_sorting import SegmentBy, SegmentPart

_BLANK_PIXELS = 1200
_BARCODE_PIXELS = 2400
"""Long side at which a page is looked at: about 100 and 200 dpi of A4."""

_LEGIBLE = 0.5
"""Words less sure than this are specks that OCR took for letters."""

_MAX_INK_RATIO = 0.0002
"""Of a page that is filtered because nothing is on it."""

_SURE = 1.0
_NO_FIRST_PAGE = 0.5
"""The file begins with a page that is not known as the first one of a document."""


class Segment(BaseModel):
    """A document of a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    page_numbers: list[int]
    """1-based, ascending."""
    confidence: float = Field(ge=0, le=1)
    """How sure it is that these pages are one document."""


def marks_on(
    numbers: Sequence[int], words: Sequence[Path], images: Sequence[Path], how: SegmentPart
) -> dict[int, float]:
    """How sure it is, for each page, that it is a separator or the first of a document.

    Args:
        numbers: of the pages, 1-based.
        words: the file of words of each.
        images: the image of each; none where words are enough.
        how: what a page is known by.

    Raises:
        LimitExceededError: a pattern takes too long.
    """
    marks: dict[int, float] = {}
    for index, number in enumerate(numbers):
        page = PageSigns.of_file(words[index])
        marks[number] = _mark(page, images[index] if images else None, how)
        page_done()
    return marks


def _mark(page: PageSigns, image: Path | None, how: SegmentPart) -> float:
    if how.by is SegmentBy.FIRST_PAGE:
        return max(page.has_pattern(pattern) for pattern in how.first_page_patterns)
    if image is None:
        return 0.0
    if how.by is SegmentBy.BARCODE:
        return _SURE if has_barcode(opened(image, _BARCODE_PIXELS), how.barcode_text) else 0.0
    return _SURE if is_blank_page(page, image, how.max_ink_ratio) else 0.0


def is_blank_page(page: PageSigns, image: Path, max_ink_ratio: float) -> bool:
    """Whether a page says nothing and shows nothing."""
    if any(word.confidence >= _LEGIBLE for word in page.page.words):
        return False
    return is_blank(opened(image, _BLANK_PIXELS), max_ink_ratio)


def are_blank(words: Sequence[Sequence[Path]], images: Sequence[Sequence[Path]]) -> list[bool]:
    """For each document whether nothing is on any of its pages."""
    return [
        all(
            is_blank_page(PageSigns.of_file(one), image, _MAX_INK_RATIO)
            for one, image in zip(*pages, strict=True)
        )
        for pages in zip(words, images, strict=True)
    ]


def opened(path: Path, long_side: int) -> Image.Image:
    """The image of a page that `read-pages` wrote, in gray, no larger than is needed."""
    with Image.open(path) as image:
        image.draft("L", (long_side, long_side))
        image.load()
        image.thumbnail((long_side, long_side), reducing_gap=2.0)
        return image.convert("L")


def segments_of(
    numbers: Sequence[int], marks: Mapping[int, float], how: SegmentPart
) -> list[Segment]:
    """The documents of a file; none where all of its pages are separators.

    Args:
        numbers: of all pages, 1-based, ascending.
        marks: for each page, how sure it is that it separates or begins a document.
        how: what is done with such a page.
    """
    if how.by is SegmentBy.PAGE_COUNT:
        size = how.page_count or 1
        return [
            Segment(page_numbers=list(numbers[start : start + size]), confidence=_SURE)
            for start in range(0, len(numbers), size)
        ]
    marked = [number for number in numbers if marks.get(number)]
    if how.by is SegmentBy.FIRST_PAGE:
        parts = documents_between(len(numbers), marked, "first")
        return [
            Segment(page_numbers=pages, confidence=marks.get(pages[0]) or _NO_FIRST_PAGE)
            for pages in parts
        ]
    parts = documents_between(len(numbers), marked, how.separator_page)
    return [Segment(page_numbers=pages, confidence=_SURE) for pages in parts]
