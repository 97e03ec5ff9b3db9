"""/orgs/{id}/queues/{id}: what is done with all of a queue: tables, webhook, flush, metrics."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from api.bodies import Text, read_form
from api.human_lambdas import examples
from api.human_lambdas.route import (
    HumanLambdasRoute,
    QueueId,
    TaskCreator,
    TaskEditor,
    TaskReader,
    WebhookEditor,
    WebhookReader,
    find_queue,
)
from api.problems import UPLOAD_PROBLEMS
from api.v1.examples import answer, body, form
from api.v1.words import Imported
from flows import erase, webhooks
from flows.import_table import import_table
from flows.wordings import HUMAN_LAMBDAS
from operations.tools.scratch import scratch_folder
from store.database import database
from store.errors import AddressError, FieldsInvalidError, LimitExceededError
from store.ids import now
from store.project_metrics import Rhythm, figures_of, periods

router = APIRouter(route_class=HumanLambdasRoute)

COMPLETED_EVENT: Final = "task.completed"

Metric = Literal["completed", "pending", "aht", "tat", "accuracy"]

_FIGURES: Final[dict[Metric, str]] = {
    "completed": "completed",
    "pending": "pending",
    "aht": "handling_seconds",
    "tat": "turnaround_seconds",
    "accuracy": "accuracy",
}
"""What each metric is called in `store/project_metrics.py`."""


class QueueWebhookBody(BaseModel):
    """Who is to be told."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    target: Text | None
    """Address that gets each completed task as a POST; empty or null: nobody any more."""


class QueueWebhook(BaseModel):
    """Who is told of each completed task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    target: str | None
    """Null where nobody is."""


class Flushed(BaseModel):
    """What was deleted."""

    count: int


class UploadForm(BaseModel):
    """What is sent beside a table: nothing that counts."""


class QueueFigures(BaseModel):
    """What happened in a day, a week, or a month; it has the metrics that were asked for."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    date: datetime
    """Its last moment."""
    completed: int = 0
    """Tasks that were completed in it."""
    pending: int = 0
    """Tasks that were there at its end, and not completed."""
    aht: float | None = None
    """Average handling time: seconds that people held a task."""
    tat: float | None = None
    """Average turnaround time: seconds from when a task came to when it was completed."""
    accuracy: float | None = None
    """0..1: of the tasks that were audited, how many were right."""


@router.post(
    "/{queue_id}/upload",
    status_code=201,
    summary="Upload a table",
    responses={
        201: answer("What became of its rows.", {"count": 2, "refused_count": 0, "refused": []}),
        **examples.problems(*UPLOAD_PROBLEMS),
    },
    openapi_extra=form(
        {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "CSV; its first line has the ids of blocks.",
            }
        },
        required=["file"],
        example={},
    ),
)
async def upload_table(queue_id: QueueId, request: HttpRequest, caller: TaskCreator) -> Imported:
    """Make a task of each row of a table; its name is the source of the tasks.

    Columns that are no blocks are left out. Rows that do not fit are told of, and all others
    become tasks; where none does, the table is refused.
    """
    queue = await find_queue(caller, queue_id)
    upload, _ = await read_form(request, UploadForm)
    with scratch_folder() as folder:
        path = folder / "table"
        with path.open("wb") as file:
            async for chunk in upload.chunks():
                file.write(chunk)
        facts = await import_table(
            caller, queue.project.name, path, source=upload.name, ignore_unknown=True
        )
    if facts.refused and not facts.count:
        raise FieldsInvalidError(
            fields={
                f"line {row.line}{f', {row.column}' if row.column else ''}": row.reason
                for row in facts.refused
            }
        )
    return Imported.model_validate(facts.model_dump())


@router.put(
    "/{queue_id}/flush",
    summary="Delete what is not completed",
    responses={200: answer("How many were deleted.", {"count": 3}), **examples.problems()},
)
async def flush_queue(queue_id: QueueId, caller: TaskEditor) -> Flushed:
    """Delete every task of the queue that is not completed."""
    queue = await find_queue(caller, queue_id)
    return Flushed(count=await erase.flush(caller, queue.project.name))


@router.get(
    "/{queue_id}/webhook",
    summary="Show the webhook of a queue",
    responses={
        200: answer("The webhook.", {"target": "https://example.com/hook"}),
        **examples.problems(),
    },
)
async def show_webhook(queue_id: QueueId, caller: WebhookReader) -> QueueWebhook:
    """Show who is told of completed tasks."""
    queue = await find_queue(caller, queue_id)
    async with database().reading() as session:
        found = await webhooks.webhook_of(session, caller, queue.project, HUMAN_LAMBDAS)
    return QueueWebhook(target=found.url if found else None)


@router.put(
    "/{queue_id}/webhook",
    response_model=QueueWebhook,
    summary="Set the webhook of a queue",
    responses={
        200: answer("The webhook.", {"target": "https://example.com/hook"}),
        204: {"description": "Nobody is told any more."},
        **examples.problems(413, AddressError, LimitExceededError),
    },
)
async def set_webhook(
    queue_id: QueueId,
    sent: Annotated[QueueWebhookBody, body({"target": "https://example.com/hook"})],
    caller: WebhookEditor,
) -> Any:
    """Have an address told of each completed task, in the place of the one before.

    It gets the task as `GET` shows it, as a POST that is signed by Standard Webhooks; the secret
    is rotated, and what was sent is listed, under /v1/webhooks.
    """
    queue = await find_queue(caller, queue_id)
    webhook = await webhooks.set_webhook_of(
        caller,
        queue.project,
        HUMAN_LAMBDAS,
        url=sent.target or "",
        event_types=[COMPLETED_EVENT],
    )
    return QueueWebhook(target=webhook.url) if webhook else Response(status_code=204)


@router.get(
    "/{queue_id}/metrics",
    summary="Show how the work goes",
    response_model_exclude_unset=True,
    responses={
        200: answer("The periods, the oldest first.", examples.METRICS),
        **examples.problems(),
    },
)
async def show_metrics(
    queue_id: QueueId,
    caller: TaskReader,
    metrics: Annotated[
        list[Metric] | None,
        Query(alias="type", description="Which; may be given several times. Omitted: all."),
    ] = None,
    rhythm: Annotated[
        Rhythm, Query(alias="range", description="How long the periods are.")
    ] = "daily",
) -> list[QueueFigures]:
    """Show what was done in each of the last 29 days, 15 weeks or 13 months, in UTC."""
    queue = await find_queue(caller, queue_id)
    async with database().reading() as session:
        found = await figures_of(session, caller, queue.project, periods(rhythm, now()))
    asked = {one: _FIGURES[one] for one in metrics or _FIGURES}
    return [
        QueueFigures(date=one.last, **{name: getattr(one, ours) for name, ours in asked.items()})
        for one in found
    ]
