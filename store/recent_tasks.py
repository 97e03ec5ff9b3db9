"""The tasks that are at work or ended lately, in the order in which they came."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, literal, or_, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.ids import now
from store.models import Task

LISTED_FOR: Final = timedelta(hours=72)
"""How long after its end a task is listed."""


async def live_or_recent(
    session: AsyncSession,
    caller: Caller,
    *filters: ColumnElement[bool],
    after: Task | None,
    limit: int,
) -> Sequence[Task]:
    """The oldest tasks that have not ended, or not long ago.

    Args:
        session: any.
        caller: who asks.
        filters: what must be true of them, too.
        after: the task behind which the list begins; from the first when None.
        limit: how many at most.
    """
    finished = col(Task.finished_at)
    query = visible(Task, caller).where(
        *filters, or_(finished.is_(None), finished > now() - LISTED_FOR)
    )
    place = (col(Task.created_at), col(Task.code))
    if after is not None:
        last = tuple_(*(literal(getattr(after, c.key), c.type) for c in place))  # pyright: ignore[reportAttributeAccessIssue]  # columns, as SQLModel hands them out
        query = query.where(tuple_(*place) > last)
    return (await session.execute(query.order_by(*place).limit(limit))).scalars().all()
