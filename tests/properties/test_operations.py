"""What holds for every number, date and range of pages."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from operations.tools.page_range import pages_of
from operations.tools.values import Custom, custom_of, read_date, read_number, read_value
from store.errors import PageRangeError
from store.fields import FieldType

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


@given(st.text(max_size=60), st.sampled_from(FieldType))
def test_no_text_makes_reading_fail(text: str, kind: FieldType) -> None:
    found = read_value(kind, text, custom_of(text))
    assert found is None or found.value


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
