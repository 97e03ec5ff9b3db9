"""Where words stand on a page: lines, columns and blocks, in the order they are read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter
from statistics import median

import numpy as np

from store.fields import Box, Word, words_from

_SPACE_RATIO = 1.3
"""A gap this many times as wide as the letters are high is no space between words."""

_MARK_RATIO = 0.6
"""Words lower than this, in heights of their line, are marks."""

_OVERLAP_RATIO = 0.5
"""Words of one line share this much of the height of the lower one."""

_MIN_COLUMN_LINES = 3
_MIN_COLUMN_WORDS = 3.0
"""Words in a line of a column of prose, on average; cells of a table have fewer."""

_MIN_WORDS_IN_COLUMNS = 2 * _MIN_COLUMN_LINES * _MIN_COLUMN_WORDS

_FILLED_RATIO = 0.45
"""How much of its column a line of prose fills, in the median."""

_MAX_GUTTERS = 24

_PARAGRAPH_RATIO = 1.6
"""Lines further apart than this many line heights (baseline to baseline, 1.2 is normal)."""

_STEP_RATIO = 1.35
"""... and than this many times what is usual where they stand, for wide spacing,"""

_WIDEST_RATIO = 3.2
"""but however they are set, this many line heights are no spacing."""

_SAME_SIZE_RATIO = 1.3


@dataclass
class Segment:
    """Words side by side with nothing but spaces between them."""

    words: list[Word]
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        self.box = around(word.box for word in self.words)

    @property
    def height(self) -> float:
        """Of the letters."""
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> float:
        """Vertically."""
        return (self.box[1] + self.box[3]) / 2


Line = list[Segment]
"""Segments from left to right."""

Block = list[Line]
"""Lines from top to bottom that belong together: a paragraph, a heading, rows of a table."""


def around(boxes: Iterable[Box]) -> Box:
    """The smallest box with all of these in it."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def height_of(line: Line) -> float:
    """Of the letters of a line, in the median of its words."""
    return median(word.box[3] - word.box[1] for segment in line for word in segment.words)


def arranged(words: Sequence[Word]) -> list[Word]:
    """The words in reading order, each with its line and block; boxes in tenths of a pixel."""
    ordered = [
        (word, line_index, block_index)
        for line_index, (block_index, line) in enumerate(
            (block_index, line)
            for block_index, block in enumerate(blocks_of(words))
            for line in block
        )
        for segment in line
        for word in segment.words
    ]
    boxes = np.array([word.box for word, _, _ in ordered]).round(1).tolist()
    return words_from(
        {
            "text": word.text,
            "box": box,
            "confidence": word.confidence,
            "line": line_index,
            "block": block_index,
        }
        for (word, line_index, block_index), box in zip(ordered, boxes, strict=True)
    )


def told_blocks(words: Iterable[Word]) -> list[Block]:
    """The blocks of words that were arranged, as each was told."""
    blocks: list[Block] = []
    for _, block in groupby(words, key=attrgetter("block")):
        lines = groupby(block, key=attrgetter("line"))
        blocks.append([_segments(list(line)) for _, line in lines])
    return blocks


def blocks_of(words: Sequence[Word]) -> list[Block]:
    """The blocks of a page in reading order.

    Columns of prose are read one after the other; what stands in columns but is none (a table,
    a form, the head of a letter) is read row by row.
    """
    visible = [w for w in words if w.box[2] > w.box[0] and w.box[3] > w.box[1]]
    if not visible:
        return []
    return [block for region in _regions(lines_of(visible)) for block in _paragraphs(region)]


def lines_of(words: Sequence[Word]) -> list[Line]:
    """Words that stand side by side, as lines across the whole of the area."""
    rows: list[_Row] = []
    for word in sorted(words, key=lambda w: (w.box[1] + w.box[3], w.box[0])):
        # A line that leans a little may have been begun by any of the last few.
        for row in reversed(rows[-4:]):
            if row.has_beside_it(word):
                row.add(word)
                break
        else:
            rows.append(_Row(word))
    rows.sort(key=lambda row: row.top)
    return [_segments(sorted(row.words, key=lambda w: w.box[0])) for row in rows]


class _Row:
    """Words that stand side by side, in any order."""

    def __init__(self, word: Word):
        self.words = [word]
        _, self.top, _, self._bottom = word.box
        self._is_even = True

    def has_beside_it(self, word: Word) -> bool:
        """Whether a word stands beside the nearest one of the row."""
        nearest = self.words[0]
        if not self._is_even:
            nearest = min(self.words, key=lambda other: abs(other.box[0] - word.box[0]))
        return share_of_height(word.box, nearest.box) >= _OVERLAP_RATIO

    def add(self, word: Word) -> None:
        self.words.append(word)
        _, top, _, bottom = word.box
        if top != self.top or bottom != self._bottom:
            self._is_even = False  # as it is where the letters are of one size, most often
            self.top = min(self.top, top)


def share_of_height(one: Box, other: Box) -> float:
    """How much of the height of the lower of two boxes the other stands beside, 0..1."""
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared / max(min(one[3] - one[1], other[3] - other[1]), 1e-6)


def _segments(row: Sequence[Word]) -> Line:
    segments = [[row[0]]]
    # A comma or dash by itself is low, but no narrower gap is a space beside it.
    usual = _MARK_RATIO * median(word.box[3] - word.box[1] for word in row)
    for left, right in pairwise(row):
        size = max(min(left.box[3] - left.box[1], right.box[3] - right.box[1]), usual)
        if right.box[0] - left.box[2] > _SPACE_RATIO * size:
            segments.append([])
        segments[-1].append(right)
    return [Segment(words) for words in segments]


def _regions(lines: Sequence[Line]) -> list[Sequence[Line]]:
    """The lines, cut where columns of prose begin and end, in reading order."""
    segments = [segment for line in lines for segment in line]
    best = max(
        (run for gutter in _gutters(lines) for run in _runs(segments, gutter)),
        key=lambda run: len(run.left) + len(run.right),
        default=None,
    )
    if best is None:
        return [lines] if lines else []
    parts = (best.above, best.left, best.right, best.below)
    return [region for part in parts for region in _regions(_lines_anew(part))]


def _lines_anew(segments: Sequence[Segment]) -> list[Line]:
    """The lines of a part of a page: what stood beside them may have tied them together."""
    return lines_of([word for segment in segments for word in segment.words])


@dataclass(frozen=True)
class _Run:
    """Two columns beside each other, and what stands over and under them."""

    above: list[Segment]
    left: list[Segment]
    right: list[Segment]
    below: list[Segment]


def _gutters(lines: Sequence[Line]) -> list[float]:
    """Where columns might be cut: between segments that stand side by side."""
    segments = [segment for line in lines for segment in line]
    if sum(len(segment.words) for segment in segments) < _MIN_WORDS_IN_COLUMNS:
        return []
    gaps = [(left.box[2] + right.box[0]) / 2 for line in lines for left, right in pairwise(line)]
    near = median(segment.height for segment in segments)
    votes: list[tuple[int, float]] = []
    left_over = sorted(gaps)
    while left_over:
        close = [gap for gap in left_over if gap - left_over[0] <= near]
        votes.append((len(close), median(close)))
        left_over = left_over[len(close) :]
    return [x for count, x in sorted(votes, reverse=True)[:_MAX_GUTTERS] if count > 1]


def _runs(segments: Sequence[Segment], gutter: float) -> Iterable[_Run]:
    """The stretches of a page in which nothing crosses the gutter and both sides are prose."""
    ordered = sorted(segments, key=lambda segment: segment.middle)
    crossing = [s.middle for s in ordered if s.box[0] < gutter < s.box[2]]
    edges = [float("-inf"), *crossing, float("inf")]
    for top, bottom in pairwise(edges):
        inside = [s for s in ordered if top < s.middle < bottom]
        left = [s for s in inside if s.box[2] <= gutter]
        right = [s for s in inside if s.box[0] >= gutter]
        if _is_prose(left) and _is_prose(right):
            above = [s for s in ordered if s.middle <= top]
            below = [s for s in ordered if s.middle >= bottom]
            heading = _heading_of_what_follows(left, right) if below else []
            yield _Run(above, left[: len(left) - len(heading)], right, [*heading, *below])


def _heading_of_what_follows(left: Sequence[Segment], right: Sequence[Segment]) -> list[Segment]:
    """The last line of the left column, where it stands under both and apart from its own."""
    last, before = left[-1], left[-2]
    end = max(before.box[3], max(segment.box[3] for segment in right))
    return [last] if last.box[1] - end > (_PARAGRAPH_RATIO - 1) * last.height else []


def _is_prose(segments: Sequence[Segment]) -> bool:
    """Whether this is a column of prose, or several side by side."""
    return bool(segments) and all(map(_is_column, _side_by_side(segments)))


def _side_by_side(segments: Sequence[Segment]) -> list[list[Segment]]:
    """The segments, parted where nothing stands above or below anything else."""
    parts: list[list[Segment]] = []
    right = float("-inf")
    for segment in sorted(segments, key=lambda s: s.box[0]):
        if segment.box[0] >= right:
            parts.append([])
        parts[-1].append(segment)
        right = max(right, segment.box[2])
    return parts


def _is_column(segments: Sequence[Segment]) -> bool:
    if len(segments) < _MIN_COLUMN_LINES:
        return False
    box = around(segment.box for segment in segments)
    filled = median((s.box[2] - s.box[0]) / max(box[2] - box[0], 1e-6) for s in segments)
    words = sum(len(segment.words) for segment in segments) / len(segments)
    return filled >= _FILLED_RATIO and words >= _MIN_COLUMN_WORDS


def _paragraphs(lines: Sequence[Line]) -> list[Block]:
    steps = [_baseline(below) - _baseline(above) for above, below in pairwise(lines)]
    usual = median(steps) if steps else 0.0
    blocks: list[Block] = [[lines[0]]]
    for (above, below), step in zip(pairwise(lines), steps, strict=True):
        smaller, larger = sorted((height_of(above), height_of(below)))
        allowed = max(_PARAGRAPH_RATIO * larger, _STEP_RATIO * usual)
        if step > min(allowed, _WIDEST_RATIO * larger) or larger > _SAME_SIZE_RATIO * smaller:
            blocks.append([])
        blocks[-1].append(below)
    return blocks


def _baseline(line: Line) -> float:
    return median(word.box[3] for segment in line for word in segment.words)
