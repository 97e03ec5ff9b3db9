"""The words of the native API: its objects, made from our rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from prefect.utilities.urls import url_for
from pydantic import BaseModel, ConfigDict

from api.vocabulary import VOCABULARY, Standing
from api.vocabulary import V1Word as Status
from flows import verbs
from flows.verbs import PROCESS, file_members, holder
from store import models
from store.activity import told
from store.fields import FieldValue
from store.finding import field_values
from store.ids import now
from store.lifecycle import FINAL
from store.settings import settings
from store.states import State

STATUS: Final[Mapping[State, Status]] = {
    state: VOCABULARY[Standing.WAITING if state is State.IN_REVIEW else Standing(state.value)].v1
    for state in State
}
"""Four words for eleven states; `state` beside it has the exact one."""


class Shape(BaseModel):
    """An object of the native API."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class File(Shape):
    """Bytes that were sent, or that a task made."""

    id: str
    name: str
    type: str
    """Media type, found in the content."""
    properties: dict[str, int]
    """`size` in bytes; `width` and `height` in pixels of an image, `page_count` of a document."""
    task_id: str | None
    """The task that made it; null for a file that was sent."""
    created_at: datetime


class Output(File):
    """A file that a task made."""

    role: str | None
    """What it is to the task: `data`, `searchable_pdf`, `generated` ..."""


class Review(Shape):
    """The wait for a person."""

    round: int
    """Counts the waits of the task, from 1."""
    step: str
    """What is looked at: `sort` (which documents there are), `extract` (their values) or `export`
    (why the files did not get to their place)."""
    reason: str
    """Why somebody must look, or had to."""
    due_at: datetime | None
    """When the present wait runs out; null when nobody is waited for."""


class Progress(Shape):
    """How far the work is."""

    current: int
    total: int
    """0 while it is not known."""
    step: str
    """What is being done, or was done last."""


class TaskLinks(Shape):
    """Where people look at the task."""

    review: str
    """Its page in Papertray."""
    prefect: str | None
    """Its flow run in the Prefect UI; null until there is one, or where no UI is known."""


class Task(Shape):
    """One piece of work on one input."""

    id: str
    operation: str
    """`process` for a task of a project, else the name of an operation."""
    status: Status
    """In Scan Documents' words; `state` is exact."""
    parameters: dict[str, Any]
    """As they were sent."""
    result: dict[str, Any]
    """The outcome; `{error, details}` when it failed; empty until the task ends."""
    created_at: datetime
    updated_at: datetime
    state: State
    number: int | None
    """Its id where ids are whole numbers."""
    callback_url: str | None
    """Who is told of the end."""
    name: str
    project: str | None
    metadata: dict[str, Any]
    """What the caller wants to keep with the task."""
    data: dict[str, Any] | None
    """Values by the blocks of its project, where it has data; null where it has a file."""
    source: str
    """How its data came: `api`, `manual`, or the name of the table it was a row of."""
    priority: int
    """Those with a higher one are reviewed first."""
    due_at: datetime | None
    """When its sender wants it decided."""
    claimed_by: str | None
    """Who holds the task now."""
    decided_by: str | None
    """Who decided last; null where nobody did."""
    is_correct: bool | None
    """What an audit found of that decision; null where nobody has judged it."""
    duplicate_of: str | None
    """The first task on a file with the very same bytes, where its project flags such."""
    is_test: bool
    """It was made with a test key: nobody reviews it, and it is gone after a day."""
    review: Review | None
    """Null for a task that has not waited for a person."""
    exported_at: datetime | None
    """Since when the files are where the project wants them, or a client has them."""
    export_failed_at: datetime | None
    """When they last did not get there; null once they did."""
    progress: Progress
    version: int
    """Counts the changes of the task."""
    links: TaskLinks


class Document(Shape):
    """A document found in the input of a task."""

    number: int
    """1-based."""
    document_type: str
    page_numbers: list[int]
    """Its pages in the input, 1-based."""
    pages_confidence: float
    """0..1: how sure it is that these pages are one document."""
    type_confidence: float
    """0..1: how sure it is that it is of this type."""
    group_number: int | None
    """Documents with the same number belong together; null where none are looked for."""
    fields: dict[str, FieldValue]
    """By name: value, text, confidence, place on the page, and what is wrong with it."""


class Page(Shape):
    """A page of the input, as it was read."""

    number: int
    """1-based."""
    width: int
    height: int
    """Of the page image, in whose pixels all boxes are given."""
    method: str
    """`text_layer` or `ocr`."""
    confidence: float
    """0..1, mean over the words."""
    image: str
    """Address of the page image."""


class Documents(Shape):
    """What a task found in its input."""

    documents: list[Document]
    pages: list[Page]


class FetchedDocument(Shape):
    """A document of a task whose files a client fetches."""

    number: int
    """1-based."""
    document_type: str
    page_numbers: list[int]
    """Its pages in the input, 1-based."""
    group_number: int | None
    """Documents with the same number belong together; null where none are looked for."""
    fields: dict[str, Any]
    """Values by the names of the fields."""


class Offer(Shape):
    """What a client fetches."""

    task: Task
    """With its `data`, where it has no file."""
    files: list[Output]
    """Download them by their ids."""
    documents: list[FetchedDocument]


class Event(Shape):
    """Something that happened."""

    id: str
    type: str
    timestamp: datetime
    data: dict[str, Any]
    """`id` of what it happened to, and facts; never text of a document."""
    actor: str
    """Who did it: a person's e-mail, `key:<first characters>`, or a part of Papertray."""
    surface: str
    """By which way in: `v1`, `pages`, `cli`, `prefect`, `system` ..."""
    reason: str


class Webhook(Shape):
    """An address that is told of events."""

    id: str
    url: str
    events: list[str]
    """Types of the events it is told of; `*` for all."""
    enabled: bool
    """Whether anything is sent."""
    disabled_reason: str
    """Why not; empty while it is enabled."""
    previous_secret_until: datetime | None
    """How long the secret before the present one still signs, too; null when it does not."""
    created_at: datetime
    updated_at: datetime


class WebhookWithSecret(Webhook):
    """A webhook, the one time its secret is there to be read."""

    secret: str
    """Verifies what is sent: `whsec_...`."""


class Delivery(Shape):
    """An event that a webhook is told of, and what became of it."""

    id: str
    event_id: str
    """Also the `webhook-id` of each try."""
    event_type: str
    status: Literal["waiting", "delivered", "failed"]
    """`failed`: given up."""
    sequence: int | None
    """Counts what the webhook is sent, from 1; null before the first try."""
    attempts: int
    """Tries since it was made, or since it was sent again."""
    next_attempt_at: datetime | None
    """Not before; null when it is over."""
    last_attempt: "Attempt | None"
    """Null before the first try."""
    created_at: datetime


class Attempt(Shape):
    """The last try to deliver."""

    at: datetime
    http_status: int | None
    """Null where there was no answer."""
    error: str
    """Why it failed; empty when it did not."""
    answer: str
    """How the body of the answer began, 200 characters at most; of events of files, nothing."""
    seconds: float | None
    """How long it took."""


class RefusedRow(Shape):
    """A row of a table that became no task."""

    line: int
    """On which it begins, 1-based."""
    column: str
    """Name of the column; empty where it is about all of the row."""
    reason: str


class Imported(Shape):
    """What became of a table."""

    count: int
    """How many rows became tasks."""
    refused_count: int
    refused: list[RefusedRow]
    """The first thousand of them."""


class Project(Shape):
    """A named way of treating documents."""

    name: str
    number: int
    """Its id where ids are whole numbers."""
    version: int
    """Counts the texts of its project file; new tasks take the newest."""
    created_at: datetime


class ProjectWithSource(Project):
    """A project and the text of its file."""

    source: str


def file_of(row: models.File, task: models.Task | str | None = None) -> File:
    """A file; `task` is the one that made it, or its public id."""
    maker = task.public_id if isinstance(task, models.Task) else task
    return File(**file_members(row, maker))


def output_of(row: models.File, task: models.Task) -> Output:
    """A file among the outputs of its task."""
    return Output(**file_members(row, task.public_id), role=row.role)


def task_of(row: models.Task) -> Task:
    """A task."""
    is_project_task = row.operation == PROCESS
    return Task(
        id=row.public_id,
        operation=row.operation,
        status=STATUS[row.state],
        state=row.state,
        parameters=row.parameters,
        result=row.result if row.state in FINAL else {},
        callback_url=row.callback_url,
        name=row.name,
        # A project keeps its name, so the one that the task was made with is the one it has.
        project=row.parameters.get("project") if is_project_task else None,
        metadata=row.task_metadata if is_project_task else {},
        data=row.task_data,
        source=row.source,
        number=row.number,
        priority=row.priority,
        due_at=row.due_at,
        claimed_by=holder(row),
        decided_by=row.decided_by,
        is_correct=row.is_correct,
        duplicate_of=f"task_{row.duplicate_of}" if row.duplicate_of else None,
        is_test=row.is_test,
        review=Review(
            round=row.review_round,
            step=row.review_step,
            reason=row.review_reason,
            due_at=row.review_due_at,
        )
        if row.review_round
        else None,
        exported_at=row.exported_at,
        export_failed_at=row.export_failed_at,
        progress=Progress(current=row.progress_current, total=row.progress_total, step=row.step),
        version=row.version,
        links=TaskLinks(
            review=f"{settings().effective_public_url}/review/{row.public_id}",
            prefect=url_for("flow-run", obj_id=row.flow_run_id) if row.flow_run_id else None,
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def offer_of(offer: verbs.Offer) -> Offer:
    """What a client fetches."""
    return Offer(
        task=task_of(offer.task),
        files=[output_of(file, offer.task) for file in offer.files],
        documents=[
            FetchedDocument(
                number=row.number,
                document_type=row.document_type,
                page_numbers=row.page_numbers,
                group_number=row.group_number,
                fields={name: value.value for name, value in field_values(row).items()},
            )
            for row in offer.documents
        ],
    )


def documents_of(
    task: models.Task,
    documents: Sequence[models.Document],
    pages: Sequence[models.Page],
    address: str,
) -> Documents:
    """What a task found; `address` is the one of the task, below which its page images are."""
    return Documents(
        documents=[
            Document(
                number=row.number,
                document_type=row.document_type,
                page_numbers=row.page_numbers,
                pages_confidence=row.pages_confidence,
                type_confidence=row.type_confidence,
                group_number=row.group_number,
                fields=field_values(row),
            )
            for row in documents
        ],
        pages=[
            Page(
                number=row.number,
                width=row.width_pixels,
                height=row.height_pixels,
                method=row.method,
                confidence=row.confidence,
                image=f"{address}/{task.public_id}/pages/{row.number}/image",
            )
            for row in pages
        ],
    )


def event_of(row: models.Activity) -> Event:
    """An event."""
    return Event(**told(row), actor=row.actor, surface=row.surface, reason=row.reason)


def webhook_of(row: models.Webhook) -> Webhook:
    """A webhook."""
    return Webhook(**_webhook_members(row))


def webhook_with_secret(row: models.Webhook) -> WebhookWithSecret:
    """A webhook and its secret."""
    return WebhookWithSecret(**_webhook_members(row), secret=row.secret)


def _webhook_members(row: models.Webhook) -> dict[str, Any]:
    until = row.previous_secret_until
    return {
        "id": row.public_id,
        "url": row.url,
        "events": row.event_types,
        "enabled": row.disabled_at is None,
        "disabled_reason": row.disabled_reason,
        "previous_secret_until": until if until and until > now() else None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def delivery_of(row: models.Delivery, event: models.Activity) -> Delivery:
    """A delivery, and the event it tells of."""
    return Delivery(
        id=row.public_id,
        event_id=f"event_{event.code}",
        event_type=event.type,
        status=models.DeliveryOutcome(row.outcome).value,
        sequence=row.sequence,
        attempts=row.attempts,
        next_attempt_at=row.due_at,
        last_attempt=Attempt(
            at=row.tried_at,
            http_status=row.status,
            error=row.error,
            answer=row.answer,
            seconds=row.duration_seconds,
        )
        if row.tried_at
        else None,
        created_at=row.created_at,
    )


def project_of(row: models.Project, version: models.ProjectVersion) -> Project:
    """A project."""
    return Project(
        name=row.name, number=row.number, version=version.number, created_at=row.created_at
    )


def project_with_source(row: models.Project, version: models.ProjectVersion) -> ProjectWithSource:
    """A project and the text of its file."""
    return ProjectWithSource(
        name=row.name,
        number=row.number,
        version=version.number,
        created_at=row.created_at,
        source=version.source,
    )
