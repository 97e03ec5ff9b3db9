"""Acts on deadlines: of the whole task, of its wait for a person, of a client that fetches it."""

import logging
from collections.abc import Sequence
from datetime import timedelta

from prefect import flow
from sqlalchemy import ColumnElement, select
from sqlmodel import col

from flows.outbox import changing
from flows.verbs import complete, discard, end_task, return_export
from store.access import Caller
from store.database import database
from store.errors import ConflictError, FieldsInvalidError
from store.finding import project_file_of
from store.ids import now
from store.lifecycle import FINAL
from store.models import Task
from store.states import Actor, Event, State

log = logging.getLogger("papertray.expire")

EXPIRE = Actor("expire", "system")

RUNNING_GRACE_SECONDS = 60.0
"""A running task times out by its own clock; one that did not, by so much later, here."""


@flow(name="expire")
async def expire() -> None:
    """End the tasks whose time is over, as their project says."""
    await expire_once()


async def expire_once() -> int:
    """End the tasks whose time is over; answers how many."""
    at = now()
    grace = at - timedelta(seconds=RUNNING_GRACE_SECONDS)
    # Each is found in an index that has few rows, whatever else is there: those that have not
    # ended, that somebody holds, that wait for a person.
    is_open = col(Task.finished_at).is_(None)
    is_held = col(Task.claimed_by).is_not(None)
    async with database().reading() as session:

        async def found(*conditions: ColumnElement[bool]) -> Sequence[Task]:
            return (await session.execute(select(Task).where(*conditions))).scalars().all()

        over = [
            task
            for task in await found(is_open, col(Task.deadline_at) < at)
            if task.state not in FINAL
            and task.deadline_at is not None
            and (task.state is not State.RUNNING or task.deadline_at < grace)
        ]
        ending = {task.id for task in over}
        lapsed = await found(
            is_held, col(Task.state) == State.EXPORTING, col(Task.claimed_until) < at
        )
        unseen = await found(col(Task.state) == State.IN_REVIEW, col(Task.review_due_at) < at)
    lapsed, unseen = ([one for one in some if one.id not in ending] for some in (lapsed, unseen))
    for task in lapsed:
        await _give_back(task)
    for task in over:
        await _time_out(task, "deadline of the task")
    for task in unseen:
        await _act_as_the_project_says(task)
    return len(lapsed) + len(over) + len(unseen)


async def _act_as_the_project_says(task: Task) -> None:
    async with database().reading() as session:
        project = await project_file_of(session, task)
    caller = Caller(task.organization_id, EXPIRE)
    if project.review.then == "time_out":
        await _time_out(task, "deadline of the review")
        return
    try:
        if project.review.then == "complete":
            await complete(caller, task.public_id, note="deadline of the review")
        else:
            await discard(caller, task.public_id, reason="deadline of the review")
    except FieldsInvalidError:
        await _time_out(task, "deadline of the review; the data is not valid")
    except ConflictError:
        log.info("%s was decided in the last moment", task.public_id)


async def _give_back(task: Task) -> None:
    """Let a task whose client went silent wait for the next."""
    async with database().writing() as session:
        current = await session.get_one(Task, task.id, with_for_update=True)
        if current.version == task.version:
            caller = Caller(task.organization_id, EXPIRE)
            await return_export(session, caller, current, reason="the time for it is over")


async def _time_out(task: Task, reason: str) -> None:
    async with changing() as session:
        current = await session.get_one(Task, task.id, with_for_update=True)
        if current.state in FINAL or current.version != task.version:
            return
        await end_task(
            session, current, Event.TIME_OUT, Caller(task.organization_id, EXPIRE), reason=reason
        )
