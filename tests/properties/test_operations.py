"""What holds for every number, date and range of pages."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from operations.tools.page_range import pages_of
from operations.tools.value_types import read_as, spans_of
from operations.tools.values import Custom, custom_of, read_date, read_number
from store.errors import PageRangeError
from store.fields import ROWS, FieldType
from store.project_fields import ColumnPart

amounts = st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False)
dates = st.dates(date(1970, 1, 1), date(2069, 12, 31))


def written(amount: Decimal, group: str, mark: str) -> str:
    return f"{amount:,.2f}".replace(",", "g").replace(".", mark).replace("g", group)


@given(
    amounts, st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("", "."), ("", ",")])
)
def test_an_amount_is_read_as_it_was_written(amount: Decimal, marks: tuple[str, str]) -> None:
    found = read_number(written(amount, *marks), is_money=True)
    assert found is not None
    assert Decimal(found.value) == amount
    assert not found.is_ambiguous


@given(amounts)
def test_reading_an_amount_again_changes_nothing(amount: Decimal) -> None:
    for is_money in (True, False):
        once = read_number(str(amount), is_money=is_money)
        assert once is not None
        assert read_number(once.value, is_money=is_money) == once


@given(
    dates,
    st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d.%m.%y", "%d %B %Y", "%b %d, %Y", "%d-%b-%Y"]),
)
def test_a_date_is_read_as_it_was_written(day: date, form: str) -> None:
    found = read_date(day.strftime(form))
    assert found is not None
    assert found.value == day.isoformat()


@given(dates, st.booleans())
def test_a_date_with_slashes_is_read_as_the_document_has_it(day: date, day_first: bool) -> None:
    form = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    found = read_date(day.strftime(form), Custom(day_first=day_first))
    assert found is not None
    assert found.value == day.isoformat()


SINGLE = [kind for kind in FieldType if kind not in ROWS]


@given(st.text(max_size=60), st.sampled_from(SINGLE), st.sampled_from(["", "de_DE", "en_US"]))
def test_no_text_makes_reading_fail(text: str, kind: FieldType, locale: str) -> None:
    options = ["one", "two"] if kind is FieldType.CHOICE else []
    part = ColumnPart.model_validate(
        {"name": "field", "type": kind, "options": options, "locale": locale}
    )
    found = read_as(part, text, custom_of(text))
    assert found is None or found.value
    for start, end in spans_of(part, text):
        assert 0 <= start < end <= len(text)


LOCALES = {
    "en_US": (",", ".", "%m/%d/%Y"),
    "en_GB": (",", ".", "%d/%m/%Y"),
    "de_DE": (".", ",", "%d.%m.%Y"),
    "de_CH": ("'", ".", "%d.%m.%Y"),
    "fr_FR": ("\u202f", ",", "%d/%m/%Y"),
    "es_ES": (".", ",", "%d/%m/%Y"),
    "it_IT": (".", ",", "%d/%m/%Y"),
    "nl_NL": (".", ",", "%d-%m-%Y"),
}


@given(amounts, st.sampled_from(sorted(LOCALES)), st.sampled_from(["", " EUR", " €"]))
def test_an_amount_is_read_as_its_locale_writes_it(
    amount: Decimal, locale: str, currency: str
) -> None:
    group, mark, _ = LOCALES[locale]
    part = ColumnPart(name="field", type=FieldType.MONEY, locale=locale)
    found = read_as(part, written(amount, group, mark) + currency)
    assert found is not None
    assert Decimal(found.value) == amount
    assert found.currency == ("EUR" if currency else None)
    assert not found.is_ambiguous


@given(st.decimals(-(10**9), 10**9, places=3), st.sampled_from(sorted(LOCALES)))
def test_a_number_of_three_decimals_is_read_as_its_locale_writes_it(
    number: Decimal, locale: str
) -> None:
    mark = LOCALES[locale][1]
    part = ColumnPart(name="field", type=FieldType.NUMBER, locale=locale)
    found = read_as(part, f"{number:.3f}".replace(".", mark))
    assert found is not None
    assert Decimal(found.value) == number


@given(dates, st.sampled_from(sorted(LOCALES)))
def test_a_date_is_read_as_its_locale_writes_it(day: date, locale: str) -> None:
    part = ColumnPart(name="field", type=FieldType.DATE, locale=locale)
    found = read_as(part, day.strftime(LOCALES[locale][2]))
    assert found is not None
    assert found.value == day.isoformat()


@given(st.text("0123456789,- ", max_size=20), st.integers(1, 500))
def test_pages_are_pages_of_the_document_in_order(text: str, count: int) -> None:
    try:
        pages = pages_of(text, count)
    except PageRangeError:
        return
    assert pages == sorted(set(pages))
    assert set(pages) <= set(range(1, count + 1))


@given(st.sets(st.integers(1, 300), min_size=1))
def test_a_list_of_pages_is_those_pages(pages: set[int]) -> None:
    assert pages_of(",".join(map(str, pages)), 300) == sorted(pages)
