"""How a page is read: by its text layer, or by OCR. Called in child processes."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
from PIL import Image
from pydantic import BaseModel, ConfigDict

from operations.tools import images, page_pictures, pdf, tesseract
from operations.tools.clean_page import (
    shrunk,
    skew_degrees,
    straightened,
    useful_factor,
    whiten,
    with_even_paper,
    without_grain,
)
from operations.tools.file_type import PDF, readable_type
from operations.tools.invisible_text import LayerPlace, write_layer
from operations.tools.job import page_done
from operations.tools.layout import arranged
from operations.tools.missed_text import doubted, missed_text, with_missed
from operations.tools.page_pictures import Pictures
from operations.tools.page_range import pages_of
from operations.tools.text_layer import (
    SCAN_COVER_RATIO,
    Quality,
    agrees,
    fullest_stretch,
    judge,
    lies_on_ink,
    words_of,
)
from operations.tools.upright import reads_badly, sure_letters, turn_that_reads_best
from store.fields import OCR, TEXT_LAYER, PageWords, Word


class ReadPage(BaseModel):
    """What is known of a page that was read."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    number: int
    """1-based."""
    width_pixels: int
    """Of its image, in whose pixels all boxes are."""
    height_pixels: int
    """Of its image."""
    method: str
    """`text_layer` or `ocr`."""
    confidence: float
    """Mean of its words by their length, 0..1; 0 where it has none."""
    word_count: int
    """How many words it has."""
    image_file: str
    """Name of the file with its image: upright and straight, for people to look at. Empty where
    none was asked for."""
    detail_file: str = ""
    """Name of the file with the page in gray and in all the pixels that OCR read, for who zooms in.
    Empty where the image has as many, or none was asked for."""
    words_file: str
    """Name of the file with its words and their places."""
    text_layer_file: str | None = None
    """Name of a PDF with its words as invisible text; only where OCR read them."""
    turned_degrees: int = 0
    """By how much it was turned to be upright: 0, 90, 180 or 270 counter-clockwise."""
    skew_degrees: float = 0.0
    """By how much it was then turned to be straight, counter-clockwise."""


@dataclass(frozen=True)
class Source:
    """A document that has passed all checks, and can be read page by page."""

    path: Path
    """The file, or its repaired copy."""
    media_type: str
    frames: list[images.Frame]
    """Of an image file."""
    page_count: int


@dataclass(frozen=True)
class Orders:
    """How pages are to be read."""

    languages: list[str]
    dpi: int
    folder: Path
    """For the files that come of it."""
    never_ocr: bool = False
    """Take pages without a text layer too, with what little they say."""
    with_images: bool = True
    """Write the page images too, for people to look at."""
    keep_any_text: bool = False
    """Take a text layer of any worth, where there is one."""


@dataclass(frozen=True)
class Begun:
    """A document, and what has been read of it."""

    source: Source
    pages: list[ReadPage]


def begin(
    path: Path,
    folder: Path,
    languages: Sequence[str],
    pages: str,
    orders: Orders,
    most: int,
) -> Begun:
    """Look whether a document can be read; where few pages are wanted, read them as they are.

    A short document so takes one child, not two.

    Args:
        path: as the next two: of `examine`.
        folder: see there.
        languages: see there.
        pages: which are wanted, like `2-7`; all when empty.
        orders: how they are read.
        most: how many pages are read at once; of more, none is.

    Raises:
        InputError: as `examine` does, or there are no such pages.
        ToolMissingError: there is no tesseract, though it may be wanted.
    """
    source = examine(path, folder, languages)
    numbers = pages_of(pages, source.page_count)
    return Begun(source, read_as_they_are(source, numbers, orders) if len(numbers) <= most else [])


def examine(path: Path, folder: Path, languages: Sequence[str]) -> Source:
    """Look whether a document can be read, before any work.

    Args:
        path: the file.
        folder: where a repaired copy may be put.
        languages: that tesseract must have; none where it is not wanted.

    Raises:
        InputError: of the kind that says what is wrong with it.
        ToolMissingError: there is no tesseract, though it may be wanted.
    """
    media_type = readable_type(path)
    if media_type == PDF:
        facts = pdf.examine(path, folder)
        source = Source(facts.path, media_type, [], len(facts.sizes))
    else:
        found = images.frames(path)
        source = Source(path, media_type, found, len(found))
    if languages:
        tesseract.check_languages(languages)
    return source


def read_as_they_are(source: Source, numbers: Sequence[int], orders: Orders) -> list[ReadPage]:
    """Read those pages that have a text layer worth reading, and tell of each that has.

    Args:
        source: the document.
        numbers: of the pages.
        orders: how.

    Returns:
        What was read; what is missing wants OCR.
    """
    if source.media_type == PDF:
        return list(_read_text_layers(source.path, numbers, orders))
    if not orders.never_ocr:
        return []
    return [_read_without_words(source, number, orders) for number in numbers]


def _read_without_words(source: Source, number: int, orders: Orders) -> ReadPage:
    pictures = _pictures(source, number, orders)
    size = (pictures.view or pictures.page).size
    read = _written(number, TEXT_LAYER, [], size, pictures.view, orders)
    page_done()
    return read


def _read_text_layers(path: Path, numbers: Sequence[int], orders: Orders) -> Iterator[ReadPage]:
    with contextlib.closing(pdf.open_pages(path, numbers)) as pages:
        for number, page in zip(numbers, pages, strict=True):
            with pdf.damage_is_of(number):
                read = _read_text_layer(page, number, orders)
            if read is not None:
                page_done()
                yield read


def _read_text_layer(page: pypdfium2.PdfPage, number: int, orders: Orders) -> ReadPage | None:
    width, height = page_pictures.view_size(page.get_size())
    words = words_of(pdf.text_layer(page, width, height), width, height)
    is_taken = orders.never_ocr or pdf.is_blank(page) or (orders.keep_any_text and words)
    if not is_taken:
        base = orders.folder / f"{file_stem(number)}-probe"
        if _quality(page, words, (width, height), orders, base) is not Quality.GOOD:
            return None
    view = None
    if orders.with_images:
        view = pdf.render(page, page_pictures.view_scale(page.get_size()), gray=False)
    return _written(number, TEXT_LAYER, arranged(words), (width, height), view, orders)


_PROBE_DPI = 200
_CHECK_DPI = 75


def _quality(
    page: pypdfium2.PdfPage,
    words: Sequence[Word],
    size: tuple[int, int],
    orders: Orders,
    base: Path,
) -> Quality:
    """What a text layer is worth; where it is not clear, a few lines of the page are read.

    Args:
        page: of an open PDF.
        words: of its layer.
        size: width and height of the image in whose pixels they are.
        orders: how pages are read.
        base: folder and beginning of the name of files that are needed on the way.
    """
    cover = pdf.image_cover_ratio(page)
    quality = judge(words, cover, size[1], orders.languages)
    if quality is Quality.GOOD and cover >= SCAN_COVER_RATIO:
        small = pdf.render(page, pdf.scale_for(page.get_size(), _CHECK_DPI), gray=True)
        there = [_scaled(word, small.width / size[0], small.height / size[1]) for word in words]
        quality = Quality.GOOD if lies_on_ink(there, small) else Quality.DOUBTFUL
    if quality is not Quality.DOUBTFUL:
        return quality
    image = pdf.render(page, pdf.scale_for(page.get_size(), _PROBE_DPI), gray=True)
    scale = image.width / size[0], image.height / size[1]
    placed = [_scaled(word, *scale) for word in words]
    top, bottom = fullest_stretch(placed)
    stretch = image.crop((0, max(round(top), 0), image.width, min(round(bottom), image.height)))
    seen = tesseract.recognize(
        whiten(stretch), languages=orders.languages, dpi=_PROBE_DPI, base=base
    )
    told = [word for word in placed if top <= (word.box[1] + word.box[3]) / 2 <= bottom]
    return Quality.GOOD if agrees(told, seen) else Quality.GARBAGE


def read_by_ocr(source: Source, numbers: Sequence[int], orders: Orders) -> list[ReadPage]:
    """Read pages by OCR, and tell of each when it has been read.

    Args:
        source: the document.
        numbers: of the pages; their images are in memory at once.
        orders: how.
    """
    pictures = [_pictures(source, number, orders) for number in numbers]
    base = orders.folder / file_stem(numbers[0])
    attempts = _attempts(pictures, orders, base, page_done)
    for n, attempt in enumerate(attempts):
        if reads_badly(attempt.words):
            pictures[n], attempts[n] = _upright(pictures[n], attempt, orders, base)
    read = _completed(attempts, orders, base)
    return [
        _by_ocr(number, picture, attempt, words, orders)
        for number, picture, attempt, words in zip(numbers, pictures, attempts, read, strict=True)
    ]


@dataclass(frozen=True)
class _Attempt:
    """What OCR made of a page."""

    page: Image.Image
    """Straight and white; the words' boxes are in its pixels."""
    dpi: float
    words: list[Word]
    skew: float
    had_grain: bool
    """Coarse enough to be smoothed: its paper has specks as faint print has."""


def _attempts(
    pictures: Sequence[Pictures],
    orders: Orders,
    base: Path,
    each_page: Callable[[], None] = lambda: None,
) -> list[_Attempt]:
    pages: list[tesseract.PageImage] = []
    skews: list[float] = []
    had_grain: list[bool] = []
    for picture in pictures:
        page = without_grain(picture.page)
        had_grain.append(page is not picture.page)
        skew, factor = skew_degrees(page), useful_factor(page)
        page = whiten(straightened(shrunk(page, factor), skew))
        pages.append(tesseract.PageImage(page, picture.dpi * factor))
        skews.append(skew)
    simple = [tesseract.PageImage(with_even_paper(page.image), page.dpi) for page in pages]
    read = tesseract.recognize_all(
        simple, languages=orders.languages, base=base, each_page=each_page
    )
    return [
        _Attempt(page.image, page.dpi, words, skew, is_grainy)
        for page, words, skew, is_grainy in zip(pages, read, skews, had_grain, strict=True)
    ]


def _upright(
    pictures: Pictures, attempt: _Attempt, orders: Orders, base: Path
) -> tuple[Pictures, _Attempt]:
    """A page that reads badly as it is, turned and read anew where that helps.

    Tesseract has a model for this, but not everywhere; a look at each turn needs none.
    """
    smaller = pictures.smaller(2) if pictures.dpi > page_pictures.MIN_DPI else pictures

    def sure_letters_at(degrees: int) -> int:
        (turned,) = _attempts([smaller.turned(degrees)], orders, base)
        return sure_letters(turned.words)

    degrees = turn_that_reads_best(sure_letters_at, sure_letters(attempt.words))
    if not degrees:
        return pictures, attempt
    upright = pictures.turned(degrees)
    return upright, _attempts([upright], orders, base)[0]


def _completed(attempts: Sequence[_Attempt], orders: Orders, base: Path) -> list[list[Word]]:
    """The words of pages, with those that were left out at first."""
    words = [doubted(attempt.words) for attempt in attempts]
    # What is found in grain is mostly specks: reading it doubles the errors of such a page.
    rests = [
        None if attempt.had_grain else missed_text(attempt.page, some)
        for attempt, some in zip(attempts, words, strict=True)
    ]
    missed = [(n, rest) for n, rest in enumerate(rests) if rest is not None]
    if not missed:
        return words
    more = tesseract.recognize_all(
        [tesseract.PageImage(rest, attempts[n].dpi) for n, rest in missed],
        languages=orders.languages,
        base=base,
        is_one_block=True,
    )
    for (n, _), found in zip(missed, more, strict=True):
        words[n] = with_missed(words[n], found)
    return words


def _by_ocr(
    number: int, pictures: Pictures, attempt: _Attempt, read: Sequence[Word], orders: Orders
) -> ReadPage:
    layer = orders.folder / f"{file_stem(number)}.pdf"
    place = LayerPlace(number, pictures.turned_degrees, attempt.skew)
    write_layer(layer, place, read, attempt.page.size, attempt.dpi)
    view = pictures.straight_view(attempt.skew)
    width, height = attempt.page.size
    if view is not None:
        read = [_scaled(word, view.width / width, view.height / height) for word in read]
        width, height = view.size
    found = _written(number, OCR, arranged(read), (width, height), view, orders)
    detail = ""
    if view is not None and page_pictures.has_detail(pictures):
        detail = f"{file_stem(number)}-detail.jpg"
        page_pictures.write_detail(pictures.straight_page(attempt.skew), orders.folder / detail)
    return found.model_copy(
        update={
            "text_layer_file": layer.name,
            "detail_file": detail,
            "turned_degrees": pictures.turned_degrees,
            "skew_degrees": attempt.skew,
        }
    )


def file_stem(number: int) -> str:
    """What the names of the files of a page begin with."""
    return f"page-{number:04}"


def _pictures(source: Source, number: int, orders: Orders) -> Pictures:
    path, dpi, with_view = source.path, orders.dpi, orders.with_images
    if source.media_type == PDF:
        return page_pictures.of_pdf_page(path, number, dpi, with_view=with_view)
    frame = source.frames[number - 1]
    return page_pictures.of_image(path, frame, number, dpi, with_view=with_view)


def _scaled(word: Word, across: float, down: float) -> Word:
    left, top, right, bottom = word.box
    return word.model_copy(
        update={"box": (left * across, top * down, right * across, bottom * down)}
    )


def _written(
    number: int,
    method: str,
    words: list[Word],
    size: tuple[int, int],
    view: Image.Image | None,
    orders: Orders,
) -> ReadPage:
    stem = file_stem(number)
    image = f"{stem}.jpg" if view is not None else ""
    if view is not None:
        page_pictures.write_view(view, orders.folder / image)
    width, height = size
    said = PageWords(
        number=number,
        width_pixels=width,
        height_pixels=height,
        method=method,
        words=words,
    )
    (orders.folder / f"{stem}.json").write_text(said.model_dump_json(), encoding="utf-8")
    letters = sum(len(word.text) for word in words)
    sure = sum(len(word.text) * word.confidence for word in words)
    return ReadPage(
        number=number,
        width_pixels=width,
        height_pixels=height,
        method=method,
        confidence=round(sure / letters, 4) if letters else 0.0,
        word_count=len(words),
        image_file=image,
        words_file=f"{stem}.json",
    )
