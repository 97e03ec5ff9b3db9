"""How much went through each queue, how long it took, and how right it was."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func
from sqlmodel import col

from store.access import Caller, visible
from store.aggregates import count_where, seconds_between, share_where
from store.database import database
from store.finding import projects_of
from store.models import Project, Task
from store.project_file import parse_project_file
from store.project_metrics import Sums, sums_since
from store.project_tasks import Waiting, lists_of, waiting_in
from store.states import State


@dataclass(frozen=True)
class QueueMetrics:
    """A project in a span of time."""

    project: Project
    created: int
    """Tasks that were made."""
    completed: int
    """Tasks that ended well, whether or not a person decided."""
    decided: int
    """Tasks that ended, and on which a person had decided."""
    ended_otherwise: int
    """Discarded, filtered, failed, timed out, canceled."""
    waiting: int
    """Tasks that wait for a person now, whenever they were made."""
    waiting_since: datetime | None
    """Since when the one of them waits that waits longest; None: there are none."""
    straight_through: float | None
    """0..1: of those that were completed, how many nobody had to decide; None: none were."""
    handling_seconds: float | None
    """Mean time that people held those on which they decided; None: there were none."""
    turnaround_seconds: float | None
    """Mean time from when a task was made to its end; None: none ended."""
    audited: int
    """Of those that ended, how many were judged."""
    accuracy: float | None
    """0..1: of those, how many were decided right; None: none were judged."""


async def queue_metrics(
    caller: Caller, since: datetime, project_id: UUID | None = None
) -> Sequence[QueueMetrics]:
    """The metrics of the projects that the caller sees, by name.

    Args:
        caller: who asks; private tasks of others do not count.
        since: tasks made, or ended, from then until now.
        project_id: only of this project.
    """
    query = visible(Project, caller).order_by(col(Project.name))
    if project_id is not None:
        query = query.where(col(Project.id) == project_id)
    async with database().reading() as session:
        projects = (await session.execute(query)).scalars().all()
        lists = await lists_of(session, caller, projects)
        created, ended = [
            await sums_since(session, caller, projects, lists, moment, [since])
            for moment in ("created", "ended")
        ]
        waiting = await waiting_in(session, projects, lists)
    found: list[QueueMetrics] = []
    for project in projects:
        done = ended.get((project.id, 0), Sums())
        wait = waiting.get(project.id, Waiting())
        found.append(
            QueueMetrics(
                project,
                created=created.get((project.id, 0), Sums()).tasks,
                completed=done.completed,
                decided=done.decided,
                ended_otherwise=done.tasks - done.completed,
                waiting=wait.count,
                waiting_since=wait.since,
                straight_through=done.straight_through,
                handling_seconds=done.mean_handling_seconds,
                turnaround_seconds=done.mean_turnaround_seconds,
                audited=done.audited,
                accuracy=done.accuracy,
            )
        )
    return found


@dataclass(frozen=True)
class PersonMetrics:
    """Somebody who decides, in a span of time."""

    actor: str
    decided: int
    """Tasks that ended, and on which this was the last to decide."""
    handling_seconds: float | None
    """Mean time that people held those."""
    audited: int
    """Of those, how many were judged."""
    accuracy: float | None
    """0..1: of these, how many were decided right; None: none were judged."""


async def person_metrics(
    caller: Caller, since: datetime, until: datetime, project_id: UUID | None = None
) -> Sequence[PersonMetrics]:
    """The metrics of all who decided, who decided most first.

    Args:
        caller: who asks; private tasks of others do not count.
        since: tasks that ended from then on
        until: and before.
        project_id: only of this project.
    """
    ended = _within(col(Task.finished_at), since, until)
    is_audited = col(Task.is_correct).is_not(None)
    columns = {
        "actor": col(Task.decided_by),
        "decided": func.count(),
        "handling_seconds": func.avg(col(Task.handling_seconds)),
        "audited": count_where(is_audited),
        "accuracy": share_where(col(Task.is_correct).is_(True), among=is_audited),
    }
    query = _of_project(caller, project_id).where(ended, col(Task.decided_by).is_not(None))
    sums = query.with_only_columns(*(value.label(name) for name, value in columns.items()))
    ordered = sums.group_by(col(Task.decided_by)).order_by(func.count().desc())
    async with database().reading() as session:
        rows = (await session.execute(ordered)).mappings().all()
    return [
        PersonMetrics(
            actor=str(row["actor"]),
            decided=int(row["decided"]),
            handling_seconds=_mean(row["handling_seconds"]),
            audited=int(row["audited"] or 0),
            accuracy=_mean(row["accuracy"]),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class DayMetrics:
    """What happened on one day, in UTC."""

    day: date
    ended: int
    """Tasks that ended."""
    straight_through: int
    """Of those, the completed ones that nobody had to decide."""
    turnaround_seconds: float
    """Mean time from when they were made to their end."""


async def day_metrics(
    caller: Caller, since: datetime, until: datetime, project_id: UUID | None = None
) -> Sequence[DayMetrics]:
    """The days on which tasks ended, in order; the arguments are as above."""
    day = func.date(col(Task.finished_at))
    untouched = and_(col(Task.state) == State.COMPLETED, col(Task.decided_by).is_(None))
    query = _of_project(caller, project_id).where(_within(col(Task.finished_at), since, until))
    sums = query.with_only_columns(
        day,
        func.count(),
        count_where(untouched),
        func.avg(seconds_between(Task.created_at, Task.finished_at)),
    )
    async with database().reading() as session:
        rows = (await session.execute(sums.group_by(day).order_by(day))).tuples().all()
    return [
        DayMetrics(
            # SQLite gives text.
            date.fromisoformat(when) if isinstance(when, str) else when,
            int(count),
            int(alone),
            float(seconds),
        )
        for when, count, alone, seconds in rows
    ]


@dataclass(frozen=True)
class FieldMetrics:
    """A field of a project, in a span of time."""

    project: str
    field: str
    audited: int
    """Decided tasks of which it is known whether the field was right."""
    accuracy: float
    """0..1: of these, how many had it right."""


MOST_AUDITS: Final = 10_000
"""Of the newest so many it is counted which fields are wrong."""


async def field_metrics(
    caller: Caller, since: datetime, until: datetime, project_id: UUID | None = None
) -> Sequence[FieldMetrics]:
    """How right the fields were that audits looked at, the worst first; arguments as above."""
    ended = _within(col(Task.finished_at), since, until)
    query = _of_project(caller, project_id).where(ended, col(Task.is_correct).is_not(None))
    newest = query.order_by(col(Task.finished_at).desc()).limit(MOST_AUDITS)
    judged: Counter[UUID] = Counter()
    wrong: Counter[tuple[UUID, str]] = Counter()
    columns = (col(Task.project_id), col(Task.is_correct), col(Task.wrong_fields))
    async with database().reading() as session:
        for id_, is_correct, names in await session.execute(newest.with_only_columns(*columns)):
            if is_correct or names:  # of others nobody said which field is wrong
                judged[id_] += 1
                wrong.update((id_, name) for name in names or ())
        projects = await projects_of(session, caller)
    found: list[FieldMetrics] = []
    for project, version in projects:
        if (audited := judged[project.id]) == 0:
            continue
        file = parse_project_file(version.source)
        named = [part.name for kind in file.types for part in kind.fields]
        named += [block.name for block in file.blocks if not block.read_only]
        # What an older version of the project had is told, too, where it was wrong.
        named += [name for id_, name in wrong if id_ == project.id]
        for name in dict.fromkeys(named):
            accuracy = 1 - wrong[project.id, name] / audited
            found.append(FieldMetrics(project.name, name, audited, accuracy))
    return sorted(found, key=lambda one: one.accuracy)


def _of_project(caller: Caller, project_id: UUID | None) -> Select[tuple[Task]]:
    query = visible(Task, caller).where(col(Task.project_id).is_not(None))
    return query if project_id is None else query.where(col(Task.project_id) == project_id)


def _mean(value: Any) -> float | None:
    """What an aggregate gave: PostgreSQL gives decimals."""
    return None if value is None else float(value)


def _within(column: Any, since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(column >= since, column < until)
