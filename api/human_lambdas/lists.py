"""/orgs/{id}/queues/{id}/tasks/completed and /pending: pages of tasks, by `limit` and `offset`."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, WithJsonSchema

from api.bodies import Text
from api.human_lambdas import examples, words
from api.human_lambdas.route import (
    HumanLambdasRoute,
    QueueId,
    TaskReader,
    email_of,
    find_queue,
)
from api.v1.examples import answer
from api.v1.lists import base_of
from store.database import database
from store.errors import NotFoundError
from store.long_lists import ListPage
from store.models import Task
from store.project_tasks import Settled, settled_tasks, unsettled_tasks

router = APIRouter(route_class=HumanLambdasRoute)

DEFAULT_LIMIT: Final = 100
MOST: Final = 1000

Limit = Annotated[
    int, Query(ge=1, description=f"How many tasks the page has at most; {MOST} where it is more.")
]
Offset = Annotated[int, Query(ge=0, description="How many tasks are on the pages before.")]


def _read(value: Any, after: timedelta) -> datetime:
    """A day or a point in time; without a zone it is UTC."""
    text = str(value)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return datetime.combine(day, time(tzinfo=UTC)) + after


def _since(value: Any) -> datetime:
    return _moment(value, timedelta(0))


def _until(value: Any) -> datetime:
    return _moment(value, timedelta(days=1))


def _moment(value: Any, after: timedelta) -> datetime:
    try:
        return _read(value, after)
    except (ValueError, OverflowError):
        raise ValueError("A date like 2026-01-31 is expected, or a time of ISO 8601") from None


_SCHEMA: Final = WithJsonSchema({"type": "string", "examples": ["2026-01-31"]})
StartDate = Annotated[datetime, BeforeValidator(_since), _SCHEMA]
EndDate = Annotated[datetime, BeforeValidator(_until), _SCHEMA]
Filter = Annotated[Text | None, Query(min_length=1, max_length=1000)]


@router.get(
    "/{queue_id}/tasks/completed",
    summary="List completed tasks",
    responses={
        200: answer("A page of tasks.", examples.paged(examples.COMPLETED_TASK, "completed")),
        **examples.problems(),
    },
)
async def list_completed(
    request: Request,
    queue_id: QueueId,
    caller: TaskReader,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
    start_date: Annotated[
        StartDate | None, Query(description="Completed then or later: a day, or a time; UTC.")
    ] = None,
    end_date: Annotated[
        EndDate | None, Query(description="Completed on that day or before; before that time.")
    ] = None,
    worker_id: Annotated[Filter, Query(description="Who did it: an e-mail, or a number.")] = None,
    source_id: Annotated[Filter, Query(description="How it came: the `source` of a task.")] = None,
    correct: Annotated[bool | None, Query(description="What an audit found of it.")] = None,
) -> words.QueueTasks:
    """List the completed tasks of a queue, those completed last first."""
    queue = await find_queue(caller, queue_id)
    limit = min(limit, MOST)
    try:
        worker = await email_of(caller, worker_id) if worker_id else None
    except NotFoundError:
        return words.QueueTasks(count=0, next=None, previous=None, tasks=[])
    wanted = Settled(start_date, end_date, worker, source_id, correct)
    async with database().reading() as session:
        page = await settled_tasks(
            session, caller, queue.project, wanted, limit=limit, offset=offset
        )
        shown = await words.tasks_of(session, page.rows, queue)
    return _shown(request, page, shown, limit, offset)


@router.get(
    "/{queue_id}/tasks/pending",
    summary="List tasks that are not completed",
    responses={
        200: answer("A page of tasks.", examples.paged(examples.ASSIGNED_TASK, "pending")),
        **examples.problems(),
    },
)
async def list_pending(
    request: Request,
    queue_id: QueueId,
    caller: TaskReader,
    limit: Limit = DEFAULT_LIMIT,
    offset: Offset = 0,
) -> words.QueueTasks:
    """List the tasks of a queue that are not completed, the oldest first."""
    queue = await find_queue(caller, queue_id)
    limit = min(limit, MOST)
    async with database().reading() as session:
        page = await unsettled_tasks(session, caller, queue.project, limit=limit, offset=offset)
        shown = await words.tasks_of(session, page.rows, queue)
    return _shown(request, page, shown, limit, offset)


def _shown(
    request: Request, page: ListPage[Task], tasks: list[words.QueueTask], limit: int, offset: int
) -> words.QueueTasks:
    links = _neighbours(request, page, limit, offset)
    return words.QueueTasks(count=page.count, **links, tasks=tasks)


def _neighbours(
    request: Request, page: ListPage[Task], limit: int, offset: int
) -> dict[str, str | None]:
    """The whole addresses of the pages before and after, spelt as the client has spelt this one."""
    return {
        "next": _address(request, limit, offset + limit) if offset + limit < page.count else None,
        "previous": _address(request, limit, max(offset - limit, 0)) if offset else None,
    }


def _address(request: Request, limit: int, offset: int) -> str:
    url = request.url.include_query_params(limit=limit, offset=offset)
    return f"{base_of(request)}{url.path}?{url.query}"
