"""/documents: what jobs work on."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from api.bodies import ANY_TYPE, HeaderText, read_file
from api.innodata import examples, words
from api.innodata.route import (
    DocumentId,
    Envelope,
    FileCreator,
    FileDeleter,
    FileReader,
    InnodataRoute,
)
from api.problems import UPLOAD_PROBLEMS
from api.v1.files import send_stored
from api.v1.lists import base_of
from flows import erase, verbs
from store import models
from store.database import database
from store.errors import ConflictError
from store.finding import find_file
from store.jobs import sent_files

router = APIRouter(prefix="/documents", route_class=InnodataRoute)

MAX_NAME_CHARACTERS: Final = 255
DEFAULT_LIMIT: Final = 100
MOST: Final = 1000
LARGEST: Final = 2**31 - 1

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=LARGEST, description="How many are before them.")]

BYTES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {
                "schema": {"type": "string", "format": "binary"},
                "example": "the bytes of the document",
            }
            for kind in ("application/octet-stream", ANY_TYPE)
        },
    }
}


@router.post(
    "",
    status_code=201,
    summary="Send a document",
    responses={
        201: examples.enveloped("The document.", examples.DOCUMENT, 201),
        **examples.problems(*UPLOAD_PROBLEMS),
    },
    openapi_extra=BYTES,
)
async def send_document(
    request: Request,
    caller: FileCreator,
    x_name: Annotated[
        HeaderText | None,
        Header(max_length=MAX_NAME_CHARACTERS, description="What the document is called."),
    ] = None,
    x_type: Annotated[
        HeaderText | None,
        Header(max_length=200, description="Its media type, where its sender knows it."),
    ] = None,
) -> Envelope:
    """Send a document: the body is its bytes. Only its owner sees it, and who works on its jobs."""
    upload = await read_file(request)
    declared = {"declared_type": x_type} if x_type else {}
    file = await verbs.take_file(
        caller,
        name=x_name or "document",
        chunks=upload.chunks(),
        properties=declared,
        is_private=True,
    )
    return Envelope(await _told(request, file), 201)


@router.get(
    "",
    summary="List documents",
    responses={
        200: examples.enveloped(
            "A page of documents.",
            {"count": 1, "limit": 100, "offset": 0, "documents": [examples.DOCUMENT]},
        ),
        **examples.problems(),
    },
)
async def list_documents(
    request: Request, caller: FileReader, limit: Limit = DEFAULT_LIMIT, offset: Offset = 0
) -> Envelope:
    """List the documents that were sent, the newest first."""
    async with database().reading() as session:
        found = await sent_files(session, caller, limit=limit, offset=offset)
        owners = await words.owners_of(session, found.rows)
    base = base_of(request)
    shown = [words.document_of(base, row, owners[row.owner_id]) for row in found.rows]
    page = words.Documents(count=found.count, limit=limit, offset=offset, documents=shown)
    return Envelope(page.model_dump(mode="json"))


@router.get(
    "/{document_id}",
    summary="Show a document",
    responses={
        200: examples.enveloped("The document.", examples.DOCUMENT),
        **examples.problems(),
    },
)
async def show_document(request: Request, document_id: DocumentId, caller: FileReader) -> Envelope:
    """Show what is known of a document."""
    async with database().reading() as session:
        row = await find_file(session, caller, document_id)
    return Envelope(await _told(request, row))


@router.delete(
    "/{document_id}",
    status_code=204,
    summary="Delete a document",
    responses={
        204: {"description": "The document and its bytes are gone."},
        **examples.problems(ConflictError),
    },
)
async def delete_document(document_id: DocumentId, caller: FileDeleter) -> None:
    """Delete a document and its bytes. One that a job still needs is not deleted."""
    await verbs.delete_file(caller, document_id)
    await erase.empty_logs()


@router.get(
    "/{document_id}/contents",
    response_class=StreamingResponse,
    summary="Fetch the contents of a document",
    responses={
        200: {
            "description": "The bytes.",
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            },
        },
        **examples.problems(),
    },
)
async def fetch_contents(document_id: DocumentId, caller: FileReader) -> StreamingResponse:
    """Fetch the bytes of a document."""
    async with database().reading() as session:
        row = await find_file(session, caller, document_id)
    return await send_stored(row)


@router.put(
    "/{document_id}/contents",
    summary="Replace the contents of a document",
    responses={
        200: examples.enveloped("The document.", examples.DOCUMENT),
        **examples.problems(*UPLOAD_PROBLEMS, ConflictError),
    },
    openapi_extra=BYTES,
)
async def replace_contents(
    request: Request, document_id: DocumentId, caller: FileCreator
) -> Envelope:
    """Replace the bytes of a document that no job has yet."""
    upload = await read_file(request)
    row = await verbs.replace_bytes(caller, document_id, upload.chunks())
    return Envelope(await _told(request, row))


async def _told(request: Request, row: models.File) -> dict[str, Any]:
    async with database().reading() as session:
        owners = await words.owners_of(session, [row])
    return words.document_of(base_of(request), row, owners[row.owner_id]).model_dump(mode="json")
