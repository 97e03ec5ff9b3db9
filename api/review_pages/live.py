"""Tells open pages what happens meanwhile, by server-sent events: people see each other."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from api.review_pages.page_route import PageRoute
from api.review_pages.sessions import SignedIn, Visitor
from api.review_pages.words import activity_words
from api.v1 import streams
from store.access import visible, visible_among
from store.database import database
from store.finding import find_task
from store.models import Activity
from store.presence import RENEWED_EVERY, present, tell_gone, tell_present

router = APIRouter(route_class=PageRoute)

QUEUE_SECONDS: Final = 3.0
"""How long a queue that changed waits before it says so again: it may change all the time."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_SILENT: Final = frozenset({"task.left"})
"""What happened that nobody needs to be told."""

HERE_SECONDS: Final = 2.0
"""How often it is looked who else has the page of a task open."""

_viewers: Counter[tuple[UUID, str]] = Counter()
"""How often somebody has the page of a task open, in this process: the last one to close it is the
one who is gone."""

_leaving: set[asyncio.Task[None]] = set()
"""What is still being told of those who are gone: a loop keeps no hold of its tasks."""


@router.get("/review/live")
async def follow_queue(visitor: SignedIn) -> StreamingResponse:
    """Say when a task that the visitor sees has changed."""
    visitor.caller.require("task.read")
    return _stream(_of_queue(visitor))


@router.get("/review/{task_id}/live")
async def follow_task(request: Request, visitor: SignedIn, task_id: str) -> StreamingResponse:
    """Say what happens to a task after the version that a page shows, and who else looks at it."""
    visitor.caller.require("task.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
    # A browser that lost the line says itself how far it was.
    seen = request.headers.get("Last-Event-ID") or request.query_params.get("after", "")
    after = int(seen) if seen.isdecimal() and len(seen) < 19 else await streams.newest_number()
    return _stream(_of_task(visitor, task.id, after))


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=_HEADERS)


async def _of_queue(visitor: Visitor) -> AsyncIterator[str]:
    looked, spoke, told = await streams.newest_number(), monotonic(), 0.0
    yield f"retry: {streams.RETRY_MILLISECONDS}\n\n"
    async for newest in _beats():
        if newest > looked and monotonic() - told >= QUEUE_SECONDS:
            if await _concerns(visitor, looked):
                yield _event("changed", {})
                told = spoke = monotonic()
            looked = newest
        elif monotonic() - spoke >= streams.HEARTBEAT_SECONDS:
            spoke = monotonic()
            yield ": still there\n\n"


async def _concerns(visitor: Visitor, after: int) -> bool:
    query = visible(Activity, visitor.caller).where(
        col(Activity.number) > after, col(Activity.task_id).is_not(None)
    )
    async with database().reading() as session:
        return (await session.execute(query.limit(1))).first() is not None


async def _of_task(visitor: Visitor, task_id: UUID, after: int) -> AsyncIterator[str]:
    viewer = (task_id, visitor.name)
    _viewers[viewer] += 1
    try:
        looked, spoke, others = -1, monotonic(), [""]
        told = asked = float("-inf")
        yield f"retry: {streams.RETRY_MILLISECONDS}\n\n"
        async for newest in _beats():
            if monotonic() - told >= RENEWED_EVERY.total_seconds():
                told = monotonic()
                if not await _tell_present(*viewer):
                    return
            if monotonic() - asked >= HERE_SECONDS:
                asked = monotonic()
                async with database().reading() as session:
                    names = await present(session, task_id)
                if (now_here := [name for name in names if name != visitor.name]) != others:
                    others, spoke = now_here, monotonic()
                    yield _event("here", {"others": others})
            if newest > looked:
                looked = newest
                for row in await _after(visitor, task_id, after):
                    after, spoke = row.number or after, monotonic()
                    if row.type not in _SILENT:
                        yield _event("happened", _told(row, visitor), str(after))
            if monotonic() - spoke >= streams.HEARTBEAT_SECONDS:
                spoke = monotonic()
                yield ": still there\n\n"
    finally:
        _viewers[viewer] -= 1
        if not _viewers[viewer]:
            del _viewers[viewer]
            # Not here: the reader is gone, and with it what would wait.
            leaving = asyncio.create_task(_tell_gone(*viewer))
            _leaving.add(leaving)
            leaving.add_done_callback(_leaving.discard)


async def _tell_present(task_id: UUID, name: str) -> bool:
    try:
        async with database().writing() as session:
            await tell_present(session, task_id, name)
    except IntegrityError:
        return False  # its task was deleted meanwhile
    return True


async def _tell_gone(task_id: UUID, name: str) -> None:
    async with database().writing() as session:
        await tell_gone(session, task_id, name)


async def _after(visitor: Visitor, task_id: UUID, after: int) -> list[Activity]:
    of_task = col(Activity.task_id) == task_id
    query = visible_among(Activity, visitor.caller, of_task, col(Activity.number) > after)
    async with database().reading() as session:
        found = await session.execute(query.order_by(col(Activity.number)).limit(streams.BATCH))
        return list(found.scalars())


def _told(row: Activity, visitor: Visitor) -> dict[str, Any]:
    return {
        "type": row.type,
        "what": activity_words(row.type),
        "who": row.actor,
        "mine": row.actor == visitor.name,
    }


async def _beats() -> AsyncIterator[int]:
    """The number of the newest event, every half second, for as long as a stream lasts."""
    began = monotonic()
    while not streams.is_stopping() and monotonic() - began < streams.LIFETIME_SECONDS:
        yield await streams.newest_number()
        await asyncio.sleep(streams.LOOK_SECONDS)


def _event(name: str, data: dict[str, Any], id_: str = "") -> str:
    id_line = f"id: {id_}\n" if id_ else ""
    return f"{id_line}event: {name}\ndata: {json.dumps(data)}\n\n"


async def last_number(session: Any, task_id: UUID) -> int:
    """The number of the last thing that happened to a task, from which its page goes on."""
    query = select(func.max(col(Activity.number))).where(col(Activity.task_id) == task_id)
    return (await session.execute(query)).scalar_one() or 0
