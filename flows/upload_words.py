"""What Send AI calls an upload, and what it tells of one (wire/send-ai.md).

Here and not with the surface, since webhooks are sent where there is no server.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.models import Activity, Task, Upload
from store.uploads import (
    UPLOAD_PREFIX,
    UploadStatus,
    folder_id_of,
    part_of,
    status_of,
)

EVENTS: Final[Mapping[str, str]] = {
    "upload.in_review": "IN_REVIEW",
    "upload.processed": "PROCESSED",
}
"""Types of events of an upload, and Send AI's words for them."""


def word_of(status: UploadStatus) -> str:
    """The word for how far an upload is: PROCESSING, IN_REVIEW ..."""
    return status.name


def upload_members(upload: Upload, tasks: Sequence[Task]) -> dict[str, Any]:
    """What is told of an upload.

    Args:
        upload: any.
        tasks: those of it that whoever is told may see, in order.
    """
    return {
        "id": upload.public_id,
        "name": name_of(upload, tasks),
        "status": word_of(status_of([part_of(task) for task in tasks])),
        "files": {task.public_id: task.name for task in tasks},
        "meta": upload.meta,
        "folder_id": folder_id_of(upload.folder),
        "created_at": upload.created_at,
    }


def name_of(upload: Upload, tasks: Sequence[Task]) -> str:
    """What an upload is called."""
    return upload.name or (tasks[0].name if tasks else "")


async def notification_of(session: AsyncSession, activity: Activity) -> dict[str, Any]:
    """What is sent of an event of an upload.

    The upload is as it is when it is sent, so that nothing of it is kept with the event; but for
    its status, which is the one that was reached.

    Args:
        session: any.
        activity: of a type of EVENTS.
    """
    code = activity.subject.removeprefix(UPLOAD_PREFIX)
    found = await session.execute(select(Upload).where(col(Upload.code) == code))
    upload = found.scalar_one_or_none()
    told: dict[str, Any] = {"id": activity.subject}  # all that is left of one that was deleted
    if upload is not None:
        query = select(Task).where(
            col(Task.organization_id) == upload.organization_id,
            col(Task.upload_id) == upload.id,
            col(Task.deleted_at).is_(None),
        )
        tasks = (await session.execute(query.order_by(col(Task.number)))).scalars().all()
        told = upload_members(upload, tasks)
        told["created_at"] = upload.created_at.isoformat().replace("+00:00", "Z")
    if status := activity.data.get("status"):
        told["status"] = word_of(UploadStatus(status))
    return {
        "id": f"evt_{activity.code}",
        "event": EVENTS[activity.type],
        "event_level": "UPLOAD",
        "team_id": str(upload.team_id) if upload and upload.team_id else None,
        "project_id": str(upload.project_id) if upload else None,
        "upload": told,
        "task": None,
    }
