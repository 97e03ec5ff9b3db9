"""`papertray submit`: files become tasks of a project."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from sqlmodel import col

from api.cli.files import must_be_files
from api.cli.findings import START_A_WORKER
from api.cli.local import operator, pages_url
from api.cli.output import DEFAULTS, Answer, Options, table
from api.cli.tasks import facts_of
from flows import verbs
from flows.heartbeat import living_workers
from store.access import Caller, visible
from store.blobs import chunks_of
from store.database import database
from store.errors import InputError, PapertrayError, UnavailableError
from store.finding import find_project
from store.lifecycle import FINAL, WAITING
from store.models import Task
from store.states import State

LOOK_SECONDS = 0.25

ENDED_WELL = frozenset({State.COMPLETED, State.FILTERED})


async def submit(
    files: tuple[Path, ...],
    *,
    project: str,
    name: str = "",
    wait: Annotated[bool, Parameter(negative="")] = False,
    timeout_seconds: float | None = None,
    options: Options = DEFAULTS,
) -> Answer:
    """Send files to a project: each becomes a task.

    Args:
        files: The files.
        project: Name of the project.
        name: What people call the task; the name of the file when omitted.
        wait: Wait until each task has ended, or waits for a person.
        timeout_seconds: With --wait: how long at most.
        options: Common options.
    """
    must_be_files(files)
    async with operator(options) as caller:
        tasks = [await send(caller, path, project=project, name=name) for path in files]
        if wait:
            if not await living_workers():
                options.tell(f"No worker is alive. {START_A_WORKER}")
            tasks = await until_settled(caller, tasks, options, timeout_seconds)
    rows = ((task.public_id, task.state, task.name, what_next(task)) for task in tasks)
    return Answer(
        [facts_of(task) for task in tasks],
        table(("task", "state", "name", ""), rows),
        max((_status(task) for task in tasks), default=0) if wait else 0,
    )


async def send(caller: Caller, path: Path, *, project: str, name: str = "") -> Task:
    """Take one file in as a task of a project.

    Raises:
        InputError: the file cannot be read.
        NotFoundError: there is no such project.
    """
    async with database().reading() as session:
        await find_project(session, caller, project)  # before the bytes are stored
    file = await verbs.store_bytes(caller, name=path.name, chunks=_chunks(path))
    async with verbs.unless_refused(file):
        return await verbs.submit_process(caller, project=project, file=file, name=name)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks_of(path):
            yield chunk
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", file=str(path)) from error


async def until_settled(
    caller: Caller,
    tasks: Sequence[Task],
    options: Options,
    timeout_seconds: float | None = None,
) -> list[Task]:
    """Follow tasks until each has ended or waits for a person; says each change of state.

    Raises:
        UnavailableError: the time is over.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    seen: dict[Any, State] = {}
    while True:
        now = await read_again(caller, tasks)
        for task in now:
            if seen.get(task.id) != task.state:
                seen[task.id] = task.state
                options.tell(f"{task.public_id}  {task.state}")
        if all(task.state in FINAL | WAITING for task in now):
            return now
        if deadline is not None and time.monotonic() > deadline:
            raise UnavailableError(
                f"Not settled within {timeout_seconds:g} s. The tasks go on; `papertray tasks"
                " list` shows them. Is a worker running? `papertray doctor` tells.",
                tasks=[task.public_id for task in now if task.state not in FINAL | WAITING],
            )
        await asyncio.sleep(LOOK_SECONDS)


async def read_again(caller: Caller, tasks: Sequence[Task]) -> list[Task]:
    """The tasks as they are now, in the same order."""
    async with database().reading() as session:
        query = visible(Task, caller).where(col(Task.id).in_([task.id for task in tasks]))
        found = {task.id: task for task in (await session.execute(query)).scalars()}
    return [found[task.id] for task in tasks if task.id in found]


def _status(task: Task) -> int:
    """The exit status that a settled task asks for."""
    if task.state in ENDED_WELL | WAITING:
        return 0
    if task.state is State.FAILED:
        return _exit_code_of(_code(task))
    return PapertrayError.exit_code


def _code(task: Task) -> str:
    """The code of the error by which a task failed."""
    return task.result.get("details", {}).get("code", "")


def _exit_code_of(code: str) -> int:
    """The exit status of the error with that code, as if it had been raised here."""
    kinds: list[type[PapertrayError]] = [PapertrayError]
    while kinds:
        kind = kinds.pop()
        if kind.code == code:
            return kind.exit_code
        kinds += kind.__subclasses__()
    return PapertrayError.exit_code


def what_next(task: Task) -> str:
    """Where a person decides on it, or why it failed."""
    if task.state is State.IN_REVIEW:
        return f"{pages_url()}/review/{task.public_id}"
    if task.state is State.FAILED:
        return f"{task.result.get('error', '')} ({_code(task)})"
    return ""
