"""Who holds a task that waits."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    IllegalTransitionError,
    NotClaimedError,
)
from store.finding import (
    find_project,
    find_task,
)
from store.ids import now
from store.lifecycle import amend
from store.models import Task
from store.settings import settings
from store.states import State


async def claim(caller: Caller, public_id: str) -> Task:
    """Hold a task that waits, for the length of the lease; claiming again renews it.

    Raises:
        AlreadyClaimedError: another holds it.
        IllegalTransitionError: it does not wait for a person.
    """
    async with database().writing() as session:
        return await _claim(session, caller, await find_task(session, caller, public_id, lock=True))


async def _claim(session: AsyncSession, caller: Caller, task: Task) -> Task:
    must_wait(task)
    must_not_be_held_by_another(caller, task)
    until = now() + timedelta(seconds=settings().claim_lease_seconds)
    return await amend(
        session,
        task,
        "task.claimed",
        caller.actor,
        claimed_by=caller.actor.name,
        claimed_until=until,
    )


async def next_task(caller: Caller, project: str | None = None) -> Task | None:
    """Claim the task that waits longest and that nobody holds; None when there is none."""
    async with database().writing() as session:
        query = visible(Task, caller).where(
            col(Task.state) == State.IN_REVIEW,
            col(Task.claimed_until).is_(None) | (col(Task.claimed_until) < now()),
        )
        if project is not None:
            found, _ = await find_project(session, caller, project)
            query = query.where(col(Task.project_id) == found.id)
        query = query.order_by(col(Task.created_at), col(Task.id)).limit(1)
        task = (await session.execute(query.with_for_update(skip_locked=True))).scalar_one_or_none()
        return await _claim(session, caller, task) if task else None


async def release(caller: Caller, public_id: str) -> Task:
    """Give a claimed task back.

    Raises:
        NotClaimedError: the caller does not hold it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        if holder(task) != caller.actor.name:
            raise NotClaimedError
        return await amend(
            session, task, "task.released", caller.actor, claimed_by=None, claimed_until=None
        )


def holder(task: Task, at: datetime | None = None) -> str | None:
    """The actor that holds the task; None when nobody does or the lease ran out."""
    if task.claimed_until is None or task.claimed_until < (at or now()):
        return None
    return task.claimed_by


async def find_task_to_review(session: AsyncSession, caller: Caller, public_id: str) -> Task:
    """The task, locked, which waits for a person, of whom the caller may be the one."""
    task = await find_task(session, caller, public_id, lock=True)
    must_wait(task)
    must_not_be_held_by_another(caller, task)
    return task


def must_wait(task: Task) -> None:
    """Go on only if the task waits for a person.

    Raises:
        AlreadyDecidedError: it did, and somebody has decided.
        IllegalTransitionError: it does not.
    """
    if task.state is State.IN_REVIEW:
        return
    if task.decision and task.decision["round"] == task.review_round and task.review_round:
        raise AlreadyDecidedError(
            f"The review was decided already: {task.decision['decision']}. Read the task again.",
            state=task.state.value,
            version=task.version,
        )
    raise IllegalTransitionError(
        f"The task is {task.state.value}; it does not wait for a person.",
        state=task.state.value,
        version=task.version,
    )


def must_not_be_held_by_another(caller: Caller, task: Task) -> None:
    """Go on only if the caller holds the task, or nobody.

    Raises:
        AlreadyClaimedError: another holds it.
    """
    if holder(task) not in {None, caller.actor.name}:
        raise AlreadyClaimedError(
            claimed_until=task.claimed_until.isoformat() if task.claimed_until else None
        )
