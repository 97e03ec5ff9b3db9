"""How the work on a project goes: what was done in each day, week or month, and how fast."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Select, and_, case, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller
from store.aggregates import count_where, seconds_between
from store.models import Project, Task, TaskFigure
from store.project_tasks import lists_of
from store.states import State

Rhythm = Literal["daily", "weekly", "monthly"]

PERIODS: Final[dict[Rhythm, int]] = {"daily": 29, "weekly": 15, "monthly": 13}
"""How many there are, the one under way included."""


@dataclass(frozen=True)
class Period:
    """A day, a week or a month, in UTC; the one under way ends now."""

    start: datetime
    end: datetime
    """Not included."""


@dataclass
class Figures:
    """What happened in a period."""

    last: datetime
    """Its last moment: within it, so that its date is that of the period."""
    completed: int = 0
    """Tasks that were done with in it."""
    pending: int = 0
    """Tasks that were there at its end, and not done with."""
    handling_seconds: float | None = None
    """How long people held a task that one of them decided, on average; None: there was none."""
    turnaround_seconds: float | None = None
    """From when a task came to when it was done with, on average."""
    accuracy: float | None = None
    """0..1: of the decisions that were audited, how many were right."""


def periods(rhythm: Rhythm, at: datetime) -> list[Period]:
    """The last periods up to a time, the oldest first; weeks begin on Monday."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [_start(rhythm, midnight)]
    while len(starts) < PERIODS[rhythm]:
        starts.append(_start(rhythm, starts[-1] - timedelta(days=1)))
    ends = [at, *starts]
    return [Period(start, end) for start, end in zip(starts, ends, strict=False)][::-1]


def _start(rhythm: Rhythm, day: datetime) -> datetime:
    match rhythm:
        case "daily":
            return day
        case "weekly":
            return day - timedelta(days=day.weekday())
        case "monthly":
            return day.replace(day=1)


@dataclass
class Sums:
    """Of tasks to which the same happened: made, settled or ended."""

    tasks: int = 0
    completed: int = 0
    untouched: int = 0
    """Of those, the ones that nobody had to decide."""
    decided: int = 0
    handling_seconds: float = 0.0
    """Of those that are decided."""
    turnaround_seconds: float = 0.0
    audited: int = 0
    correct: int = 0

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Sums":
        """Of a row of the database, which has none for no rows, and decimals for sums.

        What it does not have is 0.
        """
        numbers = [n or 0 for n in row] + [0] * (len(fields(cls)) - len(row))
        return cls(
            *(int(n) for n in numbers[:4]),
            *(float(n) for n in numbers[4:6]),
            *(int(n) for n in numbers[6:]),
        )

    def add(self, more: "Sums") -> None:
        """Those and these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(more, one.name))

    @property
    def mean_handling_seconds(self) -> float | None:
        """None where none was decided."""
        return self.handling_seconds / self.decided if self.decided else None

    @property
    def mean_turnaround_seconds(self) -> float | None:
        """None where there is none."""
        return self.turnaround_seconds / self.tasks if self.tasks else None

    @property
    def straight_through(self) -> float | None:
        """0..1: of those that were completed, the untouched; None where none was completed."""
        return self.untouched / self.completed if self.completed else None

    @property
    def accuracy(self) -> float | None:
        """None where none was audited."""
        return self.correct / self.audited if self.audited else None


Moment = Literal["created", "settled", "ended"]

_TIME_OF: Final[Mapping[Moment, Any]] = {
    "created": Task.created_at,
    "settled": Task.settled_at,
    "ended": Task.finished_at,
}

HOUR: Final = timedelta(hours=1)


async def sums_since(
    session: AsyncSession,
    caller: Caller,
    projects: Sequence[Project],
    lists: Sequence[Select[tuple[Task]]],
    moment: Moment,
    starts: Sequence[datetime],
) -> Mapping[tuple[UUID, int], Sums]:
    """What happened to the tasks of projects, from each of some times until the next; UTC.

    Whole hours are read from what the database keeps (`TaskFigure`), and the rest from the tasks:
    those within the first hour, where that is begun, and the private ones that the caller sees.

    Args:
        session: any.
        caller: who sees the projects.
        projects: whose tasks.
        lists: of these, as `lists_of` gives them.
        moment: which time of the tasks.
        starts: ascending; all but the first are whole hours. What was before them is left out.

    Returns:
        By the id of the project and the index of the start; those without tasks are left out.
    """
    found: defaultdict[tuple[UUID, int], Sums] = defaultdict(Sums)
    first = _hour(starts[0] + HOUR - timedelta(microseconds=1))
    number = _index_of_hour(col(TaskFigure.hour), [_hour(one) for one in starts[1:]])
    # Of what was made nothing but how many is told: the rest would be sums of zeros.
    kept = (
        select(col(TaskFigure.project_id), number, *map(func.sum, _KEPT[: _TOLD[moment]]))
        .where(
            col(TaskFigure.project_id).in_([one.id for one in projects]),
            col(TaskFigure.moment) == moment,
            col(TaskFigure.hour) >= first,
        )
        .group_by(*_groups(col(TaskFigure.project_id), number, starts))
    )
    for project_id, index, *sums in (await session.execute(kept)).tuples():
        found[project_id, index].add(Sums.of(sums))
    at = col(_TIME_OF[moment])
    rest = [(one.where(at >= starts[0]), _index(at, starts[1:])) for one in lists[1:]]
    end = datetime.fromtimestamp(first * 3600, UTC)
    if starts[0] < end:
        # Of all projects: so that the rows of the hour are found by the hour.
        of_hour = select(Task).where(
            col(Task.organization_id) == caller.organization_id,
            col(Task.deleted_at).is_(None),
            ~col(Task.is_private),
            at >= starts[0],
            at < end,
        )
        rest.append((of_hour, literal(0)))
    seen = {project.id for project in projects}
    for one, row_number in rest:
        query = one.with_only_columns(
            col(Task.project_id), row_number, *_sums_of_rows(at)[: _TOLD[moment]]
        ).group_by(*_groups(col(Task.project_id), row_number, starts))
        for project_id, index, *sums in (await session.execute(query)).tuples():
            if project_id in seen:
                found[project_id, index].add(Sums.of(sums))
    return found


_KEPT: Final = tuple(col(getattr(TaskFigure, one.name)) for one in fields(Sums))

_TOLD: Final[Mapping[Moment, int]] = {"created": 1, "settled": len(_KEPT), "ended": len(_KEPT)}
"""How many of the sums are told of tasks to which this happened."""


def _sums_of_rows(at: Any) -> list[Any]:
    """The same of rows of tasks."""
    is_decided = col(Task.decided_by).is_not(None)
    is_completed = col(Task.state) == State.COMPLETED
    return [
        func.count(),
        count_where(is_completed),
        count_where(and_(is_completed, ~is_decided)),
        count_where(is_decided),
        func.sum(case((is_decided, col(Task.handling_seconds)), else_=0)),
        func.sum(seconds_between(Task.created_at, at)),
        count_where(col(Task.is_correct).is_not(None)),
        count_where(col(Task.is_correct).is_(True)),
    ]


def _hour(at: datetime) -> int:
    """Whole hours since 1970."""
    return int(at.timestamp() // 3600)


def _index(column: Any, bounds: Sequence[Any]) -> Any:
    """How many of some ascending bounds are not after it."""
    below = [(column < one, index) for index, one in enumerate(bounds)]
    return case(*below, else_=len(bounds)) if below else literal(0)


def _index_of_hour(column: Any, bounds: Sequence[int]) -> Any:
    """The same; at once, where they are as far from each other."""
    if len(steps := {after - before for before, after in pairwise(bounds)}) != 1:
        return _index(column, bounds)
    between = (column - bounds[0]) // steps.pop() + 1
    return case((column < bounds[0], 0), (column >= bounds[-1], len(bounds)), else_=between)


def _groups(project_id: Any, number: Any, starts: Sequence[datetime]) -> list[Any]:
    """By what rows are summed up: those of one span in the order of their index, unsorted."""
    return [project_id, number] if len(starts) > 1 else [project_id]


_BEFORE: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def figures_of(
    session: AsyncSession, caller: Caller, project: Project, within: Sequence[Period]
) -> list[Figures]:
    """What happened to the tasks of a project in each of some periods.

    Args:
        session: any.
        caller: who sees the project.
        project: whose tasks.
        within: one after the other, the oldest first; they begin at whole hours.
    """
    starts = [_BEFORE, *(period.start for period in within)]
    lists = await lists_of(session, caller, [project])
    created, settled = [
        await sums_since(session, caller, [project], lists, moment, starts)
        for moment in ("created", "settled")
    ]
    none, waiting = Sums(), 0
    found: list[Figures] = []
    for index, period in enumerate([None, *within]):
        done = settled.get((project.id, index), none)
        waiting += created.get((project.id, index), none).tasks - done.tasks
        if period is not None:
            found.append(
                Figures(
                    last=period.end - timedelta(microseconds=1),
                    completed=done.tasks,
                    pending=waiting,
                    handling_seconds=done.mean_handling_seconds,
                    turnaround_seconds=done.mean_turnaround_seconds,
                    accuracy=done.accuracy,
                )
            )
    return found
