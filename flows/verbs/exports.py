"""What a client does that fetches the files of a task: start, complete, cancel, fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.outbox import changing, enqueue
from flows.verbs.claims import holder
from flows.verbs.ends import end_task
from flows.waits import pickup_key
from store.access import EXPORT, Caller, require_step
from store.database import database
from store.errors import ExportFailedError, IllegalTransitionError, NotClaimedError
from store.finding import documents_of, find_task
from store.ids import now
from store.lifecycle import advance
from store.models import Document, File, OutboxKind, Task
from store.settings import settings
from store.states import Event, State


@dataclass(frozen=True)
class Offer:
    """What a client fetches."""

    task: Task
    files: Sequence[File]
    """In the order in which they were made."""
    documents: Sequence[Document]
    """None where the task has data."""


async def start_export(caller: Caller, public_id: str) -> Offer:
    """Take a task that waits for a client, for the length of the lease, to fetch its files.

    Raises:
        IllegalTransitionError: it does not wait for a client, or one is on it.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        await require_step(session, caller, task, EXPORT)
        if task.state is State.EXPORTING and holder(task) is None:
            task = await return_export(session, caller, task, reason="the time for it is over")
        task = await advance(
            session,
            task,
            Event.TAKE_EXPORT,
            caller.actor,
            claimed_by=caller.actor.name,
            claimed_until=now() + timedelta(seconds=settings().claim_lease_seconds),
        )
        made = select(File).where(col(File.task_id) == task.id).order_by(col(File.created_at))
        return Offer(
            task,
            (await session.execute(made)).scalars().all(),
            await documents_of(session, task),
        )


async def complete_export(caller: Caller, public_id: str) -> Task:
    """Say that the files are fetched; the task goes on.

    Raises:
        IllegalTransitionError: no client is on the task.
        NotClaimedError: another is.
    """
    async with changing() as session:
        task = await _find_task_of(session, caller, public_id)
        task = await advance(
            session,
            task,
            Event.CONFIRM_EXPORT,
            caller.actor,
            exported_at=now(),
            export_failed_at=None,
        )
        enqueue(session, OutboxKind.RESUME, task, key=pickup_key(task), decision="complete")
        return task


async def cancel_export(caller: Caller, public_id: str) -> Task:
    """Give a task back without its files; it waits for a client again.

    Raises:
        IllegalTransitionError: no client is on the task.
        NotClaimedError: another is.
    """
    async with database().writing() as session:
        task = await _find_task_of(session, caller, public_id)
        return await return_export(session, caller, task)


async def return_export(
    session: AsyncSession, caller: Caller, task: Task, *, reason: str = ""
) -> Task:
    """Let a task wait for a client again."""
    return await advance(
        session,
        task,
        Event.RETURN_EXPORT,
        caller.actor,
        reason=reason,
        claimed_by=None,
        claimed_until=None,
    )


async def fail_export(caller: Caller, public_id: str, message: str = "") -> Task:
    """Say that the files cannot be used; the task ends as failed.

    Args:
        caller: who started the export.
        public_id: of the task.
        message: why, for its result.

    Raises:
        IllegalTransitionError: no client is on the task.
        NotClaimedError: another is.
    """
    async with changing() as session:
        task = await _find_task_of(session, caller, public_id)
        error = ExportFailedError(message or "The client that fetched the files refused them.")
        return await end_task(
            session,
            task,
            Event.FAIL,
            caller,
            reason=message,
            result=error.as_result(),
            export_failed_at=now(),
        )


async def _find_task_of(session: AsyncSession, caller: Caller, public_id: str) -> Task:
    """The task, locked, whose export the caller has started."""
    task = await find_task(session, caller, public_id, lock=True)
    if task.state is not State.EXPORTING:
        raise IllegalTransitionError(
            f"The task is {task.state.value}; no export of it is started. Start it first.",
            state=task.state.value,
            version=task.version,
        )
    if task.claimed_by != caller.actor.name:
        raise NotClaimedError("Another started the export of this task. Wait for its end.")
    return task
