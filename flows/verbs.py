"""What can be done with a task, once: every surface, page, command and form ends here.

Each verb is one write transaction. A surface translates its words into these and back.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.outbox import changing, enqueue
from flows.public_http import check_url
from operations.registry import OPERATIONS
from operations.tools.file_type import SNIFFED_BYTES, sniff
from operations.validate_fields import check, typed
from store.access import Caller, visible
from store.activity import record
from store.blobs import blobs
from store.blocks import faults_of, normal
from store.database import database
from store.erasing import scrub_answers
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    ConflictError,
    EmptyFileError,
    FieldsInvalidError,
    IllegalTransitionError,
    InputError,
    NotClaimedError,
    NotFoundError,
)
from store.finding import (
    documents_of,
    field_values,
    find_file,
    find_project,
    find_task,
    project_file_of,
)
from store.ids import now
from store.lifecycle import FINAL, advance, amend
from store.models import Document, File, OutboxKind, Page, Project, ProjectVersion, Task
from store.project_file import UNKNOWN, ProjectFile, parse_project_file
from store.settings import settings
from store.states import Event, State

PROCESS = "process"
"""The `operation` of a task of a project."""

MAX_NAME_CHARACTERS = 255
"""Of a file."""


# Files and projects


async def take_file(
    caller: Caller,
    *,
    name: str,
    chunks: AsyncIterable[bytes],
    properties: Mapping[str, Any] | None = None,
) -> File:
    """Store the bytes of a file and remember it.

    Raises:
        EmptyFileError: no bytes came.
        FileTooLargeError: more came than `max_file_bytes`.
        StorageFullError: there is no room.
    """
    file = await store_bytes(caller, name=name, chunks=chunks, properties=properties)
    async with database().writing() as session:
        remember_file(session, caller, file)
    return file


async def store_bytes(
    caller: Caller,
    *,
    name: str,
    chunks: AsyncIterable[bytes],
    properties: Mapping[str, Any] | None = None,
) -> File:
    """Store the bytes of a file; the row is made but not yet added to any transaction.

    A file of no known type is taken in too, as `application/octet-stream`: what cannot be
    read is found out by the task, which then says so (wire/v1.md, wire/aluma.md).
    """
    file = File(
        organization_id=caller.organization_id,
        name=safe_name(name),
        blob="",
        type="",
        size_bytes=0,
        sha256="",
        properties=dict(properties or {}),
    )
    file.blob = f"files/{file.id}"
    head = bytearray()

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in chunks:
            if len(head) < SNIFFED_BYTES:
                head.extend(chunk[: SNIFFED_BYTES - len(head)])
            yield chunk

    stored = await blobs().write_stream(file.blob, watched(), settings().max_file_bytes)
    if not stored.size_bytes:
        await blobs().delete(file.blob)
        raise EmptyFileError
    file.size_bytes, file.sha256 = stored.size_bytes, stored.sha256
    file.type = sniff(bytes(head))
    return file


def remember_file(session: AsyncSession, caller: Caller, file: File) -> None:
    """Add the row of a stored file to the transaction."""
    session.add(file)
    record(
        session,
        "file.created",
        caller.actor,
        organization_id=caller.organization_id,
        subject=file.id,
        data={"type": file.type, "size_bytes": file.size_bytes},
    )


def file_members(file: File, task_id: str | None) -> dict[str, Any]:
    """What is told of a file, wherever it is told; `task_id` is the task that made it."""
    return {
        "id": file.id,
        "name": file.name,
        "type": file.type,
        "properties": {"size": file.size_bytes, **file.properties},
        "task_id": task_id,
        "created_at": file.created_at,
    }


def safe_name(name: str) -> str:
    """The last part of a file name, at most 255 characters, control characters gone."""
    last = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:MAX_NAME_CHARACTERS] or "file"


async def delete_file(caller: Caller, file_id: str) -> None:
    """Forget a file and its bytes.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
        ConflictError: a task that has not ended still needs it.
    """
    async with database().writing() as session:
        file = await find_file(session, caller, file_id)
        query = select(col(Task.code)).where(
            col(Task.input_file_id) == file_id, col(Task.state).not_in(FINAL)
        )
        if code := (await session.execute(query.limit(1))).scalar_one_or_none():
            raise ConflictError(
                "A task that has not ended needs the file. Cancel it or wait for its end.",
                task=f"task_{code}",
            )
        # The bytes first: after a crash in between the row says what is still to be deleted.
        await blobs().delete(file.blob)
        await session.delete(file)
        await scrub_answers(session, caller.organization_id, [file_id], since=file.created_at)
        record(
            session,
            "file.deleted",
            caller.actor,
            organization_id=caller.organization_id,
            subject=file_id,
        )


async def install_project(caller: Caller, source: str) -> tuple[Project, ProjectVersion]:
    """Make a project from a project file, or give an existing one a new version.

    Tasks under way keep the version they were made with.

    Raises:
        ProjectFileError: the file is not valid.
    """
    content = parse_project_file(source)
    async with database().writing() as session:
        query = visible(Project, caller).where(col(Project.name) == content.name)
        project = (await session.execute(query.with_for_update())).scalar_one_or_none()
        if project is None:
            project = Project(organization_id=caller.organization_id, name=content.name)
            session.add(project)
            await session.flush()
        newest = (
            await session.execute(
                select(ProjectVersion)
                .where(col(ProjectVersion.project_id) == project.id)
                .order_by(col(ProjectVersion.number).desc())
                .limit(1)
            )
        ).scalar_one_or_none()
        if newest is not None and newest.source == source:
            return project, newest
        version = ProjectVersion(
            project_id=project.id, number=newest.number + 1 if newest else 1, source=source
        )
        session.add(version)
        project.current_version_id = version.id
        record(
            session,
            "project.installed",
            caller.actor,
            organization_id=caller.organization_id,
            subject=project.name,
            data={"version": version.number},
        )
    return project, version


# Taking a task in


async def submit_process(
    caller: Caller,
    *,
    project: str,
    file_id: str | None = None,
    file: File | None = None,
    data: Mapping[str, Any] | None = None,
    source: str = "",
    name: str = "",
    metadata: Mapping[str, Any] | None = None,
    callback_url: str | None = None,
    flow_run_id: UUID | None = None,
) -> Task:
    """Take in a task of a project, in one local transaction; Prefect need not be there.

    Args:
        caller: whose task it is.
        project: name of the project.
        file_id: a file that was sent before; or else
        file: one whose bytes were stored just now, remembered in the same transaction; or else
        data: values by the names of blocks, for a project of data.
        source: how the data came: `api`, `manual`, the name of a table.
        name: what people call the task; the name of the file when omitted.
        metadata: what the caller wants to keep with it.
        callback_url: where the caller wants to be told of its end.
        flow_run_id: the run that makes the task for itself; none is submitted then.

    Raises:
        NotFoundError: the project or the file is not there.
        InputError: neither file nor data, or not what the project takes.
        FieldsInvalidError: the data does not fit the blocks of the project.
        AddressError: the callback is none that may be reached.
    """
    async with changing() as session:
        found, version = await find_project(session, caller, project)
        content = parse_project_file(version.source)
        task = _task_of(caller, found, version, name=name, flow_run_id=flow_run_id)
        task.task_metadata = dict(metadata or {})
        task.callback_url = check_url(callback_url) if callback_url else None
        if data is not None:
            must_take(content, "data")
            if faults := faults_of(content.blocks, data, is_final=False):
                raise FieldsInvalidError(fields=faults)
            task.task_data, task.source = normal(data), source
        else:
            must_take(content, "file")
            if file is None:
                if file_id is None:
                    raise InputError("A task needs a file: send one or name one.")
                file = await find_file(session, caller, file_id)
            else:
                remember_file(session, caller, file)
            task.name = name or file.name
            task.parameters = {"input": file.id, "project": project}
            task.input_file_id = file.id
        return await _take_in(session, caller, task)


def must_take(project: ProjectFile, given: str) -> None:
    """Refuse what is not for the project.

    Raises:
        InputError: a file for one of data, or data for one of files.
    """
    taken = "data" if project.blocks else "file"
    if given != taken:
        right = {
            "data": "The project takes data and no file: send `data`, values by its blocks.",
            "file": "The project takes files and no data: send a `file`, or name one by `input`.",
        }
        raise InputError(right[taken], project=project.name)


def _task_of(
    caller: Caller,
    project: Project,
    version: ProjectVersion,
    *,
    name: str,
    flow_run_id: UUID | None = None,
) -> Task:
    return Task(
        organization_id=caller.organization_id,
        operation=PROCESS,
        project_id=project.id,
        project_version_id=version.id,
        name=name,
        parameters={"project": project.name},
        deadline_at=now() + parse_project_file(version.source).timeout,
        flow_run_id=flow_run_id,
    )


async def submit_rows(
    caller: Caller, *, project: str, rows: Sequence[Mapping[str, Any]], source: str
) -> int:
    """Take in a task of data for each row, all in one transaction; answers how many.

    Args:
        caller: whose tasks they are.
        project: name of a project of data.
        rows: values by the names of its blocks.
        source: name of the table they are from.

    Raises:
        NotFoundError: the project is not there.
        InputError: it is one of files.
        FieldsInvalidError: a row does not fit its blocks.
    """
    async with changing() as session:
        found, version = await find_project(session, caller, project)
        content = parse_project_file(version.source)
        must_take(content, "data")
        tasks: list[Task] = []
        for row in rows:
            if faults := faults_of(content.blocks, row, is_final=False):
                raise FieldsInvalidError(fields=faults)
            task = _task_of(caller, found, version, name="")
            task.task_data, task.source, task.created_by = normal(row), source, caller.actor.name
            tasks.append(task)
        session.add_all(tasks)
        await session.flush()
        for task in tasks:
            record(session, "task.created", caller.actor, task=task, data={"operation": PROCESS})
            enqueue(session, OutboxKind.SUBMIT, task)
    return len(tasks)


async def submit_operation(
    caller: Caller,
    *,
    operation: str,
    kind: str,
    parameters: Mapping[str, Any],
    secrets: Mapping[str, str] | None = None,
    name: str = "",
    flow_run_id: UUID | None = None,
) -> Task:
    """Take in a task that is one operation on files.

    The input may be wrong: the task is accepted and fails, as its callers expect
    (wire/v1.md).

    Args:
        caller: whose task it is.
        operation: name of a row of OPERATIONS.
        kind: `pdf` or `image`, the kind of file the caller announces.
        parameters: as sent, validated by the caller against the row's params; `input` is a
            file id, a task id, or a list of them, `callback_url` where the caller wants to be
            told of the end.
        secrets: the parameters that are masked among those.
        name: what people call the task.
        flow_run_id: the run that makes the task for itself; none is submitted then.

    Raises:
        NotFoundError: there is no such operation.
        AddressError: the callback is none that may be reached.
    """
    if operation not in OPERATIONS:
        raise NotFoundError(f"There is no operation named {operation!r}.", operation=operation)
    callback_url = parameters.get("callback_url")
    async with changing() as session:
        return await _take_in(
            session,
            caller,
            Task(
                organization_id=caller.organization_id,
                operation=operation,
                name=name,
                parameters=dict(parameters),
                secrets=dict(secrets or {}),
                task_metadata={"kind": kind},
                callback_url=check_url(str(callback_url)) if callback_url else None,
                deadline_at=now() + timedelta(seconds=settings().task_timeout_seconds),
                flow_run_id=flow_run_id,
            ),
        )


async def _take_in(session: AsyncSession, caller: Caller, task: Task) -> Task:
    task.created_by = caller.actor.name
    session.add(task)
    await session.flush()  # the row that the outbox row points to must be there first
    record(session, "task.created", caller.actor, task=task, data={"operation": task.operation})
    if task.flow_run_id is None:
        enqueue(session, OutboxKind.SUBMIT, task)
    return task


# The review


async def claim(caller: Caller, public_id: str) -> Task:
    """Hold a task that waits, for the length of the lease; claiming again renews it.

    Raises:
        AlreadyClaimedError: another holds it.
        IllegalTransitionError: it does not wait for a person.
    """
    async with database().writing() as session:
        return await _claim(session, caller, await find_task(session, caller, public_id, lock=True))


async def _claim(session: AsyncSession, caller: Caller, task: Task) -> Task:
    _must_wait(task)
    _must_not_be_held_by_another(caller, task)
    until = now() + timedelta(seconds=settings().claim_lease_seconds)
    return await amend(
        session,
        task,
        "task.claimed",
        caller.actor,
        claimed_by=caller.actor.name,
        claimed_until=until,
    )


async def next_task(caller: Caller, project: str | None = None) -> Task | None:
    """Claim the task that waits longest and that nobody holds; None when there is none."""
    async with database().writing() as session:
        query = visible(Task, caller).where(
            col(Task.state) == State.IN_REVIEW,
            col(Task.claimed_until).is_(None) | (col(Task.claimed_until) < now()),
        )
        if project is not None:
            found, _ = await find_project(session, caller, project)
            query = query.where(col(Task.project_id) == found.id)
        query = query.order_by(col(Task.created_at), col(Task.id)).limit(1)
        task = (await session.execute(query.with_for_update(skip_locked=True))).scalar_one_or_none()
        return await _claim(session, caller, task) if task else None


async def release(caller: Caller, public_id: str) -> Task:
    """Give a claimed task back.

    Raises:
        NotClaimedError: the caller does not hold it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        if holder(task) != caller.actor.name:
            raise NotClaimedError
        return await amend(
            session, task, "task.released", caller.actor, claimed_by=None, claimed_until=None
        )


async def save(
    caller: Caller,
    public_id: str,
    values: Mapping[str, Any] | None = None,
    document_number: int = 1,
    *,
    documents: Mapping[int, Mapping[str, Any]] | None = None,
) -> Task:
    """Keep values that a person typed, valid or not, without deciding.

    Args:
        caller: who typed them.
        public_id: of the task.
        values: of the fields of one document, or of the blocks of a task of data.
        document_number: which document, 1-based.
        documents: values of further documents, by their numbers.

    Raises:
        IllegalTransitionError: the task does not wait for a person.
        AlreadyClaimedError: another holds it.
        FieldsInvalidError: a name is no field of the document, or no block that may be changed.
        NotFoundError: there is no document of that number.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        _must_wait(task)
        _must_not_be_held_by_another(caller, task)
        project = await project_file_of(session, task)
        told: list[str] = []
        data = task.task_data
        if project.blocks:
            data = _with_values(project, task, values or {})
            told = sorted(values or {})
        else:
            for number, typed_in in _by_document(values, document_number, documents).items():
                told += sorted(await _write_values(session, task, project, typed_in, number))
        return await amend(
            session, task, "task.saved", caller.actor, data={"fields": told}, task_data=data
        )


def _by_document(
    values: Mapping[str, Any] | None,
    document_number: int,
    documents: Mapping[int, Mapping[str, Any]] | None,
) -> Mapping[int, Mapping[str, Any]]:
    together = {number: dict(some) for number, some in (documents or {}).items()}
    if values:
        together.setdefault(document_number, {}).update(values)
    return dict(sorted(together.items()))


async def complete(
    caller: Caller,
    public_id: str,
    values: Mapping[str, Any] | None = None,
    note: str = "",
    document_number: int = 1,
    *,
    documents: Mapping[int, Mapping[str, Any]] | None = None,
) -> Task:
    """Decide that the data is right, of all documents; the task goes on.

    Args:
        caller: who decides.
        public_id: of the task.
        values: last corrections, as `save` takes them.
        note: kept with the task.
        document_number: which document they are of, 1-based.
        documents: last corrections of further documents, by their numbers.

    Raises:
        FieldsInvalidError: it is not; `fields` in the details has each field's reason, and
            the task stays in review, nothing changed.
        IllegalTransitionError: the task does not wait for a person.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
        NotFoundError: there is no document of that number.
        ConflictError: it was opened again and is still being read.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        _must_wait(task)
        _must_not_be_held_by_another(caller, task)
        project = await project_file_of(session, task)
        if project.blocks:
            data = _with_values(project, task, values or {})
            if faults := faults_of(project.blocks, data, is_final=True):
                raise FieldsInvalidError(fields=faults)
            return await _decide(
                session, caller, task, Event.ANSWER, "complete", note, task_data=normal(data)
            )
        for number, typed_in in _by_document(values, document_number, documents).items():
            await _write_values(session, task, project, typed_in, number)
        found = await documents_of(session, task)
        if not found or (task.review_step == "extract" and not all(d.is_extracted for d in found)):
            raise ConflictError("The documents of the task are not read yet. Try again shortly.")
        problems: dict[str, str] = {}
        for document in found:
            document.pages_confidence = document.type_confidence = 1.0
            if not document.is_extracted:
                continue
            # What a person let stand is confirmed: only what is wrong is left to say.
            part = project.type_named(document.document_type)
            checked = check(part, field_values(document))
            problems |= {
                field_key(found, document.number, n): v.message
                for n, v in checked.items()
                if not v.valid
            }
            confirmed = {
                n: v.model_copy(update={"needs_confirmation": False}) for n, v in checked.items()
            }
            document.fields = {n: v.model_dump(mode="json") for n, v in confirmed.items()}
        if problems:
            raise FieldsInvalidError(fields=problems)
        return await _decide(session, caller, task, Event.ANSWER, "complete", note)


def field_key(documents: Sequence[Document], number: int, name: str) -> str:
    """A field among those of all documents of a task: `total`, or `2.total` of several."""
    return name if len(documents) == 1 else f"{number}.{name}"


def _with_values(project: ProjectFile, task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a task with what a person filled in.

    Raises:
        FieldsInvalidError: a name is no block, or one of a block that is only read.
    """
    before = task.task_data or {}
    faults: dict[str, str] = {}
    for name, value in values.items():
        block = project.block(name)
        if block is None:
            faults[name] = "is no block of the project"
        elif block.read_only and value != before.get(name):
            faults[name] = "is only to be read"
    if faults:
        raise FieldsInvalidError(fields=faults)
    return {**before, **values}


@dataclass(frozen=True)
class Arranged:
    """A document as a person says that it is."""

    page_numbers: Sequence[int]
    """1-based."""
    document_type: str


ARRANGE = "arrange"
"""The decision that a file has other documents than were found."""


async def arrange(
    caller: Caller, public_id: str, documents: Sequence[Arranged], note: str = ""
) -> Task:
    """Decide which documents a file has; their fields are then looked for, and checked.

    A document that has the pages and the type of one that was found keeps its values.

    Args:
        caller: who decides.
        public_id: of the task.
        documents: in order; pages that are in none are dropped.
        note: kept with the task.

    Raises:
        FieldsInvalidError: a page is not there, or in two documents, or a type is none of the
            project's; `fields` in the details has the reason for each document.
        IllegalTransitionError: the task does not wait for a person, or has no documents.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        _must_wait(task)
        _must_not_be_held_by_another(caller, task)
        project = await project_file_of(session, task)
        if project.blocks:
            raise IllegalTransitionError("A task of data has no documents.")
        pages = select(col(Page.number)).where(col(Page.task_id) == task.id)
        numbers = set((await session.execute(pages)).scalars())
        if faults := _faults_of_arrangement(project, documents, numbers):
            raise FieldsInvalidError(fields=faults)
        before = {
            (tuple(old.page_numbers), old.document_type): old
            for old in await documents_of(session, task)
        }
        await session.execute(delete(Document).where(col(Document.task_id) == task.id))
        for number, one in enumerate(documents, 1):
            old = before.get((tuple(one.page_numbers), one.document_type))
            session.add(
                Document(
                    task_id=task.id,
                    number=number,
                    document_type=one.document_type,
                    page_numbers=list(one.page_numbers),
                    is_extracted=old is not None and old.is_extracted,
                    fields=old.fields if old else {},
                )
            )
        return await _decide(session, caller, task, Event.ANSWER, ARRANGE, note)


def _faults_of_arrangement(
    project: ProjectFile, documents: Sequence[Arranged], page_numbers: set[int]
) -> dict[str, str]:
    if not documents:
        return {"documents": "are none; discard the task if nothing in it is wanted"}
    types = {one.name for one in project.types} | ({UNKNOWN} if project.sorts else set())
    taken: set[int] = set()
    faults: dict[str, str] = {}
    for index, one in enumerate(documents, 1):
        if not one.page_numbers or not set(one.page_numbers) <= page_numbers:
            faults[f"documents.{index}"] = "has pages that the file does not have, or none"
        elif len(set(one.page_numbers)) < len(one.page_numbers) or taken & set(one.page_numbers):
            faults[f"documents.{index}"] = "has a page that is in a document already"
        elif one.document_type not in types:
            faults[f"documents.{index}"] = f"must be one of {', '.join(sorted(types))}"
        taken |= set(one.page_numbers)
    return faults


async def discard(caller: Caller, public_id: str, reason: str = "") -> Task:
    """Decide that the document is not wanted; the task ends.

    Raises:
        IllegalTransitionError: the task does not wait for a person.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        _must_wait(task)
        _must_not_be_held_by_another(caller, task)
        return await _decide(
            session, caller, task, Event.DISCARD, "discard", reason, finished_at=now()
        )


async def _decide(
    session: AsyncSession,
    caller: Caller,
    task: Task,
    event: Event,
    decision: str,
    note: str,
    **changes: Any,
) -> Task:
    enqueue(session, OutboxKind.RESUME, task, round=task.review_round, decision=decision)
    return await advance(
        session,
        task,
        event,
        caller.actor,
        reason=note,
        data={"round": task.review_round},
        decision={
            "round": task.review_round,
            "decision": decision,
            "actor": caller.actor.name,
            "note": note,
        },
        claimed_by=None,
        claimed_until=None,
        review_since=None,
        review_due_at=None,
        **changes,
    )


async def report(
    caller: Caller, public_id: str, issues: Sequence[Mapping[str, Any]], message: str = ""
) -> Task:
    """Write down what is wrong with a task; it stays where it is."""
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        return await amend(
            session,
            task,
            "task.reported",
            caller.actor,
            reason=message,
            data={"issues": [dict(issue) for issue in issues]},
        )


# Ends and new beginnings


async def cancel(caller: Caller, public_id: str, reason: str = "") -> Task:
    """End a task that has not ended; whatever works on it is stopped.

    Raises:
        IllegalTransitionError: it has ended already.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        return await end_task(session, task, Event.CANCEL, caller, reason=reason)


async def end_task(
    session: AsyncSession, task: Task, event: Event, caller: Caller, *, reason: str = ""
) -> Task:
    """End a task from outside its run, and have the run ended too."""
    enqueue(session, OutboxKind.CANCEL if event is Event.CANCEL else OutboxKind.END, task)
    return await advance(
        session,
        task,
        event,
        caller.actor,
        reason=reason,
        claimed_by=None,
        claimed_until=None,
        review_since=None,
        review_due_at=None,
        finished_at=now(),
    )


async def unlock(caller: Caller, public_id: str, reason: str = "") -> Task:
    """Open a completed, filtered or discarded task for correction.

    Raises:
        IllegalTransitionError: the task is in another state.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        if task.operation != PROCESS:
            raise IllegalTransitionError("Only a task of a project has data to correct.")
        project = await project_file_of(session, task)
        enqueue(session, OutboxKind.RESCHEDULE, task)
        return await advance(
            session,
            task,
            Event.UNLOCK,
            caller.actor,
            reason=reason,
            review_round=task.review_round + 1,
            review_step="extract",
            review_reason="unlocked",
            review_since=now(),
            review_due_at=now() + project.review.timeout,
            deadline_at=now() + project.timeout,
            finished_at=None,
            result={},
        )


async def retry(caller: Caller, public_id: str) -> Task:
    """Try a failed, timed out or canceled task again; what was done well is not done twice.

    Raises:
        IllegalTransitionError: the task is in another state.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        enqueue(
            session,
            OutboxKind.SUBMIT if task.flow_run_id is None else OutboxKind.RESCHEDULE,
            task,
        )
        return await begin_again(session, task, caller)


async def begin_again(session: AsyncSession, task: Task, caller: Caller) -> Task:
    """Put a task that ended badly back into the queue, as its next try."""
    taken = task.deadline_at - task.created_at if task.deadline_at else None
    return await advance(
        session,
        task,
        Event.RETRY,
        caller.actor,
        attempt=task.attempt + 1,
        result={},
        decision=None,
        finished_at=None,
        started_at=None,
        worker_id=None,
        deadline_at=now() + taken if taken else None,
    )


# Rules


def holder(task: Task, at: datetime | None = None) -> str | None:
    """The actor that holds the task; None when nobody does or the lease ran out."""
    if task.claimed_until is None or task.claimed_until < (at or now()):
        return None
    return task.claimed_by


def _must_wait(task: Task) -> None:
    if task.state is State.IN_REVIEW:
        return
    if task.decision and task.decision["round"] == task.review_round and task.review_round:
        raise AlreadyDecidedError(
            f"The review was decided already: {task.decision['decision']}. Read the task again.",
            state=task.state.value,
            version=task.version,
        )
    raise IllegalTransitionError(
        f"The task is {task.state.value}; it does not wait for a person.",
        state=task.state.value,
        version=task.version,
    )


def _must_not_be_held_by_another(caller: Caller, task: Task) -> None:
    if holder(task) not in {None, caller.actor.name}:
        raise AlreadyClaimedError(
            claimed_until=task.claimed_until.isoformat() if task.claimed_until else None
        )


async def _write_values(
    session: AsyncSession,
    task: Task,
    project: ProjectFile,
    values: Mapping[str, Any],
    document_number: int,
) -> set[str]:
    """Put typed values into a document; answers the names of the fields that changed."""
    documents = {document.number: document for document in await documents_of(session, task)}
    document = documents.get(document_number)
    if document is None:
        raise NotFoundError("The task has no document of that number.", document=document_number)
    part = project.type_named(document.document_type)
    unknown = sorted(name for name in values if part.field(name) is None)
    if unknown:
        raise FieldsInvalidError(fields=dict.fromkeys(unknown, "The project has no such field."))
    before = field_values(document)
    after = dict(before)
    for name, value in values.items():
        if (field := part.field(name)) is not None:
            after[name] = typed(field, value, before.get(name))
    document.fields = {n: v.model_dump(mode="json") for n, v in check(part, after).items()}
    return {name for name in after if after[name] != before.get(name)}
