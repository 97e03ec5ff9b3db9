"""Who decided on tasks, how fast and how right, and which fields were found wrong.

Whole days are read from what the database keeps (`PersonDay`, `FieldDay`), and the rest from the
tasks: those of the day in which a span begins, and the private ones that the caller sees.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.aggregates import count_where
from store.long_lists import day_of, start_of
from store.models import ALL_FIELDS, FieldDay, PersonDay, Project, Task

Lists = Sequence[Select[tuple[Task]]]


@dataclass
class Decisions:
    """Those of one person."""

    counted: int = 0
    handling_seconds: float = 0.0
    """How long the tasks were held, all together."""
    audited: int = 0
    correct: int = 0
    """Of those that were audited."""

    def add(self, sums: Sequence[Any]) -> None:
        """Those of a row of the database, in the order of the members."""
        for one, value in zip(fields(self), sums, strict=True):
            setattr(self, one.name, getattr(self, one.name) + type(one.default)(value))

    @property
    def mean_handling_seconds(self) -> float | None:
        """None where there is none."""
        return self.handling_seconds / self.counted if self.counted else None

    @property
    def accuracy(self) -> float | None:
        """0..1: of those that were audited, how many were right; None where none was."""
        return self.correct / self.audited if self.audited else None


_KEPT: Final = tuple(getattr(PersonDay, one.name) for one in fields(Decisions))
_OF_ROWS: Final = (
    func.count(),
    func.sum(col(Task.handling_seconds)),
    count_where(col(Task.is_correct).is_not(None)),
    count_where(col(Task.is_correct).is_(True)),
)


async def decisions_since(
    session: AsyncSession, projects: Sequence[Project], lists: Lists, since: datetime
) -> Mapping[str, Decisions]:
    """The decisions on the tasks that were settled from a time on, by who decided last.

    Args:
        session: any.
        projects: whose tasks.
        lists: of these, as `lists_of` gives them.
        since: any time.
    """
    found: defaultdict[str, Decisions] = defaultdict(Decisions)
    actor, decided_by = col(PersonDay.actor), col(Task.decided_by)
    kept = select(actor, *(func.sum(col(one)) for one in _KEPT)).where(
        *_of_whole_days(PersonDay, projects, since)
    )
    for name, *sums in (await session.execute(kept.group_by(actor))).tuples():
        found[name].add(sums)
    for tasks in _of_the_rest(lists, since):
        query = tasks.where(decided_by.is_not(None)).with_only_columns(decided_by, *_OF_ROWS)
        for name, *sums in (await session.execute(query.group_by(decided_by))).tuples():
            found[str(name)].add(sums)
    return found


async def faults_since(
    session: AsyncSession, projects: Sequence[Project], lists: Lists, since: datetime
) -> Mapping[UUID, Counter[str]]:
    """Of tasks that were settled from a time on: how many had which field wrong, by project.

    Arguments as above. Under ALL_FIELDS is how many decisions were judged field by field: the right
    ones, and those wrong ones of which it was said where.
    """
    found: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    key = (col(FieldDay.project_id), col(FieldDay.field))
    kept = select(*key, func.sum(col(FieldDay.counted))).where(
        *_of_whole_days(FieldDay, projects, since)
    )
    for project_id, field, count in (await session.execute(kept.group_by(*key))).tuples():
        found[project_id][field] += int(count)
    columns = (col(Task.project_id), col(Task.is_correct), col(Task.wrong_fields))
    for tasks in _of_the_rest(lists, since):
        query = tasks.where(col(Task.is_correct).is_not(None)).with_only_columns(*columns)
        for project_id, is_correct, names in (await session.execute(query)).tuples():
            if project_id and (is_correct or names):
                found[project_id].update([ALL_FIELDS, *(names or ())])
    return found


def _first_whole_day(since: datetime) -> int:
    day = day_of(since)
    return day if start_of(day) == since else day + 1


def _of_whole_days(
    kind: type[PersonDay] | type[FieldDay], projects: Sequence[Project], since: datetime
) -> tuple[Any, ...]:
    of_them = col(kind.project_id).in_([one.id for one in projects])
    return of_them, col(kind.day) >= _first_whole_day(since)


def _of_the_rest(lists: Lists, since: datetime) -> Lists:
    """The tasks that were settled from a time on, and that are in no count of a whole day."""
    settled = col(Task.settled_at)
    shared, *private = (one.where(settled >= since) for one in lists)
    return [shared.where(settled < start_of(_first_whole_day(since))), *private]
