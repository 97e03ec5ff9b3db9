"""Each type of field is read as people write it, and its checksum is known."""

from typing import Any

import pytest

from operations.tools.value_types import fault_of, read_as, spans_of
from operations.tools.values import MAX_CHARACTERS, currency_of
from store.fields import FieldType
from store.project_fields import ColumnPart

OPTIONS: list[Any] = ["cash", {"value": "card", "synonyms": ["Visa", "Kreditkarte"]}]


def part(kind: str, **more: Any) -> ColumnPart:
    return ColumnPart.model_validate({"name": "field", "type": kind, **more})


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (part("boolean"), "Yes", "true"),
        (part("boolean"), "nein", "false"),
        (part("boolean"), "\u2611", "true"),
        (part("boolean"), "perhaps", None),
        (part("choice", options=OPTIONS), "CASH", "cash"),
        (part("choice", options=OPTIONS), "visa", "card"),
        (part("choice", options=OPTIONS), "Kreditkarfe", "card"),
        (part("choice", options=OPTIONS), "cheque", None),
        (part("email"), "Ann.Lee@Example.ORG", "Ann.Lee@example.org"),
        (part("email"), "billing @example.org", "billing@example.org"),
        (part("email"), "no address", None),
        (part("phone"), "+49 (0)30 901820", "+4930901820"),
        (part("phone", country="GB"), "020 7946 0958", "+442079460958"),
        (part("phone"), "020 7946 0958", None),
        (part("iban"), "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        (part("iban"), "no IBAN", None),
        (part("vat_id"), "DE 136 695 976", "DE136695976"),
        (part("vat_id"), "ATU13585627", "ATU13585627"),
        (part("vat_id", country="DE"), "136695976", "DE136695976"),
        (part("number", locale="de_DE"), "1.234", "1234"),
        (part("number", locale="en_GB"), "1.234", "1.234"),
        (part("number", locale="de_CH"), "1'234.5", "1234.5"),
        (part("number", locale="en_IN"), "12,34,567.89", "1234567.89"),
        (part("number"), "1.234.56", None),
        (part("money"), "12.-", "12.00"),
        (part("date", locale="en_US"), "03/04/2026", "2026-03-04"),
        (part("date", locale="en_GB"), "03/04/2026", "2026-04-03"),
        (part("date"), "31.02.2026", None),
        (part("date"), "31.02.", None),
        (part("date"), "5. Marz 2026", "2026-03-05"),
        (part("date"), "12 févr. 2026", "2026-02-12"),
        (part("date"), "3 ago 2026", "2026-08-03"),
        (part("date"), "14 giu 2026", "2026-06-14"),
        (part("date"), "2 mrt 2026", "2026-03-02"),
    ],
)
def test_a_value_is_read_as_its_type(field: ColumnPart, text: str, value: str | None) -> None:
    found = read_as(field, text)
    assert (found.value if found else None) == value


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("iban", "GB82WEST12345698765432", "GB82WEST12345698765433"),
        ("iban", "NO9386011117947", "NO938601111794"),
        ("vat_id", "DE136695976", "DE136695977"),
        ("vat_id", "FR61954506077", "FR62954506077"),
        ("vat_id", "GB980780684", "GB980780685"),
        ("vat_id", "CHE107787577MWST", "CHE107787578MWST"),
        ("vat_id", "NO995525828MVA", "US123456789"),
        ("phone", "+4930901820", "+15555"),
    ],
)
def test_a_checksum_tells_a_wrong_letter(kind: str, right: str, wrong: str) -> None:
    assert fault_of(part(kind), right) == ""
    assert fault_of(part(kind), wrong)


def test_codes_end_where_their_checksum_says() -> None:
    text = "IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFF"
    (start, end), *_ = spans_of(part("iban"), text)
    assert text[start:end] == "DE89 3704 0044 0532 0130 00"
    text = "VAT FR 61 954 506 077 PAGE 1"
    (start, end), *_ = spans_of(part("vat_id"), text)
    assert text[start:end] == "FR 61 954 506 077"


def test_an_amount_has_the_currency_beside_it() -> None:
    for text in ("EUR 12.50", "12,50 €", "€12.50"):
        found = read_as(part("money"), text)
        assert found is not None
        assert (found.value, found.currency) == ("12.50", "EUR")
    assert currency_of("12 EUR or 13 USD") is None
    assert currency_of("8 hrs.") is None


def test_what_nobody_sees_is_no_part_of_a_value() -> None:
    found = read_as(part("text"), "\u202b\u05e9\u05dc\u05d5\u05dd\u202c \x00world\u200e")
    assert found is not None
    assert found.value == "\u05e9\u05dc\u05d5\u05dd world"
    number = read_as(part("number"), "\u200e1\u0662\u200e3")
    assert number is not None
    assert number.value == "123"


@pytest.mark.parametrize("kind", [kind for kind in FieldType if kind not in {"list", "table"}])
def test_a_value_of_a_megabyte_is_none(kind: FieldType) -> None:
    field = part(kind, **({"options": OPTIONS} if kind is FieldType.CHOICE else {}))
    assert read_as(field, "1" * (MAX_CHARACTERS + 1)) is None
    assert read_as(field, "a " * 500_000) is None
