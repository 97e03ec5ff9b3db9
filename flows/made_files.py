"""The files that a task made: remembered, and told of."""

import asyncio
import hashlib
import mimetypes
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import delete
from sqlmodel import col

from flows.task_run import TaskRun
from flows.verbs import file_members, remember_file, safe_name
from operations.tools.child import in_child
from operations.tools.file_type import READABLE, UNKNOWN
from operations.tools.properties import properties_of_each
from store.blobs import blobs
from store.database import database
from store.ids import now
from store.models import File


class Made(NamedTuple):
    """A file that a step made, among the blobs of its task."""

    role: str
    blob: str
    """Its name there."""
    name: str
    """What it is called from now on."""
    properties: dict[str, int] | None = None
    """As `operations.tools.properties` tells of it; none: it is looked at."""


async def keep_files(run: TaskRun, folder: str, made: Sequence[Made]) -> list[File]:
    """Remember files that the task made; those of an earlier round of the task are replaced.

    Args:
        run: of the task.
        folder: below the task's blobs.
        made: in order.
    """
    began = now()
    async with AsyncExitStack() as stack:
        paths = [
            await stack.enter_async_context(blobs().as_local(run.blob(f"{folder}/{one.blob}")))
            for one in made
        ]
        digests = await asyncio.to_thread(lambda: [_sha256(path) for path in paths])
        types = [mimetypes.guess_type(one.blob)[0] or UNKNOWN for one in made]
        properties = {n: one.properties for n, one in enumerate(made) if one.properties}
        unseen = [n for n, one in enumerate(types) if one in READABLE and n not in properties]
        if unseen:
            told = await in_child(properties_of_each, [paths[n] for n in unseen])
            properties |= zip(unseen, told, strict=True)
        files = [
            File(
                organization_id=run.task.organization_id,
                name=safe_name(one.name),
                blob=run.blob(f"{folder}/{one.blob}"),
                type=types[n],
                size_bytes=path.stat().st_size,
                sha256=digests[n],
                properties=properties.get(n, {}),
                task_id=run.task.id,
                role=one.role,
                owner_id=run.task.owner_id,
                is_private=run.task.is_private,
                is_test=run.task.is_test,
                # In order, for whoever lists them or takes them as an input.
                created_at=began + timedelta(microseconds=n),
            )
            for n, (one, path) in enumerate(zip(made, paths, strict=True))
        ]
    async with database().writing() as session:
        await session.execute(delete(File).where(col(File.task_id) == run.task.id))
        for file in files:
            remember_file(session, run.caller, file)
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told_of(run: TaskRun, files: Sequence[File]) -> list[dict[str, Any]]:
    """Files as the result of their task tells of them."""
    told = [file_members(file, run.task.public_id) for file in files]
    return TypeAdapter(list[dict[str, Any]]).dump_python(told, mode="json")
