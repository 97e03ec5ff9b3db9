"""The daily report: what it counts, and what it draws."""

import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from flows import daily_report
from flows.plots import plot
from store.access import Caller
from store.database import database
from store.models import Task
from store.organizations import organization_named
from store.states import State

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


async def ended(
    alice: Caller, at: datetime, minutes: float, state: State = State.COMPLETED, **columns: Any
) -> None:
    task = Task(organization_id=alice.organization_id, operation="process", **columns)
    async with database().writing() as session:
        session.add(task)
        await session.flush()
        await session.execute(
            update(Task)
            .where(col(Task.id) == task.id)
            .values(state=state, created_at=at - timedelta(minutes=minutes), finished_at=at)
        )


async def test_each_day_counts_what_came_what_ended_and_how(alice: Caller) -> None:
    noon = MIDNIGHT - timedelta(hours=12)
    for minutes in range(1, 21):
        await ended(alice, noon, minutes)
    await ended(alice, noon, 600, State.FAILED)
    await ended(alice, noon, 30, State.DISCARDED)
    await ended(alice, noon, 5, decided_by="bob", is_correct=True)
    await ended(alice, noon, 5, decided_by="bob", is_correct=False)
    await ended(alice, noon - timedelta(days=1), 1)
    await ended(alice, MIDNIGHT, 1)  # of today, which is not over
    other = Caller(await organization_named("other"), alice.actor)
    await ended(other, noon, 5, decided_by="eve")

    before, yesterday = await daily_report.days_before(MIDNIGHT, 2)
    assert (before.date, before.created, before.completed) == (date(2026, 11, 20), 1, 1)
    assert yesterday == daily_report.Day(
        date=date(2026, 11, 21),
        created=26,  # the one of today came yesterday
        completed=23,
        ended_otherwise=2,
        failed=1,
        median_seconds=10 * 60,
        slow_seconds=20 * 60,
        untouched=20 / 23,
        accuracy=0.5,
    )


async def test_a_day_stays_as_it_was_counted_but_for_what_is_judged_later(alice: Caller) -> None:
    noon = MIDNIGHT - timedelta(hours=12)
    for _ in range(3):
        await ended(alice, noon, 5, decided_by="bob")
    (first,) = await daily_report.days_before(MIDNIGHT, 1)
    assert (first.completed, first.accuracy) == (3, None)
    async with database().writing() as session:
        one = (await session.execute(select(Task).limit(1))).scalar_one()
        one.is_correct = True
        await session.execute(delete(Task).where(col(Task.id) != one.id))  # forgotten
    before, second = await daily_report.days_before(MIDNIGHT, 2)
    assert second == replace(first, accuracy=1.0)
    assert (before.completed, before.accuracy) == (0, None)


async def test_a_day_on_which_nothing_happened_has_no_means(alice: Caller) -> None:
    (day,) = await daily_report.days_before(MIDNIGHT, 1)
    assert (day.created, day.completed, day.median_seconds, day.accuracy) == (0, 0, None, None)


async def test_the_report_shows_three_plots_and_a_table(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Any] = {}

    async def show(content: Any, *, key: str, description: str) -> None:
        shown[key] = content

    async def days(name: str) -> Any:
        return 3

    monkeypatch.setattr(daily_report, "acreate_image_artifact", show)
    monkeypatch.setattr(daily_report, "acreate_table_artifact", show)
    monkeypatch.setattr(daily_report.engine, "variable", days)
    state = await daily_report.daily_report.fn()
    assert state.message is not None
    assert state.message.endswith("0 came in, 0 completed, 0 failed.")
    plots = [f"papertray-{name}" for name in ("volume", "latency", "accuracy")]
    assert list(shown) == [*plots, "papertray-days"]
    assert len(shown["papertray-days"]) == 3
    for key in plots:
        kind, _, content = shown[key].partition(",")
        assert kind == "data:image/svg+xml;base64"
        ElementTree.fromstring(b64decode(content))


def test_a_plot_has_a_line_where_there_are_values_and_a_gap_where_there_are_none() -> None:
    days = [date(2026, 11, day) for day in range(1, 7)]
    drawn = plot("a < b", days, {"one": [1, 2, None, 4, 5, None], "two": [None] * 5 + [7.0]})
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    lines = [one.get("points", "").split() for one in root.iter(f"{space}polyline")]
    assert [len(points) for points in lines] == [2, 2]
    assert len(list(root.iter(f"{space}circle"))) == 5
    texts = [one.text for one in root.iter(f"{space}text")]
    assert {"a < b", "one", "two", "8", "0", "01 Nov"} <= set(texts)
    heights = [float(point.split(",")[1]) for points in lines for point in points]
    assert heights == sorted(heights, reverse=True)


def test_a_plot_of_nothing_is_a_plot() -> None:
    ElementTree.fromstring(plot("nothing", [date(2026, 11, 1)], {"none": [None]}))
