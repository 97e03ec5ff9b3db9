"""/v1/events: what happened."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlmodel import col

from api.auth import TaskReader
from api.bodies import Text
from api.problems import described
from api.v1 import examples, words
from api.v1.lists import EVENTS, From, Listed, Take
from api.v1.route import V1Route
from store.activity import EVENT_TYPES
from store.database import database
from store.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from store.models import Activity

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=V1Route)


@router.get(
    "",
    summary="List events",
    responses={
        200: examples.answer("A page of events.", examples.listed(examples.EVENT, "events")),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def list_events(
    request: Request,
    caller: TaskReader,
    take: Take = 20,
    start: From = None,
    type: Annotated[  # noqa: A002  # the word of the wire
        list[Text] | None, Query(description="Only events of this type, or one of these.")
    ] = None,
) -> Listed[words.Event]:
    """List what happened to files and tasks, the newest first.

    Types: `file.created`, `file.deleted`, `task.created`, `task.deleted`, `task.completed`,
    `task.failed`, `task.in_review`, `task.claimed`, `task.released`, `task.reported`,
    `task.canceled`, `task.timed_out`, `task.discarded`, `task.filtered`, `task.unlocked`,
    `task.exported`.
    """
    wanted = set(EVENT_TYPES) & set(type or EVENT_TYPES)
    async with database().reading() as session:
        rows, links = await EVENTS.page(
            session, caller, request, take, start, col(Activity.type).in_(sorted(wanted))
        )
    return Listed(data=[words.event_of(row) for row in rows], links=links)
