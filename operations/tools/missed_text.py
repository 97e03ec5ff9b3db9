"""What tesseract leaves out: columns of short numbers, which it takes for something else.

On receipts and invoices its analysis of the page drops whole columns of amounts. What looks like
text, beside the lines that were read but in none of their words, is put on an empty page with
the whole of its line, to be read again without that analysis.
"""

from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from store.fields import Word

_INK_LEVEL = 140
_SURE = 0.6
"""Only lines with a word this sure are text at all."""

_MIN_INK_RATIO = 0.03
"""Of the height of a line, for a column of pixels to be part of a letter."""

_TEXT_INK_RATIOS = (0.05, 0.5)
"""How much of its area text covers: lines less, pictures and bars more."""

_MIN_WIDTH_RATIO = 0.9
_GAP_RATIO = 0.9
"""In heights of the line: what is narrower is a line or a speck, what is nearer one word."""

_MAX_LINE_RATIO = 0.1
"""A line higher than this part of the page is none."""


def missed_text(page: Image.Image, words: Sequence[Word]) -> Image.Image | None:
    """A page with nothing on it but the lines of which something seems not to have been read.

    Args:
        page: gray, with white paper.
        words: that were read on it.

    Returns:
        As large as the page; None where nothing was missed. The lines are whole, because a
        number by itself is read worse.
    """
    rest: Image.Image | None = None
    for band, line in _bands(page, words):
        runs = list(_runs(_without_words(page, band, words)))
        if runs:
            rest = rest or Image.new("L", page.size, 255)
            left = min(0.0 + runs[0][0], *(word.box[0] for word in line))
            right = max(0.0 + runs[-1][1], *(word.box[2] for word in line))
            box = max(round(left), 0), band[1], min(round(right), page.width), band[3]
            rest.paste(page.crop(box), (box[0], box[1]))
    return rest


def is_new(word: Word, words: Sequence[Word]) -> bool:
    """Whether a word that was read on the rest of a page stands where none was read before."""
    if word.confidence < _SURE:
        return False
    left, top, right, bottom = word.box
    return not any(
        min(right, other.box[2]) > max(left, other.box[0])
        and min(bottom, other.box[3]) > max(top, other.box[1])
        for other in words
    )


_Band = tuple[int, int, int, int]


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
        if top < band[3] and bottom > band[1]:
            draw.rectangle((left - margin, top - band[1], right + margin, bottom - band[1]), 255)
    return strip


def _runs(strip: Image.Image) -> Iterator[tuple[int, int]]:
    """Left and right ends of what looks like text in a line."""
    ink = strip.point([255 if level < _INK_LEVEL else 0 for level in range(256)])
    height = strip.height
    density = ink.reduce((1, height)).tobytes()
    inked = [x for x, value in enumerate(density) if value >= 255 * _MIN_INK_RATIO]
    start = 0
    for n in range(1, len(inked) + 1):
        if n < len(inked) and inked[n] - inked[n - 1] <= _GAP_RATIO * height:
            continue
        left, right = inked[start], inked[n - 1] + 1
        covered = sum(density[left:right]) / 255 / (right - left)
        low, high = _TEXT_INK_RATIOS
        if right - left >= _MIN_WIDTH_RATIO * height and low <= covered <= high:
            yield max(left - 4, 0), min(right + 4, strip.width)
        start = n
