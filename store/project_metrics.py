"""How the work on a project goes: what was done in each day, week or month, and how fast."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import case, extract, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller
from store.models import Project, Task
from store.project_tasks import lists_of

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


async def figures_of(
    session: AsyncSession, caller: Caller, project: Project, within: Sequence[Period]
) -> list[Figures]:
    """What happened to the tasks of a project in each of some periods.

    Args:
        session: any.
        caller: who sees the project.
        project: whose tasks.
        within: one after the other, the oldest first.
    """
    settled, created = col(Task.settled_at), col(Task.created_at)
    ended, came = _number(settled, within), _number(created, within)
    sums = _Sums(len(within))
    is_decided = col(Task.decided_by).is_not(None)
    for one in await lists_of(session, caller, [project], settled >= within[0].start):
        query = one.with_only_columns(
            ended,
            came,
            func.count(),
            func.sum(case((is_decided, 1), else_=0)),
            func.sum(case((is_decided, col(Task.handling_seconds)), else_=0)),
            func.sum(extract("epoch", settled) - extract("epoch", created)),
            func.sum(case((col(Task.is_correct).is_not(None), 1), else_=0)),
            func.sum(case((col(Task.is_correct).is_(True), 1), else_=0)),
        )
        for row in (await session.execute(query.group_by(ended, came))).tuples():
            sums.add_settled(*row)
    for one in await lists_of(session, caller, [project], settled.is_(None)):
        query = one.with_only_columns(came, func.count()).group_by(came)
        for row in (await session.execute(query)).tuples():
            sums.add_waiting(*row)
    return [sums.figures(index, period) for index, period in enumerate(within)]


def _number(column: Any, within: Sequence[Period]) -> Any:
    """Index of the first period before whose end it was; their number where it was after all."""
    ends = [(column < period.end, index) for index, period in enumerate(within)]
    return case(*ends, else_=len(within))


class _Sums:
    """Sums over the tasks, by the indices of periods."""

    def __init__(self, count: int):
        self._totals = [[0.0] * 6 for _ in range(count + 1)]
        """Tasks, decided, handling, turnaround, audited, correct; in the last place: later ones."""
        self._pending = [0] * (count + 1)

    def add_settled(self, ended: int, came: int, tasks: int, *others: float | None) -> None:
        for place, value in enumerate((tasks, *others)):
            self._totals[ended][place] += float(value or 0)
        for index in range(came, ended):
            self._pending[index] += tasks

    def add_waiting(self, came: int, tasks: int) -> None:
        for index in range(came, len(self._pending)):
            self._pending[index] += tasks

    def figures(self, index: int, period: Period) -> Figures:
        tasks, decided, handling, turnaround, audited, correct = self._totals[index]
        return Figures(
            last=period.end - timedelta(microseconds=1),
            completed=int(tasks),
            pending=self._pending[index],
            handling_seconds=handling / decided if decided else None,
            turnaround_seconds=turnaround / tasks if tasks else None,
            accuracy=correct / audited if audited else None,
        )
