import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import select

from flows.heartbeat import BEATS_UNTIL_DEAD, beating, dead_workers, this_worker
from store.database import database
from store.ids import now
from store.models import Worker
from store.settings import settings


async def rows() -> list[Worker]:
    async with database().reading() as session:
        return list((await session.execute(select(Worker))).scalars())


async def make_it_late(seconds: float) -> None:
    async with database().writing() as session:
        await session.execute(update(Worker).values(seen_at=now() - timedelta(seconds=seconds)))


async def test_a_process_is_alive_while_it_beats_and_dead_after(home: Path) -> None:
    async with beating("tray-1") as identity:
        (row,) = await rows()
        assert (row.id, row.name, row.pid) == (this_worker().id, "tray-1", identity.pid)
        assert await dead_workers() == []
    (row,) = await rows()
    assert row.stopped_at is not None
    assert await dead_workers() == [identity.id]


async def test_one_heart_beats_for_all_blocks_of_a_process(home: Path) -> None:
    async with beating("outer"):
        async with beating("inner"):
            pass
        (row,) = await rows()
        assert (row.name, row.stopped_at) == ("outer", None)


async def test_a_worker_that_missed_its_beats_is_dead(home: Path) -> None:
    async with beating():
        await make_it_late((BEATS_UNTIL_DEAD - 1) * settings().heartbeat_seconds)
        assert await dead_workers() == []
        await make_it_late((BEATS_UNTIL_DEAD + 1) * settings().heartbeat_seconds)
        assert await dead_workers() == [this_worker().id]


async def test_a_worker_that_was_taken_for_dead_and_is_not_comes_back(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_HEARTBEAT_SECONDS", "0.02")
    settings.cache_clear()
    async with beating():
        async with database().writing() as session:
            await session.delete(await session.get_one(Worker, this_worker().id))
        async with asyncio.timeout(5):
            while not await rows():
                await asyncio.sleep(0.01)
