"""Numbers, money and dates are read as people write them."""

import pytest

from operations.tools.values import Custom, Reading, custom_of, read_date, read_number, read_value
from store.fields import FieldType

AMOUNTS = {
    "1,234.56": "1234.56",
    "1.234,56": "1234.56",
    "1 234,56 €": "1234.56",
    "1\u202f234,56": "1234.56",
    "1'234.50": "1234.50",
    "1.234.567": "1234567.00",
    "1,234": "1234.00",
    "1.234": "1234.00",
    "$1,234": "1234.00",
    "EUR 12": "12.00",
    "12,5": "12.50",
    ".99": "0.99",
    "(12.00)": "-12.00",
    "12.00-": "-12.00",
    "\u221212.00": "-12.00",
    "-£5.00": "-5.00",
    "£-5.00": "-5.00",
    "12.00 CR": "-12.00",
    "0.125": "0.125",
}

NO_NUMBERS = ["", "abc", "1.2.3", "1,23,4", "12.345.67,8.9", "12a", "--", "€", "1..2"]

DATES = {
    "2026-01-31": "2026-01-31",
    "2026/1/5": "2026-01-05",
    "31/01/2026": "2026-01-31",
    "01/31/2026": "2026-01-31",
    "3.4.2026": "2026-04-03",
    "3. 4. 2026": "2026-04-03",
    "12-01-26": "2026-01-12",
    "12 January 2026": "2026-01-12",
    "12th of March 2026": "2026-03-12",
    "Jan. 12, 2026": "2026-01-12",
    "12-Jan-26": "2026-01-12",
    "5. März 2026": "2026-03-05",
    "1er août 2025": "2025-08-01",
    "3 de mayo de 2024": "2024-05-03",
    "7 dicembre 99": "1999-12-07",
}

NO_DATES = ["", "31.02.2026", "2026-13-01", "13/13/2026", "March 2026", "12 Foo 2026", "1/2"]


@pytest.mark.parametrize(("text", "value"), AMOUNTS.items())
def test_an_amount_is_read(text: str, value: str) -> None:
    found = read_number(text, is_money=True)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(("text", "value"), DATES.items())
def test_a_date_is_read(text: str, value: str) -> None:
    assert read_date(text) == Reading(value)


@pytest.mark.parametrize("text", NO_DATES)
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_date(text) is None


def test_three_digits_after_a_mark_are_thousands_or_decimals_as_the_document_has_it() -> None:
    assert read_number("1.234") == Reading("1.234", is_ambiguous=True)
    assert read_number("1.234", Custom(decimal_mark=",")) == Reading("1234")
    assert read_number("1.234", Custom(decimal_mark=".")) == Reading("1.234")
    assert read_number("1,234", Custom(decimal_mark=",")) == Reading("1.234")


def test_which_of_day_and_month_comes_first_is_told_by_the_other_dates() -> None:
    assert read_date("3/4/2026") == Reading("2026-04-03", is_ambiguous=True)
    assert read_date("3/4/2026", custom_of("paid 25/12/2025")) == Reading("2026-04-03")
    assert read_date("3/4/2026", custom_of("paid 12/25/2025")) == Reading("2026-03-04")
    assert read_date("3/4/2026", custom_of("Duluth, MN 55802")) == Reading("2026-03-04")
    assert read_date("3/4/2026", custom_of("VAT 20% in £")) == Reading("2026-04-03")


def test_how_decimals_are_marked_is_told_by_the_other_amounts() -> None:
    assert custom_of("12,50 und 1.299,00").decimal_mark == ","
    assert custom_of("12.50 and 1,299.00").decimal_mark == "."
    assert custom_of("1,299").decimal_mark is None


def test_text_is_its_words() -> None:
    assert read_value(FieldType.TEXT, "  two \n words ") == Reading("two words")
    assert read_value(FieldType.TEXT, " \n") is None
