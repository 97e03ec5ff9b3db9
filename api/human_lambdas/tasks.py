"""/orgs/{id}/queues/{id}/tasks: tasks of a queue, and what people do with them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict

from api.bodies import JsonObject, Text
from api.human_lambdas import examples, words
from api.human_lambdas.route import (
    LARGEST_ID,
    HumanLambdasRoute,
    QueueId,
    TaskCreator,
    TaskEditor,
    TaskId,
    TaskReader,
    email_of,
    find_queue,
    find_queue_task,
    whole_number,
)
from api.v1.examples import answer, body
from flows import verbs
from flows.queue_words import inward
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    FieldsInvalidError,
    IllegalTransitionError,
    InputError,
    NotClaimedError,
)
from store.finding import project_file_of
from store.models import Task
from store.project_file import ProjectFile

router = APIRouter(route_class=HumanLambdasRoute)

_DECIDING = (
    *(413, IllegalTransitionError, AlreadyDecidedError, AlreadyClaimedError),
    *(NotClaimedError, FieldsInvalidError),
)


class _Body(BaseModel):
    """Names that are not known are passed over, as Human Lambdas does."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class QueueTaskBody(_Body):
    """A task to be made."""

    data: Annotated[JsonObject | None, BeforeValidator(lambda value: value or None)] = None
    """Values by the ids of blocks."""
    source: Literal["api", "zapier", "manual"] = "api"
    """How it comes."""


class QueueDataBody(_Body):
    """What a person filled in."""

    data: JsonObject
    """Values by the ids of blocks; those that are left out stay as they are."""


class QueueAssignBody(_Body):
    """Who is to work on a task."""

    assigned_to: Text | int | None
    """E-mail of a person, or the number; null: nobody any more."""


@router.post(
    "/{queue_id}/tasks/create",
    status_code=201,
    summary="Create a task",
    responses={
        201: answer("The task.", examples.NEW_TASK),
        **examples.problems(413, FieldsInvalidError, InputError),
    },
)
async def create_task(
    queue_id: QueueId,
    sent: Annotated[QueueTaskBody, body({"data": {"comment": "This is some random text"}})],
    caller: TaskCreator,
) -> words.QueueTask:
    """Create a task on some data."""
    queue = await find_queue(caller, queue_id)
    if not sent.data:
        raise InputError("No data")
    data = {name: _inward(queue.file, name, value) for name, value in sent.data.items()}
    row = await verbs.submit_process(
        caller, project=queue.project.name, data=data, source=sent.source
    )
    return await words.task_of(row, queue)


@router.get(
    "/{queue_id}/tasks/next",
    response_model=words.QueueTask,
    summary="Take the next task",
    responses={
        200: answer("The task, assigned to the caller.", examples.ASSIGNED_TASK),
        204: {"description": "There is none."},
        **examples.problems(),
    },
)
async def take_next(queue_id: QueueId, caller: TaskEditor) -> Any:
    """Take the task whose turn it is: one that the caller has, else a new one, else an open one.

    It is assigned to the caller for half an hour, and for another each time it is asked for.
    """
    queue = await find_queue(caller, queue_id)
    row = await verbs.next_task(caller, queue.project.name, held_first=True, untouched_first=True)
    return await words.task_of(row, queue) if row else Response(status_code=204)


@router.get(
    "/{queue_id}/tasks/{task_id}",
    summary="Show a task",
    responses={200: answer("The task.", examples.COMPLETED_TASK), **examples.problems()},
)
async def show_task(queue_id: QueueId, task_id: TaskId, caller: TaskReader) -> words.QueueTask:
    """Show a task; that assigns it to nobody."""
    queue, row = await find_queue_task(caller, queue_id, task_id)
    return await words.task_of(row, queue)


@router.patch(
    "/{queue_id}/tasks/{task_id}",
    summary="Submit a task",
    responses={
        200: answer("The task, completed.", {**examples.COMPLETED_TASK, "state": "running"}),
        **examples.problems(*_DECIDING),
    },
)
async def submit_task(
    queue_id: QueueId,
    task_id: TaskId,
    sent: Annotated[QueueDataBody, body({"data": {"approve": True}})],
    caller: TaskEditor,
) -> words.QueueTask:
    """Complete a task that is assigned to the caller."""
    queue, row = await find_queue_task(caller, queue_id, task_id)
    values, documents = await _filled_in(row, sent.data)
    row = await verbs.complete(caller, row.public_id, values, documents=documents, must_hold=True)
    return await words.task_of(row, queue)


@router.post(
    "/{queue_id}/tasks/{task_id}/save",
    summary="Save a task",
    responses={
        200: answer("The task, with what was kept.", examples.ASSIGNED_TASK),
        **examples.problems(*_DECIDING),
    },
)
async def save_task(
    queue_id: QueueId,
    task_id: TaskId,
    sent: Annotated[QueueDataBody, body({"data": {"approve": True}})],
    caller: TaskEditor,
) -> words.QueueTask:
    """Keep what was filled in so far, without submitting it."""
    queue, row = await find_queue_task(caller, queue_id, task_id)
    values, documents = await _filled_in(row, sent.data)
    row = await verbs.save(caller, row.public_id, values, documents=documents, must_hold=True)
    return await words.task_of(row, queue)


@router.post(
    "/{queue_id}/tasks/{task_id}/assign",
    summary="Assign a task",
    responses={
        200: answer("The task.", examples.ASSIGNED_TASK),
        **examples.problems(413, IllegalTransitionError, AlreadyClaimedError),
    },
)
async def assign_task(
    queue_id: QueueId,
    task_id: TaskId,
    sent: Annotated[QueueAssignBody, body({"assigned_to": "joe@example.com"})],
    caller: TaskEditor,
) -> words.QueueTask:
    """Hand a task over to a person for a day, or open it for all."""
    queue, row = await find_queue_task(caller, queue_id, task_id)
    email = await email_of(caller, str(sent.assigned_to)) if sent.assigned_to else None
    return await words.task_of(await verbs.assign(caller, row.public_id, email), queue)


def _inward(file: ProjectFile, name: str, value: Any) -> Any:
    block = file.block(name)
    return inward(block, value) if block else value


async def _filled_in(
    row: Task, data: dict[str, Any]
) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Values of a task as the verbs take them: of its blocks or its one document, and of several.

    Of several documents each field is called by the number of its document: `2.total`.
    """
    async with database().reading() as session:
        file = await project_file_of(session, row)
    if file.blocks:
        return {name: _inward(file, name, value) for name, value in data.items()}, {}
    values: dict[str, Any] = {}
    documents: dict[int, dict[str, Any]] = {}
    for key, value in data.items():
        head, mark, name = key.partition(".")
        number = whole_number(head, LARGEST_ID) if mark else None
        (values if number is None else documents.setdefault(number, {}))[name or key] = value
    return values, documents
