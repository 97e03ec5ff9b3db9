"""The dispatcher, with a Prefect that is away."""

import asyncio
import uuid
from collections.abc import Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlmodel import col

from flows import engine, verbs
from flows.dispatch import dispatch_once, run_dispatcher
from flows.engine import Submission
from flows.reconcile import settle
from store.access import Caller
from store.database import database
from store.errors import PrefectUnreachableError
from store.models import File, Outbox, Task
from tests.unit.flows.conftest import PROJECT

COUNT = 60


class Prefect:
    """Stands for the server: away, until it is said to be back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.is_away = True
        self.asked = 0
        self.runs: dict[uuid.UUID, uuid.UUID] = {}
        monkeypatch.setattr(engine, "connected", self.connected)
        monkeypatch.setattr(engine, "submit", self.submit)

    @asynccontextmanager
    async def connected(self):
        yield

    async def submit(self, batch: Collection[Submission]) -> dict[uuid.UUID, uuid.UUID]:
        self.asked += 1
        if self.is_away:
            raise PrefectUnreachableError
        made = {one.task_id: uuid.uuid4() for one in batch}
        self.runs |= made
        return made


async def left() -> int:
    async with database().reading() as session:
        return len((await session.execute(select(col(Outbox.id)))).all())


async def test_what_comes_in_while_prefect_is_away_is_submitted_once_it_is_back(
    alice: Caller, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    await verbs.install_project(alice, PROJECT)
    prefect, stop = Prefect(monkeypatch), asyncio.Event()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(database().engine.sync_engine, "before_cursor_execute", note)
    dispatcher = asyncio.create_task(run_dispatcher(stop))
    try:
        tasks = [
            await verbs.submit_process(alice, project="invoices", file_id=file.id)
            for _ in range(COUNT)
        ]
        while prefect.asked < 4:
            await asyncio.sleep(0.05)
        # Each try may put back all that waits; it must not ask for each of them.
        assert prefect.asked < COUNT / 2
        assert sum(one.startswith("UPDATE outbox") for one in statements) <= 3 * prefect.asked
        assert await left() == COUNT
        prefect.is_away = False
        async with asyncio.timeout(60):
            while await left():
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await dispatcher
    assert set(prefect.runs) == {task.id for task in tasks}
    async with database().reading() as session:
        runs = (await session.execute(select(col(Task.id), col(Task.flow_run_id)))).all()
    assert {row.id: row.flow_run_id for row in runs} == prefect.runs


async def test_a_task_under_way_whose_run_prefect_has_lost_gets_another(
    alice: Caller, waiting: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect = Prefect(monkeypatch)
    prefect.is_away = False
    lost = uuid.uuid4()
    async with database().writing() as session:
        await session.execute(delete(Outbox))
        await session.execute(update(Task).values(flow_run_id=lost))
        task = await session.get_one(Task, waiting.id, populate_existing=True)
    assert await settle(task, None)
    assert await dispatch_once() == 1
    assert await left() == 0
    async with database().reading() as session:
        found = await session.get_one(Task, waiting.id)
    assert found.flow_run_id == prefect.runs[waiting.id] != lost
