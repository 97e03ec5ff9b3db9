"""A report of each day: how much came and went, how long it took, how right it was."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from prefect import flow
from prefect.artifacts import acreate_image_artifact, acreate_table_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed
from pydantic import Field
from sqlalchemy import Select, case, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows import engine
from flows.plots import as_url, plot
from store.aggregates import count_where, seconds_between, share_where
from store.database import database
from store.ids import now
from store.models import Organization, ReportedDay, Task
from store.states import State

MOST_DAYS: Final = 92


@dataclass(frozen=True)
class Day:
    """What happened in a day, in UTC, in all organizations."""

    date: date
    created: int
    completed: int
    """Tasks that ended well in it."""
    ended_otherwise: int
    """Discarded, filtered, failed, timed out, canceled."""
    failed: int
    """Of those: by an error."""
    median_seconds: float | None
    """From when a task came to its end; None: none ended."""
    slow_seconds: float | None
    """The same; 19 of 20 tasks took no longer."""
    untouched: float | None
    """0..1: of the completed, how many no person decided on; None: there were none."""
    accuracy: float | None
    """0..1: of the decisions that were judged, how many were right; None: none was."""


@flow(name="daily-report")
async def daily_report(
    days: Annotated[int | None, Field(ge=1, le=MOST_DAYS)] = None,
) -> RunState[Any]:
    """Show how the last days went: plots of volume, latency and accuracy, and a table.

    Args:
        days: How many, the last one yesterday; what the variable `papertray_report_days` says
            when empty.

    Returns:
        The final state of the run, which says what yesterday was like.
    """
    wanted = days or min(MOST_DAYS, max(1, int(await engine.variable("papertray_report_days"))))
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    report = await days_before(midnight, wanted)
    dates = [day.date for day in report]
    for key, title, series in (
        (
            "volume",
            "Tasks a day",
            {
                "completed": [float(day.completed) for day in report],
                "came in": [float(day.created) for day in report],
                "failed": [float(day.failed) for day in report],
            },
        ),
        (
            "latency",
            "Minutes from when a task came to its end",
            {
                "median": [_minutes(day.median_seconds) for day in report],
                "95 of 100": [_minutes(day.slow_seconds) for day in report],
            },
        ),
        (
            "accuracy",
            "Percent of tasks",
            {
                "no person needed": [_percent(day.untouched) for day in report],
                "decided right": [_percent(day.accuracy) for day in report],
            },
        ),
    ):
        await acreate_image_artifact(
            as_url(plot(title, dates, series)), key=f"papertray-{key}", description=title
        )
    await acreate_table_artifact(
        [_row(day) for day in reversed(report)],
        key="papertray-days",
        description="The last days, in UTC, of all organizations.",
    )
    last = report[-1]
    return Completed(
        message=f"{last.date}: {last.created} came in, {last.completed} completed,"
        f" {last.failed} failed."
    )


async def days_before(end: datetime, count: int) -> list[Day]:
    """What happened in each of the days before a midnight, the oldest first.

    A day is counted once, by the first report after its end; but how right its decisions were
    is found out later, and so looked up each time.
    """
    starts = [end - timedelta(days=number) for number in range(count, 0, -1)]
    async with database().reading() as session:
        everybody = (await session.execute(select(col(Organization.id)))).scalars().all()
        # Named, since the indexes that have the times begin with the organization.
        tasks = select(Task).where(col(Task.organization_id).in_(everybody))
        query = select(ReportedDay).where(col(ReportedDay.day) >= starts[0].date())
        kept = {one.day: one for one in (await session.execute(query)).scalars()}
        missing = [start for start in starts if start.date() not in kept]
        counted = [await _counted(session, tasks, start) for start in missing]
        accuracy = await _accuracy(session, tasks, starts)
    for one in counted:
        with suppress(IntegrityError):  # another report has counted it in this moment
            async with database().writing() as session:
                session.add(one)
        kept[one.day] = one
    return [
        Day(
            **kept[start.date()].model_dump(exclude={"day"}),
            date=start.date(),
            accuracy=accuracy.get(number),
        )
        for number, start in enumerate(starts)
    ]


async def _accuracy(
    session: AsyncSession, tasks: Select[tuple[Task]], starts: Sequence[datetime]
) -> Mapping[int, float]:
    """By the index of the day, where decisions of it were judged: how many were right."""
    ended = col(Task.finished_at)
    end = starts[-1] + timedelta(days=1)
    number = case(*((ended < one, index) for index, one in enumerate([*starts[1:], end])))
    is_judged = col(Task.is_correct).is_not(None)
    right = share_where(col(Task.is_correct).is_(True), among=is_judged)
    judged = tasks.where(is_judged, ended >= starts[0], ended < end)
    rows = await session.execute(judged.with_only_columns(number, right).group_by(number))
    return {index: float(share) for index, share in rows.tuples()}


async def _counted(
    session: AsyncSession, tasks: Select[tuple[Task]], start: datetime
) -> ReportedDay:
    until = start + timedelta(days=1)
    made = tasks.where(col(Task.created_at) >= start, col(Task.created_at) < until)
    ended = tasks.where(col(Task.finished_at) >= start, col(Task.finished_at) < until)
    is_completed = col(Task.state) == State.COMPLETED
    created = (await session.execute(made.with_only_columns(func.count()))).scalar_one()
    columns = (
        func.count(),
        count_where(is_completed),
        count_where(col(Task.state) == State.FAILED),
        share_where(col(Task.decided_by).is_(None), among=is_completed),
    )
    count, completed, failed, untouched = (
        await session.execute(ended.with_only_columns(*columns))
    ).one()
    took = seconds_between(Task.created_at, Task.finished_at)
    ordered = ended.with_only_columns(took).order_by(took)

    async def at(share: float) -> float | None:
        place = ordered.offset(int(share * (count - 1))).limit(1)
        return float((await session.execute(place)).scalar_one()) if count else None

    return ReportedDay(
        day=start.date(),
        created=created,
        completed=completed or 0,
        ended_otherwise=count - (completed or 0),
        failed=failed or 0,
        median_seconds=await at(0.5),
        slow_seconds=await at(0.95),
        untouched=None if untouched is None else float(untouched),
    )


def _row(day: Day) -> dict[str, Any]:
    return {
        "day": day.date.isoformat(),
        "came in": day.created,
        "completed": day.completed,
        "ended otherwise": day.ended_otherwise,
        "of them failed": day.failed,
        "median minutes": _shown(_minutes(day.median_seconds)),
        "95 of 100, minutes": _shown(_minutes(day.slow_seconds)),
        "no person needed, %": _shown(_percent(day.untouched)),
        "decided right, %": _shown(_percent(day.accuracy)),
    }


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
