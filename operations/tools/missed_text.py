"""What tesseract leaves out: columns of short numbers, faint print, and white letters on dark.

On receipts and invoices its analysis of the page drops whole columns of amounts; light grey
letters it takes for paper, and those of white on a dark bar for nothing. What looks like text but
is in none of the words that were read is put on an empty page, black on white, to be read
again without that analysis.
"""

from collections.abc import Iterator, Sequence
from statistics import median

import cv2
import numpy as np
from PIL import Image, ImageDraw

from operations.tools.clean_page import Gray, with_white_paper
from operations.tools.layout import around, share_of_height
from store.fields import Box, Word

_INK_LEVEL = 140
_SURE = 0.6
"""Only lines with a word this sure are text at all."""

_MIN_INK_RATIO = 0.03
"""Of the height of a line, for a column of pixels to be part of a letter."""

_TEXT_INK_RATIOS = (0.05, 0.5)
"""How much of its area text covers: lines less, pictures and bars more."""

_PAPER_LEVEL = 200
_MIN_PAPER_RATIO = 0.4
"""How much of its area is paper: of what a page lies on in a photo, or of a picture, nothing is."""

_MIN_WIDTH_RATIO = 0.9
_GAP_RATIO = 0.9
"""In heights of the line: what is wider is a word, what is nearer is of the same."""

_DIGIT_WIDTH = 0.12
_DIGIT_HEIGHT = 0.45
"""In heights of the line: what is smaller is a speck, a dot or a comma."""

_MAX_LINE_RATIO = 0.1
"""A line higher than this part of the page is none."""

_SURROUNDINGS = 33
"""Pixels of a copy of half the size."""

_FAINT_CONTRAST = 24
"""Levels by which faint letters differ from their paper: paper itself differs by less."""

_BAR_LEVEL = 110
_BAR_CONTRAST = 60
"""What is darker is a bar; letters on it are lighter by so many levels."""

_SURE_OF_DIGITS = 0.3
"""A number that is less sure is left out; another one waits for a person, who would not miss it."""

_OVER_RATIO = 0.3
"""Of the smaller of two words: they are two readings of the same."""

_PART_RATIO = 0.7
"""Of the width of a word: what is wider is the word, read otherwise."""

_LETTER_HEIGHTS = (0.35, 2.0)
_LETTER_WIDTH = 3.0
_LEAST_WIDTH = 1.5
_MOST_HEIGHT = 2.5
_LETTER_GAP = 1.5
"""In heights of the words of the page: letters, lines of them, and the gaps between words."""

_SAME_LINE = 0.5
"""Of the height of the lower of two boxes."""


_Band = tuple[int, int, int, int]


def missed_text(page: Image.Image, words: Sequence[Word]) -> Image.Image | None:
    """A page with nothing on it but the lines of which something seems not to have been read.

    Args:
        page: gray, with white paper.
        words: that were read on it.

    Returns:
        As large as the page; None where nothing was missed. The lines are whole, because a
        number by itself is read worse.
    """
    rest = Image.new("L", page.size, 255)
    whole: list[_Band] = []
    for band, line in _bands(page, words):
        strip = _without_words(page, band, words)
        runs = [run for run in _runs(strip) if _is_wide(run, strip) or _is_digit(run, band, page)]
        if runs:
            left = min(runs[0][0] - 4.0, *(word.box[0] for word in line))
            right = max(runs[-1][1] + 4.0, *(word.box[2] for word in line))
            box = max(round(left), 0), band[1], min(round(right), page.width), band[3]
            # Its grain would end where the line does, and tesseract read that edge, too.
            rest.paste(with_white_paper(page.crop(box)), (box[0], box[1]))
            whole.append(box)
    faint = [one for one in _faint_lines(page, words) if not any(_meet(one[0], w) for w in whole)]
    for box, is_light in faint:
        rest.paste(_black_on_white(page.crop(box), is_light=is_light), (box[0], box[1]))
    return rest if whole or faint else None


def doubted(words: Sequence[Word]) -> list[Word]:
    """The words, without confidence where they lie over each other: a line was read twice."""
    by_place = sorted(range(len(words)), key=lambda n: words[n].box[0])
    over: set[int] = set()
    open_: list[int] = []
    for n in by_place:
        left = words[n].box[0]
        open_ = [other for other in open_ if words[other].box[2] > left]
        for other in open_:
            if _shared(words[n].box, words[other].box) > _OVER_RATIO:
                over |= {n, other}
        open_.append(n)
    return [
        word.model_copy(update={"confidence": 0.0}) if n in over else word
        for n, word in enumerate(words)
    ]


def _shared(one: Box, other: Box) -> float:
    """How much of the smaller of two boxes is in both, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / max(least, 1)


def with_missed(words: Sequence[Word], found: Sequence[Word]) -> list[Word]:
    """The words of a page, with those that were read on its rest.

    Args:
        words: that were read at first.
        found: on the rest. They are taken where nothing was read, or nothing that is sure, or but
            the end of a word.
    """
    new = [
        word
        for word in found
        if _is_worth_it(word)
        and all(
            other.confidence < _SURE or _is_part(other, word)
            for other in words
            if _meet(word.box, other.box)
        )
    ]
    return [word for word in words if not any(_meet(word.box, other.box) for other in new)] + new


def _is_worth_it(word: Word) -> bool:
    """Whether a word may be taken: of rules and specks OCR makes letters, but seldom digits."""
    if any(letter.isdigit() for letter in word.text):
        return word.confidence >= _SURE_OF_DIGITS
    return word.confidence >= _SURE and any(letter.isalpha() for letter in word.text)


def _is_part(word: Word, whole: Word) -> bool:
    left, top, right, bottom = word.box
    margin = (bottom - top) / 4
    return (
        len(word.text) < len(whole.text)
        and whole.box[0] <= left + margin
        and whole.box[2] >= right - margin
        and right - left < _PART_RATIO * (whole.box[2] - whole.box[0])
    )


def _meet(one: Box, other: Box) -> bool:
    across = min(one[2], other[2]) > max(one[0], other[0])
    return across and min(one[3], other[3]) > max(one[1], other[1])


def _faint_lines(page: Image.Image, words: Sequence[Word]) -> Iterator[tuple[_Band, bool]]:
    """Boxes of lines of letters that are faint and in no word, or light on dark and in no sure one.

    Yields:
        left, top, right, bottom, and whether the letters are lighter than what is around them.
    """
    sure = [word for word in words if word.confidence >= _SURE]
    if not sure:
        return
    height = median(word.box[3] - word.box[1] for word in sure) / 2
    half = np.asarray(page.reduce(2), dtype=np.uint8)
    paper = np.asarray(cv2.blur(half, (_SURROUNDINGS, _SURROUNDINGS)), dtype=np.uint8)
    faint = np.asarray(cv2.subtract(paper, half) >= _FAINT_CONTRAST)
    light = np.asarray(cv2.subtract(half, paper) >= _BAR_CONTRAST) & (paper <= _BAR_LEVEL)
    read = [word for word in words if word.confidence > 0]
    for letters, known, is_light in ((faint, read, False), (light, sure, True)):
        ink = letters.astype(np.uint8)
        for word in known:
            margin = round((word.box[3] - word.box[1]) / 8)
            left, top, right, bottom = (max(round(side / 2), 0) for side in word.box)
            ink[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = 0
        for left, top, right, bottom in _lines_of_letters(ink, height):
            box = 2.0 * left, 2.0 * top, 2.0 * right, 2.0 * bottom
            # The end of a word may be read, and its beginning not.
            whole = around([box, *(word.box for word in words if _touch(word.box, box, height))])
            yield _grown(whole, round(height), page.size), is_light


def _touch(one: Box, other: Box, gap: float) -> bool:
    return (
        min(one[2], other[2]) + gap > max(one[0], other[0])
        and share_of_height(one, other) > _SAME_LINE
    )


def _grown(box: Box, margin: int, size: tuple[int, int]) -> _Band:
    left, top, right, bottom = (round(side) for side in box)
    return (
        max(left - margin, 0),
        max(top - margin, 0),
        min(right + margin, size[0]),
        min(bottom + margin, size[1]),
    )


def _lines_of_letters(ink: Gray, height: float) -> Iterator[_Band]:
    """Boxes of what looks like letters side by side.

    Args:
        ink: 1 where there is some, else 0.
        height: of a word.
    """
    letters = np.zeros_like(ink)
    least, most = (ratio * height for ratio in _LETTER_HEIGHTS)
    for left, top, width, tall in _components(ink):
        if least <= tall <= most and width <= _LETTER_WIDTH * height:
            letters[top : top + tall, left : left + width] = 1
    reach = np.ones((1, round(_LETTER_GAP * height) | 1), np.uint8)
    lines = np.asarray(cv2.morphologyEx(letters, cv2.MORPH_CLOSE, reach), dtype=np.uint8)
    for left, top, width, tall in _components(lines):
        if width >= _LEAST_WIDTH * height and tall <= _MOST_HEIGHT * height:
            yield left, top, left + width, top + tall


def _components(ink: Gray) -> list[list[int]]:
    """left, top, width and height of what hangs together."""
    found = np.asarray(cv2.connectedComponentsWithStats(ink, connectivity=8)[2])
    return found[1:, :4].tolist()


def _black_on_white(crop: Image.Image, *, is_light: bool) -> Image.Image:
    pixels = np.asarray(crop, dtype=np.float32)
    if is_light:
        pixels = 255 - pixels
    # Most of a line of text is paper; a fiftieth of it is the core of its strokes.
    ink, paper = np.quantile(pixels, (0.02, 0.5))
    spread = np.clip((pixels - ink) * (255 / max(paper - ink, 1)), 0, 255)
    return Image.fromarray(spread.astype(np.uint8))


def _bands(page: Image.Image, words: Sequence[Word]) -> Iterator[tuple[_Band, Sequence[Word]]]:
    lines: dict[int, list[Word]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word)
    for line in lines.values():
        top = max(min(word.box[1] for word in line), 0)
        bottom = min(max(word.box[3] for word in line), page.height)
        is_line = 8 <= bottom - top <= _MAX_LINE_RATIO * page.height
        if is_line and any(word.confidence >= _SURE for word in line):
            yield (0, round(top), page.width, round(bottom)), line


def _without_words(page: Image.Image, band: _Band, words: Sequence[Word]) -> Image.Image:
    strip = page.crop(band)
    draw = ImageDraw.Draw(strip)
    margin = strip.height // 8
    for word in words:
        left, top, right, bottom = word.box
        if top < band[3] and bottom > band[1] and word.confidence > 0:
            draw.rectangle((left - margin, top - band[1], right + margin, bottom - band[1]), 255)
    return strip


def _runs(strip: Image.Image) -> Iterator[tuple[int, int]]:
    """Left and right ends of what is narrow or looks like text in a line."""
    height = strip.height
    density = _density(strip, range(_INK_LEVEL))
    paper = _density(strip, range(_PAPER_LEVEL, 256))
    inked = [x for x, value in enumerate(density) if value >= 255 * _MIN_INK_RATIO]
    start = 0
    for n in range(1, len(inked) + 1):
        if n < len(inked) and inked[n] - inked[n - 1] <= _GAP_RATIO * height:
            continue
        left, right = inked[start], inked[n - 1] + 1
        start = n
        width = right - left
        covered, bare = (sum(part[left:right]) / 255 / width for part in (density, paper))
        low, high = _TEXT_INK_RATIOS
        is_narrow = width < _MIN_WIDTH_RATIO * height
        if bare >= _MIN_PAPER_RATIO and (low <= covered <= high or is_narrow):
            yield left, right


def _density(strip: Image.Image, levels: range) -> bytes:
    """How much of each column is of these levels, 0..255."""
    of_them = strip.point([255 if level in levels else 0 for level in range(256)])
    return of_them.reduce((1, strip.height)).tobytes()


def _is_wide(run: tuple[int, int], strip: Image.Image) -> bool:
    return run[1] - run[0] >= _MIN_WIDTH_RATIO * strip.height


def _is_digit(run: tuple[int, int], band: _Band, page: Image.Image) -> bool:
    """Whether this may be a letter by itself: as high as one, and no rule that goes on."""
    height = band[3] - band[1]
    margin = height // 3
    top, bottom = max(band[1] - margin, 0), min(band[3] + margin, page.height)
    pixels = np.asarray(page.crop((run[0], top, run[1], bottom))) < _INK_LEVEL
    (rows,) = np.nonzero(pixels.any(axis=1))
    return (
        run[1] - run[0] >= _DIGIT_WIDTH * height
        and len(rows) > 0
        and rows[0] > 0
        and rows[-1] < bottom - top - 1
        and rows[-1] - rows[0] >= _DIGIT_HEIGHT * height
    )
