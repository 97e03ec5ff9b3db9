"""The tasks of one project in two lists: those that are done with, and those that are not.

Which rows are on a page is read off an index alone (`ix_task_settled`, `ix_task_unsettled`), and so
is how many there are, where the database does not keep count (`TaskDay`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, collaborates, counts_own, counts_shared, private_lists
from store.columns import UtcDateTime
from store.long_lists import (
    ListPage,
    Tally,
    count_rows,
    counted_by_day,
    day_of,
    page_of,
    rows_by_day,
    start_of,
)
from store.models import PersonDay, Project, Task, TaskDay
from store.states import State
from store.turn import WAITS


@dataclass(frozen=True)
class Settled:
    """Which of the tasks that are done with; None: any."""

    since: datetime | None = None
    """Settled then or later."""
    before: datetime | None = None
    decided_by: str | None = None
    source: str | None = None
    is_correct: bool | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """What must be true of them."""
        settled = col(Task.settled_at)
        wanted: list[ColumnElement[bool] | None] = [
            settled.is_not(None),
            None if self.since is None else settled >= self.since,
            None if self.before is None else settled < self.before,
            None if self.decided_by is None else col(Task.decided_by) == self.decided_by,
            None if self.source is None else col(Task.source) == self.source,
            None if self.is_correct is None else col(Task.is_correct).is_(self.is_correct),
        ]
        return [one for one in wanted if one is not None]


_UNSETTLED: Final = col(Task.settled_at).is_(None)
_COUNTED_WAITING: Final = (
    col(TaskDay.moment) == "created",
    col(TaskDay.state) == State.IN_REVIEW.value,
)
_COUNTED_UNSETTLED: Final = (col(TaskDay.moment) == "created", ~col(TaskDay.is_settled))


async def settled_tasks(
    session: AsyncSession,
    caller: Caller,
    project: Project,
    wanted: Settled,
    *,
    limit: int,
    offset: int,
) -> ListPage[Task]:
    """A page of the tasks that are done with, those settled last first.

    Args:
        session: any.
        caller: who sees the project.
        project: whose tasks.
        wanted: which of them.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    lists = await lists_of(session, caller, [project], *wanted.conditions)
    time = col(Task.settled_at)
    if wanted.source is not None or wanted.is_correct is not None:
        tally = Tally.of(await count_rows(session, lists))
    else:
        kept = _settled_kept(caller, project, wanted.decided_by)
        tally = await _tally(session, lists, time, kept, wanted.since, wanted.before)
    return await page_of(
        session,
        Task,
        lists,
        (time, col(Task.code)),
        tally,
        newest_first=True,
        limit=limit,
        offset=offset,
    )


async def unsettled_tasks(
    session: AsyncSession, caller: Caller, project: Project, *, limit: int, offset: int
) -> ListPage[Task]:
    """A page of the tasks that are not done with, the oldest first; the arguments are as above."""
    lists = await lists_of(session, caller, [project], _UNSETTLED)
    time = col(Task.created_at)
    kept = _tasks_kept(caller, project, *_COUNTED_UNSETTLED)
    return await page_of(
        session,
        Task,
        lists,
        (time, col(Task.code)),
        await _tally(session, lists, time, kept),
        newest_first=False,
        limit=limit,
        offset=offset,
    )


@dataclass(frozen=True)
class _Kept:
    """What the database keeps count of."""

    kind: type[TaskDay] | type[PersonDay]
    counts: Sequence[Sequence[ColumnElement[bool]]]
    """The conditions of the rows that say so, list by list."""


def _settled_kept(caller: Caller, project: Project, decided_by: str | None) -> _Kept:
    """The counts of those tasks that are done with."""
    if decided_by is None:
        return _tasks_kept(caller, project, col(TaskDay.moment) == "settled")
    of = (col(PersonDay.project_id) == project.id, col(PersonDay.actor) == decided_by)
    return _Kept(PersonDay, [of])


def _tasks_kept(caller: Caller, project: Project, *which: ColumnElement[bool]) -> _Kept:
    of = (col(TaskDay.project_id) == project.id, *which)
    shared, own = counts_shared(TaskDay), counts_own(TaskDay, caller)
    return _Kept(TaskDay, [(*of, shared), (*of, own)])


async def _tally(
    session: AsyncSession,
    lists: Sequence[Select[tuple[Task]]],
    time: Any,
    kept: _Kept,
    since: datetime | None = None,
    before: datetime | None = None,
) -> Tally:
    """How many rows the lists of a project have, by days.

    Args:
        session: any.
        lists: as `lists_of` gives them.
        time: when they came, or were settled.
        kept: the counts of the first lists; the others are counted here.
        since: the lists have no earlier ones.
        before: the lists have earlier ones alone.
    """
    whole, edges = _days_of(since, before)
    spans: list[ColumnElement[bool]] = []
    if whole.first is not None:
        spans.append(col(kept.kind.day) >= whole.first)
    if whole.last is not None:
        spans.append(col(kept.kind.day) < whole.last)
    within = [[*one, *spans] for one in kept.counts]
    counted = len(kept.counts)
    days = await rows_by_day(session, lists[counted:], time)
    days += await counted_by_day(session, kept.kind, *within)
    for begin, end in edges:
        rest = [one.where(time >= begin, time < end) for one in lists[:counted]]
        days[day_of(begin)] += await count_rows(session, rest)
    return Tally(days)


class _WholeDays(NamedTuple):
    """Days by their numbers; None: no limit."""

    first: int | None
    last: int | None
    """Not included."""


def _days_of(
    since: datetime | None, before: datetime | None
) -> tuple[_WholeDays, list[tuple[datetime, datetime]]]:
    """The whole days of a span, and what it has of others: parts of one day each."""
    last = None if before is None else day_of(before)
    if since is None:
        first = None
    else:
        first = day_of(since) if since == start_of(day_of(since)) else day_of(since) + 1
    if since and before and first is not None and last is not None and first > last:
        return _WholeDays(first, last), [(since, before)]
    edges: list[tuple[datetime, datetime]] = []
    if since is not None and first is not None:
        edges.append((since, start_of(first)))
    if before is not None and last is not None:
        edges.append((start_of(last), before))
    return _WholeDays(first, last), [(begin, end) for begin, end in edges if begin < end]


async def count_unsettled(
    session: AsyncSession, caller: Caller, projects: Sequence[Project]
) -> Mapping[UUID, int]:
    """How many tasks of some projects are not done with, by the ids of those that have any."""
    counts = await _count_shared(session, projects, *_COUNTED_UNSETTLED)
    project_id = col(Task.project_id)
    for one in (await lists_of(session, caller, projects, _UNSETTLED))[1:]:
        query = one.with_only_columns(project_id, func.count()).group_by(project_id)
        for found, count in (await session.execute(query)).tuples():
            if found is not None:
                counts[found] += count
    return counts


async def _count_shared(
    session: AsyncSession, projects: Sequence[Project], *counted: ColumnElement[bool]
) -> Counter[UUID]:
    """How many tasks projects have that are nobody's alone, as the database knows."""
    project_id = col(TaskDay.project_id)
    query = select(project_id, func.sum(col(TaskDay.counted))).where(
        project_id.in_([project.id for project in projects]), counts_shared(TaskDay), *counted
    )
    rows = (await session.execute(query.group_by(project_id))).tuples()
    return Counter({id_: int(count) for id_, count in rows})


@dataclass
class Waiting:
    """The tasks of a project that wait for a person."""

    count: int = 0
    since: datetime | None = None
    """Since when the one of them waits that waits longest; None: there are none."""


async def waiting_in(
    session: AsyncSession, projects: Sequence[Project], lists: Sequence[Select[tuple[Task]]]
) -> Mapping[UUID, Waiting]:
    """The tasks that wait for a person, by the ids of those projects that have any.

    Args:
        session: any.
        projects: whose tasks.
        lists: of these, as `lists_of` gives them.
    """
    found: defaultdict[UUID, Waiting] = defaultdict(Waiting)
    counts = await _count_shared(session, projects, *_COUNTED_WAITING)
    project_id, since = col(Task.project_id), func.min(col(Task.review_since), type_=UtcDateTime)
    first = (
        select(since)
        .where(project_id == col(Project.id), WAITS, col(Task.deleted_at).is_(None))
        .where(~col(Task.is_private))
        .scalar_subquery()
    )
    public = select(col(Project.id), first).where(col(Project.id).in_(counts))
    for id_, at in (await session.execute(public)).tuples():
        found[id_] = Waiting(counts[id_], at)
    for one in lists[1:]:
        query = (
            one.where(WAITS).with_only_columns(project_id, func.count(), since).group_by(project_id)
        )
        for id_, count, at in (await session.execute(query)).tuples():
            if id_ is not None:
                times = [time for time in (found[id_].since, at) if time]
                found[id_] = Waiting(found[id_].count + count, min(times, default=None))
    return {id_: one for id_, one in found.items() if one.count}


async def lists_of(
    session: AsyncSession,
    caller: Caller,
    projects: Sequence[Project],
    *conditions: ColumnElement[bool],
) -> list[Select[tuple[Task]]]:
    """The tasks of projects that the caller sees, in lists of which each has an index.

    Who sees a project sees all of its tasks but the private ones (`store/access.py`), which are
    few: whether there are any is asked before they are looked for. The second list is of those
    that are the caller's own, the third of those of others on which it collaborates.
    """
    of_them = col(Task.project_id).in_([project.id for project in projects])
    of = select(Task).where(of_them, col(Task.deleted_at).is_(None), *conditions)
    lists = [of.where(~col(Task.is_private))]
    private = exists().where(of_them, col(Task.is_private))
    asked = select(private, collaborates(caller))
    has_private, has_shared = (await session.execute(asked)).tuples().one()
    if has_private:
        own = private_lists(caller, of.where(col(Task.is_private)))
        lists += own if has_shared else own[:1]
    return lists
