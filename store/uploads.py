"""Files that were sent together: how far they are as a whole, and the folders in which they are."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.activity import record
from store.errors import NotFoundError
from store.ids import now
from store.models import INBOX, Folder, Project, Task, Upload
from store.states import Actor, State


class UploadStatus(StrEnum):
    """How far an upload is: what its tasks come to, taken together."""

    PROCESSING = "processing"  #: some tasks are worked on
    IN_REVIEW = "in_review"  #: none is worked on, some wait for a person
    COMPLETED = "completed"  #: all are done with, and none failed
    PARTIAL = "partial"  #: all are done with, and some failed
    FAILED = "failed"  #: all failed


PROCESSED: Final = frozenset({UploadStatus.COMPLETED, UploadStatus.PARTIAL, UploadStatus.FAILED})
"""All tasks are done with."""


class Part(StrEnum):
    """What one task adds to the status of its upload."""

    WORKED_ON = "worked_on"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


_PARTS: Final[Mapping[State, Part]] = {
    State.QUEUED: Part.WORKED_ON,
    State.RUNNING: Part.WORKED_ON,
    State.IN_REVIEW: Part.WAITING,
    State.AWAITING_EXPORT: Part.DONE,  # nothing is left to do with it but to be fetched
    State.EXPORTING: Part.DONE,
    State.COMPLETED: Part.DONE,
    State.FILTERED: Part.DONE,
    State.DISCARDED: Part.DONE,
    State.CANCELED: Part.DONE,
    State.FAILED: Part.FAILED,
    State.TIMED_OUT: Part.FAILED,
}

_EVENTS: Final[Mapping[UploadStatus, str]] = {
    UploadStatus.IN_REVIEW: "upload.in_review",
    **dict.fromkeys(PROCESSED, "upload.processed"),
}
"""What is told of an upload that comes to be so."""

PROCESSED_FOLDER: Final = "processed"
REPORTED_FOLDER: Final = "reported"
FOLDERS: Final[Mapping[str, str]] = {
    INBOX: "Inbox",
    PROCESSED_FOLDER: "Processed",
    REPORTED_FOLDER: "Reported",
    "bin": "Bin",
}
"""Folders of every project, by the variable part of their ids, and what people call them."""

UPLOAD_PREFIX: Final = "upl_"
FOLDER_PREFIX: Final = "folder_"


# How far


def part_of(task: Task) -> Part:
    """What a task adds to the status of its upload."""
    return _part(task.state, task.export_round, task.exported_at)


def _part(state: State, export_round: int, exported_at: datetime | None) -> Part:
    # Fetched by its client: the little that its run still does is nobody's concern.
    if state is State.RUNNING and export_round and exported_at is not None:
        return Part.DONE
    return _PARTS[state]


def status_of(parts: Collection[Part]) -> UploadStatus:
    """How far an upload is whose tasks add this."""
    if Part.WORKED_ON in parts:
        return UploadStatus.PROCESSING
    if Part.WAITING in parts:
        return UploadStatus.IN_REVIEW
    if Part.FAILED not in parts:
        return UploadStatus.COMPLETED
    return UploadStatus.PARTIAL if Part.DONE in parts else UploadStatus.FAILED


async def note_change(session: AsyncSession, before: Part, task: Task, actor: Actor) -> None:
    """Tell of an upload that waits for a person, or is done with, since one of its tasks changed.

    Args:
        session: inside the write transaction of the change.
        before: what the task added.
        task: as it is now.
        actor: who let it happen.
    """
    if task.upload_id is None or part_of(task) is before:
        return
    # Locked: of two tasks that change at once, the second has to see the first.
    upload = await session.get_one(Upload, task.upload_id, with_for_update=True)
    others = await _parts_beside(session, task)
    was, status = (status_of([*others, one]) for one in (before, part_of(task)))
    if was is status:
        return
    upload.updated_at = now()
    if status in PROCESSED and upload.folder == INBOX:
        upload.folder = PROCESSED_FOLDER
    elif status not in PROCESSED and upload.folder == PROCESSED_FOLDER:
        upload.folder = INBOX
    if event := _EVENTS.get(status):
        data = {"status": status.value}
        record(session, event, actor, task=task, subject=upload.public_id, data=data)


async def is_processed_beside(session: AsyncSession, task: Task) -> bool:
    """Whether all other tasks of the upload of a task are done with."""
    return status_of(await _parts_beside(session, task)) in PROCESSED


async def note_report(session: AsyncSession, task: Task) -> None:
    """Put the upload of a task that is reported where people look for such."""
    if task.upload_id is None:
        return
    upload = await session.get_one(Upload, task.upload_id, with_for_update=True)
    if upload.folder in {INBOX, PROCESSED_FOLDER}:  # else somebody wants it where it is
        upload.folder, upload.updated_at = REPORTED_FOLDER, now()


async def _parts_beside(session: AsyncSession, task: Task) -> list[Part]:
    query = select(col(Task.state), col(Task.export_round), col(Task.exported_at)).where(
        col(Task.organization_id) == task.organization_id,
        col(Task.upload_id) == task.upload_id,
        col(Task.id) != task.id,
        col(Task.deleted_at).is_(None),
    )
    return [_part(*row) for row in (await session.execute(query)).tuples()]


# Reading


async def find_upload(
    session: AsyncSession, caller: Caller, project: Project, public_id: str, *, lock: bool = False
) -> Upload:
    """The upload of that id, in the project.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Upload, caller).where(
        col(Upload.project_id) == project.id,
        col(Upload.code) == _code_of(public_id, UPLOAD_PREFIX, "upload"),
    )
    found = await session.execute(query.with_for_update() if lock else query)
    upload = found.scalar_one_or_none()
    if upload is None:
        raise _not_found("upload", public_id)
    return upload


async def tasks_of(
    session: AsyncSession, caller: Caller, uploads: Sequence[Upload]
) -> Mapping[UUID, Sequence[Task]]:
    """The tasks of uploads, by the ids of these, in the order in which their files were sent."""
    found: defaultdict[UUID, list[Task]] = defaultdict(list)
    query = visible(Task, caller).where(col(Task.upload_id).in_([one.id for one in uploads]))
    for task in (await session.execute(query.order_by(col(Task.number)))).scalars():
        if task.upload_id is not None:
            found[task.upload_id].append(task)
    return found


def folder_id_of(folder: str) -> str:
    """The public id of a folder."""
    return f"{FOLDER_PREFIX}{folder}"


async def find_folder(
    session: AsyncSession, caller: Caller, project: Project, public_id: str
) -> str:
    """The variable part of the id of a folder of the project.

    Raises:
        NotFoundError: there is no such folder.
    """
    if (code := _code_of(public_id, FOLDER_PREFIX, "folder")) in FOLDERS:
        return code
    return (await find_own_folder(session, caller, project, public_id)).code


async def find_own_folder(
    session: AsyncSession, caller: Caller, project: Project, public_id: str
) -> Folder:
    """The folder of that id among those that the project has beside the ones of every project.

    Raises:
        NotFoundError: there is no such folder.
    """
    query = visible(Folder, caller).where(
        col(Folder.project_id) == project.id,
        col(Folder.code) == _code_of(public_id, FOLDER_PREFIX, "folder"),
    )
    folder = (await session.execute(query)).scalar_one_or_none()
    if folder is None:
        raise _not_found("folder", public_id)
    return folder


def _code_of(public_id: str, prefix: str, what: str) -> str:
    if not public_id.startswith(prefix):
        raise _not_found(what, public_id)
    return public_id.removeprefix(prefix)


def _not_found(what: str, public_id: str) -> NotFoundError:
    return NotFoundError(f"There is no {what} with that id.", id=public_id)
