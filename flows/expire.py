"""Acts on deadlines: of the whole task, of its wait for a person, of a client that fetches it."""

import logging
from datetime import timedelta

from prefect import flow
from sqlalchemy import select
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
    grace = now() - timedelta(seconds=RUNNING_GRACE_SECONDS)
    async with database().reading() as session:
        over = (
            (
                await session.execute(
                    select(Task).where(
                        col(Task.state).not_in({*FINAL, State.RUNNING}),
                        col(Task.deadline_at) < now(),
                    )
                )
            )
            .scalars()
            .all()
        )
        stuck = (
            (
                await session.execute(
                    select(Task).where(
                        col(Task.state) == State.RUNNING, col(Task.deadline_at) < grace
                    )
                )
            )
            .scalars()
            .all()
        )
        lapsed = (
            (
                await session.execute(
                    select(Task).where(
                        col(Task.state) == State.EXPORTING,
                        col(Task.claimed_until) < now(),
                        col(Task.deadline_at) >= now(),
                    )
                )
            )
            .scalars()
            .all()
        )
        unseen = (
            (
                await session.execute(
                    select(Task).where(
                        col(Task.state) == State.IN_REVIEW,
                        col(Task.review_due_at) < now(),
                        col(Task.deadline_at) >= now(),
                    )
                )
            )
            .scalars()
            .all()
        )
    for task in lapsed:
        await _give_back(task)
    for task in [*over, *stuck]:
        await _time_out(task, "deadline of the task")
    for task in unseen:
        await _act_as_the_project_says(task)
    return len(lapsed) + len(over) + len(stuck) + len(unseen)


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
