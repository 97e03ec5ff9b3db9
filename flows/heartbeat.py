"""Who this process is, and how others know that it is alive."""

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

from sqlalchemy import ColumnElement, select, update
from sqlmodel import col

from store.database import TROUBLE, database
from store.ids import now
from store.models import Worker
from store.settings import settings

log = logging.getLogger("papertray.heartbeat")

BEATS_UNTIL_DEAD = 4
"""A worker that missed so many beats counts as dead."""


@dataclass(frozen=True)
class WorkerIdentity:
    """A process that executes runs; another one each time that it is started."""

    id: uuid.UUID
    name: str
    host: str
    pid: int


@cache
def this_worker() -> WorkerIdentity:
    """This process."""
    host = socket.gethostname()
    return WorkerIdentity(id=uuid.uuid4(), name=f"{host}-{os.getpid()}", host=host, pid=os.getpid())


class _Pulse:
    """The one beating heart of a process, and how many need it."""

    users = 0
    task: asyncio.Task[None] | None = None


@asynccontextmanager
async def beating(name: str | None = None) -> AsyncIterator[WorkerIdentity]:
    """Say that this process is alive while the block lasts; one beat, however many blocks.

    The worker does it for all its runs. On a stock pool the process of a run does it itself.

    Args:
        name: by which operators know the worker; host and process id when omitted.
    """
    identity = this_worker()
    _Pulse.users += 1
    try:
        if _Pulse.users == 1:
            shown = replace(identity, name=name or identity.name)
            await _write(shown)
            _Pulse.task = asyncio.create_task(_beat(shown), name="heartbeat")
        yield identity
    finally:
        _Pulse.users -= 1
        if not _Pulse.users and _Pulse.task is not None:
            _Pulse.task.cancel()
            with suppress(asyncio.CancelledError):
                await _Pulse.task
            _Pulse.task = None
            await _write_stop(identity)


async def _beat(identity: WorkerIdentity) -> None:
    while True:
        await asyncio.sleep(settings().heartbeat_seconds)
        try:
            await _write(identity)
        except TROUBLE as error:
            # The next beat may come through; if none does, others take over, as they should.
            log.warning("a heartbeat could not be written: %s", error.code)


async def _write(identity: WorkerIdentity) -> None:
    async with database().writing() as session:
        seen = await session.execute(
            update(Worker)
            .where(col(Worker.id) == identity.id)
            .values(seen_at=now(), stopped_at=None)
            .returning(col(Worker.id))
        )
        if seen.first() is None:
            session.add(
                Worker(id=identity.id, name=identity.name, host=identity.host, pid=identity.pid)
            )


async def _write_stop(identity: WorkerIdentity) -> None:
    try:
        async with database().writing() as session:
            await session.execute(
                update(Worker).where(col(Worker.id) == identity.id).values(stopped_at=now())
            )
    except TROUBLE as error:
        log.warning("the end of the worker could not be written: %s", error.code)


async def dead_workers() -> list[uuid.UUID]:
    """The workers that were stopped, or whose heart stopped."""
    return await _workers(_is_dead())


async def living_workers() -> list[uuid.UUID]:
    """The workers that were heard of just now."""
    return await _workers(~_is_dead())


def _is_dead() -> ColumnElement[bool]:
    limit = now() - timedelta(seconds=BEATS_UNTIL_DEAD * settings().heartbeat_seconds)
    return col(Worker.stopped_at).is_not(None) | (col(Worker.seen_at) < limit)


async def _workers(condition: ColumnElement[bool]) -> list[uuid.UUID]:
    async with database().reading() as session:
        return list((await session.execute(select(col(Worker.id)).where(condition))).scalars())
