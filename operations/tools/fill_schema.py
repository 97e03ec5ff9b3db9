"""Data as a JSON Schema asks for it, from what stands on pages.

No model is asked: the same pages and the same schema give the same data.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import regex
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend
from pydantic import BaseModel

from operations.tools.find_fields import find_fields
from operations.tools.layout import Segment, lines_of
from operations.tools.schema import Node, read_schema
from operations.tools.schema_labels import (
    FALSE,
    TIME,
    TRUE,
    box_before,
    labels_of,
    lesser_labels,
    one_of,
    pattern_of,
    words_of_name,
)
from operations.tools.step_files import words_in
from operations.tools.text_formats import Part, parts_of
from operations.tools.value_types import PATTERN_SECONDS
from operations.tools.values import DATE, NUMBER, Custom, custom_of, read_value
from store.errors import LimitExceededError
from store.fields import FieldType, FieldValue, PageWords, Word
from store.project_fields import FieldPart

_MAX_PROBLEMS = 100
_MAX_DIGITS = 300
"""Of a number: JSON has no larger ones that programs agree on."""

_MONEY_WORDS = frozenset(
    {"amount", "balance", "charge", "cost", "discount", "due", "fee", "gross", "net", "payable"}
    | {"price", "subtotal", "tax", "total", "vat"}
)
"""In the name of a number, they say that it is an amount of money."""


class Found(BaseModel):
    """Where a value was found."""

    path: str
    """Its place in the data (RFC 6901)."""
    page_number: int
    """1-based."""
    confidence: float
    """0..1."""


class Problem(BaseModel):
    """What in the data is not as the schema asks for."""

    path: str
    """Its place in the data (RFC 6901)."""
    message: str
    """What is wrong; never what stands on the page."""


class Filled(BaseModel):
    """What is known of data that was written."""

    found: list[Found] = []
    problems: list[Problem] = []


def write_data(pages: Sequence[Path], schema: Mapping[str, Any], target: Path) -> Filled:
    """Find what a schema asks for, and write it as JSON.

    Args:
        pages: files of words, in order.
        schema: that `read_schema` has passed.
        target: the file to write: an object with each property of the schema, null where it is
            not on the pages.

    Raises:
        LimitExceededError: a pattern takes too long.
    """
    root = read_schema(schema)
    filler = _Filler(root, [words_in(path) for path in pages])
    data = filler.object(root)
    target.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return Filled(found=filler.found, problems=_problems(root, schema, data))


class _Filler:
    """Looks for all single values first, because each label ends what belongs to the one before."""

    def __init__(self, root: Node, pages: Sequence[PageWords]):
        self.found: list[Found] = []
        self._pages = pages
        self._custom = custom_of("\n".join(word.text for page in pages for word in page.words))
        self._parts = [(page.number, part) for page in pages for part in parts_of(page.words)]
        self._values = self._single_values(list(root.leaves()), pages)
        groups = [node for node in root.properties.values() if node.type == "object"]
        for group in groups:
            # Under the heading of its object a value is nearer than elsewhere.
            area = self._area_of(group, groups)
            if area is not None:
                under_it = self._single_values(list(group.leaves()), [area])
                self._values |= {path: v for path, v in under_it.items() if v[0] is not None}

    def object(self, node: Node) -> dict[str, Any]:
        """An object with each of its properties."""
        return {name: self._any(inner) for name, inner in node.properties.items()}

    def _any(self, node: Node) -> Any:
        if node.type == "object":
            return self.object(node)
        if node.type == "array":
            return self._array(node)
        value, place = self._values[node.path]
        if value is not None:
            self._note(node.path, place.page_number or 1, place.confidence)
        return value

    def _note(self, path: Sequence[str | int], page_number: int, confidence: float) -> None:
        self.found.append(
            Found(path=_pointer(path), page_number=page_number, confidence=confidence)
        )

    # Single values

    def _single_values(
        self, nodes: Sequence[Node], pages: Sequence[PageWords]
    ) -> dict[tuple[str, ...], tuple[Any, FieldValue]]:
        fields = {node.path: _fields_of(node, n, nodes) for n, node in enumerate(nodes)}
        # One of several choices ends by itself: words in it may be like the labels of others.
        free = [field for node in nodes if not node.choices for field in fields[node.path]]
        found = find_fields(pages, free)
        for node in nodes:
            if node.choices:
                found |= find_fields(pages, fields[node.path])
        values: dict[tuple[str, ...], tuple[Any, FieldValue]] = {}
        for node in nodes:
            read = ((self._read(node, found[f.name]), found[f.name]) for f in fields[node.path])
            values[node.path] = next((one for one in read if one[0] is not None), _NOTHING)
        return values

    def _read(self, node: Node, place: FieldValue) -> Any:
        if place.value is None:
            return None
        if place.type in {FieldType.NUMBER, FieldType.MONEY}:
            return _number(node, str(place.value))
        if place.type is FieldType.DATE:
            return place.value
        return value_of(node, str(place.value), self._custom)

    def _area_of(self, group: Node, groups: Sequence[Node]) -> PageWords | None:
        """What stands under the heading of an object, as a page of its own."""
        headings = {label.casefold() for label in labels_of(group)}
        others = {
            label.casefold() for one in groups if one is not group for label in labels_of(one)
        }
        for page in self._pages:
            lines = lines_of(page.words)
            for n, line in enumerate(lines):
                for heading in line:
                    if _said(heading) in headings:
                        below = [segment for row in lines[n + 1 :] for segment in row]
                        right = [s.box[0] for s in line if s.box[0] > heading.box[2]]
                        words = _under(
                            heading, min(right, default=page.width_pixels), below, others
                        )
                        return page.model_copy(update={"words": words})
        return None

    # Lists and tables

    def _array(self, node: Node) -> Any:
        items = node.items
        if items is None:
            return None
        return self._rows(node, items) if items.type == "object" else self._strings(node, items)

    def _strings(self, node: Node, item: Node) -> list[Any] | None:
        labels = {label.casefold() for label in labels_of(node)}
        for n, (number, part) in enumerate(self._parts):
            said = part.rows[-1][-1].strip(" :").casefold() if part.rows else ""
            if said in labels and n + 1 < len(self._parts):
                _, following = self._parts[n + 1]
                if following.kind == "list":
                    return self._listed(node, item, [row[0] for row in following.rows], number)
        beside = find_fields(self._pages, [FieldPart(name="list", labels=labels_of(node))])["list"]
        if beside.value is not None:
            texts = re.split(r"\s*[,;\u2022|]\s*", str(beside.value))
            return self._listed(node, item, texts, beside.page_number or 1)
        return self._everywhere(node, item)

    def _listed(
        self, node: Node, item: Node, texts: Sequence[str], page_number: int
    ) -> list[Any] | None:
        values = [value_of(item, text, self._custom) for text in texts if text.strip()]
        kept = [value for value in values if value is not None]
        for index in range(len(kept)):
            self._note((*node.path, index), page_number, _IN_A_LIST)
        return kept or None

    def _everywhere(self, node: Node, item: Node) -> list[Any] | None:
        """All that looks like an item, where its looks are told."""
        pattern = pattern_of(item)
        if not pattern:
            return None
        values: dict[Any, int] = {}
        for page in self._pages:
            text = " ".join(word.text for word in page.words)
            for found in _searched(pattern, text, node):
                values.setdefault(value_of(item, found, self._custom), page.number)
        values.pop(None, None)
        for index, number in enumerate(values.values()):
            self._note((*node.path, index), number, _BY_LOOKS)
        return list(values) or None

    def _rows(self, node: Node, item: Node) -> list[dict[str, Any]] | None:
        cells = list(item.properties.values())
        columns: dict[int, Node] = {}
        rows: list[dict[str, Any]] = []
        width = 0
        for number, part in self._parts:
            if part.kind != "table":
                continue
            header, at = _header(part, cells)
            if len(header) >= max(len(columns), 1) and (at or len(header) > len(columns)):
                if not columns:
                    columns, width = header, len(part.rows[0])
                elif [n.path for n in header.values()] != [n.path for n in columns.values()]:
                    continue
                else:
                    columns = header
            elif not columns or len(part.rows[0]) != width:
                continue  # a table of something else
            for row in part.rows[at:]:
                read = self._row(row, columns, cells, rows)
                if read is not None:
                    self._note((*node.path, len(rows)), number, _IN_A_LIST)
                    rows.append(read)
        return rows or None

    def _row(
        self,
        row: Sequence[str],
        columns: Mapping[int, Node],
        cells: Sequence[Node],
        before: Sequence[dict[str, Any]],
    ) -> dict[str, Any] | None:
        """A row of a table; None where it is none, or goes on with the one before."""
        values: dict[str, Any] = {cell.name: None for cell in cells}
        for column, cell in columns.items():
            values[cell.name] = value_of(cell, row[column], self._custom)
        filled = [cell for cell in columns.values() if values[cell.name] is not None]
        if before and len(filled) == 1 and filled[0].type == "string" and len(columns) > 1:
            last, name = before[-1], filled[0].name
            if last[name] is not None and not _is_sum(values[name]):
                last[name] = f"{last[name]} {values[name]}"
            return None
        # Under the rows stand sums, which fill the last columns only.
        if 2 * len(filled) <= len(columns) and len(columns) > 1:
            return None
        if any(_is_sum(row[column]) for column in columns):
            return None
        return values


_NOTHING = None, FieldValue(name="", label="", type=FieldType.TEXT)

_IN_A_LIST = 0.9
_BY_LOOKS = 0.7
"""How sure what stands in a list or table, or only looks like what is wanted, is."""


def _is_sum(text: Any) -> bool:
    return isinstance(text, str) and bool(
        re.match(r"\W*(?:sub\s?-?total|total|sum|balance|carried|vat|tax)\b", text, re.IGNORECASE)
    )


def _fields_of(node: Node, number: int, nodes: Sequence[Node]) -> list[FieldPart]:
    """What the field finder is told, the likeliest first; none where there is nothing to find."""
    labels = labels_of(node)
    if len(node.path) > 1:
        group = " ".join(words_of_name(node.path[-2]))
        is_alone = sum(other.name == node.name for other in nodes) == 1
        are_all_inside = len({other.path[:-1] for other in nodes}) == 1
        more = labels if is_alone or are_all_inside else []
        labels = [*(f"{group} {label}" for label in labels), *more]
    labels += lesser_labels(node, nodes)
    kind, pattern = FieldType.TEXT, ""
    if node.type in {"number", "integer"}:
        is_money = node.step == 0.01 or bool(_MONEY_WORDS.intersection(words_of_name(node.name)))
        kind = FieldType.MONEY if is_money and node.type == "number" else FieldType.NUMBER
    elif node.format == "date":
        kind = FieldType.DATE
    elif node.type == "string":
        pattern = pattern_of(node)
    fields = [FieldPart(name=f"f{number}", type=kind, labels=labels, pattern=pattern)]
    if node.type == "boolean":
        fields.append(FieldPart(name=f"f{number}-box", pattern=box_before(labels)))
    return fields


def value_of(node: Node, text: str, custom: Custom) -> Any:
    """A text as the value that is asked for; None where it is none."""
    said = " ".join(text.split())
    if not said:
        return None
    if node.type == "boolean":
        return True if TRUE.match(said) else False if FALSE.match(said) else None
    if node.type in {"number", "integer"}:
        found = NUMBER.search(said)
        read = read_value(FieldType.NUMBER, found[0], custom) if found else None
        return _number(node, read.value) if read else None
    if node.format == "date":
        found = DATE.search(said)
        read = read_value(FieldType.DATE, found[0], custom) if found else None
        return read.value if read else None
    if node.format == "date-time":
        return _moment(said, custom)
    if node.format == "time":
        return _time(said)
    if node.choices:
        return _choice(node, said)
    return said


def _number(node: Node, digits: str) -> int | float | None:
    if len(digits) > _MAX_DIGITS:
        return None
    number = Decimal(digits)
    if node.type == "integer" or number == number.to_integral_value():
        # 12.5 where an integer is asked for is shown as it is, and told.
        return int(number) if number == number.to_integral_value() else float(number)
    return float(number)


def _choice(node: Node, said: str) -> Any:
    choices = [choice for choice in node.choices if isinstance(choice, str)]
    found = next((c for c in choices if c.casefold() == said.casefold()), None)
    if found is None:
        inside = re.search(one_of(choices) or r"(?!)", said)
        found = next((c for c in choices if inside and c.casefold() == inside[0].casefold()), said)
    return found


def _moment(said: str, custom: Custom) -> str | None:
    """A date and a time, as RFC 3339 has them; without a zone where the page has none."""
    day = DATE.search(said) or re.search(rf"{DATE.pattern.removesuffix(_NO_MORE)}(?=T)", said)
    if day is None:
        return None
    date = read_value(FieldType.DATE, day[0], custom)
    time = _time(said[day.end() :])
    return f"{date.value}T{time}" if date and time else None


_NO_MORE = r"(?![\w/-]|\.\d)"


def _time(said: str) -> str | None:
    found = TIME.search(said)
    if found is None:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    zone = {"UTC": "Z", "GMT": "Z", None: ""}.get(found["zone"], found["zone"])
    return f"{hour:02}:{found['minute']}:{found['second'] or '00'}{zone}"


def _said(segment: Segment) -> str:
    return " ".join(word.text for word in segment.words).strip(" :").casefold()


_MAX_GAP_HEIGHTS = 3.0
"""Between lines under one heading."""


def _under(
    heading: Segment, right: float, below: Sequence[Segment], headings: set[str]
) -> list[Word]:
    """The words under a heading, as far as the next one, another column or a wide gap."""
    words: list[Word] = []
    bottom = heading.box[3]
    for segment in below:
        if segment.box[0] < heading.box[0] - heading.height or segment.box[0] >= right:
            continue
        is_far = segment.box[1] - bottom > _MAX_GAP_HEIGHTS * heading.height
        if is_far or _said(segment) in headings:
            break
        words.extend(segment.words)
        bottom = max(bottom, segment.box[3])
    return words


_HEADER_ROWS = 2
"""Rows in which the names of columns may stand: above them a table may have its title."""


def _header(table: Part, cells: Sequence[Node]) -> tuple[dict[int, Node], int]:
    """Which column is which property, and the index of the first row under the names."""
    best: dict[int, Node] = {}
    at = 0
    for n, row in enumerate(table.rows[:_HEADER_ROWS]):
        scored = sorted(
            (
                (_fit(text, cell), column, index)
                for column, text in enumerate(row)
                for index, cell in enumerate(cells)
            ),
            key=lambda one: (-one[0], one[1], one[2]),
        )
        columns: dict[int, Node] = {}
        taken: set[int] = set()
        for score, column, index in scored:
            if score and column not in columns and index not in taken:
                columns[column] = cells[index]
                taken.add(index)
        if len(columns) > len(best):
            best, at = columns, n + 1
    return dict(sorted(best.items())), at


def _fit(text: str, cell: Node) -> float:
    """How well the name of a column is that of a property, 0..1."""
    said = {word for word in re.split(r"\W+", text.casefold()) if word} or {text.strip()}
    best = 0.0
    for rank, label in enumerate(labels_of(cell)):
        wanted = {word for word in re.split(r"\W+", label.casefold()) if word} or {label}
        shared = len(said & wanted)
        best = max(best, 2 * shared / (len(said) + len(wanted)) - 0.01 * rank)
    return best


def _searched(pattern: str, text: str, node: Node) -> Iterator[str]:
    compiled = regex.compile(pattern)
    try:
        for found in compiled.finditer(text, timeout=PATTERN_SECONDS):
            yield found[1] if compiled.groups and found[1] is not None else found[0]
    except TimeoutError:
        raise _too_slow(_pointer(node.path)) from None


def _too_slow(pointer: str) -> LimitExceededError:
    return LimitExceededError(
        f"The pattern at {pointer} of the schema takes too long. Make it simpler.", path=pointer
    )


def _pointer(path: Sequence[str | int]) -> str:
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


# What is wrong with data


def _problems(root: Node, schema: Mapping[str, Any], data: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(path=_pointer(error.absolute_path), message=_message(error))
        for error in _Validator(schema, format_checker=_FORMATS).iter_errors(_present(root, data))
    ]
    return sorted(problems, key=lambda problem: problem.path)[:_MAX_PROBLEMS]


def _present(node: Node, data: Mapping[str, Any]) -> dict[str, Any]:
    """Data without what was not found, but for what may be null."""
    kept: dict[str, Any] = {}
    for name, inner in node.properties.items():
        value = data[name]
        if inner.type == "object":
            value = _present(inner, value)
            if not value and name not in node.required:
                continue
        elif inner.type == "array" and value and inner.items and inner.items.type == "object":
            value = [_present(inner.items, row) for row in value]
        if value is not None or inner.is_nullable:
            kept[name] = value
    return kept


def _message(error: ValidationError) -> str:
    """Why a value is not valid, without the value."""
    keyword, wanted = str(error.validator), error.validator_value
    if keyword in _MESSAGES:
        return _MESSAGES[keyword]
    return f"breaks `{keyword}`: {json.dumps(wanted)}"


_MESSAGES: Final[Mapping[str, str]] = {
    "required": "is required, but was not found",
    "pattern": "does not match the pattern",
    "enum": "is none of the values of `enum`",
    "const": "is not the value of `const`",
    "uniqueItems": "has an item twice",
}


def _required(
    validator: Any, required: Sequence[str], instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del validator, schema
    yield from (
        ValidationError("", path=deque([name])) for name in required if name not in instance
    )


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """As jsonschema has it, but under a clock."""
    del validator, schema
    try:
        if isinstance(instance, str) and not regex.search(
            pattern, instance, timeout=PATTERN_SECONDS
        ):
            yield ValidationError("")
    except TimeoutError:
        raise _too_slow("/pattern") from None


_Validator: Any = extend(Draft202012Validator, {"required": _required, "pattern": _pattern})

_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.strptime(value, "%Y-%m-%d"))  # noqa: DTZ007  # a day has no zone


@_FORMATS.checks("time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or _is_moment(f"2000-01-01T{value}")


@_FORMATS.checks("email")
def _is_email(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", value))


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(UUID(value))
