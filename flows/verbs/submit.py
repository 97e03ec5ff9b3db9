"""Taking a task in."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.outbox import changing, enqueue
from flows.public_http import check_url
from flows.verbs.collaboration import Collaborator, set_collaborators
from flows.verbs.duplicates import first_of_project
from flows.verbs.files import remember_file
from flows.verbs.projects import must_not_exceed, must_take, version_with
from operations.registry import OPERATIONS
from store.access import Caller, visible
from store.activity import record
from store.blobs import blobs
from store.blocks import faults_of, normal
from store.errors import (
    FieldsInvalidError,
    InputError,
    NotFoundError,
)
from store.finding import (
    find_file,
    find_project,
)
from store.ids import now
from store.inserting import insert_new
from store.models import Activity, File, OutboxKind, Project, ProjectVersion, Task
from store.project_file import parse_project_file
from store.project_limits import Duplicates
from store.retention import TEST_DATA_KEPT
from store.settings import settings
from store.storable import unstorable
from store.surface_defaults import FAILS_LATER

PROCESS: Final = "process"
"""The `operation` of a task of a project."""

UNSEEN: Final = "unseen"
"""Where a task that is one operation keeps which of its inputs its sender may not see."""


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
    priority: int = 0,
    due_at: datetime | None = None,
    is_private: bool = False,
    collaborators: Sequence[Collaborator] = (),
    project_file: str | None = None,
    flow_run_id: UUID | None = None,
    task_id: UUID | None = None,
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
        priority: those with a higher one are reviewed first.
        due_at: when the caller wants it decided; it orders the queue, and ends nothing.
        is_private: whether only the caller and the collaborators see it.
        collaborators: who else sees it, and works on which of its steps.
        project_file: what happens to this task, in the place of what its project says.
        flow_run_id: the run that makes the task for itself; none is submitted then.
        task_id: of the task, for a caller that may not know whether it has made it before.

    Returns:
        The task; or the first one on the same bytes, where its project wants no second.

    Raises:
        IntegrityError: there is a task of that id.
        NotFoundError: the project, the file, or a collaborator is not there.
        InputError: neither file nor data, or not what the project takes; or metadata that cannot
            be kept.
        FieldsInvalidError: the data does not fit the blocks of the project.
        FileTooLargeError, UnsupportedFileError, LimitExceededError: the file is beyond the limits
            of the project.
        DuplicateFileError: the same bytes came before, and the project takes them once.
        AddressError: the callback is none that may be reached.
    """
    async with changing() as session:
        found, version = await find_project(session, caller, project)
        if project_file is not None:
            version = await version_with(session, found, project_file)
        content = parse_project_file(version.source)
        first: Task | None = None
        task = task_of(caller, found, version, name=name, flow_run_id=flow_run_id)
        task.id = task_id or task.id
        task.task_metadata = _storable(dict(metadata or {}))
        task.callback_url = check_url(callback_url) if callback_url else None
        task.priority, task.due_at, task.is_private = priority, due_at, is_private
        if data is not None:
            must_take(content, "data")
            if faults := faults_of(content.blocks, data, is_final=False):
                raise FieldsInvalidError(fields=faults)
            task.task_data, task.source = normal(data), source
        else:
            must_take(content, "file")
            if file is None and file_id is None:
                raise InputError("A task needs a file: send one or name one.")
            given = file or await find_file(session, caller, file_id or "")
            if caller.actor.surface not in FAILS_LATER:
                must_not_exceed(content, given)
            first = await first_of_project(session, caller, found, content, given)
            # A run that makes a task for itself has to have one of its own.
            if first and content.limits.duplicates is Duplicates.FIRST and flow_run_id is None:
                task = first
            else:
                if file is not None:
                    remember_file(session, caller, file)
                task.duplicate_of = first.code if first else None
                give_file(task, given)
        if task is not first:
            await _take_in(session, caller, task)
            await set_collaborators(session, caller, task, collaborators)
    if task is first and file is not None:
        await blobs().delete(file.blob)  # no row names it
    return task


def task_of(
    caller: Caller,
    project: Project,
    version: ProjectVersion,
    *,
    name: str,
    flow_run_id: UUID | None = None,
) -> Task:
    """A task of a project, to which its file or its data is still to be given."""
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


def give_file(task: Task, file: File) -> None:
    """Make a file the input of a task of a project."""
    task.name = task.name or file.name
    task.parameters = {**task.parameters, "input": file.id}
    task.input_file_id = file.id


def _storable(metadata: dict[str, Any]) -> dict[str, Any]:
    # A sidecar may say what no body of a request can.
    if fault := unstorable(metadata):
        raise InputError(f"The metadata cannot be kept: {fault}. Correct it and send it again.")
    return metadata


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
            task = task_of(caller, found, version, name="")
            task.task_data, task.source = normal(row), source
            tasks.append(task)
        await add_tasks(session, caller, tasks)
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
        unseen = await _unseen(session, caller, parameters.get("input", ""))
        return await _take_in(
            session,
            caller,
            Task(
                organization_id=caller.organization_id,
                operation=operation,
                name=name,
                parameters=dict(parameters),
                secrets=dict(secrets or {}),
                task_metadata={"kind": kind, UNSEEN: unseen},
                callback_url=check_url(str(callback_url)) if callback_url else None,
                deadline_at=now() + timedelta(seconds=settings().task_timeout_seconds),
                flow_run_id=flow_run_id,
            ),
        )


async def _unseen(session: AsyncSession, caller: Caller, given: str | Sequence[str]) -> list[str]:
    """Ids of what is not there for the caller, among what an operation is to work on."""
    ids = [given] if isinstance(given, str) else list(given)
    codes = {one: one.removeprefix("task_") for one in ids if one.startswith("task_")}
    seen: set[str] = set()
    if codes:
        tasks = visible(Task, caller).where(col(Task.code).in_(codes.values()))
        seen = {task.public_id for task in (await session.execute(tasks)).scalars()}
    if files := [one for one in ids if one not in codes]:
        sent = visible(File, caller).where(col(File.id).in_(files))
        seen |= {file.id for file in (await session.execute(sent)).scalars()}
    return [one for one in ids if one not in seen]


async def _take_in(session: AsyncSession, caller: Caller, task: Task) -> Task:
    await add_tasks(session, caller, [task])
    return task


async def add_tasks(session: AsyncSession, caller: Caller, tasks: Sequence[Task]) -> None:
    """Take tasks in, and have a run made for each that has none."""
    told: list[Activity] = []
    for task in tasks:
        task.created_by = caller.actor.name
        task.owner_id, task.is_test = caller.owner_id, caller.is_test
        if caller.is_test:
            last = now() + TEST_DATA_KEPT
            task.deadline_at = min(task.deadline_at or last, last)
        data = {"operation": task.operation}
        told.append(record(session, "task.created", caller.actor, task=task, data=data))
    await insert_new(session)
    for task, activity in zip(tasks, told, strict=True):
        task.number = activity.number
    session.add_all(tasks)
    for task in tasks:
        if task.flow_run_id is None:
            enqueue(session, OutboxKind.SUBMIT, task)
    await insert_new(session)
