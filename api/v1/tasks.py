"""/v1/tasks: tasks of projects and of operations, what they found, and the verbs of review."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ColumnElement, func
from sqlmodel import col

from api.auth import TaskCreator, TaskEditor, TaskReader
from api.bodies import (
    JsonField,
    JsonObject,
    Text,
    Url,
    UtcTime,
    media_type,
    names_in_form,
    read_fields,
    read_form,
    read_json,
)
from api.problems import UPLOAD_PROBLEMS, described
from api.v1 import examples, words
from api.v1.files import send_page, stored
from api.v1.lists import EVENTS, FILES, TASKS, From, Listed, Take, base_of
from api.v1.route import V1Route
from flows import erase, verbs
from store import models
from store.access import visible, visible_among
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    ConflictError,
    DuplicateFileError,
    FieldsInvalidError,
    ForbiddenError,
    IllegalTransitionError,
    LimitExceededError,
    NotClaimedError,
    NotFoundError,
    PapertrayError,
    UnauthenticatedError,
    UnsupportedFileError,
)
from store.finding import documents_of, find_page, find_project, find_task, pages_of
from store.ids import now
from store.models import Activity, Task
from store.states import State

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], route_class=V1Route)

TaskId = Annotated[str, Path(description="Id of a task.", examples=["task_euyrvozb9302uwhq"])]
PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="1-based.", examples=[1])]

MAX_TEXT_CHARACTERS = 2000
Name = Annotated[Text, Field(max_length=255)]
Reason = Annotated[Text, Field(max_length=MAX_TEXT_CHARACTERS)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]
DocumentNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
PageNumberInBody = Annotated[int, Field(ge=1, le=2**31 - 1)]

_READING: tuple[type[PapertrayError] | int, ...] = (
    UnauthenticatedError,
    ForbiddenError,
    NotFoundError,
    422,
)


class _Body(BaseModel):
    """A name that is not known is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class TaskForm(_Body):
    """What is sent beside the file of a task."""

    project: Text
    name: Name = ""
    metadata: JsonField = {}
    callback_url: Url | None = None
    priority: Priority = 0
    due_at: UtcTime | None = None


class DataForm(TaskForm):
    """What is sent of a task of data."""

    data: JsonField


class TaskBody(_Body):
    """A task on a file that was sent before, or on data."""

    input: Text | None = None
    """Id of the file; or else"""
    data: JsonObject | None = None
    """Values by the names of the blocks of the project, where that takes data and no file."""
    project: Text
    """Name of the project."""
    name: Name = ""
    """What people call the task; the name of the file when omitted."""
    metadata: JsonObject = {}
    """What to keep with the task; it is given back and never looked into."""
    callback_url: Url | None = None
    """Address that is told of the end of the task, by a POST of the event."""
    priority: Priority = 0
    """Those with a higher one are reviewed first."""
    due_at: UtcTime | None = None
    """When it is wanted; among those of one priority the first comes first. It ends nothing."""

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> "TaskBody":
        if (self.input is None) == (self.data is None):
            raise ValueError("Give either `input`, the id of a file, or `data`")
        return self


class DocumentValues(_Body):
    """Values of one document."""

    number: DocumentNumber
    """Of the document, 1-based."""
    values: JsonObject
    """Field name and value."""


Documents = Annotated[list[DocumentValues], Field(max_length=2000)]


def _values_by_number(documents: list[DocumentValues]) -> dict[int, dict[str, Any]]:
    return {one.number: one.values for one in documents}


class ArrangedDocument(_Body):
    """A document, as a person says that it is."""

    page_numbers: list[PageNumberInBody] = Field(min_length=1, max_length=10_000)
    """Its pages in the input, 1-based."""
    document_type: Text
    """One of the types of the project, or `unknown`."""


class ArrangeBody(_Body):
    """Which documents a file has."""

    documents: list[ArrangedDocument] = Field(min_length=1, max_length=2000)
    """In order; pages that are in none are dropped."""
    note: Reason = ""
    """Kept with the task."""


class SaveBody(_Body):
    """Values that a person typed."""

    values: JsonObject = {}
    """Field or block name and value; those that are left out stay as they are."""
    document_number: DocumentNumber = 1
    """Whose fields they are, 1-based."""
    documents: Documents = []
    """Values of further documents."""


class CompleteBody(_Body):
    """The decision that the data is right."""

    values: JsonObject = {}
    """Last corrections: field or block name and value."""
    document_number: DocumentNumber = 1
    """Whose fields they are, 1-based."""
    documents: Documents = []
    """Last corrections of further documents."""
    note: Reason = ""
    """Kept with the task."""


class ReasonBody(_Body):
    """Why."""

    reason: Reason = ""
    """Kept with the task."""


class ReportBody(_Body):
    """What is wrong with a task."""

    issues: list[JsonObject] = Field(default=[], max_length=100)
    """One object each, in words of your own: `{"field": "total", "problem": "unreadable"}`."""
    message: Reason = ""


# Taking in


@router.post(
    "",
    status_code=202,
    summary="Send a document to a project",
    responses={
        202: examples.answer("The task, taken in.", examples.PENDING_TASK),
        **described(
            UnauthenticatedError,
            ForbiddenError,
            NotFoundError,
            *UPLOAD_PROBLEMS,
            UnsupportedFileError,
            LimitExceededError,
            DuplicateFileError,
        ),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                **examples.form(
                    {
                        "file": {"type": "string", "format": "binary", "description": "The bytes."},
                        "project": {"type": "string", "description": "Name of the project."},
                        "name": {
                            "type": "string",
                            "maxLength": 255,
                            "description": "What people call the task; the name of the file when"
                            " omitted.",
                        },
                        "data": {
                            "type": "string",
                            "description": "In the place of a file: a JSON object, values by the"
                            " names of the blocks of the project.",
                        },
                        "metadata": {
                            "type": "string",
                            "description": "A JSON object to keep with the task.",
                        },
                        "callback_url": {
                            "type": "string",
                            "format": "uri",
                            "description": "Address that is told of the end of the task.",
                        },
                        "priority": {
                            "type": "integer",
                            "minimum": -1000,
                            "maximum": 1000,
                            "description": "Those with a higher one are reviewed first.",
                        },
                        "due_at": {
                            "type": "string",
                            "format": "date-time",
                            "description": "When it is wanted; it orders the queue.",
                        },
                    },
                    required=["project"],
                    example={"project": "invoices", "metadata": '{"order": "4711"}'},
                )["requestBody"]["content"],
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/TaskBody"},
                    "example": {
                        "input": "file_euyrvozb9302uwhq",
                        "project": "invoices",
                        "metadata": {"order": "4711"},
                    },
                },
            },
        }
    },
)
async def send_task(request: Request, caller: TaskCreator) -> words.Task:
    """Take in a document: a new one as a form, or one that was sent before as JSON; or data.

    The answer comes as soon as the task is safe on disk, whether or not Prefect can be reached;
    the task is worked on after it.
    """
    if media_type(request) == "application/json":
        body = await read_json(request, TaskBody)
        return words.task_of(
            await verbs.submit_process(
                caller,
                project=body.project,
                file_id=body.input,
                data=body.data,
                source="api" if body.data is not None else "",
                name=body.name,
                metadata=body.metadata,
                callback_url=body.callback_url,
                priority=body.priority,
                due_at=body.due_at,
            )
        )
    if "data" in (names := await names_in_form(request)) and "file" not in names:
        data = await read_fields(request, DataForm)
        return words.task_of(
            await verbs.submit_process(
                caller,
                project=data.project,
                data=data.data,
                source="api",
                name=data.name,
                metadata=data.metadata,
                callback_url=data.callback_url,
                priority=data.priority,
                due_at=data.due_at,
            )
        )
    upload, form = await read_form(request, TaskForm)
    # Only the type is looked at here, in the first bytes: whoever opens the document is a child
    # of a worker, with limits, and a task whose document cannot be opened fails and says so.
    async with stored(caller, upload, upload.name) as file:
        row = await verbs.submit_process(
            caller,
            project=form.project,
            file=file,
            name=form.name,
            metadata=form.metadata,
            callback_url=form.callback_url,
            priority=form.priority,
            due_at=form.due_at,
        )
    return words.task_of(row)


@router.post(
    "/next",
    summary="Claim the next task",
    responses={
        200: examples.answer("The task, claimed.", examples.TASK_IN_REVIEW),
        204: {"description": "No task waits for a person."},
        **described(*_READING),
    },
    response_model=words.Task,
)
async def claim_next(
    caller: TaskEditor,
    project: Annotated[Text | None, Query(description="Only tasks of this project.")] = None,
) -> words.Task | Response:
    """Claim the task whose turn it is, of those that wait for a person and that nobody holds.

    That is the one with the highest `priority`, of those the one with the first `due_at`, of
    those the oldest. Of two that ask at once each gets another.
    """
    row = await verbs.next_task(caller, project)
    return words.task_of(row) if row else Response(status_code=204)


# Reading


@router.get(
    "",
    summary="List tasks",
    responses={
        200: examples.answer("A page of tasks.", examples.listed(examples.TASK, "tasks")),
        **described(*_READING),
    },
)
async def list_tasks(
    request: Request,
    caller: TaskReader,
    take: Take = 20,
    start: From = None,
    state: Annotated[
        list[State] | None, Query(description="Only tasks in this state, or one of these.")
    ] = None,
    status: Annotated[
        list[words.Status] | None, Query(description="The same in Scan Documents' words.")
    ] = None,
    project: Annotated[Text | None, Query(description="Only tasks of this project.")] = None,
    queue: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="The same, by the project's number.")
    ] = None,
    created_after: Annotated[
        UtcTime | None, Query(description="Only tasks made after this time.")
    ] = None,
    q: Annotated[Text | None, Query(description="Part of the name of the task, or its id.")] = None,
    assignee: Annotated[
        Text | None,
        Query(description="Only tasks that this person or key holds; `me`, or `none` for nobody."),
    ] = None,
) -> Listed[words.Task]:
    """List tasks, the newest first. Several filters must all fit.

    With `q` a page has those among the next 5,000 tasks, perhaps none; `links.next` goes on from
    there, and is null where there are no more.
    """
    filters: list[ColumnElement[bool]] = []
    if state:
        filters.append(col(Task.state).in_(state))
    if status:
        filters.append(col(Task.state).in_([s for s in State if words.STATUS[s] in status]))
    if created_after:
        filters.append(col(Task.created_at) > created_after)
    if assignee:
        held = col(Task.claimed_until) >= now()
        who = caller.actor.name if assignee == "me" else assignee
        filters.append(
            # `not held` would be unknown, not true, for a task that was never held.
            col(Task.claimed_until).is_(None) | (col(Task.claimed_until) < now())
            if assignee == "none"
            else held & (col(Task.claimed_by) == who)
        )
    async with database().reading() as session:
        if project:
            found, _ = await find_project(session, caller, project)
            filters.append(col(Task.project_id) == found.id)
        if queue:
            number = visible(models.Project, caller).where(col(models.Project.number) == queue)
            project_id = number.with_only_columns(col(models.Project.id)).scalar_subquery()
            filters.append(col(Task.project_id) == project_id)
        search: ColumnElement[bool] | None = None
        if q:
            by_id = col(Task.code) == q.removeprefix("task_")
            if (await session.execute(visible(Task, caller).where(by_id))).first():
                filters.append(by_id)
            else:
                search = func.lower(col(Task.name)).contains(q.lower(), autoescape=True)
        rows, links = await TASKS.page(
            session, caller, request, take, start, *filters, search=search
        )
    return Listed(data=[words.task_of(row) for row in rows], links=links)


@router.get(
    "/{task_id}",
    summary="Show a task",
    responses={
        200: examples.answers(
            "The task.",
            completed=examples.TASK,
            failed=examples.FAILED_TASK,
            in_review=examples.TASK_IN_REVIEW,
        ),
        **described(*_READING),
    },
)
async def show_task(task_id: TaskId, caller: TaskReader) -> words.Task:
    """Show where a task is, and its result once it has ended."""
    async with database().reading() as session:
        return words.task_of(await find_task(session, caller, task_id))


@router.delete(
    "/{task_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a task",
    responses={
        204: {"description": "The task is gone."},
        **described(*_READING),
    },
)
async def delete_task(task_id: TaskId, caller: TaskEditor) -> Response:
    """Cancel a task if it has not ended, and erase all of it.

    That is its file, unless another task needs it, what was read, found, made and written down,
    and its run in Prefect. The content is gone as soon as its run has ended, mostly in a second;
    that there was a task can be seen in the events for as long as its project keeps records.
    """
    await erase.delete_task(caller, task_id)
    return Response(status_code=204)


@router.get(
    "/{task_id}/documents",
    summary="Show what a task found",
    responses={
        200: examples.answer("Documents, their fields, and the pages.", examples.DOCUMENTS),
        **described(*_READING),
    },
)
async def show_documents(request: Request, task_id: TaskId, caller: TaskReader) -> words.Documents:
    """Show the documents in the input of a task, with the value and the place of each field."""
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        documents = await documents_of(session, task)
        pages = await pages_of(session, task)
    return words.documents_of(task, documents, pages, f"{base_of(request)}/v1/tasks")


@router.get(
    "/{task_id}/pages/{number}/image",
    response_class=StreamingResponse,
    summary="Show the image of a page",
    responses={
        200: {
            "description": "The page, in whose pixels the places of the fields are given.",
            "content": {
                "image/png": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "the bytes of the image",
                }
            },
        },
        **described(*_READING),
    },
)
async def show_page_image(
    task_id: TaskId, number: PageNumber, caller: TaskReader
) -> StreamingResponse:
    """Show a page of the input, as it was read."""
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        page = await find_page(session, task, number)
    return await send_page(page)


@router.get(
    "/{task_id}/events",
    summary="Show the history of a task",
    responses={
        200: examples.answer("A page of events.", examples.listed(examples.EVENT, "events")),
        **described(*_READING),
    },
)
async def list_task_events(
    request: Request, task_id: TaskId, caller: TaskReader, take: Take = 20, start: From = None
) -> Listed[words.Event]:
    """List all that happened to a task, the newest first: every change, and who made it."""
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        of_task = visible_among(Activity, caller, col(Activity.task_id) == task.id)
        rows, links = await EVENTS.page(session, caller, request, take, start, among=of_task)
    return Listed(data=[words.event_of(row) for row in rows], links=links)


@router.get(
    "/{task_id}/outputs",
    summary="List what a task made",
    responses={
        200: examples.answer("A page of files.", examples.listed(examples.OUTPUT, "files")),
        **described(*_READING),
    },
)
async def list_outputs(
    request: Request, task_id: TaskId, caller: TaskReader, take: Take = 20, start: From = None
) -> Listed[words.Output]:
    """List the files that a task made, the newest first. Download them by their ids."""
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        rows, links = await FILES.page(
            session, caller, request, take, start, col(models.File.task_id) == task.id
        )
    return Listed(data=[words.output_of(row, task) for row in rows], links=links)


# The verbs


def _changed(what: str, *conflicts: type[ConflictError], also: Sequence[Any] = ()) -> Any:
    """The answers of a verb."""
    return {
        200: examples.answer(what, examples.TASK_IN_REVIEW),
        **described(*_READING, *also, ConflictError, *conflicts, 413, 415),
    }


@router.post(
    "/{task_id}/claim",
    summary="Claim a task",
    responses=_changed("The task, held.", AlreadyClaimedError, IllegalTransitionError),
)
async def claim_task(task_id: TaskId, caller: TaskEditor) -> words.Task:
    """Hold a task that waits for a person, so that nobody else decides it.

    The claim ends by itself after half an hour; claiming again renews it.
    """
    return words.task_of(await verbs.claim(caller, task_id))


@router.post(
    "/{task_id}/release",
    summary="Release a task",
    responses=_changed("The task, free.", NotClaimedError),
)
async def release_task(task_id: TaskId, caller: TaskEditor) -> words.Task:
    """Give back a task that the caller holds."""
    return words.task_of(await verbs.release(caller, task_id))


@router.post(
    "/{task_id}/save",
    summary="Save values",
    responses=_changed(
        "The task; its documents have the values.",
        AlreadyClaimedError,
        AlreadyDecidedError,
        IllegalTransitionError,
        also=[FieldsInvalidError],
    ),
)
async def save_values(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[SaveBody, examples.body({"values": {"total": "119.00"}})],
) -> words.Task:
    """Keep what a person typed, valid or not, without deciding anything."""
    return words.task_of(
        await verbs.save(
            caller,
            task_id,
            body.values,
            body.document_number,
            documents=_values_by_number(body.documents),
        )
    )


@router.post(
    "/{task_id}/complete",
    summary="Complete a task",
    responses=_changed(
        "The task; it goes on.",
        AlreadyClaimedError,
        AlreadyDecidedError,
        IllegalTransitionError,
        also=[FieldsInvalidError],
    ),
)
async def complete_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[
        CompleteBody | None, examples.body({"values": {"total": "119.00"}, "note": "typed by hand"})
    ] = None,
) -> words.Task:
    """Decide that the data is right, with last corrections where they are needed.

    Data that is not valid changes nothing: `errors` has the reason of each field.
    """
    body = body or CompleteBody()
    return words.task_of(
        await verbs.complete(
            caller,
            task_id,
            body.values,
            body.note,
            body.document_number,
            documents=_values_by_number(body.documents),
        )
    )


@router.post(
    "/{task_id}/arrange",
    summary="Arrange the documents of a task",
    responses=_changed(
        "The task; the fields of its documents are looked for.",
        AlreadyClaimedError,
        AlreadyDecidedError,
        IllegalTransitionError,
        also=[FieldsInvalidError],
    ),
)
async def arrange_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[
        ArrangeBody,
        examples.body(
            {
                "documents": [
                    {"page_numbers": [1, 2], "document_type": "invoice"},
                    {"page_numbers": [3], "document_type": "receipt"},
                ]
            }
        ),
    ],
) -> words.Task:
    """Decide which documents a file has: the pages and the type of each.

    Their fields are then looked for; a document that was found like this keeps its values.
    """
    documents = [verbs.Arranged(one.page_numbers, one.document_type) for one in body.documents]
    return words.task_of(await verbs.arrange(caller, task_id, documents, body.note))


@router.post(
    "/{task_id}/discard",
    summary="Discard a task",
    responses=_changed(
        "The task, ended.", AlreadyClaimedError, AlreadyDecidedError, IllegalTransitionError
    ),
)
async def discard_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[ReasonBody | None, examples.body({"reason": "a duplicate"})] = None,
) -> words.Task:
    """Decide that the document is not wanted."""
    return words.task_of(await verbs.discard(caller, task_id, body.reason if body else ""))


@router.post(
    "/{task_id}/report",
    summary="Report a task",
    responses=_changed("The task; it stays where it is."),
)
async def report_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[
        ReportBody,
        examples.body({"issues": [{"field": "total", "problem": "unreadable"}], "message": ""}),
    ],
) -> words.Task:
    """Write down what is wrong with a task, for whoever looks after it."""
    reported = await verbs.report(caller, task_id, body.issues, body.message)
    return words.task_of(reported.task)


@router.post(
    "/{task_id}/unlock",
    summary="Unlock a task",
    responses=_changed("The task, in review again.", IllegalTransitionError),
)
async def unlock_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[ReasonBody | None, examples.body({"reason": "the total was wrong"})] = None,
) -> words.Task:
    """Open a completed, filtered or discarded task for correction."""
    return words.task_of(await verbs.unlock(caller, task_id, body.reason if body else ""))


@router.post(
    "/{task_id}/cancel",
    summary="Cancel a task",
    responses=_changed("The task, ended.", IllegalTransitionError),
)
async def cancel_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[ReasonBody | None, examples.body({"reason": "sent by mistake"})] = None,
) -> words.Task:
    """End a task that has not ended; whatever works on it is stopped."""
    return words.task_of(await verbs.cancel(caller, task_id, body.reason if body else ""))


@router.post(
    "/{task_id}/retry",
    summary="Retry a task",
    responses=_changed("The task, in the queue again.", IllegalTransitionError),
)
async def retry_task(task_id: TaskId, caller: TaskEditor) -> words.Task:
    """Try a failed, timed out or canceled task again; what was done well is not done twice."""
    return words.task_of(await verbs.retry(caller, task_id))
