"""Taking a task in."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from flows.outbox import changing, enqueue
from flows.public_http import check_url
from flows.verbs.files import remember_file
from flows.verbs.projects import must_take
from operations.registry import OPERATIONS
from store.access import Caller
from store.activity import record
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
from store.models import File, OutboxKind, Project, ProjectVersion, Task
from store.project_file import parse_project_file
from store.settings import settings

PROCESS = "process"
"""The `operation` of a task of a project."""


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
