"""The types of fields: where in a text a value of each may stand, how it is read, what is wrong."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any, Final

import regex

from operations.tools.identifiers import (
    EMAIL,
    IBAN,
    VAT_ID,
    find_phones,
    iban_fault,
    phone_fault,
    read_email,
    read_iban,
    read_phone,
    read_vat_id,
    vat_id_fault,
)
from operations.tools.schema_labels import FALSE, TRUE
from operations.tools.values import (
    DATE,
    MAX_CHARACTERS,
    NUMBER,
    UNKNOWN_CUSTOM,
    Custom,
    Reading,
    custom_in,
    read_value,
    visible_text,
)
from store.errors import LimitExceededError
from store.fields import FieldType
from store.project_fields import ValuePart

PATTERN_SECONDS = 2.0
"""How long a pattern may take on one page."""

_MIN_ALIKE = 0.8
_MIN_FUZZY_LETTERS = 5
"""Shorter words must be the same, longer ones may have a letter that OCR got wrong."""


def read_as(part: ValuePart, text: str, custom: Custom = UNKNOWN_CUSTOM) -> Reading | None:
    """Read a text as the type of a field; None when it is none.

    Args:
        part: the field or column.
        text: nothing but the value.
        custom: how the document writes what can be read in two ways.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    reader = _READERS.get(part.type)
    if reader is None:
        return read_value(part.type, text, custom_in(part.locale, custom))
    value = reader(part, " ".join(visible_text(text).split()))
    return Reading(value) if value else None


def _boolean(part: ValuePart, text: str) -> str | None:  # noqa: ARG001  # one signature
    return "true" if TRUE.match(text) else "false" if FALSE.match(text) else None


def _choice(part: ValuePart, text: str) -> str | None:
    said = text.casefold()
    known = [(option.value, word) for option in part.options for word in _words_of(option)]
    exact = next((value for value, word in known if word.casefold() == said), None)
    if exact or len(said) < _MIN_FUZZY_LETTERS:
        return exact
    ratios = ((alike(said, word.casefold()), value) for value, word in known)
    best, value = max(ratios, default=(0.0, ""))
    return value if best else None


def _words_of(option: Any) -> list[str]:
    return [option.value, *option.synonyms]


_READERS: Final[Mapping[FieldType, Callable[[ValuePart, str], str | None]]] = {
    FieldType.BOOLEAN: _boolean,
    FieldType.CHOICE: _choice,
    FieldType.EMAIL: lambda _, text: read_email(text),
    FieldType.PHONE: lambda part, text: read_phone(text, part.country),
    FieldType.IBAN: lambda _, text: read_iban(text),
    FieldType.VAT_ID: lambda part, text: read_vat_id(text, part.country),
}
"""The other types are read by `values.py`."""


def plain_value(kind: FieldType, reading: Reading) -> Any:
    """A reading as the data has it."""
    return reading.value == "true" if kind is FieldType.BOOLEAN else reading.value


def alike(word: str, wanted: str) -> float:
    """1 when they are the same, 0 when they are not, between them when OCR may have erred."""
    if word == wanted:
        return 1.0
    if min(len(word), len(wanted)) < _MIN_FUZZY_LETTERS:
        return 0.0
    lengths = sorted((len(word), len(wanted)))
    if 2 * lengths[0] < _MIN_ALIKE * sum(lengths):
        return 0.0
    matcher = SequenceMatcher(None, word, wanted, autojunk=False)
    # It is quick, and never less than the ratio itself.
    if matcher.quick_ratio() < _MIN_ALIKE:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= _MIN_ALIKE else 0.0


# Where values stand


def spans_of(part: ValuePart, text: str) -> list[tuple[int, int]]:
    """Where in a text the value of a field may stand, the likeliest first.

    Raises:
        LimitExceededError: its pattern takes too long.
    """
    if part.pattern:
        return list(matches(part, text))
    return list(_FINDERS[part.type](part, text))


def _whole(part: ValuePart, text: str) -> Iterator[tuple[int, int]]:  # noqa: ARG001  # one signature
    if text.strip():
        yield 0, len(text)


def _numbers(part: ValuePart, text: str) -> Sequence[tuple[int, int]]:
    found = [match.span() for match in NUMBER.finditer(text) if "%" not in match[0]]
    # The amount of a row stands at its end, before it what it is made of.
    return found[::-1] if part.type is FieldType.MONEY else found


def _by(pattern: "re.Pattern[str]") -> Callable[[ValuePart, str], Iterator[tuple[int, int]]]:
    return lambda _, text: (found.span() for found in pattern.finditer(text))


_WORD_END = re.compile(r"\s|$")
_WITH_DIGIT = re.compile(r"\d\S*$")
"""A text whose last word has a digit."""


def _by_checksum(
    pattern: "re.Pattern[str]", read: Callable[[str], str | None], fault: Callable[[str], str]
) -> Callable[[ValuePart, str], Iterator[tuple[int, int]]]:
    """Codes in groups, behind which other words may stand: the checksum tells where they end."""

    def spans(_: ValuePart, text: str) -> Iterator[tuple[int, int]]:
        for found in pattern.finditer(text):
            ends = [space.start() for space in _WORD_END.finditer(found[0])][::-1]
            right = (end for end in ends if (it := read(found[0][:end])) and not fault(it))
            with_digit = (end for end in ends if _WITH_DIGIT.search(found[0][:end]))
            end = next(right, None) or next(with_digit, len(found[0]))
            yield found.start(), found.start() + end

    return spans


_ibans = _by_checksum(IBAN, read_iban, iban_fault)
_codes_like_vat_ids = _by_checksum(VAT_ID, lambda text: read_vat_id(text, ""), vat_id_fault)


def _vat_ids(part: ValuePart, text: str) -> Iterator[tuple[int, int]]:
    """Both begin with a country; what is an IBAN is no VAT id."""
    accounts = [span for span in _ibans(part, text) if not iban_fault(text[slice(*span)])]
    for start, end in _codes_like_vat_ids(part, text):
        if not any(first <= start < last for first, last in accounts):
            yield start, end


def _choices(part: ValuePart, text: str) -> Iterator[tuple[int, int]]:
    words = sorted((w for o in part.options for w in _words_of(o)), key=len, reverse=True)
    pattern = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in words)
    found = [m.span() for m in re.finditer(rf"(?i)(?<!\w)(?:{pattern})(?!\w)", text)]
    yield from found or _whole(part, text)


_BOOLEAN = re.compile(rf"(?:{TRUE.pattern}|{FALSE.pattern})")

_FINDERS: Final[
    Mapping[
        FieldType, Callable[[ValuePart, str], Iterator[tuple[int, int]] | Sequence[tuple[int, int]]]
    ]
] = {
    FieldType.TEXT: _whole,
    FieldType.NUMBER: _numbers,
    FieldType.MONEY: _numbers,
    FieldType.DATE: _by(DATE),
    FieldType.BOOLEAN: _by(_BOOLEAN),
    FieldType.CHOICE: _choices,
    FieldType.EMAIL: _by(EMAIL),
    FieldType.PHONE: lambda part, text: find_phones(text, part.country),
    FieldType.IBAN: _ibans,
    FieldType.VAT_ID: _vat_ids,
    FieldType.LIST: _whole,
    FieldType.TABLE: _whole,
}


def matches(part: ValuePart, text: str) -> Iterator[tuple[int, int]]:
    """Where in a text the pattern of a field finds a value.

    Raises:
        LimitExceededError: it takes too long.
    """
    pattern = regex.compile(part.pattern)
    try:
        for found in pattern.finditer(text, timeout=PATTERN_SECONDS):
            group = 1 if pattern.groups and found[1] is not None else 0
            if found.end(group) > found.start(group):
                yield found.span(group)
    except TimeoutError:
        raise LimitExceededError(
            f"The pattern of {part.name} takes too long. Make it simpler.", field=part.name
        ) from None


# What is wrong with them


NOT_A: Final[Mapping[FieldType, str]] = {
    FieldType.NUMBER: "is not a number",
    FieldType.MONEY: "is not an amount",
    FieldType.DATE: "is not a date; write it like 2026-01-31",
    FieldType.BOOLEAN: "is neither yes nor no",
    FieldType.CHOICE: "is none of the values to choose from",
    FieldType.EMAIL: "is not an e-mail address",
    FieldType.PHONE: "is not a phone number; write it with its country, like +49 30 901820",
    FieldType.IBAN: "is not an IBAN",
    FieldType.VAT_ID: "is not a VAT id; write it with its country, like DE136695976",
}

_CHECKSUMS: Final[Mapping[FieldType, Callable[[str], str]]] = {
    FieldType.PHONE: phone_fault,
    FieldType.IBAN: iban_fault,
    FieldType.VAT_ID: vat_id_fault,
}


def fault_of(part: ValuePart, value: str) -> str:
    """What is wrong with a value that could be read; empty when nothing is.

    Args:
        part: the field or column.
        value: normalised.
    """
    if part.type in _CHECKSUMS:
        return _CHECKSUMS[part.type](value)
    if part.minimum and _order(part, value) < _order(part, part.minimum):
        return f"is less than {part.minimum}" if not _is_date(part) else f"is before {part.minimum}"
    if part.maximum and _order(part, value) > _order(part, part.maximum):
        return f"is more than {part.maximum}" if not _is_date(part) else f"is after {part.maximum}"
    return ""


def _is_date(part: ValuePart) -> bool:
    return part.type is FieldType.DATE


def _order(part: ValuePart, value: str) -> Any:
    return date.fromisoformat(value) if _is_date(part) else Decimal(value)
