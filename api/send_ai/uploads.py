"""/v2/.../upload: files that are sent together."""

import json
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlmodel import col

from api.bodies import Text, read_files
from api.problems import UPLOAD_PROBLEMS
from api.send_ai import examples, shapes, words
from api.send_ai.route import (
    FolderId,
    Place,
    SendAiRoute,
    UploadCreator,
    UploadDeleter,
    UploadEditor,
    UploadId,
    UploadReader,
)
from api.v1.examples import answer, form
from api.v1.files import properties_of, stored
from api.v1.lists import UPLOADS, From, Take
from flows import erase, verbs
from store.database import database
from store.errors import InputError, LimitExceededError
from store.models import Upload
from store.uploads import find_folder, find_upload, tasks_of

router = APIRouter(prefix="/upload", route_class=SendAiRoute)

MAX_NAME_CHARACTERS: Final = 255
MOST_META: Final = 100


class MetaBody(BaseModel):
    """Something to keep with an upload and its tasks."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(min_length=1, max_length=255)]
    value: (
        Annotated[Text, Field(max_length=2000)]
        | bool
        | int
        | Annotated[float, Field(allow_inf_nan=False)]
        | None
    )


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise ValueError("A JSON array of objects with name and value is expected") from None


class UploadForm(BaseModel):
    """What is sent beside the files."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Text, Field(max_length=MAX_NAME_CHARACTERS)] = ""
    project_id: Text = Field("", alias="projectId")
    meta: Annotated[list[MetaBody], BeforeValidator(_json), Field(max_length=MOST_META)] = []


@router.post(
    "",
    status_code=201,
    summary="Send files",
    responses={
        201: answer("The upload, taken in.", examples.CREATED_UPLOAD),
        **examples.problems(*UPLOAD_PROBLEMS, LimitExceededError),
    },
    openapi_extra=form(
        {
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "The files, each as a part of its own: up to 100 of 40 MB, and of"
                " 20 MB a page.",
            },
            "name": {
                "type": "string",
                "maxLength": MAX_NAME_CHARACTERS,
                "description": "What the upload is called; like its first file when omitted.",
            },
            "projectId": {
                "type": "string",
                "description": "The project once more; it must be the one of the address.",
            },
            "meta": {
                "type": "string",
                "description": "A JSON array of `{name, value}`, to keep with upload and tasks.",
            },
        },
        required=["file"],
        example={
            "name": "Important Document",
            "meta": '[{"name": "category", "value": "invoice"}]',
        },
    ),
)
async def create_upload(request: Request, place: UploadCreator) -> shapes.CreatedUpload:
    """Take in files, all of them or none: each is the input of a task of its own.

    The answer comes as soon as they are safe on disk, whether or not Prefect can be reached.
    """
    sent, fields = await read_files(request, UploadForm)
    if fields.project_id not in {"", str(place.project.id), place.project.name}:
        raise InputError("`projectId` names another project than the address does.")
    verbs.must_fit_upload([(one.name, one.file.size or 0) for one in sent])
    async with AsyncExitStack() as stack:
        files = [
            await stack.enter_async_context(stored(place.caller, one, one.name)) for one in sent
        ]
        for file in files:
            if file.size_bytes > verbs.MAX_PAGE_BYTES:
                file.properties = await properties_of(file)  # how many pages share its bytes
        upload, tasks = await verbs.submit_upload(
            place.caller,
            team=place.team,
            project=place.project,
            files=files,
            name=fields.name,
            meta=[one.model_dump() for one in fields.meta],
        )
    return words.created(upload, tasks, files)


@router.get(
    "",
    summary="List uploads",
    responses={
        200: answer("A page of uploads.", examples.page(examples.UPLOAD)),
        **examples.problems(),
    },
)
async def list_uploads(
    request: Request,
    place: UploadReader,
    take: Take = 20,
    start: From = None,
    folder_id: Annotated[Text | None, Query(description="Only uploads in this folder.")] = None,
) -> shapes.PayloadPage[shapes.Upload]:
    """List the uploads of the project, the newest first."""
    filters = [col(Upload.project_id) == place.project.id]
    async with database().reading() as session:
        if folder_id is not None:
            folder = await find_folder(session, place.caller, place.project, folder_id)
            filters.append(col(Upload.folder) == folder)
        rows, links = await UPLOADS.page(session, place.caller, request, take, start, *filters)
        tasks = await tasks_of(session, place.caller, rows)
    return shapes.PayloadPage(
        payload=[words.upload_of(row, tasks.get(row.id, [])) for row in rows], links=links
    )


@router.get(
    "/{upload_id}",
    summary="Show an upload",
    responses={
        200: examples.payload("The upload.", examples.UPLOAD),
        **examples.problems(),
    },
)
async def show_upload(upload_id: UploadId, place: UploadReader) -> shapes.Payload[shapes.Upload]:
    """Show how far an upload is, and which tasks work on its files."""
    return await _shown(place, upload_id)


@router.post(
    "/{upload_id}/move/{folder_id}",
    summary="Move an upload",
    responses={
        200: examples.payload("The upload.", examples.UPLOAD),
        **examples.problems(),
    },
)
async def move_upload(
    upload_id: UploadId, folder_id: FolderId, place: UploadEditor
) -> shapes.Payload[shapes.Upload]:
    """Put an upload into a folder.

    One in the Inbox goes to Processed by itself when all of its tasks are done with, and to
    Reported when one of them is reported; one that was put elsewhere stays there.
    """
    await verbs.move_upload(place.caller, place.project, upload_id, folder_id)
    return await _shown(place, upload_id)


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    summary="Delete an upload",
    responses={204: {"description": "It is gone."}, **examples.problems()},
)
async def delete_upload(upload_id: UploadId, place: UploadDeleter) -> Response:
    """Cancel the tasks of an upload that have not ended, and erase all of them."""
    await erase.delete_upload(place.caller, place.project, upload_id)
    return Response(status_code=204)


async def _shown(place: Place, upload_id: str) -> shapes.Payload[shapes.Upload]:
    async with database().reading() as session:
        upload = await find_upload(session, place.caller, place.project, upload_id)
        tasks = await tasks_of(session, place.caller, [upload])
    return shapes.Payload(payload=words.upload_of(upload, tasks.get(upload.id, [])))
