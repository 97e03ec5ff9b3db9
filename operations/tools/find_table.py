"""The rows of tables: columns are found by what stands above them, lines need not be drawn.

A table may go on over pages, with or without its header there; cells may be wrapped; numbers may
be set to the right.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise
from statistics import median
from typing import Final

from operations.tools.label_places import Labels, Row, bare
from operations.tools.layout import Segment, around
from operations.tools.rows import missing, with_rows
from operations.tools.value_types import alike, plain_value, read_as, spans_of
from operations.tools.values import CURRENCY, Custom
from store.fields import Box, FieldType, FieldValue, Word
from store.project_fields import ColumnPart, FieldPart

_TRUST = 0.95
"""Of a cell under the name of its column."""

_AMBIGUOUS = 0.65

_SUM: Final = re.compile(
    r"\W*(?:sub\W?total|total|sum|balance|carried|brought|vat|tax|sales tax|net|gross|amount due"
    r"|zwischensumme|summe|gesamt\w*|netto\w*|brutto\w*|mwst|ust|umsatzsteuer|mehrwertsteuer"
    r"|.bertrag|rechnungsbetrag|endbetrag|sous.total|total|tva|montant|report|net . payer|subtotaal"
    r"|totaal|btw|transport|subtotale|totale|iva|imponibile|suma|importe|base imponible)\b",
    re.IGNORECASE,
)
"""With what the lines under a table begin, and those that carry its sum to the next page."""

_CARRIED: Final = re.compile(r"\bcarried|\bbertrag|.bertrag|\breport\b|transport", re.IGNORECASE)
"""What the line says that carries a sum to the next page."""

_CURRENCY = re.compile(CURRENCY, re.IGNORECASE)

_MAX_HEADER_LINES = 3
_HEADER_STEP = 2.0
"""Lines of one header are not further apart than this many times their height."""

_MAX_STEP = 6.0
"""... and rows of one table than this many."""

_FREE: Final = frozenset({FieldType.TEXT, FieldType.CHOICE, FieldType.BOOLEAN})
"""Types whose cells may hold any words, and go on in the next line."""


@dataclass(frozen=True)
class _Anchor:
    """The name of a column on a page: what stands under it belongs to the column."""

    box: Box
    column: ColumnPart | None
    """None: it is none of those that are wanted."""
    score: float = 0.0


@dataclass(frozen=True)
class _Header:
    anchors: Sequence[_Anchor]
    first: int
    """Index of the first of its lines among those of the page."""
    last: Row
    """The last of its lines."""

    @property
    def columns(self) -> list[str]:
        return [anchor.column.name for anchor in self.anchors if anchor.column]

    @property
    def score(self) -> float:
        return min(anchor.score for anchor in self.anchors if anchor.column)


@dataclass
class _Line:
    """A line of a table: the words of each column."""

    row: Row
    cells: dict[str, list[Word]]
    box: Box = field(init=False)

    def __post_init__(self) -> None:
        self.box = around(word.box for word in self.row.words)


def find_table(part: FieldPart, rows: Sequence[Row], labels: Labels, custom: Custom) -> FieldValue:
    """The rows of a table; without a value where there is none.

    Args:
        part: of type table.
        rows: of the document.
        labels: of the other fields; a line with one of them ends the table.
        custom: of the document.
    """
    finder = _Table(part, labels, custom)
    header: _Header | None = None
    items: list[list[_Line]] = []
    is_open = False
    for _, group in groupby(rows, key=lambda row: row.page_index):
        on_page = list(group)
        own = finder.header(on_page)
        if own and (header is None or set(own.columns) >= set(header.columns)):
            header, is_open = own, True
            on_page = on_page[on_page.index(own.last) + 1 :]
        elif not is_open:
            continue
        if header is not None:
            found, is_open = finder.items(on_page, header, is_going_on=own is None)
            items += found
    if header is None:
        return missing(part)
    values = [finder.values(lines) for lines in items]
    return with_rows(part, values, "table", _TRUST * header.score)


class _Table:
    def __init__(self, part: FieldPart, labels: Labels, custom: Custom):
        self._part = part
        self._labels = labels
        self._custom = custom
        self._typed = [c.name for c in part.columns if c.type not in _FREE]
        self._free = [c.name for c in part.columns if c.type in _FREE]
        self._names = [
            (" ".join(bare(word) for word in label.split()), -len(label), column.name)
            for column in part.columns
            for label in (column.labels or [column.title])
        ]
        """What a column may be called, bare; how long it is as it is written; and the column."""

    # The header

    def header(self, rows: Sequence[Row]) -> _Header | None:
        """The names of the columns on a page; None where they are not all that are needed."""
        count = len(self._part.columns)
        needed = max(min(2, count), (count + 1) // 2)
        best: _Header | None = None
        for number in range(len(rows)):
            for height in range(1, _MAX_HEADER_LINES + 1):
                lines = rows[number : number + height]
                if len(lines) < height or not _are_close(lines):
                    break
                anchors = self._anchors([segment for row in lines for segment in row.line])
                found = _Header(anchors, number, lines[-1])
                if len(found.columns) >= needed and _is_better(found, best):
                    best = found
        return best

    def _anchors(self, segments: Sequence[Segment]) -> list[_Anchor]:
        of_cells = _cells_of([word for segment in segments for word in segment.words])
        cells = [_Anchor(around(w.box for w in words), None) for words in of_cells]
        texts = [_plain(" ".join(bare(w.text) for w in words)) for words in of_cells]
        # The surest pairs of a cell and a column first.
        pairs = sorted(
            (
                (score, length, number, name)
                for number, text in enumerate(texts)
                for wanted, length, name in self._names
                if (score := _fit(text, wanted))
            ),
            reverse=True,
        )
        taken: dict[int, tuple[str, float]] = {}
        for score, _, number, name in pairs:
            used = {column for column, _ in taken.values()}
            if number not in taken and name not in used:
                taken[number] = (name, score)
        return [
            _Anchor(cell.box, self._part.column(taken[number][0]), taken[number][1])
            if number in taken
            else cell
            for number, cell in enumerate(cells)
        ]

    # The rows

    def items(
        self, rows: Sequence[Row], header: _Header, *, is_going_on: bool
    ) -> tuple[list[list[_Line]], bool]:
        """The rows of the table on a page, each of one line or more.

        Args:
            rows: of the page, below the header.
            header: that stands over them, or stood on an earlier page.
            is_going_on: the page has no header: what stands over the first row is none.

        Returns:
            The rows, and whether the table may go on on the next page.
        """
        items: list[list[_Line]] = []
        pending: list[_Line] = []
        bottom: float | None = None if is_going_on else header.last.line[0].box[3]
        for row in rows:
            line = _Line(row, self._cells(row, header))
            height = median(word.box[3] - word.box[1] for word in row.words)
            if bottom is not None and line.box[1] - bottom > _MAX_STEP * height:
                return _with(items, pending), False
            readable = [name for name in self._typed if self._is_readable(line, name)]
            if self._is_end(row, len(readable)):
                if items or not is_going_on:
                    return _with(items, pending), self._carries(row)
                continue
            if self._begins(line, readable, items):
                items.append([*pending, line])
                pending = []
            elif not items and is_going_on:
                continue
            elif any(line.cells.values()):
                pending.append(line)
            bottom = line.box[3]
            if pending and items:
                self._settle(items, pending, rows, row)
        return _with(items, pending), True

    def _settle(
        self, items: list[list[_Line]], pending: list[_Line], rows: Sequence[Row], row: Row
    ) -> None:
        """Words alone on a line go on with the row above, unless the next one is nearer."""
        after = next((other for other in rows if other.index == row.index + 1), None)
        above = pending[-1].box[1] - items[-1][-1].box[3]
        below = after.line[0].box[1] - pending[-1].box[3] if after else float("inf")
        if above <= below * 1.25:
            items[-1] += pending
            pending.clear()

    def _begins(
        self, line: _Line, readable: Sequence[str], items: Sequence[Sequence[_Line]]
    ) -> bool:
        if self._typed:
            # One number alone, where rows have more, stands below a cell and is part of it.
            usual = max((self._filled(item) for item in items), default=0)
            return bool(readable) and (len(readable) > 1 or usual <= 2)
        first = self._free[0]
        return bool(line.cells.get(first))

    def _filled(self, item: Sequence[_Line]) -> int:
        return sum(bool(item[0].cells.get(name)) for name in self._typed)

    def _is_end(self, row: Row, readable: int) -> bool:
        begins = [" ".join(word.text for word in segment.words) for segment in row.line]
        is_sum = any(_SUM.match(text) for text in begins)
        is_other = self._labels.is_among(row, row.words)
        is_whole = readable >= 2 and readable > len(self._typed) / 2
        return (is_sum or is_other) and not is_whole

    def _carries(self, row: Row) -> bool:
        """Whether a sum is only carried to the next page."""
        said = " ".join(word.text for word in row.words)
        return bool(_CARRIED.search(said))

    def _is_readable(self, line: _Line, name: str) -> bool:
        column = self._part.column(name)
        words = line.cells.get(name)
        return bool(column and words and self._read(column, words).value is not None)

    # The cells

    def _cells(self, row: Row, header: _Header) -> dict[str, list[Word]]:
        cells: dict[str, list[Word]] = {}
        for segment in row.line:
            for anchor, words in self._shared(segment, header.anchors):
                if anchor.column:
                    cells.setdefault(anchor.column.name, []).extend(words)
        return cells

    def _shared(
        self, segment: Segment, anchors: Sequence[_Anchor]
    ) -> Iterator[tuple[_Anchor, list[Word]]]:
        """The words of a segment, by the columns they stand under."""
        over = [anchor for anchor in anchors if _overlap(segment.box, anchor.box) > 0]
        if len(over) <= 1:
            yield (over[0] if over else _nearest(segment.box, anchors)), segment.words
            return
        for anchor, words in groupby(segment.words, key=lambda word: _nearest(word.box, anchors)):
            kept = list(words)
            yield self._not_in_number(anchor, kept, over), kept

    def _not_in_number(
        self, anchor: _Anchor, words: Sequence[Word], over: Sequence[_Anchor]
    ) -> _Anchor:
        """Words that run on under the head of a number belong to the text before it."""
        is_number = anchor.column is not None and anchor.column.name in self._typed
        if not is_number or any(letter.isdigit() for word in words for letter in word.text):
            return anchor
        before = [a for a in over if a.box[0] < anchor.box[0] and a.column]
        free = [a for a in before if a.column and a.column.name in self._free]
        return free[-1] if free else anchor

    def values(self, lines: Sequence[_Line]) -> dict[str, FieldValue]:
        """The cells of a row."""
        found: dict[str, FieldValue] = {}
        for column in self._part.columns:
            words = [word for line in lines for word in line.cells.get(column.name, [])]
            if column.name in self._typed:
                first = (line.cells[column.name] for line in lines if line.cells.get(column.name))
                words = next(first, [])
            found[column.name] = self._read(column, words, lines[0].row)
        return found

    def _read(
        self, column: ColumnPart, words: Sequence[Word], row: Row | None = None
    ) -> FieldValue:
        value = missing(column)
        if not words:
            return value
        text = " ".join(word.text for word in words)
        reading = read_as(column, text, self._custom)
        if reading is None:
            spans = spans_of(column, text)[:1]
            reading = next((read_as(column, text[a:b], self._custom) for a, b in spans), None)
        sure = _AMBIGUOUS if reading and reading.is_ambiguous else 1.0
        is_money = column.type is FieldType.MONEY
        currency = reading.currency if reading else None
        return value.model_copy(
            update={
                "value": plain_value(column.type, reading) if reading else None,
                "text": text,
                "confidence": round(min(word.confidence for word in words) * sure, 4),
                "page_number": row.page.number if row else None,
                "box": around(word.box for word in words),
                "method": "table",
                "currency": (currency or column.currency or self._custom.currency)
                if is_money
                else None,
            }
        )


def _is_better(found: _Header, best: _Header | None) -> bool:
    """Whether a header is better than the best so far.

    What stands below the names and changes nothing about them, as `(EUR)`, is part of the header.
    """
    if best is None:
        return True
    one, other = (len(found.columns), found.score), (len(best.columns), best.score)
    return one > other or (one == other and found.first == best.first)


def _are_close(rows: Sequence[Row]) -> bool:
    for above, below in pairwise(rows):
        if below.line[0].box[1] - above.line[0].box[3] > _HEADER_STEP * above.line[0].height:
            return False
    return True


def _cells_of(words: Sequence[Word]) -> list[list[Word]]:
    """Words of a header by cell: what stands side by side or one over another."""
    size = median(word.box[3] - word.box[1] for word in words)
    cells: list[list[Word]] = []
    boxes: list[Box] = []
    for word in sorted(words, key=lambda w: w.box[0]):
        near = [n for n, box in enumerate(boxes) if word.box[0] - box[2] < 0.9 * size]
        if near:
            cells[near[-1]].append(word)
            boxes[near[-1]] = around([boxes[near[-1]], word.box])
        else:
            cells.append([word])
            boxes.append(word.box)
    return [sorted(cell, key=lambda w: (round(w.box[1] / size), w.box[0])) for cell in cells]


@lru_cache(maxsize=16_384)
def _fit(text: str, wanted: str) -> float:
    """How well the words of a header are the name of a column, 0..1."""
    if text == wanted:
        return 1.0
    score = min(alike(text, wanted), 0.99)
    if score:
        return score
    # `Unit price (EUR)` is a unit price.
    if wanted not in text:
        return 0.0
    said, asked = text.split(), wanted.split()
    is_part = any(said[n : n + len(asked)] == asked for n in range(len(said)))
    return 0.9 * len(asked) / len(said) if is_part and len(asked) * 3 >= len(said) else 0.0


@lru_cache(maxsize=16_384)
def _plain(text: str) -> str:
    """Without what stands beside the name of a column: its currency."""
    return " ".join(_CURRENCY.sub(" ", text).split()) or text


def _overlap(one: Box, other: Box) -> float:
    return min(one[2], other[2]) - max(one[0], other[0])


def _nearest(box: Box, anchors: Sequence[_Anchor]) -> _Anchor:
    def distance(anchor: _Anchor) -> tuple[float, float]:
        gap = -min(_overlap(box, anchor.box), 0.0)
        edges = (abs(box[n] - anchor.box[n]) for n in (0, 2))
        return gap, min(edges)

    return min(anchors, key=distance)


def _with(items: list[list[_Line]], pending: list[_Line]) -> list[list[_Line]]:
    if items:
        items[-1] += pending
    return items
