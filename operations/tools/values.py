"""Numbers, money and dates, as people write them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from store.fields import FieldType

CURRENCY = r"(?:[€$£¥]|\b(?:EUR|USD|GBP|CHF|CAD|AUD|JPY|SEK|NOK|DKK|PLN|CZK|HUF)\b)"

_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
_MINUS = re.compile(r"[\u2212\u2012\u2013]")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*|[.,]\d+")
_GROUP_MARKS = re.compile(r"(?<=\d)['\u2019 ](?=\d{3}(?!\d))")

NUMBER = re.compile(
    r"(?<![\w.,])(?:\(\s?)?[-+\u2212]?\s?"
    rf"(?:{CURRENCY}\s?)?[-\u2212]?"
    r"(?:\d{1,3}(?:(?P<group>[.,'\u2019 \u00a0\u202f])\d{3})(?:(?P=group)\d{3})*(?!\d)|\d+)"
    r"(?:[.,]\d+)?"
    rf"(?:\s?{CURRENCY}|\s?-(?!\w)|\s?CR\b|\s?%)?\s?\)?(?![\w])",
    re.IGNORECASE,
)
"""A number in running text, with what belongs to it."""

_MONTHS: Final[Mapping[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero gennaio januari",
            "feb february februar fevrier février febrero febbraio februari",
            "mar march märz maerz mars marzo maart mrz",
            "apr april avril abril aprile",
            "may mai mayo maggio mei",
            "jun june juni juin junio giugno",
            "jul july juli juillet julio luglio",
            "aug august août aout agosto augustus",
            "sep sept september septembre septiembre settembre",
            "oct october oktober octobre octubre ottobre okt",
            "nov november novembre noviembre",
            "dec december dezember décembre decembre diciembre dicembre dez",
        ),
        1,
    )
    for name in names.split()
}

_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:\d{4}|\d{2})"
DATE = re.compile(
    r"(?<![\w./-])(?:"
    r"(?P<iso>(?P<iy>\d{4})(?P<is>[-/.])(?P<im>\d{1,2})(?P=is)(?P<id>\d{1,2}))"
    rf"|(?P<a>\d{{1,2}})(?P<s>[./-])\s?(?P<b>\d{{1,2}})(?P=s)\s?(?P<y>{_YEAR})"
    rf"|(?P<d1>\d{{1,2}})(?:st|nd|rd|th|er|º)?[.\s/-]*(?:of\s|de\s)?(?P<m1>{_MONTH})\b[.,\s/-]*"
    rf"(?:de\s)?(?P<y1>{_YEAR})"
    rf"|(?P<m2>{_MONTH})\b[.\s/-]*(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?[,\s/-]+(?P<y2>{_YEAR})"
    r")(?![\w/-]|\.\d)",
    re.IGNORECASE,
)
"""A date in running text."""


@dataclass(frozen=True)
class Custom:
    """How a document writes what can be read in two ways; None where nothing tells."""

    decimal_mark: str | None = None
    """`.` or `,`."""
    day_first: bool | None = None
    """Whether 3/4 is the third of April."""


UNKNOWN_CUSTOM = Custom()


@dataclass(frozen=True)
class Reading:
    """What a text says."""

    value: str
    """A decimal, or a date as YYYY-MM-DD; or the text."""
    is_ambiguous: bool = False
    """It could as well mean something else."""


def read_value(kind: FieldType, text: str, custom: Custom = UNKNOWN_CUSTOM) -> Reading | None:
    """Read a text as a type; None when it is none."""
    if kind is FieldType.TEXT:
        plain = _SPACES.sub(" ", text).strip()
        return Reading(plain) if plain else None
    if kind is FieldType.DATE:
        return read_date(text, custom)
    return read_number(text, custom, is_money=kind is FieldType.MONEY)


def read_number(
    text: str, custom: Custom = UNKNOWN_CUSTOM, *, is_money: bool = False
) -> Reading | None:
    """Read a number, however its thousands and decimals are marked.

    `1,234.56`, `1.234,56`, `1 234,56`, `1'234.56`, `(12.00)`, `12.00-`, `EUR 12`, `12 %`.

    Args:
        text: nothing but the number and what belongs to it.
        custom: of the document.
        is_money: three digits after a mark are then thousands, and there are two decimals.
    """
    plain = _MINUS.sub("-", _SPACES.sub(" ", text).strip())
    plain = re.sub(rf"{CURRENCY}|%", "", plain, flags=re.IGNORECASE).strip()
    is_negative = bool(re.fullmatch(r"\(.*\)|-.*|.*-|.*\bCR", plain, re.IGNORECASE))
    plain = re.sub(r"^[(+-]+|[)-]+$|\bCR$", "", plain.strip(), flags=re.IGNORECASE).strip(" -")
    plain = _GROUP_MARKS.sub("", plain)
    if not _DIGITS.fullmatch(plain):
        return None
    found = _plain_number(plain, custom, is_money=is_money)
    if found is None:
        return None
    digits, is_ambiguous = found
    number = -Decimal(digits) if is_negative else Decimal(digits)
    if is_money and -number.as_tuple().exponent < 2:  # pyright: ignore[reportOperatorIssue]  # finite
        number = number.quantize(Decimal("0.01"))
    return Reading(format(number, "f"), is_ambiguous)


def _plain_number(text: str, custom: Custom, *, is_money: bool) -> tuple[str, bool] | None:
    """Digits with a point, and whether they could mean another number."""
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return text, False
    last, whole = marks[-1], set(marks)
    head, _, tail = text.rpartition(last)
    if len(whole) == 2:
        other = "," if last == "." else "."
        if last in head or not _is_grouped(head, other):
            return None
        return f"{head.replace(other, '')}.{tail}", False
    if len(marks) > 1:
        return (text.replace(last, ""), False) if _is_grouped(text, last) else None
    if len(tail) == 3 and _is_grouped(text, last):
        if custom.decimal_mark is not None:
            is_grouping = last != custom.decimal_mark
            return (head + tail if is_grouping else f"{head}.{tail}"), False
        is_grouping = is_money or last == ","
        return (head + tail if is_grouping else f"{head}.{tail}"), not is_money
    return f"{head or '0'}.{tail}", False


def _is_grouped(text: str, mark: str) -> bool:
    first, *groups = text.split(mark)
    return 1 <= len(first) <= 3 and first[0] != "0" and all(len(group) == 3 for group in groups)


def read_date(text: str, custom: Custom = UNKNOWN_CUSTOM) -> Reading | None:
    """Read a date: ISO, day or month first, or with the name of the month in six languages."""
    found = DATE.fullmatch(_SPACES.sub(" ", text).strip())
    return _date_of(found, custom) if found else None


def _date_of(found: re.Match[str], custom: Custom) -> Reading | None:
    if found["iso"]:
        return _date(found["iy"], int(found["im"]), int(found["id"]))
    for n in "12":
        if found[f"m{n}"]:
            month = _MONTHS[found[f"m{n}"].lower()]
            return _date(found[f"y{n}"], month, int(found[f"d{n}"]))
    first, second = int(found["a"]), int(found["b"])
    day_first = _date(found["y"], second, first)
    month_first = _date(found["y"], first, second)
    # With dots, and with dashes but for the ISO form, nobody writes the month first.
    if found["s"] in ".-" and day_first:
        return day_first
    if day_first is None or month_first is None or day_first == month_first:
        return day_first or month_first
    if custom.day_first is None:
        return Reading(day_first.value, is_ambiguous=True)
    return day_first if custom.day_first else month_first


def _date(year: str, month: int, day: int) -> Reading | None:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 70 else 1900
    try:
        return Reading(date(number, month, day).isoformat())
    except ValueError:
        return None


def custom_of(text: str) -> Custom:
    """How a document writes numbers and dates, by those of them that can only be read one way."""
    return Custom(_decimal_mark_of(text), _day_first_of(text))


def _decimal_mark_of(text: str) -> str | None:
    votes = {".": 0, ",": 0}
    for found in NUMBER.finditer(text):
        digits = re.sub(r"[^\d.,]", "", found[0])
        marks = [mark for mark in digits if mark in ".,"]
        if marks and len(digits) - digits.rfind(marks[-1]) == 3 and digits.count(marks[-1]) == 1:
            votes[marks[-1]] += 1
    if votes["."] == votes[","]:
        return None
    return max(votes, key=lambda mark: votes[mark])


def _day_first_of(text: str) -> bool | None:
    votes = {True: 0, False: 0}
    for found in DATE.finditer(text):
        if found["s"] == "/" and max(int(found["a"]), int(found["b"])) > 12:
            votes[int(found["a"]) > 12] += 1
    if votes[True] != votes[False]:
        return votes[True] > votes[False]
    # The month comes first in the United States, whose currency and ZIP codes tell them.
    if re.search(r"\bUSD\b|\b[A-Z]{2} \d{5}(?:-\d{4})?\b", text):
        return False
    return True if re.search(r"€|£|\b(?:EUR|GBP|CHF|VAT|IBAN)\b", text) else None
