"""The tasks of one project in two lists: those that are done with, and those that are not.

Pages are named by how many rows are before them, however many that are. Which rows are on a page is
read off an index alone (`ix_task_settled`, `ix_task_unsettled`), and so is how many there are,
where the database does not keep count (`SettledCount`).
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, exists, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, sees_task
from store.columns import StateColumn, UtcDateTime
from store.models import Project, SettledCount, StateCount, Task
from store.states import State


@dataclass(frozen=True)
class Page:
    """Some rows of a list."""

    count: int
    """How many the whole list has."""
    tasks: Sequence[Task]


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


async def settled_tasks(
    session: AsyncSession,
    caller: Caller,
    project: Project,
    wanted: Settled,
    *,
    limit: int,
    offset: int,
) -> Page:
    """A page of the tasks that are done with, those settled last first.

    Args:
        session: any.
        caller: who sees the project.
        project: whose tasks.
        wanted: which of them.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    order = (col(Task.settled_at), col(Task.code))
    lists = await lists_of(session, caller, [project], *wanted.conditions)
    if wanted == Settled():
        kept = select(func.coalesce(func.sum(col(SettledCount.tasks)), 0)).where(
            col(SettledCount.project_id) == project.id
        )
        count = (await session.execute(kept)).scalar_one() + await count_rows(session, lists[1:])
    else:
        count = await count_rows(session, lists)
    return await page_of(
        session, lists, order, count, newest_first=True, limit=limit, offset=offset
    )


async def unsettled_tasks(
    session: AsyncSession, caller: Caller, project: Project, *, limit: int, offset: int
) -> Page:
    """A page of the tasks that are not done with, the oldest first; the arguments are as above."""
    order = (col(Task.created_at), col(Task.code))
    lists = await lists_of(session, caller, [project], _UNSETTLED)
    count = await count_rows(session, lists)
    return await page_of(
        session, lists, order, count, newest_first=False, limit=limit, offset=offset
    )


async def count_unsettled(
    session: AsyncSession, caller: Caller, projects: Sequence[Project]
) -> Mapping[UUID, int]:
    """How many tasks of some projects are not done with, by the ids of those that have any."""
    counts: Counter[UUID] = Counter()
    project_id = col(Task.project_id)
    for one in await lists_of(session, caller, projects, _UNSETTLED):
        query = one.with_only_columns(project_id, func.count()).group_by(project_id)
        for found, count in (await session.execute(query)).tuples():
            if found is not None:
                counts[found] += count
    return counts


async def count_public(
    session: AsyncSession,
    projects: Sequence[Project],
    states: Collection[State],
    *,
    only_on_file: bool = False,
) -> Mapping[UUID, int]:
    """How many tasks of projects are in some states, but for private ones, as the database knows.

    Args:
        session: any.
        projects: whose tasks.
        states: in which they are.
        only_on_file: leave out those that have data.

    Returns:
        By the ids of the projects that have any.
    """
    project_id, tasks = col(StateCount.project_id), func.sum(col(StateCount.tasks))
    query = select(project_id, tasks).where(
        project_id.in_([project.id for project in projects]),
        col(StateCount.state).in_([state.value for state in states]),
    )
    if only_on_file:
        query = query.where(col(StateCount.is_on_file))
    rows = (await session.execute(query.group_by(project_id))).tuples()
    return {id_: int(count) for id_, count in rows}


@dataclass
class Waiting:
    """The tasks of a project that wait for a person."""

    count: int = 0
    since: datetime | None = None
    """Since when the one of them waits that waits longest; None: there are none."""


async def waiting_in(
    session: AsyncSession, caller: Caller, projects: Sequence[Project]
) -> Mapping[UUID, Waiting]:
    """The tasks that wait for a person, by the ids of those projects that have any."""
    found: defaultdict[UUID, Waiting] = defaultdict(Waiting)
    counts = await count_public(session, projects, [State.IN_REVIEW])
    # Written out, not bound: so that the index of those that wait is seen to be enough.
    waits = col(Task.state) == bindparam(
        None, State.IN_REVIEW, type_=StateColumn, literal_execute=True
    )
    project_id, since = col(Task.project_id), func.min(col(Task.review_since), type_=UtcDateTime)
    first = (
        select(since)
        .where(project_id == col(Project.id), waits, col(Task.deleted_at).is_(None))
        .where(~col(Task.is_private))
        .scalar_subquery()
    )
    public = select(col(Project.id), first).where(col(Project.id).in_(counts))
    for id_, at in (await session.execute(public)).tuples():
        found[id_] = Waiting(counts[id_], at)
    for one in (await lists_of(session, caller, projects, waits))[1:]:
        query = one.with_only_columns(project_id, func.count(), since).group_by(project_id)
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
    few: whether there are any is asked before they are looked for. They are the second list.
    """
    of_them = col(Task.project_id).in_([project.id for project in projects])
    of = (of_them, col(Task.deleted_at).is_(None))
    lists = [select(Task).where(*of, *conditions, ~col(Task.is_private))]
    private = exists().where(of_them, col(Task.is_private))
    if (await session.execute(select(private))).scalar_one():
        theirs = sees_task(caller)
        lists.append(select(Task).where(*of, *conditions, col(Task.is_private), theirs))
    return lists


async def count_rows(session: AsyncSession, lists: Sequence[Select[tuple[Task]]]) -> int:
    """How many rows some lists have."""
    counts = [one.with_only_columns(func.count()) for one in lists]
    return sum([(await session.execute(one)).scalar_one() for one in counts])


async def page_of(
    session: AsyncSession,
    lists: Sequence[Select[tuple[Task]]],
    order: tuple[Any, Any],
    count: int,
    *,
    newest_first: bool,
    limit: int,
    offset: int,
) -> Page:
    """A page of some lists taken together.

    Args:
        session: any.
        lists: no row is in two of them.
        order: time and code, by which they are sorted.
        count: how many rows they have.
        newest_first: which end comes first.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    length = min(limit, count - offset)
    if length <= 0:
        return Page(count, [])
    # A page in the second half is counted from the end: the last one costs what the first does.
    is_from_end = offset > count // 2
    skipped = count - offset - length if is_from_end else offset
    falls = newest_first != is_from_end
    keys = union_all(*(one.with_only_columns(*order) for one in lists)).subquery()
    sort = [column.desc() if falls else column.asc() for column in keys.columns]
    codes = select(keys.columns[1]).order_by(*sort).limit(length).offset(skipped)
    found = (await session.execute(codes)).scalars().all()
    rows = (await session.execute(select(Task).where(col(Task.code).in_(found)))).scalars()
    by_code = {task.code: task for task in rows}
    in_order = [by_code[code] for code in found if code in by_code]
    return Page(count, in_order[::-1] if is_from_end else in_order)
