"""What is taken out of rows so that a record without content is left."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.ids import now
from store.models import (
    Activity,
    Delivery,
    Document,
    ExportedFile,
    File,
    IdempotencyRecord,
    Page,
    Task,
    Upload,
    ValueChange,
)
from store.retention import TEST_DATA_KEPT

_OF_THE_ACTIVITY: Final = frozenset({"state", "round", "operation"})
"""Facts of an activity row that say nothing of content."""

_OF_AN_ANSWER: Final = frozenset(
    {"id", "operation", "status", "state", "type", "title", "code", "created_at", "updated_at"}
)
"""Members of an answer that say nothing of content."""

_BEFORE: Final = timedelta(hours=1)
"""How long before what it made a request may have begun."""

ERASED: Final = "The task failed; what was wrong with its document was erased with it."


def file_ids_of(task: Task) -> set[str]:
    """The files that a task works on, by their ids; ids of tasks are none."""
    given = task.parameters.get("input", [])
    ids: list[Any] = [given] if isinstance(given, str) else list(given)
    return {
        one
        for one in (*ids, task.input_file_id)
        if isinstance(one, str) and one.startswith("file_")
    }


async def scrub_task(session: AsyncSession, task: Task) -> None:
    """Take all content out of the rows of a task, but for those of files.

    What stays: which task it was, of which project, how it ended, who did what and when.

    Args:
        session: inside a write transaction.
        task: one that has ended.
    """
    for kind in (Document, Page, ValueChange, ExportedFile):
        await session.execute(delete(kind).where(col(kind.task_id) == task.id))
    code = (task.result.get("details") or {}).get("code")
    decision = task.decision
    await session.execute(
        update(Task)
        .where(col(Task.id) == task.id)
        .values(
            name="",
            parameters={k: v for k, v in task.parameters.items() if k == "project"},
            secrets={},
            task_metadata={},
            task_data=None,
            input_file_id=None,
            source="",
            callback_url=None,
            review_reason="",
            decision={**decision, "note": ""} if decision else None,
            result={"error": ERASED, "details": {"code": code}} if code else {},
        )
    )
    await _scrub_upload(session, task)
    happened = select(Activity).where(col(Activity.task_id) == task.id)
    for activity in (await session.execute(happened)).scalars():
        activity.reason = ""
        activity.data = {k: v for k, v in activity.data.items() if k in _OF_THE_ACTIVITY}
    await session.flush()
    await scrub_deliveries(session, col(Activity.task_id) == task.id)
    ids = [task.public_id, task.short_id]
    await scrub_answers(session, task.organization_id, ids, since=task.created_at)


async def _scrub_upload(session: AsyncSession, task: Task) -> None:
    """Take the content out of the upload of a task, once none of its tasks has any more."""
    upload = await session.get(Upload, task.upload_id) if task.upload_id else None
    if upload is None:
        return
    await scrub_answers(
        session, upload.organization_id, [upload.public_id], since=upload.created_at
    )
    has_content = exists().where(
        col(Task.organization_id) == upload.organization_id,
        col(Task.upload_id) == upload.id,
        col(Task.input_file_id).is_not(None),
    )
    await session.execute(
        update(Upload).where(col(Upload.id) == upload.id, ~has_content).values(name="", meta=[])
    )


async def scrub_deliveries(session: AsyncSession, *of: ColumnElement[bool]) -> None:
    """Take out of deliveries that are over what their receivers answered, and where to.

    Args:
        session: inside a write transaction.
        of: conditions on the activity that they tell of.
    """
    told = select(col(Activity.number)).where(*of)
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.activity_number).in_(told),
            col(Delivery.due_at).is_(None),
            or_(col(Delivery.answer) != "", col(Delivery.url).is_not(None)),
        )
        .values(answer="", url=None)
    )


async def scrub_answers(
    session: AsyncSession, organization_id: UUID, ids: Collection[str], *, since: datetime
) -> None:
    """Take content out of the answers that are kept for requests that are sent twice.

    The records stay: a request that is repeated after all is still not done a second time.

    Args:
        session: inside a write transaction.
        organization_id: whose requests they were.
        ids: public ids; answers that name one of them are meant.
        since: when the oldest of what they name was made.
    """
    if not ids:
        return
    query = select(IdempotencyRecord).where(
        col(IdempotencyRecord.organization_id) == organization_id,
        col(IdempotencyRecord.created_at) > since - _BEFORE,
        or_(
            *(
                column.contains(one, autoescape=True)
                for one in ids
                for column in (col(IdempotencyRecord.body), col(IdempotencyRecord.route))
            )
        ),
    )
    for record in (await session.execute(query)).scalars():
        record.body = _without_content(record.body)


def _without_content(body: str) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return json.dumps(_bare(answer)) if isinstance(answer, dict) else ""


def _bare(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in its own shape, with empty members where content was."""
    return {
        name: (
            value
            if name in _OF_AN_ANSWER and isinstance(value, str | int | None)
            else _bare(value)  # Send AI's answers have the task one level down
            if name == "payload" and isinstance(value, dict)
            else type(value)()
            if isinstance(value, dict | list | str)
            else None
        )
        for name, value in answer.items()
    }


async def take_files(session: AsyncSession, task: Task, file_ids: Collection[str]) -> list[str]:
    """Remove the rows of the files of a task: what it made, and its input where no other has it.

    The task must not name them any more (`scrub_task`), so that of two tasks with the same
    input, erased at the same moment, one finds that nobody has it.

    Args:
        session: inside a write transaction.
        task: one that has ended.
        file_ids: its input, as `file_ids_of` told before.

    Returns:
        Keys of the blobs that nobody names any more.
    """
    query = (
        select(File)
        .where(col(File.id).in_(file_ids), col(File.organization_id) == task.organization_id)
        .order_by(col(File.id))
        .with_for_update()
    )
    sent = [one for one in (await session.execute(query)).scalars() if one.task_id is None]
    unused = [one for one in sent if not await _is_used(session, one)]
    made = (await session.execute(select(File).where(col(File.task_id) == task.id))).scalars()
    gone = [*unused, *made]
    for file in gone:
        await session.delete(file)
    oldest = min((file.created_at for file in gone), default=task.created_at)
    await scrub_answers(session, task.organization_id, [file.id for file in gone], since=oldest)
    return [file.blob for file in gone]


async def _is_used(session: AsyncSession, file: File) -> bool:
    """Whether a task that has its content works on a file."""
    query = select(
        exists().where(
            col(Task.organization_id) == file.organization_id,
            # Nobody can name a file before it is there: the index leaves few to look at.
            col(Task.created_at) >= file.created_at - _BEFORE,
            col(Task.erased_at).is_(None),
            or_(
                col(Task.input_file_id) == file.id,
                cast(col(Task.parameters), String).contains(file.id, autoescape=True),
            ),
        )
    )
    return bool((await session.execute(query)).scalar_one())


async def take_test_files(session: AsyncSession) -> list[str]:
    """Remove the rows of files that were sent with test keys more than a day ago.

    Those that a task works on go with the task.

    Args:
        session: inside a write transaction.

    Returns:
        Keys of the blobs that nobody names any more.
    """
    # Which ones tasks made is not asked: SQLite would look through all that was ever sent.
    query = select(File).where(col(File.is_test), col(File.created_at) < now() - TEST_DATA_KEPT)
    found = (await session.execute(query.with_for_update())).scalars()
    unused = [one for one in found if one.task_id is None and not await _is_used(session, one)]
    for file in unused:
        await session.delete(file)
    return [file.blob for file in unused]


async def forget_task(session: AsyncSession, task: Task) -> None:
    """Remove the record of a task: its row, what happened to it, and who was told.

    The last task of an upload takes it along.
    """
    await session.execute(delete(Activity).where(col(Activity.task_id) == task.id))
    await session.execute(delete(Task).where(col(Task.id) == task.id))
    if task.upload_id is not None:
        left = exists().where(
            col(Task.organization_id) == task.organization_id,
            col(Task.upload_id) == task.upload_id,
        )
        await session.execute(delete(Upload).where(col(Upload.id) == task.upload_id, ~left))
