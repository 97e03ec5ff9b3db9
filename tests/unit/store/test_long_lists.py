"""Where in a long list a page is."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from store.long_lists import Tally, day_of, start_of

DAYS = st.dictionaries(st.integers(0, 40), st.integers(0, 5), min_size=1)


@given(DAYS, st.data(), st.booleans())
def test_those_days_are_read_that_the_page_has_and_no_others(
    days: dict[int, int], data: st.DataObject, newest_first: bool
) -> None:
    rows = [day for day in sorted(days, reverse=newest_first) for _ in range(days[day])]
    if not rows:
        return
    offset = data.draw(st.integers(0, len(rows) - 1))
    length = data.draw(st.integers(1, len(rows) - offset))
    page = rows[offset : offset + length]
    found = Tally(Counter(days)).days(offset, length, newest_first=newest_first)
    assert (day_of(found.begin), day_of(found.end)) == (min(page), max(page) + 1)
    within = [day for day in rows if min(page) <= day <= max(page)]
    assert found.rows == len(within)
    assert within[found.before : found.before + length] == page


@given(st.integers(-700_000, 2_900_000))
def test_a_day_begins_in_itself(day: int) -> None:
    assert day_of(start_of(day)) == day
    assert day_of(start_of(day) - timedelta(microseconds=1)) == day - 1
