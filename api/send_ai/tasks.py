"""/v2/.../task: tasks on the files of uploads, and what is decided of them."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.bodies import JsonObject, Text
from api.send_ai import examples, shapes, words
from api.send_ai.route import Place, SendAiRoute, TaskEditor, TaskId, TaskReader
from api.v1.examples import answer, body
from flows import verbs
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    FieldsInvalidError,
    IllegalTransitionError,
)
from store.finding import documents_of, find_task_of_project, pages_of, project_file_of
from store.models import Upload

router = APIRouter(prefix="/task", route_class=SendAiRoute)

Shown = shapes.Payload[shapes.UploadTask]

_NOT_REVIEWING = (IllegalTransitionError, AlreadyDecidedError, AlreadyClaimedError)


# The page of Send AI prints both with POST in one place and with PUT in another.
_DISCARD: dict[str, Any] = {
    "summary": "Discard a task",
    "responses": {
        200: answer("The task, ended.", examples.task("DISCARDED")),
        **examples.problems(*_NOT_REVIEWING),
    },
}
_UNLOCK: dict[str, Any] = {
    "summary": "Unlock a task",
    "responses": {
        200: answer("The task, REVIEWING again.", examples.task()),
        **examples.problems(IllegalTransitionError),
    },
}


class AnnotationBody(BaseModel):
    """A corrected value."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    entity_id: str = Field(min_length=1, max_length=200)
    """As the task has it; of a table the name of its field."""
    content: Text | list[JsonObject] | None
    """The value: text; of a list or table an object for each row; null for none."""


class AnnotationsBody(BaseModel):
    """Corrected values."""

    model_config = ConfigDict(extra="forbid")

    annotations: list[AnnotationBody] = Field(min_length=1, max_length=2000)


async def shown(place: Place, task_id: str) -> shapes.UploadTask:
    """A task, with all that was found in its file.

    Raises:
        NotFoundError: there is none in the project, or the caller may not see it.
    """
    async with database().reading() as session:
        task = await find_task_of_project(session, place.caller, place.project, task_id)
        upload = await session.get(Upload, task.upload_id) if task.upload_id else None
        return words.task_of(
            task,
            upload,
            await project_file_of(session, task),
            await documents_of(session, task),
            await pages_of(session, task),
        )


@router.get(
    "/{task_id}",
    summary="Show a task",
    responses={200: answer("The task.", examples.task()), **examples.problems()},
)
async def show_task(task_id: TaskId, place: TaskReader) -> Shown:
    """Show where a task is, and what was found on its pages."""
    return shapes.Payload(payload=await shown(place, task_id))


@router.patch(
    "/{task_id}",
    summary="Correct values",
    responses={
        200: answer("The task.", examples.task()),
        **examples.problems(413, *_NOT_REVIEWING, FieldsInvalidError),
    },
)
async def correct_task(
    task_id: TaskId,
    sent: Annotated[
        AnnotationsBody,
        body({"annotations": [{"entity_id": "total_amount", "content": "$1,234.56"}]}),
    ],
    place: TaskEditor,
) -> Shown:
    """Correct values of a task that is REVIEWING, valid or not, without deciding anything."""
    task = await place.find_task(task_id)
    values = {one.entity_id: one.content for one in sent.annotations}
    async with database().reading() as session:
        documents = await documents_of(session, task)
    if documents:
        by_document = verbs.by_field_key(documents, values)
        await verbs.save(place.caller, task_id, documents=by_document)
    else:
        await verbs.save(place.caller, task_id, values)
    return shapes.Payload(payload=await shown(place, task_id))


@router.post(
    "/{task_id}/complete",
    summary="Complete a task",
    responses={
        200: answer(
            "The task, which goes on.",
            examples.task("PROCESSING", message="Task processing started"),
        ),
        **examples.problems(*_NOT_REVIEWING, FieldsInvalidError),
    },
)
async def complete_task(task_id: TaskId, place: TaskEditor) -> shapes.StartedTask:
    """Decide that the data of a task is right; only one that is REVIEWING can be completed.

    It is checked as it is without a person. What is not valid changes nothing: `errors` has the
    reason of each field, and the task stays REVIEWING.
    """
    await place.find_task(task_id)
    await verbs.complete(place.caller, task_id)
    return shapes.StartedTask(
        payload=await shown(place, task_id), message="Task processing started"
    )


@router.put("/{task_id}/discard", name="put_discard", **_DISCARD)
@router.post("/{task_id}/discard", **_DISCARD)
async def discard_task(task_id: TaskId, place: TaskEditor) -> Shown:
    """Decide that a document is not wanted; only one that is REVIEWING can be discarded."""
    await place.find_task(task_id)
    await verbs.discard(place.caller, task_id)
    return shapes.Payload(payload=await shown(place, task_id))


@router.put("/{task_id}/unlock", name="put_unlock", **_UNLOCK)
@router.post("/{task_id}/unlock", **_UNLOCK)
async def unlock_task(task_id: TaskId, place: TaskEditor) -> Shown:
    """Open a COMPLETED, DISCARDED or FILTERED task for correction.

    Only while it is not exported and another task of its upload is still to be done.
    """
    await place.find_task(task_id)
    await verbs.unlock_in_upload(place.caller, task_id)
    return shapes.Payload(payload=await shown(place, task_id))
