"""What happened, written in the transaction in which it happened."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Activity, Task
from store.states import Actor


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
) -> None:
    """Add one activity row to the transaction.

    Args:
        session: inside a write transaction.
        activity: its type, `file.created` and so on.
        actor: who did it.
        task: the task it happened to; or else
        organization_id: whose it is, and
        subject: the public id of what it happened to.
        reason: in words; no text of a document.
        data: further facts; no text of a document.
    """
    if task is not None:
        organization_id, subject = task.organization_id, task.public_id
    if organization_id is None:
        raise TypeError("an activity belongs to a task or to an organization")
    session.add(
        Activity(
            organization_id=organization_id,
            type=activity,
            task_id=task.id if task else None,
            subject=subject,
            actor=actor.name,
            surface=actor.surface,
            reason=reason,
            data=dict(data or {}),
        )
    )
