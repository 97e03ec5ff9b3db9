"""The texts on which templates of invoice2data are tried: as read, and as they would have it."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoice2data.exceptions import TemplateSyntaxError
from invoice2data.extract.invoice_template import InvoiceTemplate

from operations.tools.label_places import WordIndex, bare, rows_of
from operations.tools.layout_text import LayoutText
from operations.tools.mended_words import mended
from operations.tools.values import visible_text
from store.fields import OCR, Box, PageWords

_PITCHES = (1.0, 0.79)
"""In widths of a letter, how far the columns of the text stand apart. Templates count spaces that
`pdftotext` made, by rules of its own; of two texts the one counts in which more is found."""

_PAPERS = ((8.268, 11.693), (8.5, 11.0), (8.5, 14.0))
"""Inches: A4, Letter, Legal."""

_OTHER_PAPER_DPI = 150.0


class TemplateTexts:
    """The texts of the pages that a template is tried on."""

    def __init__(self, pages: Sequence[PageWords]):
        """Lay the pages out, and note their words.

        Args:
            pages: of one document.
        """
        self.pages = pages
        self.as_read = [LayoutText(pages, pitch) for pitch in _PITCHES]
        self._is_ocr = any(page.method == OCR for page in pages)
        self._index = WordIndex(rows_of(pages)) if self._is_ocr else None
        self._squeezed = [without_spaces(text.text) for text in self.as_read]

    def mended_for(self, template: Mapping[str, Any]) -> list[LayoutText]:
        """The texts as the template would have them; none where nothing was read by OCR."""
        if self._index is None:
            return []
        mendings = [
            mended(self.pages, self._index, template, **how)
            for how in ({}, {"is_parted": True}, {"with_digits": True})
        ]
        return [LayoutText(self.pages, pitch, one) for one in mendings for pitch in _PITCHES]

    def may_be_of(self, template: InvoiceTemplate) -> bool:
        """Whether the words of all keywords are there, but for what OCR may have got wrong."""
        index = self._index
        if index is None:
            return any(template.matches_input(text.text) for text in self.as_read)
        text = self.as_read[0].text
        return not any(word in text for word in template["exclude_keywords"]) and all(
            self._may_say(index, keyword) for keyword in template["keywords"]
        )

    def _may_say(self, index: WordIndex, keyword: str) -> bool:
        # A sign alone tells nothing, and is what OCR gets wrong first.
        words = [plain for word in keyword.split() if (plain := bare(word))]
        return (
            not words
            or without_spaces(keyword) in self._squeezed[0]
            or all(index.like(word) for word in words)
        )


class AreaReader:
    """What the library takes for a program that reads PDFs: it gives the text of areas."""

    SUPPORTS_AREA = True
    __name__ = "papertray"

    def __init__(self, text: LayoutText, pages: Sequence[PageWords]):
        """Remember what to give.

        Args:
            text: of all pages.
            pages: of one document.
        """
        self.path = ""
        self._text = text
        self._pages = pages

    def to_text(self, path: str, area: Mapping[str, Any] | None = None) -> str:  # noqa: ARG002  # as the library calls it
        """The text of all pages, or of an area in pixels at its own resolution.

        Raises:
            TemplateSyntaxError: the area is none.
        """
        if area is None:
            return self._text.text
        try:
            x, y, width, height = (float(area[key]) / float(area["r"]) for key in "xyWH")
            first, last = int(area["f"]), int(area["l"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise TemplateSyntaxError("an area needs f, l, r, x, y, W and H") from error
        inside: list[PageWords] = []
        for page in self._pages[max(first, 1) - 1 : last]:
            dpi = _dpi_of(page)
            box = (x * dpi, y * dpi, (x + width) * dpi, (y + height) * dpi)
            words = [word for word in page.words if _touches(word.box, box)]
            inside.append(page.model_copy(update={"words": words}))
        return LayoutText(inside, _PITCHES[0]).text


def _dpi_of(page: PageWords) -> float:
    """Dots per inch of a page image, by the shape of the paper."""
    across, down = sorted((page.width_pixels, page.height_pixels))
    near = (
        across / short
        for short, long in _PAPERS
        if abs(across / short - down / long) < 0.01 * across / short
    )
    return next(near, _OTHER_PAPER_DPI)


def _touches(one: Box, other: Box) -> bool:
    return one[0] < other[2] and one[2] > other[0] and one[1] < other[3] and one[3] > other[1]


def without_spaces(text: str) -> str:
    """A text by which two can be compared: no spaces, no case, nothing invisible."""
    return "".join(visible_text(text).split()).casefold()
