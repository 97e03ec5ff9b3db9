"""The tasks that are at work or ended lately, in the order in which they came."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only
from sqlmodel import col

from store.access import Caller, visible
from store.ids import now
from store.models import Task, UtcDateTime

LISTED_FOR: Final = timedelta(hours=72)
"""How long after its end a task is listed."""


async def live_or_recent(
    session: AsyncSession,
    caller: Caller,
    *filters: ColumnElement[bool],
    has_ended: bool = False,
    after: Task | None,
    limit: int,
    columns: Sequence[Any],
) -> Sequence[Task]:
    """The oldest tasks that have not ended, or not long ago.

    Args:
        session: any.
        caller: who asks.
        filters: what must be true of them, too.
        has_ended: whether the filters leave only tasks that have ended. Then nothing is looked
            at that came before the oldest of those that ended lately.
        after: the task behind which the list begins; from the first when None.
        limit: how many at most.
        columns: what is read of them, `created_at` and `code` among it. To read all of a hundred
            tasks costs more than all else that a list does; what is not read cannot be asked for.
    """
    finished, created = col(Task.finished_at), col(Task.created_at)
    cutoff = now() - LISTED_FOR
    ended_lately = finished > cutoff
    query = visible(Task, caller).where(*filters)
    if has_ended:
        # `coalesce`, here: PostgreSQL takes the least of a column from the index that is in its
        # order, through all that ended long ago; that of those that ended lately has few rows.
        oldest = select(func.min(func.coalesce(created, finished, type_=UtcDateTime))).where(
            col(Task.organization_id) == caller.organization_id, ended_lately
        )
        # And here: so that the rows are read in their order, up to the limit, where the index of
        # those that ended lately would have all of them read and sorted.
        is_late = func.coalesce(finished, created, type_=UtcDateTime) > cutoff
        query = query.where(is_late, created >= oldest.scalar_subquery())
    else:
        query = query.where(or_(finished.is_(None), ended_lately))
    place = (created, col(Task.code))
    if after is not None:
        last = tuple_(*(literal(getattr(after, c.key), c.type) for c in place))  # pyright: ignore[reportAttributeAccessIssue]  # columns, as SQLModel hands them out
        query = query.where(tuple_(*place) > last)
    query = query.options(load_only(*columns, raiseload=True))
    return (await session.execute(query.order_by(*place).limit(limit))).scalars().all()
