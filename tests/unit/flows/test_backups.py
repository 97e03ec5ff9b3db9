"""A backup of any moment, restored beside a Prefect that went on, or that knows nothing of it."""

import shutil
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update
from sqlmodel import col, select

from flows import engine, verbs
from flows.dispatch import dispatch_once
from flows.engine import Run
from flows.reconcile import settle
from store import group_commit
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.ids import now
from store.models import File, Outbox, Task
from store.states import State
from tests.flow_driver import Driver
from tests.unit.flows.test_dispatch import Prefect
from tests.unit.flows.test_store_faults import decides, started


@contextmanager
def backups_made(home: Path, folder: Path) -> Iterator[list[Path]]:
    """One after each commit, the store first and then the blobs, as docs/operate.md has it."""
    made, really = list[Path](), group_commit._commit
    (home / "blobs").mkdir(exist_ok=True)

    async def commit(group: Any, error: BaseException | None) -> None:
        await really(group, error)
        backup = folder / f"{len(made)}"
        shutil.copytree(home / "blobs", backup / "blobs")
        with (
            closing(sqlite3.connect(home / "papertray.db")) as source,
            closing(sqlite3.connect(backup / "papertray.db")) as copy,
        ):
            source.backup(copy)
        made.append(backup)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_commit, "_commit", commit)
        yield made


async def restore(backup: Path, home: Path) -> None:
    await database().close()
    for path in home.glob("papertray.db-*"):
        path.unlink()
    shutil.rmtree(home / "blobs")
    shutil.copytree(backup, home, dirs_exist_ok=True)


def completed(run: UUID) -> Run:
    """As Prefect has the run of a task that ended after the backup was made."""
    state = {"type": "COMPLETED", "name": "Completed", "timestamp": now().isoformat()}
    row = {"id": str(run), "state": state, "run_count": 2, "infrastructure_pid": None}
    return Run.of({**row, "empirical_policy": None})


async def fresh(task: Task) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, task.id)


@pytest.mark.parametrize("is_ahead", [True, False], ids=["ahead", "lost"])
async def test_whenever_a_backup_was_made_its_task_comes_to_its_end(
    is_ahead: bool, home: Path, tmp_path: Path, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, run = Driver(monkeypatch), uuid4()
    Prefect(monkeypatch).is_away = False
    runs = {run: completed(run)} if is_ahead else {}

    async def read_runs(ids: Collection[UUID]) -> dict[UUID, Run]:
        return {one: runs[one] for one in ids if one in runs}

    async def not_paused(*_: Any, **__: Any) -> engine.Outcome:
        return engine.Outcome.NOT_PAUSED

    async def scheduled(*_: Any, **__: Any) -> None:
        """What is scheduled again, the driver executes."""

    for name, call in (("read_runs", read_runs), ("resume", not_paused), ("reschedule", scheduled)):
        monkeypatch.setattr(engine, name, call)
    task = await started(alice)
    async with database().writing() as session:
        await session.execute(delete(Outbox))
        await session.execute(update(Task).values(flow_run_id=run))
    with backups_made(home, tmp_path / "backups") as backups:
        await driver.process(await fresh(task), decides(alice))
    repaired = 0
    for backup in backups:
        await restore(backup, home)
        while await dispatch_once():
            pass
        task = await fresh(task)
        repaired += task.flow_run_id is not None and await settle(task, runs.get(task.flow_run_id))
        while await dispatch_once():
            pass
        task = await fresh(task)
        if task.state is State.FAILED:
            await verbs.retry(alice, task.public_id)
        if task.state is not State.COMPLETED:
            await driver.process(await fresh(task), *[decides(alice)] * 3)
        task = await fresh(task)
        assert (task.state, task.result["data"]["approve"]) == (State.COMPLETED, True)
        async with database().reading() as session:
            query = select(File).where(col(File.task_id) == task.id)
            files = (await session.execute(query)).scalars().all()
        assert sorted(file.type for file in files) == ["application/json", "text/csv"]
        for file in files:
            assert len(await blobs().read(file.blob)) == file.size_bytes
    print(f"{len(backups)} backups of one life, {repaired} ahead of or behind Prefect")
    assert repaired >= 4
