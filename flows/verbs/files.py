"""Files that come in and go."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from operations.tools.file_type import SNIFFED_BYTES, sniff
from store.access import Caller, require_owner
from store.activity import record
from store.blobs import blobs
from store.database import TROUBLE, database
from store.erasing import scrub_answers
from store.errors import (
    ConflictError,
    EmptyFileError,
)
from store.finding import find_file
from store.lifecycle import FINAL
from store.models import File, Task
from store.settings import settings

MAX_NAME_CHARACTERS = 255
"""Of a file."""


async def take_file(
    caller: Caller,
    *,
    name: str,
    chunks: AsyncIterable[bytes],
    properties: Mapping[str, Any] | None = None,
    is_private: bool = False,
) -> File:
    """Store the bytes of a file and remember it.

    Args:
        caller: whose file it is.
        name: as its sender calls it.
        chunks: its bytes.
        properties: what is known of it.
        is_private: whether only the caller sees it, and who works on a task with it.

    Raises:
        EmptyFileError: no bytes came.
        FileTooLargeError: more came than `max_file_bytes`.
        StorageFullError: there is no room.
    """
    file = await store_bytes(caller, name=name, chunks=chunks, properties=properties)
    file.is_private = is_private
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
        owner_id=caller.owner_id,
        is_test=caller.is_test,
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


@asynccontextmanager
async def unless_refused(file: File) -> AsyncIterator[File]:
    """Bytes that were just stored, taken back where what they are for is refused.

    Where nobody knows whether it was committed they stay; `retain` finds what no row names.
    """
    try:
        yield file
    except BaseException as error:
        if not database().is_in_doubt_after(error):
            await asyncio.shield(_take_back(file))
        raise
    database().when_undone(lambda: _take_back(file))


async def _take_back(file: File) -> None:
    """Delete bytes that no row names."""
    try:
        async with database().reading() as session:
            row = await session.get(File, file.id)
    except TROUBLE:
        return  # `retain` finds them
    if row is None or row.blob != file.blob:
        await blobs().delete(file.blob)


def remember_file(session: AsyncSession, caller: Caller, file: File) -> None:
    """Add the row of a stored file to the transaction."""
    session.add(file)
    _record(session, caller, "file.created", file, **_facts_of(file))


def _facts_of(file: File) -> dict[str, Any]:
    return {"type": file.type, "size_bytes": file.size_bytes}


def _record(session: AsyncSession, caller: Caller, activity: str, file: File, **facts: Any) -> None:
    record(
        session,
        activity,
        caller.actor,
        organization_id=caller.organization_id,
        subject=file.id,
        data=facts,
        is_private=file.is_private,
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


async def replace_bytes(caller: Caller, file_id: str, chunks: AsyncIterable[bytes]) -> File:
    """Give a file other bytes.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
        ForbiddenError: it is private, and another's.
        ConflictError: a task has it: what a task worked on stays what it was.
        EmptyFileError, FileTooLargeError, StorageFullError: as `take_file`.
    """
    fresh = await store_bytes(caller, name="file", chunks=chunks)
    fresh.id = file_id  # of the row that is to name them
    async with unless_refused(fresh), database().writing() as session:
        file = await find_file(session, caller, file_id)
        require_owner(caller, file)
        query = select(col(Task.code)).where(col(Task.input_file_id) == file_id)
        if file.task_id or (await session.execute(query.limit(1))).first():
            raise ConflictError("A task has the file. Send the new bytes as another file.")
        before = file.blob
        for column in ("blob", "size_bytes", "sha256", "type"):
            setattr(file, column, getattr(fresh, column))
        _record(session, caller, "file.replaced", file, **_facts_of(file))
    await asyncio.shield(blobs().delete(before))
    return file


async def delete_file(caller: Caller, file_id: str) -> None:
    """Forget a file and its bytes.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
        ForbiddenError: it is private, and another's.
        ConflictError: a task that has not ended still needs it.
    """
    async with database().writing() as session:
        file = await find_file(session, caller, file_id)
        require_owner(caller, file)
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
        _record(session, caller, "file.deleted", file)
