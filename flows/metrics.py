"""How much went through each queue, how long it took, and how right it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, extract, func
from sqlmodel import col

from store.access import Caller, visible
from store.database import database
from store.models import Project, Task
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
    handling_seconds: float | None
    """Mean time that people held those on which they decided; None: there were none."""
    turnaround_seconds: float | None
    """Mean time from when a task was made to its end; None: none ended."""
    audited: int
    """Of those that ended, how many were judged."""
    accuracy: float | None
    """0..1: of those, how many were decided right; None: none were judged."""


async def queue_metrics(
    caller: Caller, since: datetime, until: datetime, project_id: UUID | None = None
) -> Sequence[QueueMetrics]:
    """The metrics of the projects that the caller sees, by name.

    Args:
        caller: who asks; private tasks of others do not count.
        since: tasks made, or ended, from then on
        until: and before.
        project_id: only of this project.
    """
    made = _within(col(Task.created_at), since, until)
    ended = _within(col(Task.finished_at), since, until)
    decided = and_(ended, col(Task.decided_by).is_not(None))
    counts = {
        "created": _count(made),
        "completed": _count(and_(ended, col(Task.state) == State.COMPLETED)),
        "decided": _count(decided),
        "ended_otherwise": _count(and_(ended, col(Task.state) != State.COMPLETED)),
        "waiting": _count(col(Task.state) == State.IN_REVIEW),
        "handling_seconds": func.avg(case((decided, col(Task.handling_seconds)))),
        "turnaround_seconds": func.avg(
            case((ended, seconds_between(Task.created_at, Task.finished_at)))
        ),
        "audited": _count(and_(ended, col(Task.is_correct).is_not(None))),
        "accuracy": func.avg(
            case((and_(ended, col(Task.is_correct).is_not(None)), case((_right(), 1.0), else_=0.0)))
        ),
    }
    projects = visible(Project, caller).order_by(col(Project.name))
    tasks = visible(Task, caller).where(col(Task.project_id).is_not(None))
    if project_id is not None:
        projects = projects.where(col(Project.id) == project_id)
        tasks = tasks.where(col(Task.project_id) == project_id)
    sums = (
        tasks.where(made | ended | (col(Task.state) == State.IN_REVIEW))
        .with_only_columns(
            col(Task.project_id), *(value.label(name) for name, value in counts.items())
        )
        .group_by(col(Task.project_id))
    )
    async with database().reading() as session:
        rows = (await session.execute(sums)).mappings().all()
        found = (await session.execute(projects)).scalars().all()
    by_project = {row["project_id"]: row for row in rows}
    return [QueueMetrics(project, **_facts(by_project.get(project.id))) for project in found]


_COUNTED: Final = ("created", "completed", "decided", "ended_otherwise", "waiting", "audited")
_MEANS: Final = ("handling_seconds", "turnaround_seconds", "accuracy")


def _facts(row: Any) -> dict[str, Any]:
    """The numbers of a project; `row` is None for one without tasks in that time."""
    row = row or {}
    found: dict[str, Any] = {name: int(row.get(name) or 0) for name in _COUNTED}
    for name in _MEANS:
        mean = row.get(name)
        found[name] = None if mean is None else float(mean)
    return found


def _within(column: Any, since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(column >= since, column < until)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def _right() -> ColumnElement[bool]:
    return col(Task.is_correct).is_(True)


def seconds_between(begin: Any, end: Any) -> ColumnElement[Any]:
    """From one column to another."""
    return extract("epoch", end) - extract("epoch", begin)
