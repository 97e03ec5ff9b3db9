"""/v1/files: bytes in, bytes out."""

import asyncio
import logging
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

import anyio
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from api.auth import FileCreator, FileDeleter, FileReader
from api.bodies import Text, Upload, read_form
from api.problems import UPLOAD_PROBLEMS, described
from api.v1 import examples, words
from api.v1.lists import FILES, From, Listed, Take
from api.v1.route import V1Route
from flows import erase, verbs
from operations.tools.child import in_child
from operations.tools.file_type import READABLE
from operations.tools.properties import properties
from store import models
from store.access import Caller
from store.blobs import CHUNK_BYTES, blobs
from store.database import database
from store.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PapertrayError,
    UnauthenticatedError,
)
from store.finding import find_file

log = logging.getLogger("papertray.api")

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=V1Route)

FileId = Annotated[str, Path(description="Id of a file.", examples=["file_euyrvozb9302uwhq"])]

MAX_NAME_CHARACTERS = 50

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}
"""Of bytes that strangers sent: a browser takes them for nothing else than they are said to be, and
runs nothing in them."""

PROPERTIES_SECONDS = 10.0
"""How long the one who sends a file waits for its properties."""


class FileForm(BaseModel):
    """What is sent beside the bytes."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)] | None = None


@router.post(
    "",
    status_code=201,
    summary="Send a file",
    responses={
        201: examples.answer("The file, stored.", examples.FILE),
        **described(
            UnauthenticatedError,
            ForbiddenError,
            *UPLOAD_PROBLEMS,
        ),
    },
    openapi_extra=examples.form(
        {
            "file": {"type": "string", "format": "binary", "description": "The bytes."},
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARACTERS,
                "description": "What it is called; the name of the uploaded file when omitted.",
            },
        },
        required=["file"],
        example={"name": "Example Image"},
    ),
)
async def send_file(request: Request, caller: FileCreator) -> words.File:
    """Store a file, to name it in tasks and operations later.

    Its type is found in its content, not taken from its name. A file of an unknown type is
    stored too, as `application/octet-stream`; an operation that cannot read it fails and says so.
    """
    upload, form = await read_form(request, FileForm)
    name = form.name or short_name(upload.name)
    async with stored(caller, upload, name) as file:
        file.properties = await properties_of(file)
        async with database().writing() as session:
            verbs.remember_file(session, caller, file)
    return words.file_of(file)


@router.get(
    "",
    summary="List files",
    responses={
        200: examples.answer("A page of files.", examples.listed(examples.FILE, "files")),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def list_files(
    request: Request, caller: FileReader, take: Take = 20, start: From = None
) -> Listed[words.File]:
    """List the files that were sent or made, the newest first."""
    async with database().reading() as session:
        rows, links = await FILES.page(session, caller, request, take, start)
        makers = await _makers(session, rows)
    return Listed(
        data=[words.file_of(row, makers.get(row.task_id) if row.task_id else None) for row in rows],
        links=links,
    )


@router.get(
    "/{file_id}",
    summary="Show a file",
    responses={
        200: examples.answer("The file.", examples.FILE),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def show_file(file_id: FileId, caller: FileReader) -> words.File:
    """Show what is known of a file."""
    async with database().reading() as session:
        row = await find_file(session, caller, file_id)
        makers = await _makers(session, [row])
    return words.file_of(row, makers.get(row.task_id) if row.task_id else None)


@router.delete(
    "/{file_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a file",
    responses={
        204: {"description": "The file and its bytes are gone."},
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, ConflictError, 422),
    },
)
async def delete_file(file_id: FileId, caller: FileDeleter) -> Response:
    """Delete a file and its bytes. One that a task still needs is not deleted."""
    await verbs.delete_file(caller, file_id)
    await erase.empty_logs()
    return Response(status_code=204)


@router.get(
    "/{file_id}/download",
    response_class=StreamingResponse,
    summary="Download a file",
    responses={
        200: {
            "description": "The bytes, in the media type of the file.",
            "content": {
                "*/*": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "the bytes of the file",
                }
            },
        },
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def download_file(file_id: FileId, caller: FileReader) -> StreamingResponse:
    """Download the bytes of a file, as an attachment under its name."""
    async with database().reading() as session:
        row = await find_file(session, caller, file_id)
    return await send_stored(row)


@asynccontextmanager
async def stored(caller: Caller, upload: Upload, name: str) -> AsyncIterator[models.File]:
    """The bytes of an upload, stored; taken back where what they are for does not come about."""
    file = await verbs.store_bytes(caller, name=name, chunks=upload.chunks())
    async with verbs.unless_refused(file):
        yield file


def short_name(name: str) -> str:
    """The name of an uploaded file, cut to what a file may be called; its ending is kept."""
    name = verbs.safe_name(name)
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > MAX_NAME_CHARACTERS // 2:
        return name[:MAX_NAME_CHARACTERS]
    return stem[: MAX_NAME_CHARACTERS - len(ending) - 1] + dot + ending


def attachment(name: str) -> str:
    """The Content-Disposition that has a browser save a file, under its own name.

    Source: RFC 6266, 4.1 and appendix D: `filename` for old clients in ASCII without what needs
    escaping, `filename*` with everything.
    """
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def send_page(page: models.Page) -> StreamingResponse:
    """The image of a page."""
    found, _ = mimetypes.guess_type(page.image_blob)
    return await send_blob(page.image_blob, found or "application/octet-stream", {})


async def send_stored(file: models.File) -> StreamingResponse:
    """The bytes of a file, as an attachment under its name."""
    headers = {
        "Content-Disposition": attachment(file.name),
        "Content-Length": str(file.size_bytes),
    }
    return await send_blob(file.blob, file.type, headers)


async def send_blob(blob: str, media_type: str, headers: Mapping[str, str]) -> StreamingResponse:
    """The bytes of a blob, as they are read."""
    chunks = _chunks(blob)
    # Read before the answer begins: bytes that are gone are a 404, not half an answer.
    first = await anext(chunks, b"")

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    safe = {**SAFE_HEADERS, **headers}
    return StreamingResponse(all_chunks(), media_type=media_type, headers=safe)


async def _chunks(blob: str) -> AsyncIterator[bytes]:
    async with blobs().as_local(blob) as path, await anyio.open_file(path, "rb") as source:
        while chunk := await source.read(CHUNK_BYTES):
            yield chunk


async def _makers(session: AsyncSession, rows: Sequence[models.File]) -> dict[UUID, str]:
    """The public ids of the tasks that made the files."""
    ids = {row.task_id for row in rows if row.task_id}
    if not ids:
        return {}
    query = select(models.Task.id, models.Task.code).where(col(models.Task.id).in_(ids))
    found = (await session.execute(query)).all()
    return {task_id: f"task_{code}" for task_id, code in found}


async def properties_of(file: models.File) -> dict[str, int]:
    """What is known of a stored file; nothing, where it cannot be worked on.

    A file that is damaged, or needs a password, is stored all the same: the task that cannot
    work on it says what is wrong with it. A document is opened in a child, never here.
    """
    if file.type not in READABLE:
        return {}
    try:
        async with blobs().as_local(file.blob) as path, asyncio.timeout(PROPERTIES_SECONDS):
            return await in_child(properties, path)
    except (PapertrayError, TimeoutError) as error:
        log.info("no properties of %s: %s", file.id, getattr(error, "code", "took too long"))
        return {}
