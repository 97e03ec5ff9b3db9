"""The files of a task get to the folder or bucket that its project names, each once."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from operations.registry import is_worth_another_try
from store.blobs import blobs
from store.database import database
from store.destinations import Destination
from store.errors import AddressError, ExportFailedError
from store.export_names import numbered
from store.finding import project_file_of
from store.models import ExportedFile, File, Organization, Task
from store.project_file import ProjectFile

RETRIES: Final = 6
"""Of a place that does not take the files, each after twice the time: two minutes in all."""

MOST_NUMBERS: Final = 20
"""How many names are tried with a number; then the id of the task tells the next from others."""


_THREADS: Final = ThreadPoolExecutor(8, thread_name_prefix="deliver")
"""Of their own: a network drive that hangs holds up exports, and nothing else of the worker."""

T = TypeVar("T")


async def _in_thread(call: Callable[..., T], *arguments: Any) -> T:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREADS, partial(call, *arguments))


@task(
    name="deliver",
    retries=RETRIES,
    retry_delay_seconds=[2.0**n for n in range(1, RETRIES + 1)],
    retry_condition_fn=is_worth_another_try,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def deliver(task_id: UUID) -> None:
    """Put the files of a task where its project wants them.

    Each has its name there written down before: done again, after a crash or a correction, it is
    put in the place of itself. A file of that name which is not the task's own is left as it is.

    Raises:
        ExportFailedError: the place does not take them.
    """
    async with database().reading() as session:
        row = await session.get_one(Task, task_id)
        project = await project_file_of(session, row)
        organization = await session.get_one(Organization, row.organization_id)
        made = select(File).where(col(File.task_id) == task_id).order_by(col(File.created_at))
        files = (await session.execute(made)).scalars().all()
    try:
        place = Destination(project.export.to, organization.name)
    except AddressError as error:  # the operator allows it no more
        raise ExportFailedError(error.message, **error.details) from None
    mine = {file.blob for file in files}
    for file in files:
        name = await _name_there(row, project, place, file, mine)
        async with blobs().as_local(file.blob) as path:
            # The same part for all tries: what a crash left is written over.
            await _in_thread(place.put, path, name, f".papertray-{row.code}.part")


async def _name_there(
    row: Task, project: ProjectFile, place: Destination, file: File, mine: Collection[str]
) -> str:
    """What a file of a task is called at its place, where no two are called the same."""
    async with database().reading() as session:
        known = select(col(ExportedFile.name)).where(
            col(ExportedFile.task_id) == row.id, col(ExportedFile.blob) == file.blob
        )
        if name := (await session.execute(known)).scalar_one_or_none():
            return name
    wanted = file.name if project.export.name else f"{row.public_id}-{file.name}"
    for number in (*range(1, MOST_NUMBERS + 1), row.public_id):
        name = numbered(wanted, number)
        if await _is_reserved(row, place, name, file, mine):
            return name
    raise ExportFailedError("The place for the files has others of all names that are possible.")


async def _is_reserved(
    row: Task, place: Destination, name: str, file: File, mine: Collection[str]
) -> bool:
    """Reserve a name for a file; answers whether it has it now."""
    location = place.location(name)
    async with database().reading() as session:
        is_known = await session.get(ExportedFile, location) is not None
    if not is_known and await _in_thread(place.has, name):
        return False
    async with database().writing() as session:
        taken = await session.get(ExportedFile, location, with_for_update=True)
        if taken is not None:
            if taken.task_id != row.id or taken.blob in mine:
                return False
            taken.blob = file.blob  # of an earlier round of the task, which it replaces
            return True
        try:
            async with session.begin_nested():
                session.add(
                    ExportedFile(location=location, task_id=row.id, name=name, blob=file.blob)
                )
        except IntegrityError:
            return False  # another task was faster
        return True
