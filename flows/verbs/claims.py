"""Who holds a task that waits."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import REVIEW, Caller, require_step, sees_task, visible
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    IllegalTransitionError,
    InputError,
    NotClaimedError,
)
from store.finding import find_project, find_task, find_user
from store.ids import now
from store.keys import caller_of_user
from store.lifecycle import amend
from store.models import Task
from store.settings import settings
from store.states import State
from store.turn import TURN_KEYS, WAITS

LEFT_FOR: Final = timedelta(seconds=15)
"""How long a task is held on by who has left its page: long enough to come back to it, as by
loading it anew, and no longer, since others wait for it."""

_FRESH: Final = 0.9
"""The share of a lease that is left of one which needs no renewal yet."""

HANDED_OVER_FOR: Final = timedelta(days=1)
"""How long a task that was handed over is held: who gets it may not be at the desk."""


async def claim(caller: Caller, public_id: str) -> Task:
    """Hold a task that waits, for the length of the lease; claiming again renews it.

    Raises:
        AlreadyClaimedError: another holds it.
        IllegalTransitionError: it does not wait for a person.
        ForbiddenError: the caller collaborates on other steps of it.
    """
    async with database().writing() as session:
        task = await find_task_to_review(session, caller, public_id)
        return await _claim(session, caller, task)


async def start_review(caller: Caller, public_id: str) -> Task:
    """Hold a task that waits and that nobody holds, the caller included.

    Raises:
        AlreadyClaimedError: somebody holds it.
        IllegalTransitionError: it does not wait for a person.
        ForbiddenError: the caller collaborates on other steps of it.
    """
    async with database().writing() as session:
        task = await find_task_to_review(session, caller, public_id)
        if holder(task) is not None:
            raise AlreadyClaimedError("You hold the task already. Complete it or give it back.")
        return await _claim(session, caller, task)


async def must_hold_review(caller: Caller, public_id: str) -> None:
    """Go on only if the task waits for a person, and the caller holds it.

    Raises:
        IllegalTransitionError: it does not wait for a person.
        AlreadyDecidedError: it did, and somebody has decided.
        NotClaimedError: the caller does not hold it.
    """
    async with database().reading() as session:
        task = await find_task(session, caller, public_id)
    must_wait(task)
    if holder(task) != caller.actor.name:
        raise NotClaimedError


async def renew(caller: Caller, public_id: str) -> Task:
    """Go on holding a task; what was given back is not taken again.

    One whose lease ran out is, while nobody else has taken it: a machine may have slept.
    It may be asked for at any time: a lease of which little is gone stays as it is.

    Raises:
        NotClaimedError: the caller does not hold it.
        AlreadyClaimedError: another does.
        IllegalTransitionError: it does not wait for a person any more.
    """
    async with database().writing() as session:
        task = await find_task_to_review(session, caller, public_id)
        if task.claimed_by != caller.actor.name:
            raise NotClaimedError
        lease = timedelta(seconds=settings().claim_lease_seconds)
        if task.claimed_until is not None and task.claimed_until - now() >= lease * _FRESH:
            return task
        return await _claim(session, caller, task)


async def _claim(session: AsyncSession, caller: Caller, task: Task) -> Task:
    until = now() + timedelta(seconds=settings().claim_lease_seconds)
    return await _give(session, caller, task, caller.actor.name, until, "task.claimed")


async def _give(
    session: AsyncSession, caller: Caller, task: Task, to: str, until: datetime, activity: str
) -> Task:
    renewed = holder(task) == to
    if renewed and task.claimed_until is not None:
        until = max(until, task.claimed_until)  # who was handed it for a day keeps it so long
    return await amend(
        session,
        task,
        activity,
        caller.actor,
        data={"to": to} if to != caller.actor.name else None,
        claimed_by=to,
        claimed_until=until,
        claimed_at=task.claimed_at if renewed else now(),
        handling_seconds=task.handling_seconds if renewed else handled_seconds(task),
    )


async def next_task(
    caller: Caller,
    project: str | None = None,
    *,
    held_first: bool = False,
    untouched_first: bool = False,
) -> Task | None:
    """Claim the task whose turn it is; None when there is none for the caller.

    It is the first of the queue (`store/turn.py`).

    Args:
        caller: who wants to decide.
        project: only of this one.
        held_first: give the caller what it holds already, if it holds something.
        untouched_first: what nobody has held yet goes before all that was given back.
    """
    async with database().writing() as session:
        query = await _in_turn(session, caller, project)
        free = query.where(_is_free())
        wanted = [free]
        if untouched_first:
            wanted.insert(0, free.where(col(Task.claimed_at).is_(None)))
        if held_first:
            mine = (col(Task.claimed_until) >= now(), col(Task.claimed_by) == caller.actor.name)
            wanted.insert(0, query.where(*mine))
        for one in wanted:
            found_task = await session.execute(one.with_for_update(skip_locked=True))
            if task := found_task.scalar_one_or_none():
                return await _claim(session, caller, task)
        return None


async def peek_next(
    session: AsyncSession, caller: Caller, project: str | None, but: Task
) -> Task | None:
    """The task that `next_task` would give if it were asked now, beside one; nothing is claimed."""
    query = await _in_turn(session, caller, project)
    query = query.where(_is_free(), col(Task.id) != but.id)
    return (await session.execute(query)).scalar_one_or_none()


async def _in_turn(
    session: AsyncSession, caller: Caller, project: str | None
) -> Select[tuple[Task]]:
    """The first of the tasks that wait for the caller."""
    query = visible(Task, caller).where(WAITS, sees_task(caller, REVIEW))
    if project is not None:
        found, _ = await find_project(session, caller, project)
        query = query.where(col(Task.project_id) == found.id)
    return query.order_by(*(key.direction(backwards=False) for key in TURN_KEYS)).limit(1)


def _is_free() -> ColumnElement[bool]:
    until = col(Task.claimed_until)
    return or_(until.is_(None), until < now())


async def release(caller: Caller, public_id: str) -> Task:
    """Give a claimed task back.

    Raises:
        NotClaimedError: the caller does not hold it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        if holder(task) != caller.actor.name:
            raise NotClaimedError
        return await _set_free(session, caller, task)


async def leave(caller: Caller, public_id: str) -> Task:
    """Stop being at work on a task: what is held is free for others shortly after.

    Nothing happens to what the caller does not hold, nor to what was handed over: who got that
    need not be at it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        soon, lease = now() + LEFT_FOR, timedelta(seconds=settings().claim_lease_seconds)
        until = task.claimed_until
        if holder(task) != caller.actor.name or until is None:
            return task
        if not soon < until <= now() + lease:
            return task
        return await amend(session, task, "task.left", caller.actor, claimed_until=soon)


async def _set_free(session: AsyncSession, caller: Caller, task: Task) -> Task:
    return await amend(
        session,
        task,
        "task.released",
        caller.actor,
        claimed_by=None,
        claimed_until=None,
        handling_seconds=handled_seconds(task),
    )


async def assign(caller: Caller, public_id: str, to: str | None) -> Task:
    """Hand a task that waits over to a person, for a day; or to nobody.

    Args:
        caller: who holds the task, an admin, or anybody while nobody holds it.
        public_id: of the task.
        to: id or e-mail of the person; None: nobody is to hold it.

    Raises:
        IllegalTransitionError: it does not wait for a person.
        AlreadyClaimedError: another holds it, and the caller is no admin.
        NotFoundError: there is no such task, or no such person.
        InputError: the person may not work on the task.
        ForbiddenError: the caller collaborates on other steps of it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        await require_step(session, caller, task, REVIEW)
        must_wait(task)
        if not caller.is_admin:
            must_not_be_held_by_another(caller, task)
        if to is None:
            return await _set_free(session, caller, task) if holder(task) else task
        user = await find_user(session, caller, to)
        other = await caller_of_user(session, user)
        may = visible(Task, other).where(col(Task.id) == task.id, sees_task(other, REVIEW))
        if (await session.execute(may)).first() is None:
            raise InputError("That person may not work on the task.", user=user.email)
        until = now() + HANDED_OVER_FOR
        return await _give(session, caller, task, user.email, until, "task.assigned")


def handled_seconds(task: Task) -> float:
    """How long people have held a task so far, who holds it now included."""
    if holder(task) is None or task.claimed_at is None:
        return task.handling_seconds
    return task.handling_seconds + (now() - task.claimed_at).total_seconds()


def holder(task: Task, at: datetime | None = None) -> str | None:
    """The actor that holds the task; None when nobody does or the lease ran out."""
    if task.claimed_until is None or task.claimed_until < (at or now()):
        return None
    return task.claimed_by


async def find_task_to_review(
    session: AsyncSession, caller: Caller, public_id: str, *, must_hold: bool = False
) -> Task:
    """The task, locked, which waits for a person, of whom the caller may be the one.

    Args:
        session: inside a write transaction.
        caller: who wants to work on it.
        public_id: of the task.
        must_hold: it is not enough that nobody else holds it.
    """
    task = await find_task(session, caller, public_id, lock=True)
    await require_step(session, caller, task, REVIEW)
    must_wait(task)
    must_not_be_held_by_another(caller, task)
    if must_hold and holder(task) is None:
        raise NotClaimedError
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
