"""Where words stand on a page: lines, columns and blocks, in the order they are read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from store.fields import Box, Word

_SPACE_RATIO = 1.3
"""A gap this many times as wide as the letters are high is no space between words."""

_OVERLAP_RATIO = 0.5
"""Words of one line share this much of the height of the lower one."""

_MIN_COLUMN_LINES = 3
_MIN_COLUMN_WORDS = 3.0
"""Words in a line of a column of prose, on average; cells of a table have fewer."""

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
    """The words in reading order, each with its line and block."""
    found: list[Word] = []
    line_index = 0
    for block_index, block in enumerate(blocks_of(words)):
        for line in block:
            for segment in line:
                found.extend(
                    word.model_copy(update={"line": line_index, "block": block_index})
                    for word in segment.words
                )
            line_index += 1
    return found


def blocks_of(words: Sequence[Word]) -> list[Block]:
    """The blocks of a page in reading order.

    Columns of prose are read one after the other; what stands in columns but is none (a table,
    a form, the head of a letter) is read row by row.
    """
    visible = [w for w in words if w.box[2] > w.box[0] and w.box[3] > w.box[1]]
    if not visible:
        return []
    segments = [segment for line in lines_of(visible) for segment in line]
    return [block for region in _regions(segments) for block in _paragraphs(region)]


def lines_of(words: Sequence[Word]) -> list[Line]:
    """Words that stand side by side, as lines across the whole of the area."""
    rows: list[list[Word]] = []
    for word in sorted(words, key=lambda w: (w.box[1] + w.box[3], w.box[0])):
        # A line that leans a little may have been begun by any of the last few.
        row = next((row for row in reversed(rows[-4:]) if _is_in_row(word, row)), None)
        if row is None:
            rows.append([word])
        else:
            row.append(word)
    rows.sort(key=lambda row: min(word.box[1] for word in row))
    return [_segments(sorted(row, key=lambda w: w.box[0])) for row in rows]


def _is_in_row(word: Word, row: Sequence[Word]) -> bool:
    nearest = min(row, key=lambda other: abs(other.box[0] - word.box[0]))
    return share_of_height(word.box, nearest.box) >= _OVERLAP_RATIO


def share_of_height(one: Box, other: Box) -> float:
    """How much of the height of the lower of two boxes the other stands beside, 0..1."""
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared / max(min(one[3] - one[1], other[3] - other[1]), 1e-6)


def _segments(row: Sequence[Word]) -> Line:
    segments = [[row[0]]]
    for left, right in pairwise(row):
        size = min(left.box[3] - left.box[1], right.box[3] - right.box[1])
        if right.box[0] - left.box[2] > _SPACE_RATIO * size:
            segments.append([])
        segments[-1].append(right)
    return [Segment(words) for words in segments]


def _regions(segments: list[Segment]) -> list[list[Segment]]:
    """The segments, cut where columns of prose begin and end, in reading order."""
    best = max(
        (run for gutter in _gutters(segments) for run in _runs(segments, gutter)),
        key=lambda run: len(run.left) + len(run.right),
        default=None,
    )
    if best is None:
        return [segments] if segments else []
    parts = (best.above, best.left, best.right, best.below)
    return [region for part in parts for region in _regions(part)]


@dataclass(frozen=True)
class _Run:
    """Two columns beside each other, and what stands over and under them."""

    above: list[Segment]
    left: list[Segment]
    right: list[Segment]
    below: list[Segment]


def _gutters(segments: Sequence[Segment]) -> list[float]:
    """Where columns might be cut: between segments that stand side by side."""
    words = [word for segment in segments for word in segment.words]
    if len(words) < 2 * _MIN_COLUMN_LINES * _MIN_COLUMN_WORDS:
        return []
    gaps = [
        (left.box[2] + right.box[0]) / 2
        for line in lines_of(words)
        for left, right in pairwise(line)
    ]
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


def _paragraphs(region: Sequence[Segment]) -> list[Block]:
    lines = lines_of([word for segment in region for word in segment.words])
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
