"""The history of a task: what happened, who did it, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.review_pages.sessions import Visitor
from api.review_pages.words import activity_words, actor_words, sentence, spoken
from store.access import visible
from store.models import Activity, Task

MAX_HISTORY = 200
"""How many of the last things that happened are listed."""


@dataclass(frozen=True)
class HistoryRow:
    """One thing that happened."""

    at: datetime
    what: str
    who: str
    reason: str


async def read_history(session: AsyncSession, visitor: Visitor, task: Task) -> Sequence[HistoryRow]:
    """What happened to a task, newest first."""
    query = (
        visible(Activity, visitor.caller)
        .where(col(Activity.task_id) == task.id)
        .order_by(col(Activity.number).desc())
        .limit(MAX_HISTORY)
    )
    found = (await session.execute(query)).scalars().all()
    return [_row(activity) for activity in _without_renewals(found)]


def _without_renewals(newest_first: Sequence[Activity]) -> Sequence[Activity]:
    """Without the claims that only renewed the one before them: an open page makes many."""
    return [
        activity
        for activity, earlier in pairwise([*newest_first, None])
        if activity is not None
        and not (
            earlier is not None
            and activity.type == earlier.type == "task.claimed"
            and activity.actor == earlier.actor
        )
    ]


def _row(activity: Activity) -> HistoryRow:
    fields: Any = activity.data.get("fields")
    what = activity_words(activity.type)
    if isinstance(fields, list) and fields:
        what = f"{what}: {', '.join(spoken(str(name)) for name in fields)}"
    return HistoryRow(
        at=activity.at,
        what=what,
        who=actor_words(activity.actor, activity.surface),
        reason=sentence(activity.reason),
    )
