"""The queue: the tasks of an organization, those that wait for a person first."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import Select
from sqlmodel import col
from starlette.responses import RedirectResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sessions import SignedIn, read_form, text_of
from api.review_pages.words import Mark, sentence, spoken, state_mark
from flows import verbs
from store.access import Caller, visible
from store.columns import UtcDateTime
from store.database import database
from store.errors import InputError
from store.lifecycle import FINAL
from store.models import Project, Task
from store.states import State

router = APIRouter(route_class=PageRoute)

PAGE_SIZE = 50
SHORT_ID_CHARACTERS = 8
"""How much of a task's code the queue shows; the whole id is in the address and the tooltip."""

ALL = "all"
"""In the place of a state: tasks in any."""

NOTICES = {
    "nothing-waits": "No task waits for you here: all that wait are held by others, or none do.",
}
"""What the address of the queue can make it say; never text from the address itself."""


@dataclass(frozen=True)
class Filter:
    """Which tasks are shown."""

    state: str
    project: str

    @property
    def is_newest_first(self) -> bool:
        """Work is shown oldest first, since that is next; what has ended newest first."""
        return self.state == ALL or State(self.state) in FINAL

    def href(self, **more: str) -> str:
        """The address of the queue with this filter."""
        query = {"state": self.state, "project": self.project, **more}
        return "/review?" + urlencode({name: value for name, value in query.items() if value})


@dataclass(frozen=True)
class Row:
    """A task as the queue shows it."""

    public_id: str
    short_id: str
    name: str
    project: str
    mark: Mark
    reason: str
    created_at: datetime
    due_at: datetime | None
    holder: str


@router.get("/review")
async def show_queue(request: Request, visitor: SignedIn) -> Response:
    """The tasks in one state, a page at a time."""
    visitor.caller.require("task.read")
    shown = _filter(request)
    async with database().reading() as session:
        projects = await _projects(session, visitor.caller)
        counts = await _counts(session, visitor.caller, _project_id(projects, shown))
        query = _query(visitor.caller, shown, projects)
        tasks, previous, following = await _page(session, query, shown, request)
    names = {id_: name for name, id_ in projects.items()}
    return render(
        request,
        "queue.html",
        filter=shown,
        projects=sorted(projects),
        tabs=_tabs(shown, counts),
        rows=[_row(task, names, visitor) for task in tasks],
        caption=f"Tasks, {'newest' if shown.is_newest_first else 'oldest'} first",
        empty=_empty(shown),
        previous=shown.href(before=previous) if previous else "",
        next=shown.href(after=following) if following else "",
        page_size=PAGE_SIZE,
        notice=NOTICES.get(request.query_params.get("notice", ""), ""),
    )


@router.post("/review/next")
async def open_next(request: Request, visitor: SignedIn) -> Response:
    """Claim the task that waits longest and go there."""
    visitor.caller.require("task.edit")
    project = text_of(await read_form(request))["project"]
    task = await verbs.next_task(visitor.caller, project or None)
    if task is None:
        shown = Filter(State.IN_REVIEW.value, project)
        return RedirectResponse(shown.href(notice="nothing-waits"), status_code=303)
    return RedirectResponse(f"/review/{task.public_id}", status_code=303)


def _filter(request: Request) -> Filter:
    state = request.query_params.get("state") or State.IN_REVIEW.value
    if state != ALL and state not in set(State):
        raise InputError("There is no such state.", state=state)
    return Filter(state, request.query_params.get("project", ""))


async def _projects(session: AsyncSession, caller: Caller) -> dict[str, UUID]:
    query = visible(Project, caller)
    return {project.name: project.id for project in (await session.execute(query)).scalars()}


def _project_id(projects: dict[str, UUID], shown: Filter) -> UUID | None:
    if shown.project and shown.project not in projects:
        raise InputError("There is no such project.", project=shown.project)
    return projects.get(shown.project)


async def _counts(
    session: AsyncSession, caller: Caller, project_id: UUID | None
) -> dict[State, int]:
    query = visible(Task, caller)
    if project_id is not None:
        query = query.where(col(Task.project_id) == project_id)
    counted = query.with_only_columns(col(Task.state), func.count()).group_by(col(Task.state))
    return {State(state): int(number) for state, number in await session.execute(counted)}


def _query(caller: Caller, shown: Filter, projects: dict[str, UUID]) -> Select[tuple[Task]]:
    query = visible(Task, caller)
    if shown.state != ALL:
        query = query.where(col(Task.state) == State(shown.state))
    if (project_id := _project_id(projects, shown)) is not None:
        query = query.where(col(Task.project_id) == project_id)
    return query


async def _page(
    session: AsyncSession, query: Select[tuple[Task]], shown: Filter, request: Request
) -> tuple[list[Task], str, str]:
    """One page of tasks, and the cursors of the pages before and after it.

    By keyset: the thousandth page costs what the first costs, and a task that is done
    meanwhile moves no other one from page to page.
    """
    after, before = request.query_params.get("after"), request.query_params.get("before")
    place = tuple_(col(Task.created_at), col(Task.id))
    # Backwards, the page is read in the other direction and turned round.
    is_descending = shown.is_newest_first != bool(before)
    if cursor := before or after:
        edge = _read_cursor(cursor)
        query = query.where(place < edge if is_descending else place > edge)
    columns = (col(Task.created_at), col(Task.id))
    query = query.order_by(*(c.desc() if is_descending else c.asc() for c in columns))
    found = list((await session.execute(query.limit(PAGE_SIZE + 1))).scalars())
    has_more = len(found) > PAGE_SIZE
    tasks = found[:PAGE_SIZE]
    if before:
        tasks.reverse()
    if not tasks:
        return [], "", ""
    has_previous = has_more if before else bool(after)
    has_next = True if before else has_more
    return (
        tasks,
        _write_cursor(tasks[0]) if has_previous else "",
        _write_cursor(tasks[-1]) if has_next else "",
    )


def _write_cursor(task: Task) -> str:
    text = f"{task.created_at.isoformat()} {task.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> Any:
    try:
        moment, _, id_ = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        return tuple_(literal(datetime.fromisoformat(moment), UtcDateTime()), literal(UUID(id_)))
    except (binascii.Error, ValueError):
        raise InputError("This address is damaged. Start again at the queue.") from None


def _tabs(shown: Filter, counts: dict[State, int]) -> list[dict[str, Any]]:
    # What waits for a person is always there; a state without tasks is not worth a tab.
    states = [s for s in State if counts.get(s) or s is State.IN_REVIEW or s == shown.state]
    states.sort(key=lambda state: state is not State.IN_REVIEW)
    tabs = [(state.value, spoken(state.value), counts.get(state, 0)) for state in states]
    return [
        {
            "word": word,
            "count": f"{count:,}",
            "href": Filter(value, shown.project).href(),
            "is_current": value == shown.state,
        }
        for value, word, count in [*tabs, (ALL, "All", sum(counts.values()))]
    ]


def _row(task: Task, projects: dict[UUID, str], visitor: SignedIn) -> Row:
    holder = verbs.holder(task) or ""
    return Row(
        public_id=task.public_id,
        short_id=task.code[:SHORT_ID_CHARACTERS],
        name=task.name or spoken(task.operation),
        # A task may be seen by whom its project is not, and stays when that is deleted.
        project=projects.get(task.project_id, "") if task.project_id else "",
        mark=state_mark(task.state),
        reason=sentence(task.review_reason) if task.state is State.IN_REVIEW else "",
        created_at=task.created_at,
        due_at=task.review_due_at or (None if task.state in FINAL else task.deadline_at),
        holder="you" if holder == visitor.name else holder,
    )


def _empty(shown: Filter) -> dict[str, str]:
    if shown.state == State.IN_REVIEW:
        return {
            "heading": "Nothing waits for review",
            "text": "Tasks appear here as soon as one needs a person.",
        }
    return {
        "heading": "No tasks here",
        "text": "Choose another state or project above.",
    }
