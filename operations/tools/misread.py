"""What OCR may have made of a value, so that it cannot be read as one: a person has to see it.

At a label it is enough that it looks like a value but for a few letters. Elsewhere only codes are
known again, where another country makes their check digits right.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Final

from operations.tools.identifiers import iban_fault, read_iban, read_vat_id, vat_id_fault
from store.fields import FieldType

_DIGIT = r"[\dOoQIl|SsZzB]"
"""A digit, or a letter that OCR takes one for."""

_END = r"(?!\w|\s?%)"
"""A percentage is no amount that was misread."""

_CODE = r"[A-Z0-9+*]"
_AT_LABELS: Final[Mapping[FieldType, re.Pattern[str]]] = {
    FieldType.NUMBER: re.compile(rf"(?<![\w.,]){_DIGIT}{{2,}}(?:[.,]{_DIGIT}+)*{_END}"),
    FieldType.MONEY: re.compile(
        rf"(?<![\w.,]){_DIGIT}+(?:[.,']{_DIGIT}{{3}})*[.,]{_DIGIT}{{2}}{_END}"
    ),
    FieldType.DATE: re.compile(
        rf"(?<![\w.,])(?:{_DIGIT}{{1,2}}([./-]){_DIGIT}{{1,2}}\1{_DIGIT}{{2,4}}"
        rf"|{_DIGIT}{{4}}-{_DIGIT}{{2}}-{_DIGIT}{{2}})(?!\w)"
    ),
    FieldType.EMAIL: re.compile(r"\S{1,99} ?(?:[@©®]|\(at\)) ?\S{1,99}"),
    FieldType.PHONE: re.compile(rf"(?<!\w)\+?{_DIGIT}(?:[ ()/.-]{{0,2}}{_DIGIT}){{6,15}}(?!\w)"),
    FieldType.IBAN: re.compile(
        rf"(?<!\w)[A-Z0-9]{{2}}{_DIGIT}{{2}}(?: ?{_CODE}{{4}}){{2,7}}(?: ?{_CODE}{{1,4}})?(?!\w)"
    ),
    FieldType.VAT_ID: re.compile(
        rf"(?<!\w)(?:(?=.?[A-Z])[A-Z0-9]{{2}}(?:[ .-]?{_CODE}){{6,13}}|\d{{7,12}})(?!\w)"
    ),
}
"""How values look of which some letters are wrong."""

_LEAST_DIGITS: Final[Mapping[FieldType, int]] = {
    FieldType.EMAIL: 0,
    FieldType.PHONE: 6,
    FieldType.IBAN: 8,
    FieldType.VAT_ID: 5,
}
"""With fewer, or without one, it is a word."""

_AMOUNT = re.compile(r"[.,]\d\d$")


def misread_at_label(kind: FieldType, text: str) -> Iterator[tuple[int, int]]:
    """Where in the text at a label something stands that may be a value of a type."""
    pattern = _AT_LABELS.get(kind)
    for found in pattern.finditer(text) if pattern else ():
        digits = sum(letter.isdigit() for letter in found[0])
        is_amount = kind is FieldType.VAT_ID and _AMOUNT.search(found[0])
        if digits >= _LEAST_DIGITS.get(kind, 1) and not is_amount:
            yield found.span()


_MISTAKEN: Final[Mapping[str, str]] = {
    "0": "OD",
    "O": "D",
    "Q": "OD",
    "D": "O",
    "1": "IL",
    "I": "L",
    "L": "I",
    "8": "B",
    "5": "S",
    "2": "Z",
    "6": "G",
    "G": "C",
    "C": "G",
    "F": "E",
    "E": "F",
    "P": "F",
    "K": "R",
}
"""A letter or digit -> the letters of a country for which OCR takes it."""

_Read = Callable[[str], str | None]
_Fault = Callable[[str], str]
_CODES: Final[Mapping[FieldType, tuple[_Read, _Fault]]] = {
    FieldType.IBAN: (read_iban, iban_fault),
    FieldType.VAT_ID: (lambda text: read_vat_id(text, ""), vat_id_fault),
}


def misread_codes(kind: FieldType, text: str) -> Iterator[tuple[int, int]]:
    """Where in any text codes stand whose country OCR got wrong."""
    if kind not in _CODES:
        return
    read, fault = _CODES[kind]
    for found in _AT_LABELS[kind].finditer(text):
        first, second = found[0][:2].upper()
        for country in product(
            first + _MISTAKEN.get(first, ""), second + _MISTAKEN.get(second, "")
        ):
            code = read("".join(country) + found[0][2:])
            if code and not fault(code):
                yield found.span()
                break
