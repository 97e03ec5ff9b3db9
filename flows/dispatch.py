"""Makes the calls to Prefect that the outbox holds, until each is made."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from flows import engine, outbox
from flows.engine import Outcome, Submission
from flows.pauses import pause
from flows.task_run import run_state_of
from flows.verbs import ARRANGE
from flows.waits import pause_key, resumption
from store.database import TROUBLE, database
from store.errors import PapertrayError, PrefectUnreachableError
from store.finding import project_files_of
from store.ids import now
from store.lifecycle import FINAL
from store.models import Outbox, OutboxKind, Task
from store.project_file import ProjectFile
from store.states import State

log = logging.getLogger("papertray.dispatch")

BATCH = 100
"""How many calls are taken at once; what Prefect takes in one bulk creation."""

TAKEN_SECONDS = 30.0
"""How long a call that was taken stays hidden from other dispatchers."""

LOOK_SECONDS = 0.5
"""How often the outbox is looked at for what other processes put there."""

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
"""Between two tries of one call, at most; each wait is twice as long as the one before."""


@dataclass(frozen=True)
class Call:
    """A row of the outbox, and the task it is about."""

    row: Outbox
    task: Task


async def run_dispatcher(stop: asyncio.Event) -> None:
    """Make calls as they come in, until told to stop."""
    connected = answering = False
    failures = 0
    async with AsyncExitStack() as stack:
        while not stop.is_set():
            made = 0
            try:
                if not connected:
                    await stack.enter_async_context(engine.connected())
                    connected = True
                made = await dispatch_once()
                answering, failures = True, 0
            except PrefectUnreachableError:
                if answering:
                    log.warning("Prefect does not answer; what is taken in waits for it")
                answering = False
                # Whatever else comes in meanwhile would fare no better.
                await pause(stop, _wait_seconds(failures))
                failures += 1
                continue
            except TROUBLE as error:
                log.warning("calls to Prefect wait: %s", error.code)
            if not made:
                await outbox.woken(LOOK_SECONDS)


async def dispatch_once() -> int:
    """Make the calls that are due; answers how many were taken.

    Raises:
        PrefectUnreachableError: Prefect does not answer; the calls stay where they are.
    """
    calls = await _take()
    submissions = [call for call in calls if call.row.kind == OutboxKind.SUBMIT]
    others = [call for call in calls if call.row.kind != OutboxKind.SUBMIT]
    if submissions:
        await _make(submissions, _submit(submissions))
    # One after the other: Prefect's server works one call at a time anyway (facts: point 14).
    for call in others:
        await _make([call], _CALLS[OutboxKind(call.row.kind)](call))
    return len(calls)


async def _take() -> list[Call]:
    """Take the calls that are due, the first of each task: a task's calls keep their order."""
    earlier = aliased(Outbox)
    due = (
        select(Outbox)
        .where(
            col(Outbox.available_at) <= now(),
            ~exists().where(
                col(earlier.task_id) == col(Outbox.task_id), col(earlier.id) < col(Outbox.id)
            ),
        )
        .order_by(col(Outbox.id))
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    )
    async with database().reading() as session:
        # Most looks find nothing: they must not queue for the write lock.
        if (await session.execute(due.with_only_columns(col(Outbox.id)).limit(1))).first() is None:
            return []
    async with database().writing() as session:
        rows = (await session.execute(due)).scalars().all()
        await session.execute(
            update(Outbox)
            .where(col(Outbox.id).in_([row.id for row in rows]))
            .values(available_at=now() + timedelta(seconds=TAKEN_SECONDS))
        )
        tasks = {
            task.id: task
            for task in (
                await session.execute(
                    select(Task).where(col(Task.id).in_([row.task_id for row in rows]))
                )
            ).scalars()
        }
        return [Call(row, tasks[row.task_id]) for row in rows]


async def _make(calls: Sequence[Call], call: Awaitable[bool]) -> None:
    """Make one call for some rows: done, they go; else they wait for their next try."""
    ids = [one.row.id for one in calls]
    try:
        done = await call
    except PapertrayError as error:
        await _put_back(calls, error.code)
        if isinstance(error, PrefectUnreachableError):
            raise
        log.warning("a call to Prefect failed: %s", error.code)
        return
    if not done:
        await _put_back(calls, "")
        return
    async with database().writing() as session:
        await session.execute(delete(Outbox).where(col(Outbox.id).in_(ids)))


async def _put_back(calls: Sequence[Call], reason: str) -> None:
    at = now()
    tries = [
        {
            "id": call.row.id,
            "attempts": call.row.attempts + 1,
            "available_at": at + timedelta(seconds=_wait_seconds(call.row.attempts)),
            "last_error": reason,
        }
        for call in calls
    ]
    async with database().writing() as session:
        await session.execute(update(Outbox), tries)


def _wait_seconds(failures: int) -> float:
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures, 8))


async def _submit(calls: Sequence[Call]) -> bool:
    # Of one that is under way Prefect has lost the run: it goes on with another.
    wanted = [call.task for call in calls if call.task.state not in FINAL]
    async with database().reading() as session:
        projects = await project_files_of(session, wanted)
    runs = await engine.submit(
        [
            Submission(
                task_id=task.id,
                operation=task.operation,
                name=_outside_name(task, projects.get(task.id)),
                tags=_tags(task, projects.get(task.id)),
                queue=engine.queue_of(task.priority),
            )
            for task in wanted
        ]
    )
    if runs:
        changes = [{"id": task_id, "flow_run_id": run} for task_id, run in runs.items()]
        async with database().writing() as session:
            await session.execute(update(Task), changes)
    return True


def _outside_name(task: Task, project: ProjectFile | None) -> str:
    """The name of the run: whoever opens Prefect reads it, so by default it says nothing."""
    if project is not None and project.names_outside:
        return f"{task.name}-{task.code[:6]}"
    return task.public_id


def _tags(task: Task, project: ProjectFile | None) -> list[str]:
    tags = [f"op:{task.operation}", f"org:{task.organization_id}"]
    return [*tags, f"project:{project.name}"] if project else tags


async def _resume(call: Call) -> bool:
    """Wake the run after a decision; it may be on its way into the pause just now."""
    task = await _fresh(call)
    key, decision = call.row.payload["key"], call.row.payload["decision"]
    last = resumption(task)
    if task.flow_run_id is None or pause_key(task) or last is None or last["key"] != key:
        return True  # the task waits again, or did since: this call is of the past
    outcome = await engine.resume(
        task.flow_run_id,
        # The run reads the decision in the store: this only fills in its form.
        {"decision": "complete" if decision == ARRANGE else decision},
        pause_key=key,
    )
    if outcome is Outcome.NOT_PAUSED:
        run = (await engine.read_runs([task.flow_run_id])).get(task.flow_run_id)
        return run is None or run.is_final or task.state in FINAL - {State.DISCARDED}
    return True


async def _cancel(call: Call) -> bool:
    task = await _fresh(call)
    if task.flow_run_id is not None and task.state is State.CANCELED:
        await engine.cancel(task.flow_run_id)
    return True


async def _reschedule(call: Call) -> bool:
    task = await _fresh(call)
    if task.flow_run_id is not None and task.state not in FINAL:
        await engine.reschedule(task.flow_run_id, even_if_final=True)
    return True


async def _end(call: Call) -> bool:
    """End a run as its task has ended."""
    task = await _fresh(call)
    if task.flow_run_id is not None and task.state in FINAL:
        await engine.end(task.flow_run_id, run_state_of(task))
    return True


async def _fresh(call: Call) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, call.task.id)


_CALLS: Mapping[OutboxKind, Callable[[Call], Awaitable[bool]]] = {
    OutboxKind.RESUME: _resume,
    OutboxKind.CANCEL: _cancel,
    OutboxKind.RESCHEDULE: _reschedule,
    OutboxKind.END: _end,
}
