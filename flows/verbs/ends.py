"""Ends of a task, new beginnings, and what is reported of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from flows.outbox import changing, enqueue
from flows.report_hook import tell_hook
from flows.verbs.claims import find_task_to_review, handled_seconds
from flows.verbs.submit import PROCESS
from store.access import Caller, require_owner
from store.activity import record
from store.database import database
from store.errors import (
    IllegalTransitionError,
    InputError,
)
from store.finding import (
    find_task,
    project_file_of,
)
from store.ids import now
from store.lifecycle import advance, amend
from store.models import OutboxKind, Task
from store.states import Event
from store.uploads import note_report


@dataclass(frozen=True)
class Reported:
    """What came of a report."""

    task: Task
    hook_error: str
    """Why the hook of the project was not told; empty where it was, and where there is none."""


async def report(
    caller: Caller, public_id: str, issues: Sequence[Mapping[str, Any]], message: str = ""
) -> Reported:
    """Write down what is wrong with a task, and tell the hook of its project; it stays where it is.

    What is written down stays, whatever the hook answers.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        task = await amend(
            session,
            task,
            "task.reported",
            caller.actor,
            reason=message,
            data={"issues": [dict(issue) for issue in issues]},
        )
        await note_report(session, task)
        hook = await _hook_of(session, task)
    if not hook:
        return Reported(task, "")
    await database().commit_so_far()
    error = await tell_hook(hook, task, issues, message)
    if error:
        async with database().writing() as session:
            record(session, "task.report_not_told", caller.actor, task=task, reason=error)
    return Reported(task, error)


async def _hook_of(session: AsyncSession, task: Task) -> str:
    if task.project_version_id is None:
        return ""
    return (await project_file_of(session, task)).report_hook


async def cancel(caller: Caller, public_id: str, reason: str = "") -> Task:
    """End a task that has not ended; whatever works on it is stopped.

    Raises:
        IllegalTransitionError: it has ended already.
        ForbiddenError: it is private, and another's.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        require_owner(caller, task)
        return await end_task(session, task, Event.CANCEL, caller, reason=reason)


async def fail_review(caller: Caller, public_id: str, message: str = "") -> Task:
    """Say that a task which waits for a person cannot be worked on; it ends as failed.

    Args:
        caller: who holds the task.
        public_id: of the task.
        message: why, for its result.

    Raises:
        IllegalTransitionError: it does not wait for a person.
        AlreadyClaimedError, NotClaimedError: another holds it, or nobody.
        ForbiddenError: the caller collaborates on other steps of it.
    """
    async with changing() as session:
        task = await find_task_to_review(session, caller, public_id, must_hold=True)
        error = InputError(message or "Who looked at the document could not work on it.")
        return await end_task(
            session,
            task,
            Event.FAIL,
            caller,
            reason=message,
            result=error.as_result(),
            handling_seconds=handled_seconds(task),
        )


async def end_task(
    session: AsyncSession,
    task: Task,
    event: Event,
    caller: Caller,
    *,
    reason: str = "",
    **changes: Any,
) -> Task:
    """End a task from outside its run, and have the run ended too.

    Args:
        session: inside a write transaction.
        task: as it was read.
        event: how it ends.
        caller: who ends it.
        reason: for the activity row.
        changes: columns of the task to set with it.
    """
    enqueue(session, OutboxKind.CANCEL if event is Event.CANCEL else OutboxKind.END, task)
    return await advance(session, task, event, caller.actor, reason=reason, **changes)


async def unlock(caller: Caller, public_id: str, reason: str = "") -> Task:
    """Open a completed, filtered or discarded task for correction.

    Raises:
        IllegalTransitionError: the task is in another state.
        ForbiddenError: it is private, and another's.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        return await open_again(session, caller, task, reason)


async def open_again(session: AsyncSession, caller: Caller, task: Task, reason: str) -> Task:
    """Let a task that has ended, and is locked, wait for a person again."""
    require_owner(caller, task)
    if task.operation != PROCESS:
        raise IllegalTransitionError("Only a task of a project has data to correct.")
    project = await project_file_of(session, task)
    enqueue(session, OutboxKind.RESCHEDULE, task)
    return await advance(
        session,
        task,
        Event.UNLOCK,
        caller.actor,
        reason=reason,
        review_round=task.review_round + 1,
        review_step="extract",
        review_reason="unlocked",
        exported_at=None,
        review_since=now(),
        review_due_at=now() + project.review.timeout,
        deadline_at=now() + project.timeout,
        result={},
    )


async def retry(caller: Caller, public_id: str) -> Task:
    """Try a failed, timed out or canceled task again; what was done well is not done twice.

    Raises:
        IllegalTransitionError: the task is in another state.
        ForbiddenError: it is private, and another's.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        require_owner(caller, task)
        enqueue(
            session,
            OutboxKind.SUBMIT if task.flow_run_id is None else OutboxKind.RESCHEDULE,
            task,
        )
        return await begin_again(session, task, caller)


async def begin_again(session: AsyncSession, task: Task, caller: Caller) -> Task:
    """Put a task that ended badly back into the queue, as its next try."""
    taken = task.deadline_at - task.created_at if task.deadline_at else None
    return await advance(
        session,
        task,
        Event.RETRY,
        caller.actor,
        attempt=task.attempt + 1,
        result={},
        decision=None,
        started_at=None,
        worker_id=None,
        deadline_at=now() + taken if taken else None,
    )
