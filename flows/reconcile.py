"""Brings tasks and runs back together, whatever a crash or a person in Prefect did to them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from prefect import flow
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlmodel import col

from flows import engine
from flows.ending import end_task_of_run
from flows.engine import Run
from flows.heartbeat import BEATS_UNTIL_DEAD, dead_workers, this_worker
from flows.outbox import changing, enqueue
from flows.waits import pause_key, resumption
from store.database import database
from store.errors import PapertrayError
from store.ids import now
from store.lifecycle import FINAL, WAITING
from store.models import Outbox, OutboxKind, Task, Worker
from store.settings import settings
from store.states import Event, State

log = logging.getLogger("papertray.reconcile")

SETTLED_SECONDS = 10.0
"""A task that changed less long ago is left alone: its run is just following."""

ENDED_MINUTES = 15
"""How far back the ended runs are looked at."""

WAITING_BATCH = 200
"""How many of the waiting tasks are looked at each time; the others have their turn next."""

IDS_AT_ONCE = 500
"""How many ids one query names."""

MOST_EXECUTIONS = 5
"""A run that crashed so often is not started again."""


class Repair(StrEnum):
    """What brings a task and its run back together."""

    CANCEL_TASK = "cancel the task"
    FAIL_TASK = "fail the task"
    START_AGAIN = "start the run again"
    RESUME = "resume the run"
    END_RUN = "end the run"
    SUBMIT_AGAIN = "submit the task again"


# fmt: off
REPAIRS: Final[Mapping[tuple[str, str], Repair]] = {
    # task is     and its run is   so                       because
    ("queued",    "CANCELLED"):    Repair.CANCEL_TASK,    # somebody cancelled it in Prefect
    ("queued",    "CANCELLING"):   Repair.CANCEL_TASK,    # somebody cancels it in Prefect
    ("queued",    "FAILED"):       Repair.FAIL_TASK,      # it could not even begin
    ("queued",    "CRASHED"):      Repair.START_AGAIN,    # its process died
    ("queued",    "COMPLETED"):    Repair.FAIL_TASK,      # somebody set it to completed
    ("queued",    "missing"):      Repair.SUBMIT_AGAIN,   # Prefect lost it
    ("running",   "CANCELLED"):    Repair.CANCEL_TASK,    # somebody cancelled it in Prefect
    ("running",   "CANCELLING"):   Repair.CANCEL_TASK,    # somebody cancels it in Prefect
    ("running",   "FAILED"):       Repair.FAIL_TASK,      # it ended without a word to us
    ("running",   "CRASHED"):      Repair.START_AGAIN,    # its process died
    ("running",   "COMPLETED"):    Repair.FAIL_TASK,      # somebody set it to completed
    ("running",   "PAUSED"):       Repair.RESUME,         # the resume after a decision was lost
    ("running",   "missing"):      Repair.SUBMIT_AGAIN,   # Prefect lost it
    ("waiting",   "CANCELLED"):    Repair.CANCEL_TASK,    # somebody cancelled it in Prefect
    ("waiting",   "CANCELLING"):   Repair.CANCEL_TASK,    # somebody cancels it in Prefect
    ("waiting",   "FAILED"):       Repair.START_AGAIN,    # Prefect gave up the wait; we did not
    ("waiting",   "CRASHED"):      Repair.START_AGAIN,    # its process died
    ("waiting",   "COMPLETED"):    Repair.START_AGAIN,    # it was unlocked, or set to completed
    ("waiting",   "missing"):      Repair.SUBMIT_AGAIN,   # Prefect lost it
    ("final",     "SCHEDULED"):    Repair.END_RUN,        # the task ended before its run began
    ("final",     "PENDING"):      Repair.END_RUN,        # the task ended before its run began
    ("final",     "PAUSED"):       Repair.END_RUN,        # the resume after a decision was lost
}
# fmt: on


@flow(name="reconcile")
async def reconcile() -> None:
    """Repair what a crash, an outage or a click in Prefect left behind; nothing else to do."""
    await reconcile_once()


async def reconcile_once() -> int:
    """Look at all that may have come apart; answers how many repairs were made."""
    await take_over()
    await engine.tidy_up()
    repairs = await _submit_forgotten()
    by_run = await _tasks_to_look_at()
    runs = await engine.read_runs(list(by_run))
    for flow_run_id, task in by_run.items():
        repairs += await settle(task, runs.get(flow_run_id))
    return repairs


async def take_over() -> None:
    """Give the runs of dead workers to living ones: running ones again, paused ones parked.

    Also those of workers that are forgotten: Prefect may be so slow that it commits the last
    claim of a worker after all else of that one was given away.
    """
    me, dead = this_worker().id, await dead_workers()
    if me in dead:
        # Whoever does this is alive: the clock was put forward, the store was away, or the machine
        # is busy. So it may be with others: they have the time of another death to beat.
        await asyncio.sleep(BEATS_UNTIL_DEAD * settings().heartbeat_seconds)
        dead = [one for one in await dead_workers() if one != me]
    held = await engine.runs_held()
    async with database().reading() as session:
        known = set((await session.execute(select(col(Worker.id)))).scalars())
        query = select(Task).where(col(Task.worker_id).in_(dead), col(Task.state).not_in(FINAL))
        orphans = (await session.execute(query)).scalars().all()
    lost = {run for run, worker in held.items() if worker in dead or worker not in known}
    for flow_run_id in lost.union(task.flow_run_id for task in orphans if task.flow_run_id):
        await engine.take_over(flow_run_id)
    if not dead:
        return
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.worker_id).in_(dead)).values(worker_id=None)
        )
        await session.execute(delete(Worker).where(col(Worker.id).in_(dead)))


async def settle(task: Task, run: Run | None) -> bool:
    """Compare a task with its run and repair what does not fit; answers whether it did."""
    repair = repair_of(task, run)
    if repair is None or task.flow_run_id is None or await _has_call_pending(task):
        return False
    if repair is Repair.START_AGAIN and run is not None and run.run_count >= MOST_EXECUTIONS:
        repair = Repair.FAIL_TASK
    log.info("%s: %s", task.public_id, repair.value)
    if repair is Repair.CANCEL_TASK:
        await end_task_of_run(task.flow_run_id, Event.CANCEL, reason="cancelled in Prefect")
    elif repair is Repair.FAIL_TASK:
        lost = PapertrayError(
            "The run ended in Prefect before the task was done. Retry the task.",
            run_state=run.name if run else "missing",
        )
        await end_task_of_run(
            task.flow_run_id, Event.FAIL, reason=lost.code, result=lost.as_result()
        )
    else:
        await _enqueue_repair(task, repair)
    return True


def repair_of(task: Task, run: Run | None) -> Repair | None:
    """What brings a task and its run back together; None where they fit.

    Args:
        task: one that has a run.
        run: as Prefect has it; None: it does not know it.
    """
    phase = _phase(task)
    if run is not None and run.is_ahead and phase != "final":
        return Repair.START_AGAIN
    return REPAIRS.get((phase, run.type if run else "missing"))


async def _enqueue_repair(task: Task, repair: Repair) -> None:
    kinds = {
        Repair.START_AGAIN: OutboxKind.RESCHEDULE,
        Repair.RESUME: OutboxKind.RESUME,
        Repair.END_RUN: OutboxKind.END,
        Repair.SUBMIT_AGAIN: OutboxKind.SUBMIT,
    }
    async with changing() as session:
        current = await session.get_one(Task, task.id, with_for_update=True)
        if (current.state, pause_key(current)) != (task.state, pause_key(task)):
            return
        payload = resumption(current) if repair is Repair.RESUME else {}
        if payload is None:
            return  # no decision was lost: somebody paused the run in Prefect, and may resume it
        if repair is Repair.SUBMIT_AGAIN:
            await session.execute(
                update(Task).where(col(Task.id) == task.id).values(flow_run_id=None)
            )
        enqueue(session, kinds[repair], current, **payload)


def _phase(task: Task) -> str:
    if task.state in FINAL:
        return "final"
    return "waiting" if task.state in WAITING else task.state.value


async def _has_call_pending(task: Task) -> bool:
    async with database().reading() as session:
        query = select(col(Outbox.id)).where(col(Outbox.task_id) == task.id).limit(1)
        return (await session.execute(query)).first() is not None


async def _submit_forgotten() -> int:
    """Tasks without a run and without a call that would make one."""
    async with changing() as session:
        query = select(Task).where(
            col(Task.flow_run_id).is_(None),
            col(Task.state).not_in(FINAL),
            col(Task.id).not_in(select(col(Outbox.task_id))),
        )
        forgotten = (await session.execute(query.limit(1000))).scalars().all()
        for task in forgotten:
            enqueue(session, OutboxKind.SUBMIT, task)
        return len(forgotten)


async def _tasks_to_look_at() -> dict[UUID, Task]:
    """All that work is going on with, those whose run just ended, some of those that wait."""
    recent = now() - timedelta(minutes=ENDED_MINUTES)
    ended = await engine.runs_ended_since(recent)
    tasks = [
        *await _settled_tasks(col(Task.state) == State.RUNNING),
        *await _settled_tasks(col(Task.state).in_(FINAL), col(Task.updated_at) > recent),
        # By chance, so that each has its turn without anybody keeping count.
        *await _settled_tasks(col(Task.state).in_({State.QUEUED, *WAITING}), limit=WAITING_BATCH),
    ]
    for start in range(0, len(ended), IDS_AT_ONCE):
        part = ended[start : start + IDS_AT_ONCE]
        tasks += await _settled_tasks(
            col(Task.flow_run_id).in_(part), col(Task.state).not_in(FINAL)
        )
    return {task.flow_run_id: task for task in tasks if task.flow_run_id}


async def _settled_tasks(
    *conditions: ColumnElement[bool], limit: int | None = None
) -> Sequence[Task]:
    settled = timedelta(seconds=SETTLED_SECONDS)
    query = select(Task).where(
        col(Task.flow_run_id).is_not(None),
        # Or ahead: the clock was put back since.
        ~col(Task.updated_at).between(now() - settled, now() + settled),
        *conditions,
    )
    if limit is not None:
        query = query.order_by(func.random()).limit(limit)
    async with database().reading() as session:
        return (await session.execute(query)).scalars().all()


async def follow_prefect(stop: asyncio.Event) -> None:
    """Follow what happens to runs in Prefect, until told to stop.

    An event is a hint that comes fast and may be lost; `reconcile` finds what it lost.
    """

    async def changed(flow_run_id: UUID) -> None:
        async with database().reading() as session:
            query = select(Task).where(col(Task.flow_run_id) == flow_run_id)
            task = (await session.execute(query)).scalar_one_or_none()
        if task is not None and task.state not in FINAL:
            runs = await engine.read_runs([flow_run_id])
            await settle(task, runs.get(flow_run_id))

    await engine.follow(changed, stop)
