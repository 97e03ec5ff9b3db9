"""What happened, written in the transaction in which it happened, and who is to be told of it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, bindparam, event, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, UOWTransaction
from sqlmodel import col

from store.ids import now
from store.models import Activity, Delivery, Task, Webhook
from store.states import Actor

EVENT_TYPES: Final = (
    "file.created",
    "file.deleted",
    "task.created",
    "task.deleted",
    "task.completed",
    "task.failed",
    "task.in_review",
    "task.claimed",
    "task.released",
    "task.reported",
    "task.canceled",
    "task.timed_out",
    "task.discarded",
    "task.filtered",
    "task.unlocked",
    "task.exported",
    "upload.in_review",
    "upload.processed",
)
"""What programs are told of. The history of a task has more: who saved what, each step."""

FILE_EVENTS: Final = frozenset({"file.created", "file.deleted"})
"""What a receiver answers to these is not kept: files go without a task, and what is said of their
end is said after it, so that nothing would take it out of the log."""

ALL_TYPES: Final = "*"
"""What a webhook that is told of everything has instead of types."""

TRIED_FOR: Final = timedelta(hours=48)
"""How long a receiver that does not answer is tried again."""


def record(
    session: AsyncSession,
    activity: str,
    actor: Actor,
    *,
    task: Task | None = None,
    organization_id: UUID | None = None,
    subject: str = "",
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    is_private: bool = False,
) -> Activity:
    """Add one activity row to the transaction.

    Args:
        session: inside a write transaction.
        activity: its type, `file.created` and so on.
        actor: who did it.
        task: the task it happened to; or else
        organization_id: whose it is, and
        subject: the public id of what it happened to, where that is not the task.
        reason: in words; no text of a document.
        data: further facts; no text of a document.
        is_private: whether it is about what only its owner sees; of a task that is known.

    Returns:
        The row; it has its number once it is flushed.
    """
    if task is not None:
        organization_id, subject = task.organization_id, subject or task.public_id
        is_private = task.is_private
    if organization_id is None:
        raise TypeError("an activity belongs to a task or to an organization")
    row = Activity(
        organization_id=organization_id,
        type=activity,
        task_id=task.id if task else None,
        is_private=is_private,
        subject=subject,
        actor=actor.name,
        surface=actor.surface,
        reason=reason,
        data=dict(data or {}),
    )
    session.add(row)
    return row


def told(activity: Activity) -> dict[str, Any]:
    """An event as programs are told of it: `{id, type, timestamp, data}` (wire: Scan Documents)."""
    return {
        "id": f"event_{activity.code}",
        "type": activity.type,
        "timestamp": activity.at,
        "data": {"id": activity.subject, **activity.data},
    }


# Made once: every event asks it.
_ENABLED_WEBHOOKS = select(
    col(Webhook.id),
    col(Webhook.code),
    col(Webhook.organization_id),
    col(Webhook.event_types),
    col(Webhook.project_id),
).where(
    col(Webhook.organization_id).in_(bindparam("organizations", expanding=True)),
    col(Webhook.disabled_at).is_(None),
)
_PROJECTS_OF_TASKS = select(col(Task.id), col(Task.project_id)).where(
    col(Task.id).in_(bindparam("tasks", expanding=True))
)


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _: UOWTransaction) -> None:
    """Tell of the events that a session has written, so that no way to write one goes past it."""
    if written := [row for row in session.new if isinstance(row, Activity)]:
        tell_webhooks(session.connection(), written)


def tell_webhooks(connection: Connection, written: Sequence[Activity]) -> None:
    """Add a delivery for each webhook that is told of an event.

    The event and what must be sent of it are committed together or not at all. Webhooks are the
    organization's: they hear nothing of what only its owner sees.

    Args:
        connection: the one that inserted them, in that transaction.
        written: what happened, each with its number.
    """
    activities = [row for row in written if row.type in EVENT_TYPES and not row.is_private]
    if not activities:
        return
    organizations = {row.organization_id for row in activities}
    webhooks = connection.execute(_ENABLED_WEBHOOKS, {"organizations": list(organizations)}).all()
    if not webhooks:
        return
    projects: dict[UUID, UUID | None] = {}
    if any(webhook.project_id for webhook in webhooks):
        tasks = {row.task_id for row in activities if row.task_id}
        found = connection.execute(_PROJECTS_OF_TASKS, {"tasks": list(tasks)})
        projects = {row.id: row.project_id for row in found}
    deliveries = [
        delivery_of(row, webhook_id=webhook.id, lane=webhook.code).model_dump(exclude={"id"})
        for row in sorted(activities, key=lambda row: row.number or 0)
        for webhook in webhooks
        if webhook.organization_id == row.organization_id
        and (ALL_TYPES in webhook.event_types or row.type in webhook.event_types)
        and webhook.project_id in {None, projects.get(row.task_id) if row.task_id else None}
    ]
    if deliveries:
        connection.execute(insert(Delivery), deliveries)


async def call_back(session: AsyncSession, task: Task, activity: Activity) -> None:
    """Add a delivery to the `callback_url` of a task that has ended."""
    if task.callback_url is None:
        return
    await session.flush()  # the number of the activity is the database's
    host = urlsplit(task.callback_url).hostname or ""
    session.add(delivery_of(activity, lane=f"callback:{host}", url=task.callback_url))


def delivery_of(
    activity: Activity, *, lane: str, webhook_id: UUID | None = None, url: str | None = None
) -> Delivery:
    """A delivery of an event, due now.

    Args:
        activity: inserted already.
        lane: what the delivery waits behind.
        webhook_id: who is told; or else
        url: where to.
    """
    if activity.number is None:
        raise TypeError("an activity has its number once it is flushed")
    at = now()
    return Delivery(
        organization_id=activity.organization_id,
        webhook_id=webhook_id,
        url=url,
        lane=lane,
        activity_number=activity.number,
        due_at=at,
        until=at + TRIED_FOR,
        created_at=at,
    )
