"""Numbers, money and dates, as people write them."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final

from store.fields import FieldType
from store.locales import decimal_mark, is_day_first

_CODES = (
    "AED AUD BGN BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF IDR ILS INR ISK JPY KRW MXN MYR NOK NZD"
    " PHP PLN RON RUB SAR SEK SGD THB TRY TWD UAH USD ZAR"
)
_SIGNS: Final[Mapping[str, str]] = {
    "€": "EUR",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "₩": "KRW",
    "₺": "TRY",
    "₽": "RUB",
    "zł": "PLN",
    "Kč": "CZK",
    "Fr.": "CHF",
    "SFr.": "CHF",
    "Rs.": "INR",
    "US$": "USD",
    "C$": "CAD",
    "A$": "AUD",
    "$": "USD",
}
"""What stands for a currency. The dollar sign alone is read as the one that it mostly is."""

_BY_SIGN = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
CURRENCY = rf"(?:(?<![^\W\d])(?:{_BY_SIGN})|\b(?:{_CODES.replace(' ', '|')})\b)"
_CURRENCY = re.compile(CURRENCY, re.IGNORECASE)

_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
_MINUS = re.compile(r"[\u2212\u2012\u2013]")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*|[.,]\d+")
_NO_DECIMALS = re.compile(r"(?<=\d)[.,][-\u2014]$")
"""`12.-`, `12,-`"""

_NEGATIVE = re.compile(r"\(.*\)|-.*|.*-|.*\bCR", re.IGNORECASE)
_SIGNS_AROUND = re.compile(r"^[(+-]+|[)-]+$|\bCR$", re.IGNORECASE)
_GROUP_MARKS = re.compile(r"(?<=\d)['\u2019 ](?=\d{3}(?!\d))")

NUMBER = re.compile(
    r"(?<![\w.,])(?:\(\s?)?[-+\u2212]?\s?"
    rf"(?:{CURRENCY}\s?)?[-\u2212]?"
    r"(?:\d{1,2}(?:,\d\d)+,\d{3}(?!\d)|"
    r"\d{1,3}(?:(?P<group>[.,'\u2019 \u00a0\u202f])\d{3})(?:(?P=group)\d{3})*(?!\d)|\d+)"
    r"(?:[.,](?:\d+|[-\u2013\u2014]))?"
    rf"(?:\s?{CURRENCY}|\s?-(?!\w)|\s?CR\b|\s?%)?\s?\)?(?![\w])",
    re.IGNORECASE,
)
"""A number in running text, with what belongs to it."""


def _without_accents(word: str) -> str:
    """As OCR and typewriters have it."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


_MONTHS: Final[Mapping[str, int]] = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner janvier janv enero ene gennaio gen januari",
            "feb february februar fevrier février févr fév fevr febrero febbraio februari",
            "mar march märz maerz mär mars marzo maart mrz mrt",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio mag mei",
            "jun june juni juin junio giugno giu",
            "jul july juli juillet juil julio luglio lug",
            "aug august août aout agosto ago augustus",
            "sep sept september septembre septiembre setiembre settembre set",
            "oct october oktober octobre octubre ottobre ott okt",
            "nov november novembre noviembre",
            "dec december dezember décembre decembre déc diciembre dicembre dic dez",
        ),
        1,
    )
    for word in names.split()
    for name in (word, _without_accents(word))
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
    currency: str | None = None
    """The ISO 4217 code of the one currency that it names."""


UNKNOWN_CUSTOM = Custom()


@dataclass(frozen=True)
class Reading:
    """What a text says."""

    value: str
    """A decimal, or a date as YYYY-MM-DD; or the text."""
    is_ambiguous: bool = False
    """It could as well mean something else."""
    currency: str | None = None
    """Of an amount: its ISO 4217 code, where one stands beside it."""


MAX_CHARACTERS = 10_000
"""Of a value: what is longer is none."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff"
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
"""Control characters, halves of characters, and marks of the direction of writing: nobody sees
them, databases refuse some, and no two programs agree on the rest."""


def visible_text(text: str) -> str:
    """A text without what nobody sees, in one form of each letter (Unicode NFC)."""
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def read_value(kind: FieldType, text: str, custom: Custom = UNKNOWN_CUSTOM) -> Reading | None:
    """Read a text as text, a number, an amount or a date; None when it is none."""
    if len(text) > MAX_CHARACTERS:
        return None
    if kind is FieldType.TEXT:
        plain = _SPACES.sub(" ", visible_text(text)).strip()
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
    plain = _MINUS.sub("-", _SPACES.sub(" ", visible_text(text)).strip())
    currency = currency_of(plain) if is_money else None
    plain = _CURRENCY.sub("", plain).replace("%", "").strip()
    plain = _NO_DECIMALS.sub("", plain)
    is_negative = bool(_NEGATIVE.fullmatch(plain))
    plain = _SIGNS_AROUND.sub("", plain.strip()).strip(" -")
    plain = _GROUP_MARKS.sub("", plain)
    if not _DIGITS.fullmatch(plain):
        return None
    found = _plain_number(plain, custom, is_money=is_money)
    if found is None:
        return None
    digits, is_ambiguous = found
    number = -Decimal(digits) if is_negative else Decimal(digits)
    return Reading(plain_digits(number, is_money=is_money), is_ambiguous, currency)


def plain_digits(number: Decimal, *, is_money: bool) -> str:
    """A finite number with a decimal point and nothing else; an amount has two decimals or more."""
    digits = format(number, "f")
    if not is_money:
        return digits
    whole, _, decimals = digits.partition(".")
    return f"{whole}.{decimals:0<2}"


def currency_of(text: str) -> str | None:
    """The ISO 4217 code of the one currency that a text names; None for none or several."""
    codes = {
        next((code for sign, code in _SIGNS.items() if sign.lower() == one.lower()), one.upper())
        for one in _CURRENCY.findall(text)
    }
    return codes.pop() if len(codes) == 1 else None


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
    if not 1 <= len(first) <= 3 or first[0] == "0" or len(groups[-1]) != 3:
        return False
    # In India thousands are grouped by three, all above them by two: 12,34,567.
    is_indian = mark == "," and len(first) <= 2 and all(len(group) == 2 for group in groups[:-1])
    return is_indian or all(len(group) == 3 for group in groups)


def read_date(text: str, custom: Custom = UNKNOWN_CUSTOM) -> Reading | None:
    """Read a date: ISO, day or month first, or with the name of the month in six languages."""
    found = DATE.fullmatch(_SPACES.sub(" ", visible_text(text)).strip())
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


def custom_in(locale: str, document: Custom) -> Custom:
    """How a field is written: as its locale says, else as its document has it.

    Args:
        locale: that `store.locales` knows; may be empty.
        document: of the other values of the document.
    """
    if not locale:
        return document
    return replace(document, decimal_mark=decimal_mark(locale), day_first=is_day_first(locale))


def custom_of(text: str) -> Custom:
    """How a document writes numbers and dates, by those of them that can only be read one way."""
    return Custom(_decimal_mark_of(text), _day_first_of(text), currency_of(text))


_NO_PART_OF_NUMBERS = re.compile(r"[^\d.,]")


def _decimal_mark_of(text: str) -> str | None:
    votes = {".": 0, ",": 0}
    for found in NUMBER.finditer(text):
        digits = _NO_PART_OF_NUMBERS.sub("", found[0])
        marks = [mark for mark in digits if mark in ".,"]
        if marks and len(digits) - digits.rfind(marks[-1]) == 3 and digits.count(marks[-1]) == 1:
            votes[marks[-1]] += 1
    if votes["."] == votes[","]:
        return None
    return max(votes, key=lambda mark: votes[mark])


_UNITED_STATES = re.compile(r"\bUSD\b|\b[A-Z]{2} \d{5}(?:-\d{4})?\b")
"""There the month comes first; their currency and ZIP codes tell them."""

_EUROPE = re.compile(r"€|£|\b(?:EUR|GBP|CHF|VAT|IBAN)\b")


def _day_first_of(text: str) -> bool | None:
    votes = {True: 0, False: 0}
    for found in DATE.finditer(text):
        if found["s"] == "/" and max(int(found["a"]), int(found["b"])) > 12:
            votes[int(found["a"]) > 12] += 1
    if votes[True] != votes[False]:
        return votes[True] > votes[False]
    if _UNITED_STATES.search(text):
        return False
    return True if _EUROPE.search(text) else None
