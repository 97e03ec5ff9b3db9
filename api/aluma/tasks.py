"""/tasks: files that are taken in, and where they are."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import ColumnElement
from sqlmodel import col

from api.aluma import examples, words
from api.aluma.route import (
    AlumaRoute,
    TaskCreator,
    TaskEditor,
    TaskId,
    TaskReader,
    failures,
)
from api.aluma.tags import HEADER, parse_tags, wrong_tags
from api.bodies import ANY_TYPE, Text, read_file
from api.problems import UPLOAD_PROBLEMS
from api.v1.examples import answer
from api.v1.files import send_page, send_stored, stored
from api.v1.tasks import PageNumber
from api.vocabulary import AlumaWord, ClientAction
from flows import verbs
from store import models
from store.access import Caller
from store.database import database
from store.errors import IllegalTransitionError
from store.finding import (
    find_output,
    find_page,
    find_project_by_short_id,
    find_task_by_short_id,
)
from store.recent_tasks import live_or_recent

router = APIRouter(prefix="/tasks", tags=["aluma"], route_class=AlumaRoute)

MAX_NAME_CHARACTERS: Final = 255

BATCH: Final = 500
"""How many tasks of a list are read at once: nobody reads from the database for long."""

NAME: Final = "document"
"""Of a file whose sender gives it none."""


@router.post(
    "",
    status_code=202,
    summary="Create a task",
    response_model_exclude_unset=True,
    responses={
        202: answer("The task, taken in.", examples.TASK),
        **failures(*UPLOAD_PROBLEMS),
    },
    openapi_extra={
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "description": "`name=value`, separated by `&`, not URL-encoded: `task_name` is"
                " what people call the task, `file_name`, `file_path`, `file_created_time` tell of"
                " the file; any further tag is kept.",
                "schema": {"type": "string"},
                "example": r"task_name=AB3947853&file_name=00001.pdf&file_path=C:\inbox",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                kind: {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "the bytes of the file",
                }
                for kind in ("application/pdf", "image/tiff", ANY_TYPE)
            },
        },
    },
)
async def create_task(
    request: Request,
    caller: TaskCreator,
    project_id: Annotated[Text, Query(description="What is to be done with the file.")],
) -> words.AlumaTask:
    """Take in a file: the body is its bytes.

    The answer comes as soon as the task is safe on disk. A file that the project does not take
    (PDF and TIFF where it does not say) is accepted, and its task fails. Many files at once are
    queued, never refused.
    """
    tags = parse_tags(request.headers.getlist(HEADER))
    name = tags.get("task_name", "")
    if len(name) > MAX_NAME_CHARACTERS:
        raise wrong_tags(f"task_name has more than {MAX_NAME_CHARACTERS} characters")
    async with database().reading() as session:
        project, _ = await find_project_by_short_id(session, caller, project_id)
    upload = await read_file(request)
    async with stored(caller, upload, tags.get("file_name") or NAME) as file:
        row = await verbs.submit_process(
            caller, project=project.name, file=file, name=name, metadata=tags
        )
    return await told(row)


@router.get(
    "",
    summary="List tasks",
    response_model=words.Tasks,
    responses={
        200: answer("The tasks.", {"tasks": [examples.TASK]}),
        **failures(),
    },
)
async def list_tasks(
    caller: TaskReader,
    state: Annotated[AlumaWord | None, Query(description="Only tasks in this state.")] = None,
    client_action: Annotated[
        ClientAction | None, Query(description="Only tasks that wait for this action.")
    ] = None,
    project_id: Annotated[Text | None, Query(description="Only tasks of this project.")] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=1000, description="Only so many; all when omitted.")
    ] = None,
    after: Annotated[
        Text | None, Query(description="Only those behind the task with this id, which go on.")
    ] = None,
) -> StreamingResponse:
    """List the tasks, the oldest first: those at work, and those that ended within 72 hours."""
    filters = [words.is_in(state, client_action)]
    start: models.Task | None = None
    async with database().reading() as session:
        if project_id is not None:
            project, _ = await find_project_by_short_id(session, caller, project_id)
            filters.append(col(models.Task.project_id) == project.id)
        if after is not None:
            start = await find_task_by_short_id(session, caller, after)
    batches = _batches(caller, filters, start, limit, has_ended=state in words.ENDED)
    # Read before the answer begins: what goes wrong at once is an error, not half an answer.
    first = await anext(batches)
    return StreamingResponse(_listed(first, batches), media_type="application/json")


async def _batches(
    caller: Caller,
    filters: Sequence[ColumnElement[bool]],
    start: models.Task | None,
    limit: int | None,
    *,
    has_ended: bool,
) -> AsyncIterator[list[words.AlumaTask]]:
    """The tasks, some at a time; one list at least."""
    left = limit
    while True:
        size = BATCH if left is None else min(BATCH, left)
        async with database().reading() as session:
            rows = await live_or_recent(
                *(session, caller, *filters),
                has_ended=has_ended,
                after=start,
                limit=size,
                columns=words.COLUMNS,
            )
            yield await words.tasks_of(session, rows)
        left = None if left is None else left - len(rows)
        if len(rows) < size or left == 0:
            return
        start = rows[-1]


async def _listed(
    first: list[words.AlumaTask], rest: AsyncIterator[list[words.AlumaTask]]
) -> AsyncIterator[str]:
    yield '{"tasks":['
    yield _joined(first)
    async for tasks in rest:
        if tasks:
            yield "," + _joined(tasks)
    yield "]}"


def _joined(tasks: list[words.AlumaTask]) -> str:
    return ",".join(one.model_dump_json(exclude_unset=True) for one in tasks)


@router.get(
    "/{task_id}",
    summary="Get a task",
    response_model_exclude_unset=True,
    responses={200: answer("The task.", examples.task("running")), **failures()},
)
async def get_task(task_id: TaskId, caller: TaskReader) -> words.AlumaTask:
    """Show where a task is. It can be asked for 72 hours after its end."""
    return await told(await found(caller, task_id))


@router.post(
    "/{task_id}/cancel",
    summary="Cancel a task",
    response_model_exclude_unset=True,
    responses={
        200: answer("The task, ended.", examples.task("canceled")),
        **failures(IllegalTransitionError),
    },
)
async def cancel_task(task_id: TaskId, caller: TaskEditor) -> words.AlumaTask:
    """End a task that has not ended; whatever works on it is stopped."""
    row = await found(caller, task_id)
    return await told(await verbs.cancel(caller, row.public_id))


@router.get(
    "/{task_id}/pages/{number}/image",
    response_class=StreamingResponse,
    summary="Get the image of a page",
    responses={
        200: {
            "description": "The page, in whose pixels the boxes of the fields are.",
            "content": {
                "image/png": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "the bytes of the image",
                }
            },
        },
        **failures(),
    },
)
async def get_page_image(
    task_id: TaskId, number: PageNumber, caller: TaskReader
) -> StreamingResponse:
    """Show a page of the file, as it was read."""
    async with database().reading() as session:
        task = await find_task_by_short_id(session, caller, task_id)
        page = await find_page(session, task, number)
    return await send_page(page)


@router.get(
    "/{task_id}/files/{file_id}",
    response_class=StreamingResponse,
    summary="Get a file that a task leaves with",
    responses={
        200: {
            "description": "The bytes, in the media type of the file.",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "the bytes of the file",
                }
            },
        },
        **failures(),
    },
)
async def get_file(task_id: TaskId, file_id: str, caller: TaskReader) -> StreamingResponse:
    """Download a file that an Export Specification names."""
    async with database().reading() as session:
        task = await find_task_by_short_id(session, caller, task_id)
        file = await find_output(session, task, file_id)
    return await send_stored(file)


async def found(caller: Caller, task_id: str) -> models.Task:
    """The task of that id."""
    async with database().reading() as session:
        return await find_task_by_short_id(session, caller, task_id)


async def told(row: models.Task) -> words.AlumaTask:
    """What is told of a task."""
    async with database().reading() as session:
        return await words.task_of(session, row)
