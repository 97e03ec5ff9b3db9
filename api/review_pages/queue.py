"""The queue: the tasks of an organization, those that wait for a person first."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import ColumnElement, and_, func, literal, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import Select
from sqlmodel import col
from starlette.responses import RedirectResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sessions import SignedIn, read_form, text_of
from api.review_pages.words import Mark, sentence, spoken, state_mark, verdict_mark
from flows import verbs
from store.access import Caller, visible
from store.columns import UtcDateTime
from store.database import database
from store.errors import InputError
from store.ids import now
from store.lifecycle import FINAL
from store.models import Project, Task, User
from store.state_counts import Count, count_by_state, count_some
from store.states import State
from store.turn import NO_DUE, TURN_KEYS, WAITS, Key, stretches

router = APIRouter(route_class=PageRoute)

PAGE_SIZE = 50
MOST_PEOPLE = 200
"""How many of those who may hold a task can be chosen."""

SHORT_ID_CHARACTERS = 8
"""How much of a task's code the queue shows; the whole id is in the address and the tooltip."""

ALL = "all"
"""In the place of a state: tasks in any."""

NOTICES = {
    "nothing-waits": "No task waits for you here: all that wait are held by others, or none do.",
    "all-done": "Completed. No other task waits for you.",
}
"""What the address of the queue can make it say; never text from the address itself."""

ME, NOBODY = "me", "nobody"

AGES = {
    "1h": ("an hour", timedelta(hours=1)),
    "1d": ("a day", timedelta(days=1)),
    "7d": ("a week", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
}
"""How old tasks are at least: in the address, as people read it, and as it is."""

DUES = {
    "overdue": ("Overdue", timedelta(0)),
    "1d": ("Within a day", timedelta(days=1)),
    "7d": ("Within a week", timedelta(days=7)),
}
"""When tasks are due at the latest."""

VERDICTS = {"none": "Not judged", "correct": "Correct", "wrong": "Wrong"}
"""What an audit found of the decision on tasks that have ended."""


@dataclass(frozen=True)
class Filter:
    """Which tasks are shown."""

    state: str = State.IN_REVIEW.value
    project: str = ""
    assignee: str = ""
    """`me`, `nobody`, or an actor: who holds a task, or decided on one that has ended."""
    age: str = ""
    due: str = ""
    verdict: str = ""

    @property
    def is_in_turn(self) -> bool:
        """It shows what waits for a person, in the order in which it is given out."""
        return self.state == State.IN_REVIEW

    @property
    def keys(self) -> Sequence[Key]:
        """By which tasks are ordered: by their turn, else by age."""
        if self.is_in_turn:
            return TURN_KEYS
        is_newest_first = self.state == ALL or self.has_ended
        columns = (col(Task.created_at), col(Task.code))
        return [Key(column, is_descending=is_newest_first) for column in columns]

    @property
    def order_words(self) -> str:
        """In which order they are, as people read it."""
        if self.is_in_turn:
            return "by priority, due date and age, the next one first"
        return "newest first" if self.keys[0].is_descending else "oldest first"

    @property
    def has_ended(self) -> bool:
        """Whether it shows tasks of which nobody waits any more."""
        return self.state != ALL and State(self.state) in FINAL

    @property
    def is_narrow(self) -> bool:
        """Whether it asks for more than a state and a project."""
        return bool(self.assignee or self.age or self.due or self.verdict)

    @property
    def query(self) -> dict[str, str]:
        """What of it is in an address or a form."""
        return {name: value for name, value in vars(self).items() if value}

    def href(self, **more: str) -> str:
        """The address of the queue with this filter."""
        query = {**self.query, **more}
        return "/review?" + urlencode({name: value for name, value in query.items() if value})

    def conditions(self, caller: Caller, project_id: UUID | None) -> list[ColumnElement[bool]]:
        """What must be true of the tasks."""
        due = func.coalesce(col(Task.due_at), col(Task.review_due_at))
        wanted: list[ColumnElement[bool] | None] = [
            WAITS if self.is_in_turn else self._of_state(),
            None if project_id is None else col(Task.project_id) == project_id,
            self._of_assignee(caller),
            col(Task.created_at) <= now() - AGES[self.age][1] if self.age else None,
            due <= now() + DUES[self.due][1] if self.due else None,
            self._of_verdict(),
        ]
        return [one for one in wanted if one is not None]

    def _of_state(self) -> ColumnElement[bool] | None:
        return None if self.state == ALL else col(Task.state) == State(self.state)

    def _of_assignee(self, caller: Caller) -> ColumnElement[bool] | None:
        if not self.assignee:
            return None
        who = caller.actor.name if self.assignee == ME else self.assignee
        if self.has_ended:
            decided_by = col(Task.decided_by)
            return decided_by.is_(None) if who == NOBODY else decided_by == who
        until = col(Task.claimed_until)
        if who == NOBODY:
            return or_(until.is_(None), until < now())
        return and_(col(Task.claimed_by) == who, until >= now())

    def _of_verdict(self) -> ColumnElement[bool] | None:
        if not self.verdict:
            return None
        if self.verdict == "none":
            return and_(col(Task.is_correct).is_(None), col(Task.decided_by).is_not(None))
        # `==`: by `IS` SQLite does not see that an index of those that were judged will do.
        return col(Task.is_correct) == (self.verdict == "correct")


class Place(BaseModel):
    """Where in a list a task is: what the list is ordered by."""

    priority: int = Field(default=0, ge=-(2**31), lt=2**31)
    due_at: AwareDatetime | None = None
    created_at: AwareDatetime
    code: str = Field(pattern="^[a-z0-9]{1,32}$")


_OF_AGE: Final = {"created_at", "code"}
"""What a list that is ordered by age alone needs of a place."""


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
    priority: int
    verdict: Mark | None
    """What an audit found, of a task that has ended."""
    decided_by: str


@router.get("/review")
async def show_queue(request: Request, visitor: SignedIn) -> Response:
    """The tasks in one state, a page at a time."""
    visitor.caller.require("task.read")
    shown = _filter(request)
    async with database().reading() as session:
        projects = await _projects(session, visitor.caller)
        project_id = _project_id(projects, shown)
        counts = await count_by_state(session, visitor.caller, project_id)
        conditions = shown.conditions(visitor.caller, project_id)
        query = visible(Task, visitor.caller).where(*conditions)
        total = await count_some(session, query) if shown.is_narrow else None
        tasks, previous, following = await _page(session, query, shown, request)
        people = await _people(session, visitor)
    names = {id_: name for name, id_ in projects.items()}
    return render(
        request,
        "queue.html",
        filter=shown,
        projects=sorted(projects),
        tabs=_tabs(shown, counts),
        total=total,
        people=people,
        ages=AGES,
        dues=DUES,
        verdicts=VERDICTS,
        can_edit=visitor.caller.may("task.edit"),
        rows=[_row(task, names, visitor) for task in tasks],
        caption=f"Tasks, {shown.order_words}",
        empty=_empty(shown),
        previous=shown.href(before=previous) if previous else "",
        next=shown.href(after=following) if following else "",
        page_size=PAGE_SIZE,
        notice=_notice(request),
    )


@router.post("/review/next")
async def open_next(request: Request, visitor: SignedIn) -> Response:
    """Claim the task whose turn it is and go there."""
    visitor.caller.require("task.edit")
    project = text_of(await read_form(request))["project"]
    task = await verbs.next_task(visitor.caller, project or None)
    if task is None:
        shown = Filter(project=project)
        return RedirectResponse(shown.href(notice="nothing-waits"), status_code=303)
    query = f"?{urlencode({'project': project})}" if project else ""
    return RedirectResponse(f"/review/{task.public_id}{query}", status_code=303)


def _filter(request: Request) -> Filter:
    return read_filter(request.query_params)


def read_filter(sent: Mapping[str, str]) -> Filter:
    """The filter in an address or a form.

    Raises:
        InputError: it names what there is not.
    """
    state = sent.get("state") or State.IN_REVIEW.value
    if state != ALL and state not in set(State):
        raise InputError("There is no such state.", state=state)
    for name, known in (("age", AGES), ("due", DUES), ("verdict", VERDICTS)):
        if (value := sent.get(name, "")) and value not in known:
            raise InputError(f"There is no such filter: {name}.", **{name: value})
    names = ("project", "assignee", "age", "due", "verdict")
    return Filter(state, *(sent.get(name, "") for name in names))


def _notice(request: Request) -> str:
    """What the address makes the page say; of its own text only whole numbers are shown."""
    sent = request.query_params
    done, refused = sent.get("done", ""), sent.get("refused", "")
    if sent.get("notice") in DONE and re.fullmatch(r"\d{1,4} \d{1,4}", f"{done} {refused}"):
        tasks = "task" if int(done) == 1 else "tasks"
        said = f"{int(done)} {tasks} {DONE[sent['notice']]}."
        if int(refused):
            said += f" {int(refused)} not: others hold them, or they do not wait any more."
        return said
    return NOTICES.get(sent.get("notice", ""), "")


DONE = {"claim": "claimed", "release": "released", "discard": "discarded"}
"""What was done with several tasks at once."""


async def _people(session: AsyncSession, visitor: SignedIn) -> list[str]:
    query = visible(User, visitor.caller).with_only_columns(col(User.email))
    found = (await session.execute(query.order_by(col(User.email)).limit(MOST_PEOPLE))).scalars()
    return [email for email in found if email != visitor.name]


async def _projects(session: AsyncSession, caller: Caller) -> dict[str, UUID]:
    query = visible(Project, caller)
    return {project.name: project.id for project in (await session.execute(query)).scalars()}


def _project_id(projects: dict[str, UUID], shown: Filter) -> UUID | None:
    if shown.project and shown.project not in projects:
        raise InputError("There is no such project.", project=shown.project)
    return projects.get(shown.project)


async def _page(
    session: AsyncSession, query: Select[tuple[Task]], shown: Filter, request: Request
) -> tuple[list[Task], str, str]:
    """One page of tasks, and the cursors of the pages before and after it.

    By keyset: the thousandth page costs what the first costs, and a task that is done
    meanwhile moves no other one from page to page.
    """
    after, before = request.query_params.get("after"), request.query_params.get("before")
    cursor = before or after or ""
    edge = _read_cursor(cursor, shown) if cursor else ()
    found: list[Task] = []
    for part in stretches(shown.keys, edge, backwards=bool(before)):
        part_of = query.where(*part.conditions).order_by(*part.order)
        left = PAGE_SIZE + 1 - len(found)
        found += (await session.execute(part_of.limit(left))).scalars()
        if len(found) > PAGE_SIZE:
            break
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
        _write_cursor(tasks[0], shown) if has_previous else "",
        _write_cursor(tasks[-1], shown) if has_next else "",
    )


def _write_cursor(task: Task, shown: Filter) -> str:
    place = Place(
        priority=task.priority,
        due_at=task.due_at,
        created_at=task.created_at,
        code=task.code,
    )
    of = {"priority", "due_at", *_OF_AGE} if shown.is_in_turn else _OF_AGE
    return base64.urlsafe_b64encode(place.model_dump_json(include=of).encode()).decode()


def _read_cursor(cursor: str, shown: Filter) -> Sequence[Any]:
    """The place in the list that a cursor names, a value for each key."""
    try:
        place = Place.model_validate_json(base64.urlsafe_b64decode(cursor))
    except (binascii.Error, ValueError):
        raise InputError("This address is damaged. Start again at the queue.") from None
    by_age = [literal(place.created_at, UtcDateTime()), place.code]
    if not shown.is_in_turn:
        return by_age
    due = literal(place.due_at, UtcDateTime()) if place.due_at else NO_DUE
    return [place.priority, due, *by_age]


def _tabs(shown: Filter, counts: Mapping[State, Count]) -> list[dict[str, Any]]:
    # What waits for a person is always there; a state without tasks is not worth a tab.
    states = [s for s in State if counts.get(s) or s is State.IN_REVIEW or s == shown.state]
    states.sort(key=lambda state: state is not State.IN_REVIEW)
    tabs = [(state.value, spoken(state.value), counts.get(state, Count())) for state in states]
    return [
        {
            "word": word,
            "count": str(count),
            "href": Filter(value, shown.project).href(),
            "is_current": value == shown.state,
        }
        for value, word, count in [*tabs, (ALL, "All", sum(counts.values(), Count()))]
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
        due_at=None if task.state in FINAL else _due_at(task),
        holder="you" if holder == visitor.name else holder,
        priority=task.priority,
        verdict=verdict_mark(task) if task.state in FINAL else None,
        decided_by=task.decided_by or "" if task.state in FINAL else "",
    )


def _due_at(task: Task) -> datetime | None:
    """When its sender wants it, or else when the time for it is over."""
    return task.due_at or task.review_due_at or task.deadline_at


def _empty(shown: Filter) -> dict[str, str]:
    if shown.state == State.IN_REVIEW and not shown.is_narrow:
        return {
            "heading": "Nothing waits for review",
            "text": "Tasks appear here as soon as one needs a person.",
        }
    return {
        "heading": "No tasks here",
        "text": "Choose another state or filter above.",
    }
