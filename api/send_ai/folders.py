"""/v2/.../folder: where uploads are."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from sqlmodel import col

from api.bodies import Text
from api.send_ai import examples, shapes, words
from api.send_ai.route import FolderId, SendAiRoute, UploadEditor, UploadReader
from api.v1.examples import body
from flows import verbs
from store.access import visible
from store.database import database
from store.errors import ConflictError, LimitExceededError
from store.models import Folder

router = APIRouter(prefix="/folder", route_class=SendAiRoute)


class FolderBody(BaseModel):
    """A folder to be made."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Text
    """1 to 100 characters; no other folder of the project is called so."""


@router.get(
    "",
    summary="List folders",
    responses={200: examples.payload("The folders.", [examples.FOLDER]), **examples.problems()},
)
async def list_folders(place: UploadReader) -> shapes.Payload[list[shapes.Folder]]:
    """List the folders of the project: Inbox, Processed, Reported, Bin, and those made beside."""
    query = visible(Folder, place.caller).where(col(Folder.project_id) == place.project.id)
    async with database().reading() as session:
        made = (await session.execute(query.order_by(col(Folder.name)))).scalars().all()
    return shapes.Payload(payload=[*words.default_folders(), *map(words.folder_of, made)])


@router.post(
    "",
    status_code=201,
    summary="Create a folder",
    responses={
        201: examples.payload("The folder.", examples.FOLDER),
        **examples.problems(413, ConflictError, LimitExceededError),
    },
)
async def create_folder(
    sent: Annotated[FolderBody, body({"name": "Claims"})], place: UploadEditor
) -> shapes.Payload[shapes.Folder]:
    """Add a folder to those of the project."""
    folder = await verbs.create_folder(place.caller, place.project, sent.name)
    return shapes.Payload(payload=words.folder_of(folder))


@router.delete(
    "/{folder_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a folder",
    responses={204: {"description": "It is gone."}, **examples.problems(ConflictError)},
)
async def delete_folder(folder_id: FolderId, place: UploadEditor) -> Response:
    """Remove a folder that was made; what is in it goes back to the Inbox."""
    await verbs.delete_folder(place.caller, place.project, folder_id)
    return Response(status_code=204)
