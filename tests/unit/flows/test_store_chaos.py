"""Lives of tasks in which statements fail and processes die at random: all end right and once.

20 of them in the suite; `make chaos` takes PAPERTRAY_STORE_TASKS, 5,000 when it is not set.
"""

import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from sqlmodel import col, select

from flows import task_run, verbs, webhooks
from store.access import Caller
from store.blobs import blobs
from store.database import TROUBLE, database
from store.errors import ConflictError
from store.models import Activity, Delivery, ExportedFile, File, Task
from store.states import State
from tests.faults import Killed, counted, killed_at_commits
from tests.flow_driver import Driver
from tests.unit.flows.test_store_faults import decides, started

TASKS = int(os.environ.get("PAPERTRAY_STORE_TASKS", "20"))
FAILING = 0.02
"""The share of statements that fails."""

COMMITS_BETWEEN = 12
"""How many commits go well, at most, before a process dies."""

pytestmark = pytest.mark.timeout(120 + 5 * TASKS)

CHANCE = random.Random(20261122)


def discards(caller: Caller) -> Callable[[Task], Awaitable[Any]]:
    """A person who does not want it, and says so again where no answer came."""

    async def discard(waiting: Task) -> None:
        for _ in range(200):
            try:
                with suppress(ConflictError):  # it is there, and its answer was lost
                    await verbs.discard(caller, waiting.public_id)
            except TROUBLE:
                continue
            return

    return discard


async def test_lives_full_of_faults_and_deaths_end_right(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0,) * 500)
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed", "task.discarded"]
    )
    driver, deaths = Driver(monkeypatch), 0
    with counted() as statements, killed_at_commits() as commits:
        for number in range(TASKS):
            task = await started(alice)
            is_wanted = number % 5 > 0
            person = (decides if is_wanted else discards)(alice)
            statements.by_chance = FAILING
            for _ in range(500):
                commits.kills_at = commits.count + CHANCE.randint(1, COMMITS_BETWEEN)
                commits.is_after = CHANCE.random() < 0.5
                try:
                    await driver.process(task, *[person] * 100)
                except Killed:
                    deaths += 1
                except TROUBLE:  # of what is read at the end, by the driver itself
                    continue
                else:
                    break
            statements.by_chance, commits.kills_at = 0.0, None
            await ends_once(task, State.COMPLETED if is_wanted else State.DISCARDED)
    faults = statements.failures_by_chance
    print(f"{TASKS} lives with {faults} faults and {deaths} deaths: 0 wrong")
    assert min(faults, deaths) >= TASKS / 4


async def ends_once(task: Task, state: State) -> None:
    """As it should: its files there once, each event once, and its one message."""
    async with database().reading() as session:
        done = await session.get_one(Task, task.id)
        mine = select(File).where(col(File.task_id) == task.id)
        files = (await session.execute(mine)).scalars().all()
        query = select(Activity).where(col(Activity.task_id) == task.id)
        activities = (await session.execute(query)).scalars().all()
        query = select(col(ExportedFile.name)).where(col(ExportedFile.task_id) == task.id)
        exported = (await session.execute(query)).scalars().all()
        numbers = [one.number for one in activities]
        query = select(Delivery).where(col(Delivery.activity_number).in_(numbers))
        told = (await session.execute(query)).scalars().all()
    assert done.state == state
    names = [f"{task.public_id}.{kind}" for kind in ("csv", "json") if state is State.COMPLETED]
    assert sorted(file.name for file in files) == sorted(exported) == names
    for file in files:
        assert len(await blobs().read(file.blob)) == file.size_bytes
    events = Counter(one.type for one in activities)
    for once in ("task.created", "task.started", f"task.{state.value}"):
        assert events[once] == 1, events
    assert len(told) == 1
