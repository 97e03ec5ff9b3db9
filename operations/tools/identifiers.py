"""E-mail addresses, phone numbers, IBANs and VAT ids: how they are written, and their checksums."""

import re
from collections.abc import Iterator
from typing import Final

import phonenumbers
from stdnum import iban as stdnum_iban
from stdnum.ch import vat as ch_vat
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as gb_vat
from stdnum.no import mva as no_vat

# What WHATWG's HTML takes for an e-mail address, with a dot in its domain
# (https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address).
_DOMAIN_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL: Final = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64} ?@ ?"
    rf"{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL}){{1,8}}(?![\w@-])"
)
IBAN: Final = re.compile(
    r"(?<!\w)[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{4}){2,7}(?:[ ]?[A-Z0-9]{1,4})?(?!\w)"
)
"""Source: ISO 13616-1: a country, two check digits, 11 to 30 letters and digits."""

_COUNTRIES = (
    "AT BE BG CHE CY CZ DE DK EE EL ES FI FR GB HR HU IE IT LT LU LV MT NL NO PL PT RO SE SI SK XI"
)
VAT_ID: Final = re.compile(
    rf"(?<!\w)(?:{_COUNTRIES.replace(' ', '|')})(?:[ .-]?[A-Z0-9+*]){{6,13}}"
    r"(?: ?(?:MWST|TVA|IVA|MVA))?(?!\w)"
)
"""Those of the European Union, the United Kingdom, Norway and Switzerland."""

_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u202f]+")
_AT_SIGN = re.compile(r" ?@ ?")
_VAT_ID_MARKS = re.compile(r"[\s\u00a0\u202f./-]")
_PLAIN_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_PLAIN_VAT_ID = re.compile(r"(?:[A-Z]{2}|CHE)(?=.*\d)[A-Z0-9+*]{5,15}")
_MAX_CHARACTERS = 100
"""None of them is longer; a phone number as people write it may nearly be."""

_MAX_SEARCHED = 20_000
"""Characters of text that are searched for phone numbers, which takes long."""


def read_email(text: str) -> str | None:
    """An address, its domain in lower case; None when it is none."""
    # OCR puts spaces around the sign, where no address has any.
    plain = _AT_SIGN.sub("@", text.strip().removeprefix("mailto:").strip("<>"))
    if len(plain) > 254 or not EMAIL.fullmatch(plain):  # RFC 5321, 4.5.3.1.3
        return None
    name, _, domain = plain.rpartition("@")
    return f"{name}@{domain.lower()}"


def read_phone(text: str, country: str) -> str | None:
    """A number as E.164: `+493012345678`; None when it is none.

    Args:
        text: as it is written.
        country: ISO 3166-1 code of numbers without one; may be empty.
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def find_phones(text: str, country: str) -> Iterator[tuple[int, int]]:
    """Where in a text phone numbers stand."""
    matcher = phonenumbers.PhoneNumberMatcher(
        text[:_MAX_SEARCHED], country or None, leniency=phonenumbers.Leniency.POSSIBLE
    )
    for found in matcher:
        yield found.start, found.end


def read_iban(text: str) -> str | None:
    """An IBAN without spaces, right or wrong; None when it does not look like one."""
    plain = _SPACES.sub("", text).replace("-", "").replace(".", "").upper()
    plain = plain.removeprefix("IBAN").lstrip(":")
    return plain if _PLAIN_IBAN.fullmatch(plain) else None


def read_vat_id(text: str, country: str) -> str | None:
    """A VAT id without spaces, right or wrong; None when it does not look like one."""
    plain = _VAT_ID_MARKS.sub("", text).upper()
    if country and plain[:1].isdigit():
        plain = ("EL" if country == "GR" else country) + plain
    return plain if _PLAIN_VAT_ID.fullmatch(plain) else None


def iban_fault(iban: str) -> str:
    """What is wrong with an IBAN; empty when nothing is.

    Source: ISO 13616-1 (structure by country), ISO 7064 (MOD 97-10).
    """
    try:
        stdnum_iban.validate(iban)
    except ValidationError:
        return "is not a valid IBAN: its check digits or its length are not right"
    return ""


_OUTSIDE_EU: Final = {"GB": gb_vat, "NO": no_vat}
"""By the first two letters; those of Switzerland begin with CHE."""


def vat_id_fault(vat_id: str) -> str:
    """What is wrong with a VAT id; empty when nothing is, or when nothing is known of its country.

    Source: formats and checksums as python-stdnum has them, from the member states' publications.
    """
    country = vat_id[:2]
    try:
        if vat_id.startswith("CHE"):
            ch_vat.validate(vat_id if vat_id[-1].isalpha() else f"{vat_id}MWST")
        elif country in _OUTSIDE_EU:
            _OUTSIDE_EU[country].validate(vat_id[2:])
        elif country.lower() in eu_vat.MEMBER_STATES or country == "EL":
            eu_vat.validate(vat_id)
        else:
            return f"begins with {country}, which is no country whose VAT ids are known"
    except ValidationError:
        return "is not a valid VAT id: its check digits or its length are not right"
    return ""


def phone_fault(number: str) -> str:
    """What is wrong with a number in E.164; empty when nothing is."""
    try:
        is_valid = phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        is_valid = False
    return "" if is_valid else "is not a phone number that exists: a digit is missing or wrong"
