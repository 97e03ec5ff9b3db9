"""/metrics: figures for Prometheus."""

import asyncio
from datetime import datetime
from time import monotonic
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from sqlmodel import col

from api.problems import described
from flows.heartbeat import living_workers
from store.database import database
from store.errors import UnavailableError
from store.ids import now
from store.models import Delivery, Outbox, StateCount, Task
from store.states import State

router = APIRouter(tags=["server"])

REMEMBERED_SECONDS: Final = 5.0
"""How old figures may be: who asks in a loop does not count all tasks each time."""

_turn = asyncio.Lock()
_last: tuple[float, bytes] = (float("-inf"), b"")


@router.get(
    "/metrics",
    response_class=Response,
    summary="Show figures for Prometheus",
    responses={
        200: {
            "description": "The figures, as Prometheus reads them.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'papertray_tasks{state="in_review"} 8.0\n',
                }
            },
        },
        **described(UnavailableError),
    },
)
async def show_figures() -> Response:
    """Show how many tasks are where, and what waits to be done for them.

    Numbers only, of all organizations together. No key is needed: where strangers reach this
    server, let the proxy before it keep this address to itself.
    """
    global _last
    async with _turn:
        at, shown = _last
        if monotonic() - at >= REMEMBERED_SECONDS:
            shown = await _figures()
            _last = (monotonic(), shown)
    return Response(shown, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _figures() -> bytes:
    registry = CollectorRegistry()

    def gauge(name: str, meaning: str, value: float) -> None:
        Gauge(f"papertray_{name}", meaning, registry=registry).set(value)

    state = col(StateCount.state)
    tasks = select(state, func.sum(col(StateCount.counted))).group_by(state)
    calls = select(func.count(), func.min(col(Outbox.created_at)))
    waiting = select(func.count(), func.min(col(Delivery.created_at)))
    waiting = waiting.where(col(Delivery.due_at).is_not(None))
    held = select(func.count()).where(
        col(Task.state) == State.IN_REVIEW, col(Task.claimed_until) >= now()
    )
    async with database().reading() as session:
        counts = dict((await session.execute(tasks)).tuples().all())
        call_count, oldest_call = (await session.execute(calls)).one()
        delivery_count, oldest_delivery = (await session.execute(waiting)).one()
        held_count = (await session.execute(held)).scalar_one()
    by_state = Gauge("papertray_tasks", "Tasks, by state.", ["state"], registry=registry)
    for one in State:
        by_state.labels(state=one.value).set(int(counts.get(one.value, 0)))
    gauge("tasks_held", "Tasks in review that somebody holds.", held_count)
    gauge("prefect_calls_waiting", "Calls to Prefect that are still to be made.", call_count)
    gauge("prefect_calls_oldest_seconds", "How long the oldest of them waits.", _age(oldest_call))
    gauge("deliveries_waiting", "Events that receivers are still to be told of.", delivery_count)
    gauge("deliveries_oldest_seconds", "How long the oldest of them waits.", _age(oldest_delivery))
    gauge("workers", "Workers that were heard of just now.", len(await living_workers()))
    return generate_latest(registry)


def _age(at: datetime | None) -> float:
    return 0.0 if at is None else max(0.0, (now() - at).total_seconds())
