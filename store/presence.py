"""Who has the page of a task open, whichever process shows it."""

from collections.abc import Collection
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from store.ids import now
from store.models import Presence

RENEWED_EVERY: Final = timedelta(seconds=10)
"""How often somebody who stays is to be told of again."""

GONE_AFTER: Final = timedelta(seconds=25)
"""When somebody is taken for gone of whom nothing is heard: one renewal may be lost."""


async def tell_present(session: AsyncSession, task_id: UUID, actor: str) -> None:
    """Somebody has the page of a task open; whoever is gone is forgotten, of all tasks.

    Args:
        session: inside a write transaction.
        task_id: of a task that is there.
        actor: whose name others are told.
    """
    await session.execute(delete(Presence).where(col(Presence.seen_at) < now() - GONE_AFTER))
    await session.merge(Presence(task_id=task_id, actor=actor, seen_at=now()))


async def tell_gone(session: AsyncSession, task_id: UUID, actor: str) -> None:
    """Somebody has closed the page of a task."""
    await session.execute(
        delete(Presence).where(col(Presence.task_id) == task_id, col(Presence.actor) == actor)
    )


async def present(session: AsyncSession, task_id: UUID) -> Collection[str]:
    """The actors who have the page of a task open, by their names."""
    query = select(col(Presence.actor)).where(
        col(Presence.task_id) == task_id, col(Presence.seen_at) >= now() - GONE_AFTER
    )
    return (await session.execute(query.order_by(col(Presence.actor)))).scalars().all()
