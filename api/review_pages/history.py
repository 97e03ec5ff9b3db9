"""The history of a task: what happened, who did it, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.review_pages.sessions import Visitor
from api.review_pages.words import activity_words, actor_words, sentence, spoken
from flows import verbs
from store.access import visible_among
from store.models import Activity, Task

COMMENT = "task.commented"
CLAIM = "task.claimed"
LEFT = "task.left"

MAX_HISTORY = 200
"""How many of the last things that happened are listed."""


@dataclass(frozen=True)
class HistoryRow:
    """One thing that happened."""

    at: datetime
    what: str
    who: str
    reason: str


@dataclass(frozen=True)
class Comment:
    """What somebody wrote about a task."""

    at: datetime
    who: str
    text: str


async def read_history(
    session: AsyncSession, visitor: Visitor, task: Task
) -> tuple[Sequence[HistoryRow], Sequence[Comment]]:
    """What happened to a task, newest first; and its comments, in the order they were written."""
    query = (
        visible_among(Activity, visitor.caller, col(Activity.task_id) == task.id)
        .order_by(col(Activity.number).desc())
        .limit(MAX_HISTORY)
    )
    found = (await session.execute(query)).scalars().all()
    said = [one for one in reversed(found) if one.type == COMMENT and one.reason]
    happened = [one for one in found if one.type != COMMENT]
    comments = [Comment(o.at, actor_words(o.actor, o.surface), o.reason) for o in said]
    return [_row(activity) for activity in _without_renewals(happened)], comments


def _without_renewals(newest_first: Sequence[Activity]) -> Sequence[Activity]:
    """Without the claims that only renewed the one before them: an open page makes many.

    Nor is it told that somebody left a page and was back before others could take the task.
    """
    kept: list[Activity] = []
    for activity in newest_first:
        later = kept[-1] if kept else None
        if later is not None and later.type == CLAIM and later.actor == activity.actor:
            if activity.type == CLAIM:
                kept[-1] = activity
                continue
            if activity.type == LEFT and later.at - activity.at <= verbs.LEFT_FOR:
                continue
        kept.append(activity)
    return kept


def _row(activity: Activity) -> HistoryRow:
    what = activity_words(activity.type)
    if verdict := activity.data.get("verdict"):
        what = "Verdict taken back" if verdict == "not judged" else f"{what} {verdict}"
    fields: Any = activity.data.get("fields")
    if isinstance(fields, list) and fields:
        what = f"{what}: {', '.join(spoken(str(name)) for name in fields)}"
    return HistoryRow(
        at=activity.at,
        what=what,
        who=actor_words(activity.actor, activity.surface),
        reason=sentence(activity.reason) or _issues(activity),
    )


def _issues(activity: Activity) -> str:
    """What was reported, where it was said of each field."""
    issues: Any = activity.data.get("issues")
    if not isinstance(issues, list):
        return ""
    told = [(str(one.get("label", "")), str(one.get("value", ""))) for one in issues]
    return "; ".join(f"{spoken(label)}: {value}" if label else value for label, value in told)
