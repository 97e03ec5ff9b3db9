"""Where the values of fields stand on pages: at a label, by a pattern, in a region, in a table."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from operations.tools.find_by_template import find_by_templates
from operations.tools.find_list import find_list
from operations.tools.find_table import find_table
from operations.tools.label_places import Labels, Place, Row, is_under, rows_of, without_colon
from operations.tools.layout import around
from operations.tools.misread import misread_at_label, misread_codes
from operations.tools.page_text import PageText
from operations.tools.step_files import words_in
from operations.tools.tidy_words import tidied
from operations.tools.value_types import plain_value, read_as, spans_of
from operations.tools.values import CURRENCY, Custom, Reading, custom_of
from store.fields import OCR, Box, FieldType, FieldValue, PageWords, Word
from store.project_fields import SELF_EVIDENT, Direction, FieldPart, RegionPart

# How much a way of finding a value is trusted.
_TRUST = {
    Direction.SAME: 1.0,
    Direction.RIGHT: 0.97,
    Direction.BELOW: 0.92,
    Direction.LEFT: 0.9,
    Direction.ABOVE: 0.88,
}
_PATTERN_ONCE = 0.9
_PATTERN_OFTEN = 0.7
_REGION = 0.85
_AMBIGUOUS = 0.65
"""The value could be read in two ways, and nothing on the document tells which."""

_RIVAL_SCORE = 0.05
_RIVALLED = 0.8
"""Another value is found as well as this one."""

_WORD_BETWEEN = 0.06
_OTHER_VALUE = 0.06
"""For each word and each likelier value between a label and a value."""

_NOT_WORDS = re.compile(rf"{CURRENCY}|\([^)]*\)", re.IGNORECASE)

_UNREADABLE = Reading("")
"""Of what looks like a value and is none, as OCR read it."""

_MAX_ROWS_AWAY = 3
_MAX_HEIGHTS_AWAY = 4.5
"""A value above or below its label is not further from it."""


@dataclass(frozen=True)
class _Candidate:
    """What might be the value of a field."""

    reading: Reading
    text: str
    words: Sequence[Word]
    page_number: int
    score: float
    method: str
    order: tuple[int, int]
    """Page and row."""


def find_documents(
    pages: Sequence[Path],
    fields: Sequence[FieldPart],
    document_type: str,
    target: Path,
    templates: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Find the fields of a document, and write them down.

    Args:
        pages: files of words, in order.
        fields: what to find.
        document_type: what the document is called.
        target: the file to write.
        templates: of invoice2data; what one finds goes before what is found otherwise.

    Returns:
        How many documents were found.

    Raises:
        LimitExceededError: a pattern or template takes too long.
        InputError: a template is not one that invoice2data takes.
    """
    read = [words_in(path) for path in pages]
    found = find_fields(read, fields, templates)
    document = {
        "number": 1,
        "document_type": document_type,
        "page_numbers": [page.number for page in read],
        "fields": {name: value.model_dump(mode="json") for name, value in found.items()},
    }
    target.write_text(json.dumps([document], ensure_ascii=False), encoding="utf-8")
    return 1


def find_fields(
    pages: Sequence[PageWords],
    fields: Sequence[FieldPart],
    templates: Sequence[Mapping[str, Any]] = (),
) -> dict[str, FieldValue]:
    """The best value for each field; without one where there is none.

    Raises:
        LimitExceededError: a pattern or template takes too long.
        InputError: a template is not one that invoice2data takes.
    """
    pages = tidied(pages)
    rows = rows_of(pages)
    text = "\n".join(" ".join(word.text for word in row.words) for row in rows)
    labels = Labels(rows, {field.name: field.labels for field in fields})
    custom = custom_of(text)
    finder = _Finder(pages, rows, custom, labels)
    by_template = find_by_templates(pages, templates, fields, custom)
    return {field.name: by_template.get(field.name) or finder.find(field) for field in fields}


class _Finder:
    def __init__(
        self, pages: Sequence[PageWords], rows: Sequence[Row], custom: Custom, labels: Labels
    ):
        self._pages = pages
        self._rows = rows
        self._custom = custom
        self._labels = labels
        self._number_of = {id(row): number for number, row in enumerate(rows)}
        self._page_texts = _page_texts(rows)

    def find(self, field: FieldPart) -> FieldValue:
        if field.type is FieldType.TABLE:
            return find_table(field, self._rows, self._labels, self._custom)
        if field.type is FieldType.LIST:
            return self._find_list(field)
        ways = (
            *self._by_label(field, self._read),
            *self._by_pattern(field),
            *self._by_region(field),
        )
        candidates = [one for one in ways if self._is_in_region(field, one)]
        if not candidates and not field.pattern:
            candidates = [one for one in self._misread(field) if self._is_in_region(field, one)]
        value = FieldValue(name=field.name, label=field.title, type=field.type)
        if not candidates:
            return value
        # Amounts that matter stand at the end of a document, all else at its beginning.
        sign = 1 if field.type is FieldType.MONEY else -1
        best = max(
            candidates, key=lambda c: (round(c.score, 3), sign * c.order[0], sign * c.order[1])
        )
        return value.model_copy(
            update={
                "value": plain_value(field.type, best.reading) if best.reading.value else None,
                "text": best.text,
                "confidence": round(_confidence(best, candidates), 4),
                "page_number": best.page_number,
                "box": around(word.box for word in best.words),
                "method": best.method,
                "currency": self._currency(field, best.reading),
            }
        )

    def _currency(self, field: FieldPart, reading: Reading) -> str | None:
        if field.type is not FieldType.MONEY or not reading.value:
            return None
        return reading.currency or field.currency or self._custom.currency

    # At a label

    def _by_label(self, field: FieldPart, read: "_Read") -> Iterator[_Candidate]:
        for place in self._labels.of(field.name):
            found: list[_Candidate] = []
            for direction in field.directions:
                # The next column may have it, where what follows at once is no good value.
                is_better = direction is Direction.RIGHT and all(
                    one.score < place.score for one in found
                )
                if not found or is_better:
                    found += self._at(field, place, direction, read)
            yield from found

    def _at(
        self, field: FieldPart, place: Place, direction: Direction, read: "_Read"
    ) -> Iterator[_Candidate]:
        if direction in {Direction.BELOW, Direction.ABOVE}:
            return self._over_or_under(field, place, direction, read)
        return self._beside(field, place, direction, read)

    def _beside(
        self, field: FieldPart, place: Place, direction: Direction, read: "_Read"
    ) -> Iterator[_Candidate]:
        row = place.row
        if direction is Direction.LEFT:
            numbers = list(range(self._labels.last_start(row, place.start), place.start))
        else:
            end = self._labels.next_start(row, place.end)
            own = row.segment_of[place.end - 1]
            is_same = direction is Direction.SAME
            numbers = [n for n in range(place.end, end) if (row.segment_of[n] == own) == is_same]
        if field.type is FieldType.TEXT and numbers:
            nearest = row.segment_of[numbers[-1 if direction is Direction.LEFT else 0]]
            numbers = [n for n in numbers if row.segment_of[n] == nearest]
        words = [row.words[n] for n in numbers]
        return read(field, words, place, _TRUST[direction])

    def _over_or_under(
        self, field: FieldPart, place: Place, direction: Direction, read: "_Read"
    ) -> Iterator[_Candidate]:
        label = around(word.box for word in place.row.words[place.start : place.end])
        height = label[3] - label[1]
        at = self._number_of[id(place.row)]
        if direction is Direction.BELOW:
            near = self._rows[at + 1 : at + 1 + _MAX_ROWS_AWAY]
        else:
            near = self._rows[max(0, at - _MAX_ROWS_AWAY) : at][::-1]
        for row in near:
            if row.page is not place.row.page:
                return
            segments = [s for s in row.line if is_under(s, label)]
            if not segments or _gap(segments[0].box, label) > _MAX_HEIGHTS_AWAY * height:
                continue
            words = [word for segment in segments for word in segment.words]
            if self._labels.is_among(row, words):
                return
            found = list(read(field, words, replace(place, row=row), _TRUST[direction]))
            yield from found
            if found:
                return

    def _read(
        self, field: FieldPart, words: Sequence[Word], place: Place, score: float
    ) -> Iterator[_Candidate]:
        """What of some words at a label can be the value."""
        text = _text_at(place, words)
        for rank, (start, end) in enumerate(spans_of(field, text.text)):
            reading = read_as(field, text.text[start:end], self._custom)
            used = text.words_of(start, end)
            if reading and used:
                yield _Candidate(
                    reading,
                    text.text[start:end].strip(),
                    used,
                    place.row.page.number,
                    place.score * score * _directness(field, text.text[:start], rank),
                    "label",
                    (place.row.page_index, place.row.index),
                )

    # What is there and cannot be read

    def _misread(self, field: FieldPart) -> Iterator[_Candidate]:
        """What OCR may have made of the value: it is shown, so that it is not silently missing."""
        yield from self._by_label(field, self._read_badly)
        if field.type not in SELF_EVIDENT:
            return
        for text, row_of in self._page_texts:
            for start, end in misread_codes(field.type, text.text):
                used = text.words_of(start, end)
                row = row_of[id(used[0])]
                if row.page.method == OCR:
                    order = (row.page_index, row.index)
                    said = text.text[start:end]
                    yield _Candidate(
                        _UNREADABLE, said, used, row.page.number, _PATTERN_OFTEN, "pattern", order
                    )

    def _read_badly(
        self, field: FieldPart, words: Sequence[Word], place: Place, score: float
    ) -> Iterator[_Candidate]:
        text = _text_at(place, words)
        for start, end in misread_at_label(field.type, text.text):
            yield _Candidate(
                _UNREADABLE,
                text.text[start:end],
                text.words_of(start, end),
                place.row.page.number,
                place.score * score,
                "label",
                (place.row.page_index, place.row.index),
            )

    # By a pattern, in a region

    def _by_pattern(self, field: FieldPart) -> Iterator[_Candidate]:
        is_by_looks = field.type in SELF_EVIDENT and not field.region
        if not field.pattern and not is_by_looks:
            return
        found: list[_Candidate] = []
        for text, row_of in self._page_texts:
            for start, end in spans_of(field, text.text):
                candidate = self._candidate(field, text, (start, end), row_of, "pattern")
                if candidate and self._is_in_region(field, candidate):
                    found.append(candidate)
        is_one = len({candidate.reading.value for candidate in found}) == 1
        score = _PATTERN_ONCE if is_one else _PATTERN_OFTEN
        yield from (replace(candidate, score=score) for candidate in found)

    def _candidate(
        self,
        field: FieldPart,
        text: PageText,
        span: tuple[int, int],
        row_of: dict[int, Row],
        method: str,
    ) -> _Candidate | None:
        reading = read_as(field, text.text[slice(*span)], self._custom)
        used = text.words_of(*span)
        if not reading or not used:
            return None
        row = row_of[id(used[0])]
        said = " ".join(text.text[slice(*span)].split())
        order = (row.page_index, row.index)
        return _Candidate(reading, said, used, row.page.number, _REGION, method, order)

    def _by_region(self, field: FieldPart) -> Iterator[_Candidate]:
        if field.region is None or field.labels or field.pattern:
            return
        for text, row_of in _page_texts(self._rows_in(field.region)):
            for rank, span in enumerate(spans_of(field, text.text)):
                candidate = self._candidate(field, text, span, row_of, "region")
                if candidate:
                    yield replace(candidate, score=_REGION * (1 - _OTHER_VALUE * min(rank, 10)))

    def _rows_in(self, region: RegionPart) -> list[Row]:
        pages = [
            page.model_copy(
                update={"words": [w for w in page.words if _is_in(region, w.box, page)]}
            )
            for page in self._pages_of(region)
        ]
        return rows_of(pages)

    def _pages_of(self, region: RegionPart) -> Sequence[PageWords]:
        if region.page is None:
            return self._pages
        index = region.page - 1 if region.page > 0 else len(self._pages) + region.page
        return self._pages[index : index + 1] if index >= 0 else []

    def _is_in_region(self, field: FieldPart, candidate: _Candidate) -> bool:
        if field.region is None:
            return True
        box = around(word.box for word in candidate.words)
        return any(
            page.number == candidate.page_number and _is_in(field.region, box, page)
            for page in self._pages_of(field.region)
        )

    def _find_list(self, field: FieldPart) -> FieldValue:
        rows = self._rows_in(field.region) if field.region else self._rows
        return find_list(field, rows, self._labels, self._custom)


_Read = Callable[[FieldPart, Sequence[Word], Place, float], Iterator[_Candidate]]
"""A field, words at a label of it, the label, and how much such words are trusted."""


def _text_at(place: Place, words: Sequence[Word]) -> PageText:
    """Words at a label, as a text."""
    # A mark between the columns, so that `3` in one and `300.00` in the next are two numbers.
    ends = {id(segment.words[-1]): "\t" for segment in place.row.line}
    return PageText(without_colon(words), ends)


def _page_texts(rows: Iterable[Row]) -> list[tuple[PageText, dict[int, Row]]]:
    """The text of each page, a line a row, and the row of each word by its identity."""
    pages: dict[int, list[Row]] = {}
    for row in rows:
        pages.setdefault(row.page_index, []).append(row)
    return [_page_text(some) for some in pages.values()]


def _page_text(rows: Sequence[Row]) -> tuple[PageText, dict[int, Row]]:
    words = [word for row in rows for word in row.words]
    ends = {id(row.words[-1]): "\n" for row in rows}
    return PageText(words, ends), {id(word): row for row in rows for word in row.words}


def _confidence(best: _Candidate, candidates: Sequence[_Candidate]) -> float:
    read = min(word.confidence for word in best.words)
    sure = best.score * (_AMBIGUOUS if best.reading.is_ambiguous else 1.0)
    rivals = (
        other.reading.value != best.reading.value and best.score - other.score < _RIVAL_SCORE
        for other in candidates
    )
    return min(read * sure * (_RIVALLED if any(rivals) else 1.0), 1.0)


def _is_in(region: RegionPart, box: Box, page: PageWords) -> bool:
    x = (box[0] + box[2]) / 2 / max(page.width_pixels, 1)
    y = (box[1] + box[3]) / 2 / max(page.height_pixels, 1)
    return region.left <= x <= region.right and region.top <= y <= region.bottom


def _gap(one: Box, other: Box) -> float:
    """The distance between two boxes from top to bottom."""
    return max(one[1] - other[3], other[1] - one[3])


def _directness(field: FieldPart, before: str, rank: int) -> float:
    """How much stands between a label and a value: `Total due 9.00` is less sure than `Total 9.00`.

    Args:
        field: of the value.
        before: what stands between them.
        rank: how many other values are likelier.
    """
    between = 0
    if field.type is not FieldType.TEXT:
        between = sum(word.isalpha() for word in _NOT_WORDS.sub(" ", before).split())
    return (1 - _OTHER_VALUE * min(rank, 10)) * max(1 - _WORD_BETWEEN * between, 0.5)
