"""Calls to Prefect that are still to be made: rows written with the change that needs them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from store.database import database
from store.models import Outbox, OutboxKind, Task

_wake = asyncio.Event()


@asynccontextmanager
async def changing() -> AsyncIterator[AsyncSession]:
    """A write transaction after which the dispatcher of this process looks at once."""
    async with database().writing() as session:
        yield session
    database().when_committed(_wake.set)


def enqueue(session: AsyncSession, kind: OutboxKind, task: Task, **payload: Any) -> None:
    """Add a call to the transaction; it is made after the commit, at least once."""
    session.add(Outbox(kind=kind, task_id=task.id, payload=payload))


async def woken(timeout_seconds: float) -> None:
    """Wait for a change made in this process, at most so long."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await _wake.wait()
    except TimeoutError:
        return
    finally:
        _wake.clear()
