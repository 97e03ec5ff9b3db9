"""How pages of a PDF must be turned for people to read them."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image
from pydantic import BaseModel, ConfigDict

from operations.tools import pdf, tesseract
from operations.tools.clean_page import skew_degrees, whiten
from operations.tools.job import page_done
from operations.tools.signatures import remove_signatures
from operations.tools.text_layer import Quality, judge, words_of
from store.fields import Word

_DPI = 150
_SCAN_COVER_RATIO = 0.5
"""A page of which an image covers less is no scan, and so not skewed."""

_SURE = 0.6
"""Words with less than this confidence say little about whether a page is upright."""

_UPRIGHT_RATIO = 0.5
_TURN_GAIN = 2.0
"""A page is turned when that gives this many times the sure letters."""

_MIN_TURN_LETTERS = 20
_MIN_WIDE_LETTERS = 3
"""Words of as many are wider than they are high."""

_SURE_ORIENTATION = 2.0
"""Tesseract's measure; below it, reading the page tells more."""

_MOST_CHARACTERS = 0.6
"""Share of the letters of a page that stand the same way, for it to be the way of the page."""


class PageTurn(BaseModel):
    """How one page is turned."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)

    number: int
    """1-based."""
    turned_degrees: int
    """Clockwise: 0, 90, 180 or 270."""
    skew_degrees: float = 0.0
    """By how much it is then straightened, clockwise."""


def sure_letters(words: Sequence[Word]) -> int:
    """How many letters are in words that were surely read, and lie as an upright page has them.

    Tesseract reads many a line that runs up or down the page; its words are then high.
    """
    return sum(
        len(word.text) for word in words if word.confidence >= _SURE and not _is_on_its_side(word)
    )


def _is_on_its_side(word: Word) -> bool:
    left, top, right, bottom = word.box
    return len(word.text) >= _MIN_WIDE_LETTERS and bottom - top > right - left


def reads_badly(words: Sequence[Word]) -> bool:
    """Whether what was read on a page makes one doubt that it is upright."""
    letters = sum(len(word.text) for word in words)
    return bool(letters) and sure_letters(words) < _UPRIGHT_RATIO * letters


def turn_that_reads_best(sure_letters_at: Callable[[int], int], sure_letters_now: int) -> int:
    """By how much to turn a page that reads badly as it is; 0 where that would not help.

    Args:
        sure_letters_at: how many letters are surely read when it is turned by that many degrees.
        sure_letters_now: the same as it is.
    """
    letters = {degrees: sure_letters_at(degrees) for degrees in (90, 180, 270)}
    best = max(letters, key=lambda degrees: letters[degrees])
    return best if letters[best] > max(_TURN_GAIN * sure_letters_now, _MIN_TURN_LETTERS) else 0


def find_turn(path: Path, number: int, languages: Sequence[str], folder: Path) -> PageTurn:
    """How a page must be turned, by its text layer where it has one, else by its image.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        number: of the page.
        languages: that are read where nothing else tells.
        folder: for what is needed on the way.
    """
    return _found_turn(path, number, languages, folder, with_skew=False)


def find_turn_and_skew(path: Path, number: int, languages: Sequence[str], folder: Path) -> PageTurn:
    """How a page must be turned, and then straightened where it is a scan; see `find_turn`."""
    return _found_turn(path, number, languages, folder, with_skew=True)


def _found_turn(
    path: Path, number: int, languages: Sequence[str], folder: Path, *, with_skew: bool
) -> PageTurn:
    with pdf.open_page(path, number) as page:
        if pdf.is_blank(page):
            return PageTurn(number=number, turned_degrees=0)
        scale = pdf.scale_for(page.get_size(), _DPI)
        image = pdf.render(page, scale, gray=True)
        is_scan = pdf.image_cover_ratio(page) >= _SCAN_COVER_RATIO
        turned = _turn_of_text(page, *image.size)
    dpi = scale * pdf.POINTS_PER_INCH
    if turned is None:
        turned = _turn_of_image(image, dpi, languages, folder / f"turn-{number}")
    skew = 0.0
    if with_skew and is_scan:
        skew = 0.0 - skew_degrees(image.rotate(-turned, expand=True))
    return PageTurn(number=number, turned_degrees=turned, skew_degrees=skew)


def _turn_of_text(page: pypdfium2.PdfPage, width: int, height: int) -> int | None:
    """The turn, clockwise, that the text layer asks for; None where it cannot be trusted."""
    words = words_of(pdf.text_layer(page, width, height), width, height)
    if judge(words, pdf.image_cover_ratio(page), height) is not Quality.GOOD:
        return None
    textpage = page.get_textpage()
    raw = textpage.raw
    angles: Counter[int] = Counter()
    for index in range(pdfium.FPDFText_CountChars(raw)):
        if not chr(pdfium.FPDFText_GetUnicode(raw, index)).isspace():
            # Clockwise, in the space of the page, which is then turned by its own rotation.
            angle = math.degrees(pdfium.FPDFText_GetCharAngle(raw, index))
            angles[round(angle / 90) * 90 % 360] += 1
    textpage.close()
    most, count = angles.most_common(1)[0]
    if count < _MOST_CHARACTERS * angles.total():
        return None
    return (-most - page.get_rotation()) % 360


def _turn_of_image(image: Image.Image, dpi: float, languages: Sequence[str], base: Path) -> int:
    found = tesseract.orientation(image, dpi=dpi, base=base)
    if found is not None and found.confidence >= _SURE_ORIENTATION:
        return found.turn_degrees

    def words_at(degrees: int) -> list[Word]:
        page = whiten(image.rotate(-degrees, expand=True))
        return tesseract.recognize(page, languages=languages, dpi=dpi, base=base)

    words = words_at(0)
    if words and not reads_badly(words):
        return 0
    return turn_that_reads_best(
        lambda degrees: sure_letters(words_at(degrees)), sure_letters(words)
    )


def write_turned(path: Path, turns: Sequence[PageTurn], target: Path) -> int:
    """Write a PDF whose pages are turned; what is on them is neither decoded nor changed.

    A page that was askew is straightened around its middle; its size stays. What lies on it
    beside its content (links, form fields) stays where it is.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        turns: of some of its pages.
        target: the PDF to write.

    Returns:
        How many pages it has.
    """
    with pdf.damage_is_ours(), pikepdf.open(path, suppress_warnings=True) as document:
        for turn in turns:
            page = document.pages[turn.number - 1]
            if turn.turned_degrees:
                page.rotate(turn.turned_degrees, relative=True)
            if turn.skew_degrees:
                _straighten(page, turn.skew_degrees)
            page_done()
        remove_signatures(document)
        pdf.write(document, target)
        return len(document.pages)


def _straighten(page: pikepdf.Page, clockwise_degrees: float) -> None:
    left, bottom, right, top = (float(side) for side in page.cropbox.as_list())  # pyright: ignore[reportArgumentType]  # numbers
    across, up = (left + right) / 2, (bottom + top) / 2
    matrix = (
        pikepdf.Matrix().translated(across, up).rotated(-clockwise_degrees).translated(-across, -up)
    )
    page.contents_add(b"q %s cm\n" % matrix.encode(), prepend=True)
    page.contents_add(b"\nQ")
