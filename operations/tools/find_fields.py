"""Where the values of fields stand on pages: beside or below a label, or by a pattern."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

import regex

from operations.tools.layout import Line, Segment, around, lines_of
from operations.tools.values import CURRENCY, DATE, NUMBER, Custom, Reading, custom_of, read_value
from store.errors import LimitExceededError
from store.fields import FieldType, FieldValue, PageWords, Word
from store.project_fields import FieldPart

PATTERN_SECONDS = 2.0
"""How long a pattern may take on one page."""

# How much a way of finding a value is trusted.
_BESIDE = 1.0
_APART = 0.97
"""Beside the label, but in the next column."""

_BELOW = 0.92
_PATTERN_ONCE = 0.9
_PATTERN_OFTEN = 0.7
_AMBIGUOUS = 0.65
"""The value could be read in two ways, and nothing on the document tells which."""

_RIVAL_SCORE = 0.05
_RIVALLED = 0.8
"""Another value is found as well as this one."""

_PART_OF_PHRASE = 0.7
"""`Total` in `Sub total`, `Net` in `Net weight`."""

_LATER_LABEL = 0.01
"""For each label of the project that comes before this one."""

_WORD_BETWEEN = 0.06
_OTHER_VALUE = 0.06
"""For each word and each likelier value between a label and a value."""

_NOT_WORDS = re.compile(rf"{CURRENCY}|\([^)]*\)", re.IGNORECASE)

_MIN_ALIKE = 0.8
_MIN_FUZZY_LETTERS = 5
"""Shorter words must be the same, longer ones may have a letter that OCR got wrong."""

_MAX_ROWS_BELOW = 3
_MAX_HEIGHTS_BELOW = 4.5


@dataclass(frozen=True, eq=False)
class _Row:
    """A line across the page."""

    page: PageWords
    index: int
    line: Line

    @cached_property
    def words(self) -> list[Word]:
        return [word for segment in self.line for word in segment.words]

    @cached_property
    def segment_of(self) -> list[int]:
        """For each word the index of its segment."""
        return [n for n, segment in enumerate(self.line) for _ in segment.words]


@dataclass(frozen=True)
class _Place:
    """A label on a page."""

    row: _Row
    start: int
    """Index of its first word in the row."""
    end: int
    """Index after its last word."""
    score: float
    """How well it is the label, and nothing else."""


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
    pages: Sequence[Path], fields: Sequence[FieldPart], document_type: str, target: Path
) -> int:
    """Find the fields of a document, and write them down.

    Args:
        pages: files of words, in order.
        fields: what to find.
        document_type: what the document is called.
        target: the file to write.

    Returns:
        How many documents were found.

    Raises:
        LimitExceededError: a pattern takes too long.
    """
    read = [PageWords.model_validate_json(path.read_bytes()) for path in pages]
    found = find_fields(read, fields)
    document = {
        "number": 1,
        "document_type": document_type,
        "page_numbers": [page.number for page in read],
        "fields": {name: value.model_dump(mode="json") for name, value in found.items()},
    }
    target.write_text(json.dumps([document], ensure_ascii=False), encoding="utf-8")
    return 1


def find_fields(pages: Sequence[PageWords], fields: Sequence[FieldPart]) -> dict[str, FieldValue]:
    """The best value for each field; without one where there is none."""
    rows = [
        _Row(page, index, line) for page in pages for index, line in enumerate(lines_of(page.words))
    ]
    text = "\n".join(" ".join(word.text for word in row.words) for row in rows)
    finder = _Finder(rows, custom_of(text), _label_places(rows, fields))
    return {field.name: finder.find(field) for field in fields}


def _label_places(rows: Sequence[_Row], fields: Sequence[FieldPart]) -> dict[str, list[_Place]]:
    """Where the labels of each field stand; of labels in one place the longest counts."""
    found = [
        (field.name, place)
        for field in fields
        for number, label in enumerate(field.labels)
        for place in _places(rows, label, 1 - number * _LATER_LABEL)
    ]
    places: dict[str, list[_Place]] = {field.name: [] for field in fields}
    for name, place in found:
        inside = (
            other
            for _, other in found
            if other.row is place.row
            and other.start <= place.start
            and place.end <= other.end
            and other.end - other.start > place.end - place.start
        )
        if next(inside, None) is None:
            places[name].append(place)
    return places


_EDGES = re.compile(r"^\W+|\W+$")


def _bare(word: str) -> str:
    return _EDGES.sub("", word).casefold()


def _places(rows: Sequence[_Row], label: str, score: float) -> Iterator[_Place]:
    wanted = [bare for word in label.split() if (bare := _bare(word))]
    if not wanted:
        return
    for row in rows:
        words = [_bare(word.text) for word in row.words]
        for start in range(len(words) - len(wanted) + 1):
            end = start + len(wanted)
            if len(set(row.segment_of[start:end])) > 1:
                continue
            alike = min(_alike(a, b) for a, b in zip(words[start:end], wanted, strict=True))
            if alike:
                yield _Place(row, start, end, score * alike * _alone(row, start))


def _alike(word: str, wanted: str) -> float:
    """1 when they are the same, 0 when they are not, between them when OCR may have erred."""
    if word == wanted:
        return 1.0
    if min(len(word), len(wanted)) < _MIN_FUZZY_LETTERS:
        return 0.0
    ratio = SequenceMatcher(None, word, wanted, autojunk=False).ratio()
    return ratio if ratio >= _MIN_ALIKE else 0.0


def _alone(row: _Row, start: int) -> float:
    """Whether a label begins a phrase, or is the rest of another one."""
    if start == 0 or row.segment_of[start - 1] != row.segment_of[start]:
        return 1.0
    before = row.words[start - 1].text
    return 1.0 if not before[-1].isalpha() else _PART_OF_PHRASE


class _Finder:
    def __init__(self, rows: Sequence[_Row], custom: Custom, places: dict[str, list[_Place]]):
        self._rows = rows
        self._custom = custom
        self._places = places

    def find(self, field: FieldPart) -> FieldValue:
        candidates = [*self._by_label(field), *self._by_pattern(field)]
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
                "value": best.reading.value,
                "text": best.text,
                "confidence": round(self._confidence(best, candidates), 4),
                "page_number": best.page_number,
                "box": around(word.box for word in best.words),
                "method": best.method,
            }
        )

    def _confidence(self, best: _Candidate, candidates: Sequence[_Candidate]) -> float:
        read = min(word.confidence for word in best.words)
        sure = best.score * (_AMBIGUOUS if best.reading.is_ambiguous else 1.0)
        rivals = (
            other.reading.value != best.reading.value and best.score - other.score < _RIVAL_SCORE
            for other in candidates
        )
        return min(read * sure * (_RIVALLED if any(rivals) else 1.0), 1.0)

    def _by_label(self, field: FieldPart) -> Iterator[_Candidate]:
        for place in self._places[field.name]:
            beside = list(self._beside(field, place))
            yield from beside
            if not beside:
                yield from self._below(field, place)

    def _beside(self, field: FieldPart, place: _Place) -> Iterator[_Candidate]:
        row = place.row
        end = self._next_label(row, place.end)
        own = [
            n for n in range(place.end, end) if row.segment_of[n] == row.segment_of[place.end - 1]
        ]
        after = [n for n in range(place.end, end) if n not in own]
        for numbers, score in ((own, _BESIDE), (after, _APART)):
            if field.type is FieldType.TEXT and numbers:
                first = row.segment_of[numbers[0]]
                numbers = [n for n in numbers if row.segment_of[n] == first]
            words = [row.words[n] for n in numbers]
            found = list(self._read(field, words, place, score))
            yield from found
            # What follows the label at once is its value; else the next column may have it.
            if any(one.score >= place.score for one in found):
                return

    def _next_label(self, row: _Row, start: int) -> int:
        """Index of the word in a row at which another label begins."""
        starts = [
            place.start
            for places in self._places.values()
            for place in places
            if place.row is row and place.start >= start
        ]
        return min(starts, default=len(row.words))

    def _below(self, field: FieldPart, place: _Place) -> Iterator[_Candidate]:
        row = place.row
        label = around(word.box for word in row.words[place.start : place.end])
        height = label[3] - label[1]
        at = self._rows.index(row)
        for lower in self._rows[at + 1 : at + 1 + _MAX_ROWS_BELOW]:
            if lower.page is not row.page:
                return
            segments = [s for s in lower.line if _is_under(s, label)]
            if not segments or segments[0].box[1] - label[3] > _MAX_HEIGHTS_BELOW * height:
                continue
            words = [word for segment in segments for word in segment.words]
            if self._has_label(lower, words):
                return
            found = list(self._read(field, words, replace(place, row=lower), _BELOW))
            yield from found
            if found:
                return

    def _has_label(self, row: _Row, words: Sequence[Word]) -> bool:
        return any(
            place.row is row and any(row.words[place.start] is word for word in words)
            for places in self._places.values()
            for place in places
        )

    def _read(
        self, field: FieldPart, words: Sequence[Word], place: _Place, score: float
    ) -> Iterator[_Candidate]:
        """What of some words beside or below a label can be the value."""
        # A mark between the columns, so that `3` in one and `300.00` in the next are two numbers.
        ends = {id(segment.words[-1]): "\t" for segment in place.row.line}
        text = _Text(_without_colon(words), ends)
        for rank, (start, end) in enumerate(_spans(field, text.text)):
            reading = read_value(field.type, text.text[start:end], self._custom)
            used = text.words_of(start, end)
            if reading and used:
                yield _Candidate(
                    reading,
                    text.text[start:end].strip(),
                    used,
                    place.row.page.number,
                    place.score * score * _directness(field, text.text[:start], rank),
                    "label",
                    (place.row.page.number, place.row.index),
                )

    def _by_pattern(self, field: FieldPart) -> Iterator[_Candidate]:
        if not field.pattern:
            return
        found: list[_Candidate] = []
        for page, rows in _by_page(self._rows):
            text = _Text(
                [word for row in rows for word in row.words],
                {id(row.words[-1]): "\n" for row in rows},
            )
            row_of = {id(word): row.index for row in rows for word in row.words}
            for start, end in _matches(field, text.text):
                reading = read_value(field.type, text.text[start:end], self._custom)
                used = text.words_of(start, end)
                if reading and used:
                    order = (page.number, row_of[id(used[0])])
                    said = " ".join(text.text[start:end].split())
                    found.append(
                        _Candidate(reading, said, used, page.number, 0.0, "pattern", order)
                    )
        is_one = len({candidate.reading.value for candidate in found}) == 1
        score = _PATTERN_ONCE if is_one else _PATTERN_OFTEN
        yield from (replace(candidate, score=score) for candidate in found)


def _by_page(rows: Iterable[_Row]) -> Iterator[tuple[PageWords, list[_Row]]]:
    pages: dict[int, list[_Row]] = {}
    for row in rows:
        pages.setdefault(id(row.page), []).append(row)
    return ((some[0].page, some) for some in pages.values())


def _is_under(segment: Segment, label: tuple[float, float, float, float]) -> bool:
    shared = min(segment.box[2], label[2]) - max(segment.box[0], label[0])
    return shared > 0


def _without_colon(words: Sequence[Word]) -> list[Word]:
    """The words after a label, without the marks that belong to it."""
    kept = list(words)
    while kept and not any(letter.isalnum() or letter in "€$£¥(-\u2212" for letter in kept[0].text):
        kept.pop(0)
    return kept


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


class _Text:
    """Words as one text, in which each character knows its word."""

    def __init__(self, words: Sequence[Word], ends: Mapping[int, str]):
        """Put words together.

        Args:
            words: in order.
            ends: what comes after a word, by its identity, where it is no space.
        """
        parts: list[str] = []
        self._spans: list[tuple[int, int, Word]] = []
        at = 0
        for word in words:
            parts.append(word.text)
            self._spans.append((at, at + len(word.text), word))
            parts.append(ends.get(id(word), " "))
            at += len(word.text) + 1
        self.text = "".join(parts)

    def words_of(self, start: int, end: int) -> list[Word]:
        return [word for first, last, word in self._spans if first < end and last > start]


def _spans(field: FieldPart, text: str) -> list[tuple[int, int]]:
    """Where in a text the value of a field may stand, the likeliest first."""
    if field.pattern:
        return list(_matches(field, text))
    if field.type is FieldType.TEXT:
        return [(0, len(text))] if text.strip() else []
    if field.type is FieldType.DATE:
        return [found.span() for found in DATE.finditer(text)]
    found = [match for match in NUMBER.finditer(text) if "%" not in match[0]]
    # The amount of a row stands at its end, before it what it is made of.
    ordered = found[::-1] if field.type is FieldType.MONEY else found
    return [match.span() for match in ordered]


def _matches(field: FieldPart, text: str) -> Iterator[tuple[int, int]]:
    pattern = regex.compile(field.pattern)
    try:
        for found in pattern.finditer(text, timeout=PATTERN_SECONDS):
            group = 1 if pattern.groups and found[1] is not None else 0
            if found.end(group) > found.start(group):
                yield found.span(group)
    except TimeoutError:
        raise LimitExceededError(
            f"The pattern of {field.name} takes too long. Make it simpler.", field=field.name
        ) from None
