"""Whether the values of a document are right: one rule for the flow, the pages, API and forms."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import chain
from math import prod
from typing import Any

import regex

from operations.tools.rows import CELL_MARK, missing, with_rows
from operations.tools.value_types import NOT_A, fault_of, plain_value, read_as
from operations.tools.values import MAX_CHARACTERS, Reading, plain_digits, visible_text
from store.errors import InputError, LimitExceededError
from store.fields import ITEM, ROWS, Box, FieldType, FieldValue
from store.project_fields import ColumnPart, FieldPart, FieldRules, SumPart, ValuePart, columns_of

PERSON = "person"
"""The method of values that somebody typed or confirmed."""

PICKED = "picked"
"""The method of values that somebody took from a page."""

BY_PEOPLE = frozenset({PERSON, PICKED})

PATTERN_SECONDS = 1.0
"""How long a pattern of a project may take on one value."""

MAX_ROWS = 5000
"""Of a table or list that is typed or sent."""

MAX_ROWS_CHARACTERS = 1_000_000
"""Of a table or list that is typed as text."""

_NUMERIC = frozenset({FieldType.NUMBER, FieldType.MONEY})


@dataclass(frozen=True)
class Picked:
    """A value that somebody took from a page, by pointing at it."""

    text: str
    page_number: int
    """1-based."""
    box: Box


def check(rules: FieldRules, fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Judge the values of a document.

    Args:
        rules: say what must hold.
        fields: by name, as found or typed; what the rules have no field for is left out.

    Returns:
        Each field of the rules in its order, with `valid`, `message`, `needs_confirmation`.
    """
    present = {part.name: fields.get(part.name) or missing(part) for part in rules.fields}
    judged = {
        part.name: _judged(part, present[part.name], is_required=_is_required(part, present))
        for part in rules.fields
    }
    for sum_ in rules.sums:
        total = judged[sum_.total]
        if total.valid and not _adds_up(sum_, judged):
            titles = " and ".join(_title(name, judged) for name in sum_.parts)
            message = f"is not the sum of {titles}"
            judged[sum_.total] = total.model_copy(update={"valid": False, "message": message})
    return {
        part.name: judged[part.name].model_copy(
            update={"needs_confirmation": _is_unsure(part, judged[part.name])}
        )
        for part in rules.fields
    }


def _title(name: str, fields: Mapping[str, FieldValue]) -> str:
    field, _, column = name.partition(".")
    return f"{column} in {fields[field].label}" if column else fields[field].label


def _is_required(part: FieldPart, fields: Mapping[str, FieldValue]) -> bool:
    when = part.required_when
    if when is None:
        return part.required
    value = fields[when.field].value
    wanted = {word.casefold() for word in when.equals}
    is_met = value is not None and (not wanted or _as_text(value).casefold() in wanted)
    return part.required or is_met


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# What people type and programs send


def how_to_type(part: FieldPart) -> str:
    """How a person types a value of a field as text; empty where that needs no word."""
    if part.type is FieldType.CHOICE:
        return f"One of: {', '.join(option.value for option in part.options)}."
    if part.type is FieldType.TABLE:
        titles = f" {CELL_MARK} ".join(column.name for column in part.columns)
        return f"All rows, each on a line of its own: {titles}."
    return _HOW_TO_TYPE.get(part.type, "")


_HOW_TO_TYPE = {
    FieldType.DATE: "Like 2026-01-31.",
    FieldType.BOOLEAN: "yes or no.",
    FieldType.LIST: "All of them, each on a line of its own.",
}


def typed(part: FieldPart, value: Any, before: FieldValue | None = None) -> FieldValue:
    """The value that somebody typed for a field, or a program sent.

    Args:
        part: the field.
        before: what it was. What stays the same, a cell of a table too, keeps its place on the
            page and who found it.
        value: text, a number, true or false, something picked, or None for no value. Of a list: a
            list of them, or text with one a line. Of a table: a list of objects with a value for
            each column, or text with a row a line and `|` between its cells. What cannot be read
            as the type of the field has its text and no value, and `check` says so.

    Raises:
        InputError: it is of another kind, too long, or names a column that is not there.
    """
    if isinstance(value, Picked):
        return _placed(typed(part, value.text, before), value)
    if before is not None and _says_the_same(value, before):
        return before
    if part.type not in ROWS:
        return missing(part).model_copy(update=_typed_value(part, value, part.name))
    if isinstance(value, str):
        lines = _rows_of_text(part, value)
        if lines is None:
            return missing(part).model_copy(
                update={"text": visible_text(value).strip(), "confidence": 1.0, "method": PERSON}
            )
        value = lines
    rows = _typed_rows(part, value, before.rows if before else [])
    kept = [row for row in rows if any(cell.text for cell in row.values())]
    if before is not None and kept and kept == before.rows:
        return before
    return with_rows(part, kept, PERSON).model_copy(update={"confidence": 1.0})


def _placed(value: FieldValue, picked: Picked) -> FieldValue:
    if not value.text:
        return value
    found = {"page_number": picked.page_number, "box": picked.box, "method": PICKED}
    return value.model_copy(update={**found, "confidence": 1.0})


def _typed_value(part: ValuePart, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, str | int | float | Decimal | None):
        raise InputError(f"The value of {path} must be text, a number or nothing.", field=path)
    if isinstance(value, bool) and part.type is not FieldType.BOOLEAN:
        raise InputError(f"The value of {path} must not be true or false.", field=path)
    text = "" if value is None else visible_text(_as_text(value)).strip()
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"The value of {path} has {len(text)} characters; {MAX_CHARACTERS} are allowed.",
            field=path,
        )
    found = None
    if text:
        # A number that was sent as one is not written in anybody's way.
        is_number = not isinstance(value, str) and part.type in _NUMERIC
        found = _number(part, value) if is_number else read_as(part, text)
    return {
        "value": plain_value(part.type, found) if found else None,
        "text": text,
        "confidence": 1.0,
        "method": PERSON,
        "currency": (found.currency or part.currency or None) if found else None,
    }


def _number(part: ValuePart, value: Any) -> Reading | None:
    number = Decimal(str(value))
    is_money = part.type is FieldType.MONEY
    return Reading(plain_digits(number, is_money=is_money)) if number.is_finite() else None


def _typed_rows(
    part: FieldPart, value: Any, before: Sequence[Mapping[str, FieldValue]]
) -> list[dict[str, FieldValue]]:
    columns = {column.name: column for column in columns_of(part)}
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"The value of {part.name} must be a list.", field=part.name)
    if len(value) > MAX_ROWS:
        raise InputError(
            f"{part.name} has {len(value)} rows; {MAX_ROWS} are allowed.", field=part.name
        )
    rows: list[dict[str, FieldValue]] = []
    for number, row in enumerate(value, 1):
        cells = row if part.type is FieldType.TABLE else {ITEM: row}
        if not isinstance(cells, dict):
            raise InputError(
                f"Row {number} of {part.name} must be an object with a value for each column.",
                field=part.name,
            )
        if unknown := sorted(str(name) for name in cells if name not in columns):
            raise InputError(
                f"{part.name} has no column {', '.join(unknown)[:200]}; it has"
                f" {', '.join(columns)}.",
                field=part.name,
            )
        old = before[number - 1] if number <= len(before) else {}
        rows.append(
            {
                name: _typed_cell(column, cells.get(name), f"{part.name}.{name}", old.get(name))
                for name, column in columns.items()
            }
        )
    return rows


def _typed_cell(column: ValuePart, value: Any, path: str, old: FieldValue | None) -> FieldValue:
    if isinstance(value, Picked):
        return _placed(_typed_cell(column, value.text, path, old), value)
    if old is not None and _says_the_same(value, old):
        return old
    return missing(column).model_copy(update=_typed_value(column, value, path))


def _says_the_same(value: Any, before: FieldValue) -> bool:
    if value is None or isinstance(value, str):
        return (value or "") in (before.value or "", before.text, before.shown)
    return type(value) is type(before.value) and value == before.value


def _rows_of_text(part: FieldPart, text: str) -> list[Any] | None:
    """Rows that were typed as text; None where a line of a table has not one cell a column."""
    if len(text) > MAX_ROWS_CHARACTERS:
        raise InputError(f"The value of {part.name} is too long.", field=part.name)
    lines = [line for line in text.splitlines() if line.strip()]
    if part.type is FieldType.LIST:
        return lines
    names = [column.name for column in part.columns]
    split = [line.split(CELL_MARK) for line in lines]
    if any(len(cells) != len(names) for cells in split):
        return None
    return [dict(zip(names, cells, strict=True)) for cells in split]


# What must hold


def _with_verdict(part: FieldPart | ColumnPart, value: FieldValue, message: str) -> FieldValue:
    """A value with what is wrong with it, nothing when the message is empty."""
    told = {"label": part.title, "type": part.type, "valid": not message, "message": message}
    return value.model_copy(update=told)


def _judged(part: FieldPart, value: FieldValue, *, is_required: bool) -> FieldValue:
    if part.type in ROWS and value.rows:
        value = _with_judged_rows(part, value)
    message = _rows_fault(part, value) if value.rows else _fault(part, value)
    if value.value is None and not value.text and is_required:
        message = "is missing"
    return _with_verdict(part, value, message)


def _fault(part: ValuePart, value: FieldValue) -> str:
    if isinstance(part, FieldPart) and part.type in ROWS and value.text:
        return f"is not a {part.type.value}. {how_to_type(part)}"
    if value.value is None:
        return NOT_A.get(part.type, "is empty") if value.text else ""
    if not _is_of(part.type, value.value):
        return NOT_A.get(part.type, "is empty")
    pattern = value_pattern(part)
    if pattern is not None and not _fits(part, pattern, value):
        return "is not written as it should be"
    return fault_of(part, _as_text(value.value))


def _is_of(kind: FieldType, value: Any) -> bool:
    """Whether a value is one of a type, in the form that the data has."""
    if kind in _NUMERIC:
        try:
            return Decimal(str(value)).is_finite()
        except InvalidOperation:
            return False
    if kind is FieldType.DATE:
        return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)))
    return isinstance(value, bool) == (kind is FieldType.BOOLEAN)


def _with_judged_rows(part: FieldPart, value: FieldValue) -> FieldValue:
    columns = {column.name: column for column in columns_of(part)}
    rows: list[dict[str, FieldValue]] = []
    seen: set[tuple[Any, ...]] = set()
    for row in value.rows:
        cells = {
            name: _judged_cell(column, row.get(name) or missing(column))
            for name, column in columns.items()
        }
        for one in part.products:
            cell = cells[one.product]
            factors = _amounts([cells[name] for name in one.factors])
            product = _amounts([cell])
            is_whole = len(factors) == len(one.factors) and product
            if cell.valid and is_whole and abs(prod(factors) - product[0]) > one.tolerance:
                titles = " and ".join(columns[name].title for name in one.factors)
                cells[one.product] = _wrong(cell, f"is not the product of {titles}")
        if part.unique:
            key = tuple(cells[name].value for name in part.unique)
            if key in seen:
                cells[part.unique[0]] = _wrong(cells[part.unique[0]], "stands there twice")
            seen.add(key)
        rows.append(cells)
    return value.model_copy(update={"rows": rows})


def _wrong(cell: FieldValue, message: str) -> FieldValue:
    return cell.model_copy(update={"valid": False, "message": message})


def _judged_cell(column: ColumnPart, cell: FieldValue) -> FieldValue:
    message = _fault(column, cell)
    if cell.value is None and not cell.text and column.required:
        message = "is missing"
    return _with_verdict(column, cell, message)


_MAX_TOLD = 3


def _rows_fault(part: FieldPart, value: FieldValue) -> str:
    """What is wrong with the cells, the first few of them."""
    wrong = [
        f"{cell.label} {cell.message}" if part.type is FieldType.TABLE else cell.message
        for cell in chain.from_iterable(row.values() for row in value.rows)
        if not cell.valid
    ]
    places = [
        number
        for number, row in enumerate(value.rows, 1)
        for cell in row.values()
        if not cell.valid
    ]
    told = [f"row {n}: {what}" for n, what in zip(places, wrong, strict=True)][:_MAX_TOLD]
    more = f"; and {len(wrong) - len(told)} more" if len(wrong) > len(told) else ""
    return f"has what is not right: {'; '.join(told)}{more}" if told else ""


def _fits(part: ValuePart, pattern: "regex.Pattern[str]", value: FieldValue) -> bool:
    # What was found is judged as it stands on the page, what was typed also as it is kept.
    texts = {value.text.strip(), _as_text(value.value)}
    try:
        return any(pattern.fullmatch(text, timeout=PATTERN_SECONDS) for text in texts)
    except TimeoutError:
        raise LimitExceededError(
            f"The pattern of {part.name} takes too long. Make it simpler.", field=part.name
        ) from None


def value_pattern(part: ValuePart) -> "regex.Pattern[str] | None":
    """The part of a field's pattern that the value alone must match; None where there is none."""
    if not part.pattern:
        return None
    inner = _first_group(part.pattern)
    flags = _FLAGS.match(part.pattern)
    try:
        if inner is None:
            return regex.compile(part.pattern)
        return regex.compile(f"{flags[0] if flags else ''}{inner}")
    except regex.error:
        return None  # the group refers to what is around it


_FLAGS = re.compile(r"\(\?[a-zA-Z]+\)")
"""At the beginning of a pattern, for all of it: `(?i)`."""

_GROUP_START = re.compile(r"\((?!\?)|\(\?P<\w+>")


def _first_group(pattern: str) -> str | None:
    """What is in the first group of a pattern that captures."""
    depth, start, opened, in_set, index = 0, -1, 0, False, 0
    while index < len(pattern):
        letter = pattern[index]
        if letter == "\\":
            index += 2
            continue
        if in_set:
            in_set = letter != "]"
        elif letter == "[":
            in_set = True
            # A bracket right after the opening one is an ordinary character.
            index += pattern[index + 1 : index + 2] in {"]", "^"}
        elif letter == "(":
            depth += 1
            found = _GROUP_START.match(pattern, index)
            if found and start < 0:
                start, opened = found.end(), depth
        elif letter == ")":
            if depth == opened and start >= 0:
                return pattern[start:index]
            depth -= 1
        index += 1
    return None


def _adds_up(sum_: SumPart, fields: Mapping[str, FieldValue]) -> bool:
    """Whether the parts that are there make the total; true where there is nothing to add."""
    parts = _amounts([cell for name in sum_.parts for cell in _cells(name, fields)])
    total = _amounts([fields[sum_.total]])
    return not parts or not total or abs(sum(parts) - total[0]) <= sum_.tolerance


def _cells(name: str, fields: Mapping[str, FieldValue]) -> list[FieldValue]:
    """The field of that name; of `lines.amount` the column in all rows."""
    field, _, column = name.partition(".")
    if not column:
        return [fields[field]]
    return [row[column] for row in fields[field].rows if column in row]


def _amounts(values: Sequence[FieldValue]) -> list[Decimal]:
    return [
        Decimal(str(value.value))
        for value in values
        if value.value is not None and _is_of(FieldType.NUMBER, value.value)
    ]


def _is_unsure(part: FieldPart, value: FieldValue) -> bool:
    return (
        value.value is not None
        and value.method not in BY_PEOPLE
        and value.confidence < part.confidence_threshold
    )
