"""/v1/stream: what happens, told as it happens, by server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Select, func, select
from sqlmodel import col

from api.auth import TaskReader
from api.bodies import Text
from api.problems import described
from api.v1 import words
from api.v1.route import V1Route
from api.v1.tasks import TaskId
from store.access import Caller, code_of, visible, visible_among
from store.activity import EVENT_TYPES
from store.database import database
from store.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from store.finding import find_task
from store.ids import now
from store.lifecycle import FINAL
from store.models import Activity, Task

router = APIRouter(prefix="/v1", tags=["events"], route_class=V1Route)

LOOK_SECONDS: Final = 0.5
"""How often it is looked whether something happened; once for all streams of this process."""

HEARTBEAT_SECONDS: Final = 15.0
"""How often something is sent where nothing happens, so that nobody takes the line for dead."""

LIFETIME_SECONDS: Final = 300.0
"""When a stream ends and its reader connects anew: a key that was revoked opens none again."""

RETRY_MILLISECONDS: Final = 1000
BATCH: Final = 100

SETTLED: Final = timedelta(seconds=2)
"""On PostgreSQL numbers are given before they are committed: an event that is so old has none
before it that is still to come."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_stopping = False


def stop_streams() -> None:
    """Let every stream of this process end; called when the server is told to stop."""
    global _stopping
    _stopping = True


def is_stopping() -> bool:
    """Whether streams are to end."""
    return _stopping


@dataclass
class _Newest:
    """The newest event of all, as it was last looked up."""

    number: int = 0
    at: float = float("-inf")


_newest = _Newest()


async def newest_number() -> int:
    """The number of the newest event of all organizations, half a second old at most."""
    if monotonic() - _newest.at >= LOOK_SECONDS:
        _newest.at = monotonic()  # before the answer is there: of many streams one asks
        async with database().reading() as session:
            number = (await session.execute(select(func.max(col(Activity.number))))).scalar_one()
        _newest.number = number or 0
    return _newest.number


LastEventId = Annotated[
    Text | None,
    Header(description="Id of the last event that was read; the stream goes on after it."),
]
LastEventIdInQuery = Annotated[
    Text | None, Query(alias="last_event_id", description="The same, where no header can be set.")
]


def _stream_answer(what: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": what,
            "content": {
                "text/event-stream": {
                    "example": "id: event_euyrvozb9302uwhq\nevent: task.completed\ndata: {...}\n\n",
                }
            },
        },
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    }


@router.get(
    "/stream",
    response_class=StreamingResponse,
    summary="Follow events",
    responses=_stream_answer("Events as they happen."),
)
async def follow_events(
    caller: TaskReader,
    last_event_id: LastEventId = None,
    last_event_id_in_query: LastEventIdInQuery = None,
) -> StreamingResponse:
    """Follow what happens to files and tasks, from now on or from the last event that was read.

    Server-sent events: each has the `id`, the type and the object that `/v1/events` has. The
    stream ends every few minutes; who reads it connects anew with `Last-Event-ID`, as browsers
    do by themselves, and misses nothing.
    """
    begin = last_event_id or last_event_id_in_query
    after = await _number_of(caller, begin) if begin else await newest_number()
    wanted = visible(Activity, caller).where(col(Activity.type).in_(EVENT_TYPES))
    return StreamingResponse(_told(wanted, after), media_type="text/event-stream", headers=_HEADERS)


@router.get(
    "/tasks/{task_id}/stream",
    response_class=StreamingResponse,
    summary="Follow a task",
    responses={
        **_stream_answer("The history of the task, and what happens from now on."),
        204: {"description": "The task has ended, and nothing happened after that event."},
    },
)
async def follow_task(
    task_id: TaskId,
    caller: TaskReader,
    last_event_id: LastEventId = None,
    last_event_id_in_query: LastEventIdInQuery = None,
) -> Response:
    """Follow a task from its beginning, or from the last event that was read, to its end.

    The stream ends when the task has ended and all is told; 204 then keeps browsers from
    connecting again.
    """
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
    begin = last_event_id or last_event_id_in_query
    after = await _number_of(caller, begin) if begin else 0
    of_task = visible_among(Activity, caller, col(Activity.task_id) == task.id)
    if begin and task.state in FINAL and not await _after(of_task, after):
        return Response(status_code=204)
    return StreamingResponse(
        _told(of_task, after, task), media_type="text/event-stream", headers=_HEADERS
    )


async def _number_of(caller: Caller, event_id: str) -> int:
    query = visible(Activity, caller).where(col(Activity.code) == code_of(event_id, "event_"))
    async with database().reading() as session:
        found = (await session.execute(query)).scalar_one_or_none()
    if found is None or found.number is None:
        raise NotFoundError("There is no such event any more. Begin without Last-Event-ID.")
    return found.number


async def _told(
    wanted: Select[tuple[Activity]], after: int, task: Task | None = None
) -> AsyncIterator[str]:
    """The events after a number, as text; to the end of a task, where there is one."""
    began = spoke = monotonic()
    looked = -1
    yield f"retry: {RETRY_MILLISECONDS}\n\n"
    while not is_stopping():
        newest = await newest_number()
        if newest > looked:
            is_over = task is not None and await _has_ended(task)
            rows = await _after(wanted, after)
            for row in rows:
                after, spoke = row.number or after, monotonic()
                yield _text_of(row)
            if rows:
                continue
            if is_over:
                return
            # What was too young to be told is looked for again.
            looked = newest if database().is_sqlite else -1
        if monotonic() - began >= LIFETIME_SECONDS:
            return
        if monotonic() - spoke >= HEARTBEAT_SECONDS:
            spoke = monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(LOOK_SECONDS)


async def _after(wanted: Select[tuple[Activity]], after: int) -> list[Activity]:
    query = wanted.where(col(Activity.number) > after)
    if not database().is_sqlite:
        query = query.where(col(Activity.at) <= now() - SETTLED)
    async with database().reading() as session:
        found = await session.execute(query.order_by(col(Activity.number)).limit(BATCH))
        return list(found.scalars())


async def _has_ended(task: Task) -> bool:
    """Whether nothing is to be told any more once all is told that is there."""
    async with database().reading() as session:
        current = await session.get(Task, task.id)
    if current is None:
        return True
    settled = database().is_sqlite or current.updated_at <= now() - SETTLED
    return settled and current.state in FINAL


def _text_of(row: Activity) -> str:
    event = words.event_of(row).model_dump(mode="json")
    return f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
