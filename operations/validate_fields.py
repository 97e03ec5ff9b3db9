"""Whether the values of a document are right: one rule for the flow, the pages, API and forms."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import regex

from operations.tools.values import read_value
from store.errors import InputError, LimitExceededError
from store.fields import FieldType, FieldValue
from store.project_fields import FieldPart, SumPart
from store.project_file import FieldsPart

PERSON = "person"
"""The method of values that somebody typed or confirmed."""

PATTERN_SECONDS = 1.0
"""How long a pattern of a project may take on one value."""

_NOT_A = {
    FieldType.NUMBER: "is not a number",
    FieldType.MONEY: "is not an amount",
    FieldType.DATE: "is not a date; write it like 2026-01-31",
}
_CENT = Decimal("0.005")


def check(project: FieldsPart, fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Judge the values of a document.

    Args:
        project: says what must hold.
        fields: by name, as found or typed; what the project has no field for is left out.

    Returns:
        Each field of the project in its order, with `valid`, `message`, `needs_confirmation`.
    """
    judged = {
        part.name: _judged(part, fields.get(part.name) or missing(part)) for part in project.fields
    }
    for sum_ in project.sums:
        total = judged[sum_.total]
        if total.valid and not _adds_up(sum_, judged):
            titles = " and ".join(judged[name].label for name in sum_.parts)
            message = f"is not the sum of {titles}"
            judged[sum_.total] = total.model_copy(update={"valid": False, "message": message})
    return {
        name: value.model_copy(update={"needs_confirmation": _is_unsure(project, value)})
        for name, value in judged.items()
    }


def typed(part: FieldPart, value: Any) -> FieldValue:
    """The value that somebody typed for a field, or a program sent.

    Args:
        part: the field.
        value: text, a number, or None for no value. What cannot be read as the type of the
            field has its text and no value, and `check` says so.

    Raises:
        InputError: it is a list, an object or a truth value.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | None):
        raise InputError(
            f"The value of {part.name} must be text, a number or nothing.", field=part.name
        )
    text = "" if value is None else str(value).strip()
    found = read_value(part.type, text) if text else None
    return missing(part).model_copy(
        update={
            "value": found.value if found else None,
            "text": text,
            "confidence": 1.0,
            "method": PERSON,
        }
    )


def missing(part: FieldPart) -> FieldValue:
    """A field without a value."""
    return FieldValue(name=part.name, label=part.title, type=part.type)


def _judged(part: FieldPart, value: FieldValue) -> FieldValue:
    message = _fault(part, value)
    return value.model_copy(
        update={
            "label": part.title,
            "type": part.type,
            "valid": not message,
            "message": message,
        }
    )


def _fault(part: FieldPart, value: FieldValue) -> str:
    if value.value is None:
        if value.text:
            return _NOT_A.get(part.type, "is empty")
        return "is missing" if part.required else ""
    found = read_value(part.type, str(value.value))
    if found is None:
        return _NOT_A.get(part.type, "is empty")
    pattern = value_pattern(part)
    if pattern is None or _fits(part, pattern, value):
        return ""
    return "is not written as it should be"


def _fits(part: FieldPart, pattern: "regex.Pattern[str]", value: FieldValue) -> bool:
    # What was found is judged as it stands on the page, what was typed also as it is kept.
    texts = {value.text.strip(), str(value.value)}
    try:
        return any(pattern.fullmatch(text, timeout=PATTERN_SECONDS) for text in texts)
    except TimeoutError:
        raise LimitExceededError(
            f"The pattern of {part.name} takes too long. Make it simpler.", field=part.name
        ) from None


def value_pattern(part: FieldPart) -> "regex.Pattern[str] | None":
    """The part of a field's pattern that the value alone must match; None where there is none."""
    if not part.pattern:
        return None
    inner = _first_group(part.pattern)
    try:
        return regex.compile(inner if inner is not None else part.pattern)
    except regex.error:
        return None  # the group refers to what is around it


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
    parts = _amounts([fields[name] for name in sum_.parts])
    total = _amounts([fields[sum_.total]])
    return not parts or not total or abs(sum(parts) - total[0]) < _CENT


def _amounts(values: Sequence[FieldValue]) -> list[Decimal]:
    read = (
        read_value(FieldType.NUMBER, str(value.value))
        for value in values
        if value.value is not None
    )
    return [Decimal(found.value) for found in read if found]


def _is_unsure(project: FieldsPart, value: FieldValue) -> bool:
    part = project.field(value.name)
    return (
        part is not None
        and value.value is not None
        and value.method != PERSON
        and value.confidence < part.confidence_threshold
    )
