"""What the database keeps count of, beside the same counted anew."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import select

from store.database import database
from store.models import (
    ALL_FIELDS,
    NO_PROJECT,
    NOBODY,
    FieldDay,
    File,
    FileDay,
    PersonDay,
    StateCount,
    Task,
    TaskDay,
    TaskFigure,
)
from store.states import State

Counts = Mapping[tuple[Any, ...], Any]


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600


def _happened(task: Task) -> Iterator[tuple[str, datetime | None]]:
    yield "created", task.created_at
    yield "settled", task.settled_at
    yield "ended", task.finished_at


def _figures(task: Task, at: datetime) -> list[float]:
    is_decided, is_completed = task.decided_by is not None, task.state is State.COMPLETED
    return [
        is_completed,
        is_completed and not is_decided,
        is_decided,
        task.handling_seconds if is_decided else 0,
        int(at.timestamp()) - int(task.created_at.timestamp()),
        task.is_correct is not None,
        task.is_correct is True,
    ]


def _day(at: datetime) -> int:
    return _hour(at) // 24


def _owner(row: Task | File) -> UUID:
    return row.owner_id if row.is_private and row.owner_id else NOBODY


def _sum(one: list[float], more: list[float]) -> list[float]:
    return [round(a + b, 3) for a, b in zip(one, more, strict=True)]


async def counted_anew() -> tuple[Counts, ...]:
    """The figures of hours; of days the tasks, files, decisions and wrong fields; the states."""
    figures: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0] * 8)
    days: Counter[tuple[Any, ...]] = Counter()
    files: Counter[tuple[Any, ...]] = Counter()
    people: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0] * 4)
    wrong: Counter[tuple[Any, ...]] = Counter()
    async with database().reading() as session:
        tasks = (await session.execute(select(Task))).scalars().all()
        for file in (await session.execute(select(File))).scalars():
            if file.task_id is None:
                of = (file.organization_id, file.is_private, _owner(file))
                files[*of, _day(file.created_at)] += 1
    states = Counter(
        (task.organization_id, task.project_id or NO_PROJECT, task.is_private, task.state.value)
        for task in tasks
        if task.deleted_at is None
    )
    for task in tasks:
        if task.project_id is None or task.deleted_at is not None:
            continue
        if task.settled_at and not task.is_private:
            if task.decided_by:
                of = (task.project_id, task.decided_by, _day(task.settled_at))
                judged = [task.is_correct is not None, task.is_correct is True]
                people[of] = _sum(people[of], [1, task.handling_seconds, *judged])
            if task.is_correct or (task.is_correct is False and task.wrong_fields):
                for name in (ALL_FIELDS, *(task.wrong_fields or ())):
                    wrong[task.project_id, name, _day(task.settled_at)] += 1
        for moment, at in _happened(task):
            if at is not None and moment != "ended":
                of = (task.project_id, task.is_private, _owner(task), moment, _day(at))
                how = (task.input_file_id is not None, task.settled_at is not None)
                days[*of, task.state.value, *how] += 1
            if at is not None and not task.is_private:
                rest = [0.0] * 7 if moment == "created" else _figures(task, at)
                key = (task.project_id, moment, _hour(at))
                figures[key] = _sum(figures[key], [1, *rest])
    return dict(figures), dict(days), dict(files), dict(people), dict(wrong), states


async def counted_on() -> tuple[Counts, ...]:
    """The same, as the triggers of the database have kept it."""
    figures: defaultdict[tuple[Any, ...], list[float]] = defaultdict(lambda: [0.0] * 8)
    days: Counter[tuple[Any, ...]] = Counter()
    files: Counter[tuple[Any, ...]] = Counter()
    people: dict[tuple[Any, ...], list[float]] = {}
    wrong: Counter[tuple[Any, ...]] = Counter()
    async with database().reading() as session:
        for one in (await session.execute(select(TaskFigure))).scalars():
            values = [
                *(one.tasks, one.completed, one.untouched, one.decided),
                *(one.handling_seconds, one.turnaround_seconds, one.audited, one.correct),
            ]
            key = (one.project_id, one.moment, one.hour)
            figures[key] = _sum(figures[key], values)
        for one in (await session.execute(select(TaskDay))).scalars():
            of = (one.project_id, one.is_private, one.owner_id, one.moment, one.day)
            days[*of, one.state, one.is_on_file, one.is_settled] += one.counted
        for one in (await session.execute(select(FileDay))).scalars():
            files[one.organization_id, one.is_private, one.owner_id, one.day] += one.counted
        for one in (await session.execute(select(PersonDay))).scalars():
            values = [one.counted, one.handling_seconds, one.audited, one.correct]
            people[one.project_id, one.actor, one.day] = _sum([0.0] * 4, values)
        for one in (await session.execute(select(FieldDay))).scalars():
            wrong[one.project_id, one.field, one.day] += one.counted
        states: Counter[tuple[Any, ...]] = Counter()
        for one in (await session.execute(select(StateCount))).scalars():
            of = (one.organization_id, one.project_id, one.is_private, one.state)
            states[of] += one.counted
    # `-0.0`: what is left of sums that were taken out again.
    kept = {key: [value or 0.0 for value in values] for key, values in figures.items()}
    shown = {key: values for key, values in kept.items() if any(values)}
    # Of people no row may be of none.
    return shown, dict(+days), dict(+files), people, dict(+wrong), +states
