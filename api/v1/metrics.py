"""/v1/metrics: how much goes through the queues."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from api.auth import TaskReader
from api.bodies import Text
from api.problems import described
from api.v1 import examples, words
from api.v1.route import V1Route
from flows.metrics import QueueMetrics, queue_metrics
from store.database import database
from store.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from store.finding import find_project
from store.ids import now

router = APIRouter(prefix="/v1/metrics", tags=["metrics"], route_class=V1Route)

Range = Literal["1h", "24h", "7d", "30d", "90d", "365d"]

_LENGTHS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1)}


class Queue(words.Shape):
    """What went through a project."""

    project: str
    number: int
    """Of the project."""
    created: int
    """Tasks that were made."""
    completed: int
    """Tasks that ended well."""
    decided: int
    """Tasks that ended, and on which a person had decided."""
    ended_otherwise: int
    """Discarded, filtered, failed, timed out, canceled."""
    waiting: int
    """Tasks that wait for a person now."""
    waiting_since: datetime | None
    """Since when the one of them waits that waits longest; null: there are none."""
    straight_through: float | None
    """0..1: of the completed ones, how many nobody had to decide; null: none were completed."""
    handling_seconds: float | None
    """Mean time that people held those on which they decided; null: there were none."""
    turnaround_seconds: float | None
    """Mean time from when a task was made to its end; null: none ended."""
    audited: int
    """Of those that ended, how many were judged."""
    accuracy: float | None
    """0..1: of those, how many were decided right; null: none were judged."""


class Queues(words.Shape):
    """What went through the projects in a span of time."""

    range: Range
    data: list[Queue]


_EXAMPLE: Final[dict[str, Any]] = {
    "range": "7d",
    "data": [
        {
            "project": "invoices",
            "number": 79,
            "created": 412,
            "completed": 398,
            "decided": 57,
            "ended_otherwise": 6,
            "waiting": 8,
            "waiting_since": "2026-10-12T07:14:09Z",
            "straight_through": 0.86,
            "handling_seconds": 41.5,
            "turnaround_seconds": 96.2,
            "audited": 20,
            "accuracy": 0.95,
        }
    ],
}


@router.get(
    "/queues",
    summary="Show what went through the queues",
    responses={
        200: examples.answer("A row for each project, by name.", _EXAMPLE),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def show_queues(
    caller: TaskReader,
    range: Annotated[Range, Query(description="How far back, from now.")] = "7d",  # noqa: A002  # the word of the wire
    project: Annotated[Text | None, Query(description="Only this project.")] = None,
) -> Queues:
    """Show volumes, handling time, turnaround and accuracy of each project that the caller sees.

    Tasks count while their records are there (see the retention of the project).
    """
    project_id = None
    if project is not None:
        async with database().reading() as session:
            project_id = (await find_project(session, caller, project))[0].id
    since = now() - int(range[:-1]) * _LENGTHS[range[-1]]
    rows = await queue_metrics(caller, since, project_id)
    return Queues(range=range, data=[_queue(row) for row in rows])


def _queue(row: QueueMetrics) -> Queue:
    named = {"project": row.project.name, "number": row.project.number}
    return Queue.model_validate({**vars(row), **named})
