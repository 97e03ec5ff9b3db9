"""A run that was started in Prefect itself makes its own task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.runtime import flow_run as this_run
from sqlalchemy import select
from sqlmodel import col

from flows import engine
from flows.downloads import download, is_address
from flows.verbs import (
    remember_file,
    store_bytes,
    submit_operation,
    submit_process,
    unless_refused,
)
from operations.registry import MASK, OPERATIONS
from store.access import Caller
from store.blobs import chunks_of
from store.database import database
from store.errors import InputError, NotFoundError
from store.finding import find_project
from store.models import File, Task
from store.organizations import default_organization
from store.settings import settings
from store.states import Actor


async def adopt_process_run(
    project: str | None, source: str | None, data: Mapping[str, Any] | None = None
) -> UUID:
    """Make the task of this run; once, however often the run is executed.

    Args:
        project: name of a project of the default organization.
        source: id of a file that was sent, its address, or name of a file in the inbox; or else
        data: values by the names of blocks, where the project takes data.

    Returns:
        The id of the task.

    Raises:
        InputError: the project is missing; what it is to work on is missing, or there twice; or
            the project does not take it.
        FieldsInvalidError: the data does not fit the blocks of the project.
        NotFoundError: the project or the file is not there.
    """
    if not project or bool(source) == (data is not None):
        raise InputError(
            "Give `task_id`; or `project` and either `input`, a file, or `data`, values by the"
            " blocks of a project that takes data."
        )
    if task_id := await _adopted():
        return task_id
    caller = await _caller()
    run_id = UUID(this_run.id)
    if not source:
        task = await submit_process(
            caller, project=project, data=data, source="prefect", flow_run_id=run_id
        )
    elif not is_address(source) and not _in_inbox(source):
        task = await submit_process(caller, project=project, file_id=source, flow_run_id=run_id)
    else:
        async with database().reading() as session:
            await find_project(session, caller, project)  # before anything is fetched for it
        async with unless_refused(await _stored(caller, source)) as file:
            task = await submit_process(caller, project=project, file=file, flow_run_id=run_id)
    return task.id


async def _stored(caller: Caller, source: str) -> File:
    """The bytes at an address, or of a file in the inbox, without a row as yet."""
    if is_address(source):
        return await download(caller, source)
    return await store_bytes(caller, name=source, chunks=chunks_of(_inbox_file(source)))


async def adopt_operation_run(operation: str, parameters: Mapping[str, Any]) -> UUID:
    """Make the task of this run; once, however often the run is executed.

    Args:
        operation: its name.
        parameters: what it takes, and `input`, a file or several.

    Returns:
        The id of the task.

    Raises:
        InputError: operation or file are missing, or one of the parameters is a secret.
        NotFoundError: there is no such operation, no such file in the inbox, or no such block.
    """
    if not operation or not parameters.get("input"):
        raise InputError("Choose an `operation`, and name the files that are its `input`.")
    row = OPERATIONS.get(operation)
    blocks = {name: block_of(name) for name in sorted(row.secrets)} if row else {}
    told = [name for name in blocks if name in parameters]
    if told:
        raise InputError(
            f"{', '.join(told)} cannot be given here: Prefect shows the parameters of a run to"
            " whoever opens it. Put it into a Secret block and give the name of that as"
            f" {', '.join(blocks[name] for name in told)}, or send the task by the API.",
            parameters=told,
        )
    if task_id := await _adopted():
        return task_id
    caller = await _caller()
    secrets = {
        name: await engine.secret_in(str(parameters[block]))
        for name, block in blocks.items()
        if parameters.get(block)
    }
    given = parameters["input"]
    names: list[str] = [given] if isinstance(given, str) else list(given)
    ids = [await _file_id(caller, name) for name in names]
    task = await submit_operation(
        caller,
        operation=operation,
        kind="",
        parameters={
            **{key: value for key, value in parameters.items() if key not in blocks.values()},
            **dict.fromkeys(secrets, MASK),
            "input": ids[0] if isinstance(given, str) else ids,
        },
        secrets=secrets,
        flow_run_id=UUID(this_run.id),
    )
    return task.id


def block_of(secret: str) -> str:
    """The parameter of a run that names the Secret block in which a secret is."""
    return f"{secret}_block"


async def _file_id(caller: Caller, name: str) -> str:
    if not is_address(name) and not _in_inbox(name):
        return name
    async with unless_refused(await _stored(caller, name)) as file:
        async with database().writing() as session:
            remember_file(session, caller, file)
        return file.id


async def _adopted() -> UUID | None:
    async with database().reading() as session:
        query = select(col(Task.id)).where(col(Task.flow_run_id) == UUID(this_run.id))
        return (await session.execute(query)).scalar_one_or_none()


async def _caller() -> Caller:
    return Caller(await default_organization(), Actor("prefect", "prefect"))


def _in_inbox(name: str) -> bool:
    return not name.startswith(("file_", "task_"))


def _inbox_file(name: str) -> Path:
    """The file of that name below the inbox: whoever opens Prefect reads no other folder."""
    inbox = settings().effective_inbox.resolve()
    path = (inbox / name).resolve()
    if not path.is_relative_to(inbox) or not path.is_file():
        raise NotFoundError(
            "There is no such file in the inbox folder of the worker (PAPERTRAY_INBOX). Put it"
            " there, or give the id of a file that was sent (`file_...`).",
            file=name,
        )
    return path
