"""The values of lists: beside or below a label, or wherever a pattern finds one."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from operations.tools.label_places import Labels, Place, Row, is_under, without_colon
from operations.tools.layout import around
from operations.tools.page_text import PageText
from operations.tools.rows import missing, with_rows
from operations.tools.value_types import plain_value, read_as, spans_of
from operations.tools.values import Custom
from store.fields import ITEM, FieldValue, Word
from store.project_fields import Direction, FieldPart, item_part

_LISTED = 0.9
_BY_PATTERN = 0.8
_AMBIGUOUS = 0.65

_MARKS = re.compile(r"^[\s\u2022\u2023\u25aa\u25cf\u00b7*\u2013-]+(?=\s|\w)")
"""What stands before an item on a line of its own."""

_BETWEEN = re.compile(r"\s*(?:[;\u2022|\n]|,(?!\d))\s*")
"""What stands between items on one line; a comma within a number does not."""

_MAX_LINES = 200
_MAX_HEIGHTS_APART = 2.5
"""Lines of one list are not further apart."""


def find_list(field: FieldPart, rows: Sequence[Row], labels: Labels, custom: Custom) -> FieldValue:
    """The values of a list; without one where there is none.

    Args:
        field: of type list.
        rows: of the document, or of the region in which the list stands.
        labels: of all fields; each ends what stands before it.
        custom: of the document.
    """
    inside = {id(word) for row in rows for word in row.words}
    for place in sorted(labels.of(field.name), key=lambda one: -one.score):
        items = _at(field, place, rows, labels, custom)
        kept = [item for item, words in items if all(id(word) in inside for word in words)]
        if kept:
            return _list_of(field, kept, "label")
    if field.labels:
        return missing(field)
    found = [item for text, row in _texts(rows) for item in _items(field, text, row, custom)]
    distinct = {item.value: item for item in reversed(found)}
    return _list_of(field, [distinct[key] for key in dict.fromkeys(i.value for i in found)], "list")


Item = tuple[FieldValue, Sequence[Word]]


def _at(
    field: FieldPart, place: Place, rows: Sequence[Row], labels: Labels, custom: Custom
) -> list[Item]:
    """The values beside a label, or else on the lines below it."""
    row = place.row
    end = labels.next_start(row, place.end)
    beside = without_colon(row.words[place.end : end])
    if beside and {Direction.SAME, Direction.RIGHT} & set(field.directions):
        return _split(field, beside, row, custom)
    if Direction.BELOW not in field.directions:
        return []
    found: list[Item] = []
    for words, lower in _lines_below(place, rows, labels):
        found += _split(field, words, lower, custom)
    return found


def _lines_below(
    place: Place, rows: Sequence[Row], labels: Labels
) -> Iterable[tuple[Sequence[Word], Row]]:
    label = around(word.box for word in place.row.words[place.start : place.end])
    below = [r for r in rows if r.page is place.row.page and r.index > place.row.index]
    bottom = label[3]
    for row in below[:_MAX_LINES]:
        words = [word for segment in row.line if is_under(segment, label) for word in segment.words]
        if not words:
            continue
        box = around(word.box for word in words)
        if box[1] - bottom > _MAX_HEIGHTS_APART * (box[3] - box[1]) or labels.is_among(row, words):
            return
        yield words, row
        bottom = box[3]


def _split(field: FieldPart, words: Sequence[Word], row: Row, custom: Custom) -> list[Item]:
    text = PageText(words, {})
    begin = _MARKS.match(text.text)
    cuts = [(m.start(), m.end()) for m in _BETWEEN.finditer(text.text)]
    edges = [(0, begin.end() if begin else 0), *cuts, (len(text.text), len(text.text))]
    found: list[Item] = []
    for (_, start), (end, _) in pairwise(edges):
        said = text.text[start:end]
        for first, last in spans_of(item_part(field), said)[:1]:
            used = text.words_of(start + first, start + last)
            item = _item(field, said[first:last], used, row, _LISTED, custom)
            if item:
                found.append((item, used))
    return found


def _texts(rows: Sequence[Row]) -> Iterable[tuple[PageText, Row]]:
    return ((PageText(row.words, {id(row.words[-1]): ""}), row) for row in rows)


def _items(field: FieldPart, text: PageText, row: Row, custom: Custom) -> Iterable[FieldValue]:
    for start, end in spans_of(item_part(field), text.text):
        said, used = text.text[start:end], text.words_of(start, end)
        item = _item(field, said, used, row, _BY_PATTERN, custom)
        if item:
            yield item


def _item(
    field: FieldPart, text: str, words: Sequence[Word], row: Row, trust: float, custom: Custom
) -> FieldValue | None:
    part = item_part(field)
    reading = read_as(part, text, custom)
    if reading is None or not words:
        return None
    sure = trust * (_AMBIGUOUS if reading.is_ambiguous else 1.0)
    return missing(part).model_copy(
        update={
            "value": plain_value(part.type, reading),
            "text": text.strip(),
            "confidence": round(min(word.confidence for word in words) * sure, 4),
            "page_number": row.page.number,
            "box": around(word.box for word in words),
            "method": "list",
            "currency": reading.currency or part.currency or None,
        }
    )


def _list_of(field: FieldPart, items: Sequence[FieldValue], method: str) -> FieldValue:
    return with_rows(field, [{ITEM: item} for item in items], method)
