"""Pages as text in which columns stand below each other, as `pdftotext -layout` has it.

Source: poppler, TextPage::dump with physical layout: a column of text for each width of a
character, and one to five line ends by the distance of the lines.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median

from operations.tools.layout import Line, height_of, lines_of
from operations.tools.mended_words import NOTHING_MENDED, Mending
from store.fields import PageWords, Word

_MAX_COLUMNS = 1000
_MAX_LINE_ENDS = 5
_LETTERS_PER_SIZE = 0.95
"""The height of a word's box, in sizes of its font."""

_NO_SPACE_RATIO = 0.2
"""In heights of the words: a narrower gap is no space."""

_UNSURE = 0.5


class LayoutText:
    """The text of pages, in which each character knows its word."""

    def __init__(self, pages: Sequence[PageWords], pitch: float, mending: Mending = NOTHING_MENDED):
        """Lay the words of all pages out; a form feed ends each page.

        Args:
            pages: in order.
            pitch: how far columns of text stand apart, in widths of a letter.
            mending: how words are written other than they were read.
        """
        self._pitch = pitch
        self.mending = mending
        self._parts: list[str] = []
        self._at = 0
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._words: list[tuple[Word, PageWords]] = []
        for page in pages:
            self._add_page(page)
        self.text = "".join(self._parts)

    def words_of(self, start: int, end: int) -> list[tuple[Word, PageWords]]:
        """The words of which the text has a part from `start` to `end`, each with its page."""
        return self._words[bisect_right(self._ends, start) : bisect_left(self._starts, end)]

    def _add_page(self, page: PageWords) -> None:
        lines = lines_of(page.words) if page.words else []
        width = max(self._pitch * _letter_width(page.words), 1.0)
        left = min((line[0].box[0] for line in lines), default=0.0)
        for number, line in enumerate(lines):
            self._add_line(line, page, left, width)
            below = lines[number + 1] if number + 1 < len(lines) else None
            self._add("\n" * _line_ends(line, below))
        self._add("\f")

    def _add_line(self, line: Line, page: PageWords, left: float, width: float) -> None:
        begin = self._at
        for segment in line:
            wanted = min(int((segment.box[0] - left) / width), _MAX_COLUMNS)
            gap = 2 if self._at > begin else 0
            self._add(" " * max(wanted - (self._at - begin), gap))
            before: Word | None = None
            for word in segment.words:
                text = self.mending.text_of(word)
                if not text:
                    continue
                is_apart = before is not None and not _is_same_word(before, word)
                self._add(" " if is_apart else "")
                self._starts.append(self._at)
                self._words.append((word, page))
                self._add(text)
                self._ends.append(self._at)
                before = word

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._at += len(text)


def _is_same_word(left: Word, right: Word) -> bool:
    """Whether OCR saw a space where none is; only where it is sure of neither part."""
    height = min(left.box[3] - left.box[1], right.box[3] - right.box[1])
    is_near = right.box[0] - left.box[2] < _NO_SPACE_RATIO * height
    return is_near and max(left.confidence, right.confidence) < _UNSURE


def _letter_width(words: Sequence[Word]) -> float:
    widths = [(w.box[2] - w.box[0]) / len(w.text) for w in words if len(w.text) > 1]
    return median(widths) if widths else 10.0


def _line_ends(line: Line, below: Line | None) -> int:
    if below is None:
        return 1
    step = max(s.box[3] for s in below) - max(s.box[3] for s in line)
    size = height_of(line) / _LETTERS_PER_SIZE
    return min(max(int(step / max(size, 1.0)), 1), _MAX_LINE_ENDS)
