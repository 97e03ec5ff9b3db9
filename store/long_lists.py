"""Pages of long lists, named by how many rows are before them.

The database keeps count of what came on each day (`TaskDay`, `FileDay`). So a page far down is
looked for in the days alone that it touches, and costs what the first one does. Which rows are on
it is read off an index; only those are read as a whole.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from store.models import FileDay, PersonDay, TaskDay

Row = TypeVar("Row", bound=SQLModel)
Counted = TaskDay | FileDay | PersonDay

_DAY: Final = timedelta(days=1)
_ALL_TIME: Final = timedelta(days=100_000)
_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _BEGIN) // _DAY


def day_of(at: datetime) -> int:
    """The number of its day: whole days since 1970, UTC."""
    return (at - _BEGIN) // _DAY


def start_of(day: int) -> datetime:
    """When a day begins; the last one that there can be, when it is later."""
    return _BEGIN + min(day, _LAST) * _DAY


@dataclass(frozen=True)
class Days:
    """Some days of a list, one after the other."""

    begin: datetime
    end: datetime
    """Not included."""
    rows: int
    before: int
    """So many of its rows are before the page that is looked for."""


@dataclass
class Tally:
    """How many rows a list has in each span of time."""

    rows: Counter[int] = field(default_factory=Counter)
    """By the number of the span: whole ones since 1970."""
    span: timedelta = _DAY

    @classmethod
    def of(cls, count: int) -> "Tally":
        """Of rows of which it is not known when they came."""
        return cls(Counter({0: count}), _ALL_TIME)

    def days(self, offset: int, length: int, *, newest_first: bool) -> Days:
        """Where a page is, which has at least one row and ends with the list at the latest."""
        numbers = sorted((one for one in self.rows if self.rows[one]), reverse=newest_first)
        ends = list(accumulate(self.rows[one] for one in numbers))
        first, last = bisect_right(ends, offset), bisect_left(ends, offset + length)
        passed = ends[first - 1] if first else 0
        earliest, latest = sorted((numbers[first], numbers[last]))
        return Days(
            begin=_BEGIN + earliest * self.span,
            end=_BEGIN + (latest + 1) * self.span,
            rows=ends[last] - passed,
            before=offset - passed,
        )


@dataclass(frozen=True)
class ListPage(Generic[Row]):
    """Some rows of a list."""

    count: int
    """How many the whole list has."""
    rows: Sequence[Row]


async def counted_by_day(
    session: AsyncSession, kind: type[Counted], *counts: Sequence[ColumnElement[bool]]
) -> Counter[int]:
    """What the database has counted of some lists, by the numbers of days.

    Args:
        session: any.
        kind: of the rows that say so.
        counts: the conditions of these, list by list.
    """
    sums = [
        select(col(kind.day), func.sum(col(kind.counted))).where(*one).group_by(col(kind.day))
        for one in counts
    ]
    found: Counter[int] = Counter()
    for day, count in (await session.execute(union_all(*sums))).tuples():
        found[day] += int(count)
    return found


async def rows_by_day(
    session: AsyncSession, lists: Sequence[Select[tuple[Any]]], time: Any
) -> Counter[int]:
    """The rows of lists that the database does not count, by the numbers of days.

    Args:
        session: any.
        lists: short ones.
        time: the column that says when a row came.
    """
    found: Counter[int] = Counter()
    for one in lists:
        times = (await session.execute(one.with_only_columns(time))).scalars()
        found.update(day_of(at) for at in times)
    return found


async def count_rows(session: AsyncSession, lists: Sequence[Select[tuple[Any]]]) -> int:
    """How many rows some lists have."""
    counts = [one.with_only_columns(func.count()) for one in lists]
    return sum([(await session.execute(one)).scalar_one() for one in counts])


async def page_of(
    session: AsyncSession,
    kind: type[Row],
    lists: Sequence[Select[tuple[Row]]],
    order: tuple[Any, Any],
    tally: Tally,
    *,
    newest_first: bool,
    limit: int,
    offset: int,
) -> ListPage[Row]:
    """A page of some lists taken together.

    Args:
        session: any.
        kind: of the rows.
        lists: no row is in two of them.
        order: a time and a unique column, by which they are sorted; the tally is of that time.
        tally: how many rows they have.
        newest_first: which end comes first.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    count = tally.rows.total()
    length = min(limit, count - offset)
    if length <= 0:
        return ListPage(count, [])
    where = tally.days(offset, length, newest_first=newest_first)
    # In the second half of its days a page is counted from the end.
    is_from_end = where.before > where.rows // 2
    skipped = where.rows - where.before - length if is_from_end else where.before
    falls = newest_first != is_from_end
    time, key = order
    within = [one.where(time >= where.begin, time < where.end) for one in lists]
    # No query around it, so that SQLite merges the lists in the order of their indexes.
    keys = union_all(*(one.with_only_columns(*order) for one in within))
    sort = [column.desc() if falls else column.asc() for column in keys.selected_columns]
    named = keys.order_by(*sort).limit(length).offset(max(skipped, 0))
    found = (await session.execute(named)).scalars(1).all()
    rows = (await session.execute(select(kind).where(key.in_(found)))).scalars()
    by_key = {getattr(row, key.key): row for row in rows}
    in_order = [by_key[one] for one in found if one in by_key]
    return ListPage(count, in_order[::-1] if is_from_end else in_order)
