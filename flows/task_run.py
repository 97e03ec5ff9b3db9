"""One execution of the run of a task: its row, its steps, its end."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import State as RunState
from prefect.client.schemas.objects import StateType
from prefect.runtime import flow_run as this_run
from sqlalchemy import select, update
from sqlmodel import col

from flows import engine
from flows.artifacts import ProgressArtifact, show_failure, show_refusal
from flows.heartbeat import beating, this_worker
from flows.outbox import changing
from flows.verbs import begin_again
from operations.registry import Blob, progress_to
from store.access import Caller
from store.blobs import blobs
from store.database import TROUBLE, database
from store.disk_errors import disk_error_of
from store.errors import (
    NotFoundError,
    PapertrayError,
    PrefectUnreachableError,
    ToolTimeoutError,
)
from store.finding import project_file_of
from store.ids import now
from store.lifecycle import FINAL, advance, amend, is_past
from store.models import File, Task
from store.project_file import ProjectFile
from store.states import Actor, Event, State

log = logging.getLogger("papertray.flows")

PROGRESS_SECONDS = 1.0
"""How often, at most, the progress of a step is written down."""

# The state in which a run ends is the word for how its task ended (wire/README.md).
RUN_STATE_OF: Mapping[State, tuple[StateType, str]] = {
    State.COMPLETED: (StateType.COMPLETED, "Completed"),
    State.FILTERED: (StateType.COMPLETED, "Filtered"),
    State.DISCARDED: (StateType.COMPLETED, "Discarded"),
    State.FAILED: (StateType.FAILED, "Failed"),
    State.TIMED_OUT: (StateType.FAILED, "TimedOut"),
    State.CANCELED: (StateType.CANCELLED, "Cancelled"),
}


def run_state_of(task: Task) -> RunState[Any]:
    """The Prefect state that says how a task ended; nothing personal is in it."""
    kind, name = RUN_STATE_OF[task.state]
    code = (task.result.get("details") or {}).get("code", "")
    return RunState(type=kind, name=name, message=f"{task.public_id} {code}".strip())


class TaskEndedError(Exception):
    """The task has ended by another hand; its run has nothing left to do."""


class TaskRun:
    """A task, while its run is executed."""

    def __init__(self, task: Task, *, is_patient: bool = False):
        """Take the task as it was read.

        Args:
            task: that is executed.
            is_patient: whether it is executed again when database or storage fail it.
        """
        self.task = task
        self.is_patient = is_patient
        self.caller = Caller(task.organization_id, Actor("flow", "system"))
        self._project: ProjectFile | None = None
        self._progress = ProgressArtifact()
        self._shown_at = 0.0

    @property
    def final_state(self) -> RunState[Any]:
        """The Prefect state that says how the task ended."""
        return run_state_of(self.task)

    async def reload(self) -> Task:
        """Read the task again.

        Raises:
            TaskEndedError: it has ended meanwhile.
        """
        async with database().reading() as session:
            self.task = await session.get_one(Task, self.task.id)
        if self.task.state in FINAL:
            raise TaskEndedError
        return self.task

    async def project(self) -> ProjectFile:
        """The project file that the task was made with, which never changes."""
        if self._project is None:
            async with database().reading() as session:
                self._project = await project_file_of(session, self.task)
        return self._project

    async def happen(self, event: Event, *, reason: str = "", **changes: Any) -> Task:
        """Let something happen to the task.

        Raises:
            TaskEndedError: it has ended meanwhile.
        """
        async with changing() as session:
            task = await session.get_one(Task, self.task.id, with_for_update=True)
            has_ended = task.state in FINAL
            if not has_ended:
                actor = self.caller.actor
                task = await advance(session, task, event, actor, reason=reason, **changes)
        return self._as_it_is(task, has_ended=has_ended)

    async def amend(self, activity: str, *, reason: str = "", **changes: Any) -> Task:
        """Change columns of the task other than its state.

        Raises:
            TaskEndedError: it has ended meanwhile.
        """
        async with changing() as session:
            task = await session.get_one(Task, self.task.id, with_for_update=True)
            has_ended = task.state in FINAL
            if not has_ended:
                data = {"state": task.state.value}
                actor = self.caller.actor
                task = await amend(
                    session, task, activity, actor, reason=reason, data=data, **changes
                )
        return self._as_it_is(task, has_ended=has_ended)

    def _as_it_is(self, task: Task, *, has_ended: bool) -> Task:
        """Take the row, once its transaction is over: one that was undone leaves no row behind.

        Raises:
            TaskEndedError: it had ended before.
        """
        self.task = task
        if has_ended:
            raise TaskEndedError
        return task

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Say what is being done, and listen to the progress of the operation inside."""

        async def show(current: int, total: int) -> None:
            if current < total and monotonic() - self._shown_at < PROGRESS_SECONDS:
                return
            self._shown_at = monotonic()
            await self.show_progress(name, current, total)

        await self.reload()
        await self.show_progress(name, 0, 0)
        async with progress_to(show):
            yield

    async def show_progress(self, step: str, current: int, total: int) -> None:
        """Write down how far the work is.

        No change of the task in the sense of its version: nobody decides anything by it.
        """
        async with database().writing() as session:
            await session.execute(
                update(Task)
                .where(col(Task.id) == self.task.id)
                .values(step=step, progress_current=current, progress_total=total)
            )
        await self._progress.show(step, current, total)

    async def input_file(self, file_id: str) -> File:
        """The file that the task is to work on.

        Raises:
            NotFoundError: it is gone, or it is another organization's.
        """
        async with database().reading() as session:
            query = select(File).where(
                col(File.id) == file_id, col(File.organization_id) == self.task.organization_id
            )
            file = (await session.execute(query)).scalar_one_or_none()
        if file is None:
            raise source_not_found(file_id)
        return file

    def blob(self, name: str) -> Blob:
        """The key of something that belongs to this task."""
        return Blob(f"tasks/{self.task.id}/{name}")

    async def write_json(self, name: str, content: Any) -> Blob:
        """Keep something that belongs to this task, for an operation to take it."""

        async def chunks() -> AsyncIterator[bytes]:
            yield json.dumps(content, ensure_ascii=False).encode()

        await blobs().write_stream(self.blob(name), chunks())
        return self.blob(name)


def source_not_found(file_id: str) -> NotFoundError:
    """What a task ends with whose input is not there (wire/v1.md)."""
    return NotFoundError(
        "Source file not found.", file_id=file_id, reason="The file might have been deleted."
    )


TROUBLE_WAITS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, *(15.0 for _ in range(60)))
"""Between the tries of a run that finds the database away or the disk full: a quarter of an hour
in all. Then its task fails, or asks a person where only its files are still to get away."""


async def execute(task_id: UUID, work: Callable[[TaskRun], Awaitable[None]]) -> RunState[Any]:
    """Execute a task: take it up, work on it, and see to it that it ends as its errors say.

    A run may be executed several times, after a wait or a crash: each goes on where the task
    is. So does this, when the database was away or the disk was full for a while, or Prefect did
    not answer, however long. Waiting for a person leaves by Prefect's own signal, which is none
    of our errors.

    Args:
        task_id: of a task that is there.
        work: all that is to be done, from wherever the task is.

    Returns:
        The Prefect state that says how the task ended.
    """
    waits = iter(TROUBLE_WAITS_SECONDS)
    while True:
        wait = next(waits, None)
        try:
            async with beating():
                run = TaskRun(await _take_up(task_id), is_patient=wait is not None)
                async with _executed(run):
                    await work(run)
        except TROUBLE as error:
            if wait is None:
                raise
            log.warning("task %s waits: %s", task_id, error.code)
            await asyncio.sleep(wait)
        except PrefectUnreachableError as error:
            # However long: to end now would be told to nobody either.
            log.warning("task %s waits: %s", task_id, error.code)
            await asyncio.sleep(wait or TROUBLE_WAITS_SECONDS[-1])
        else:
            return run.final_state


async def adopt_and_execute(
    adopted: Awaitable[UUID], work: Callable[[TaskRun], Awaitable[None]]
) -> RunState[Any]:
    """Execute a task that a run started in Prefect makes for itself.

    Args:
        adopted: makes it, and answers its id.
        work: as of `execute`.

    Returns:
        The Prefect state that says how the task ended; or why there is none, with the code of the
        error, which Prefect's own words would leave out.
    """
    try:
        task_id = await adopted
    except PapertrayError as error:
        await show_refusal(error)
        more = " They are among the artifacts of this run." if error.details else ""
        message = f"{error.code}: {error.message}{more}"
        return RunState(type=StateType.FAILED, name="Failed", message=message)
    return await execute(task_id, work)


@asynccontextmanager
async def _executed(run: TaskRun) -> AsyncIterator[None]:
    deadline = run.task.deadline_at
    clock = asyncio.timeout((deadline - now()).total_seconds() if deadline else None)
    try:
        async with clock:
            yield
    except TaskEndedError:
        log.info("%s has ended as %s", run.task.public_id, run.task.state.value)
    except PrefectUnreachableError:
        raise
    except PapertrayError as error:
        if run.is_patient and isinstance(error, TROUBLE):
            raise
        log.warning("%s failed: %s", run.task.public_id, error.code)
        await _end(run, Event.FAIL, error)
    except TimeoutError:
        if clock.expired():
            await _end(run, Event.TIME_OUT, None)
        else:  # an operation took longer than it is declared to take
            await _end(run, Event.FAIL, ToolTimeoutError(step=run.task.step))
    except OSError as error:  # of a file that was read here, and not by an operation
        ours = disk_error_of(error) or PapertrayError(kind=type(error).__name__)
        if run.is_patient and isinstance(ours, TROUBLE):
            raise ours from error
        log.exception("%s failed inside", run.task.public_id)
        await _end(run, Event.FAIL, ours)
    except Exception as error:  # what is no error of ours must still end the task, and be seen
        log.exception("%s failed inside", run.task.public_id)
        await _end(run, Event.FAIL, PapertrayError(kind=type(error).__name__))


async def _take_up(task_id: UUID) -> Task:
    task = await _taken_up(task_id)
    if task.state in _TRIED_AGAIN and await _was_started_again(task):
        return await _taken_up(task_id, is_next_try=True)
    return task


async def _taken_up(task_id: UUID, *, is_next_try: bool = False) -> Task:
    async with changing() as session:
        task = await session.get_one(Task, task_id, with_for_update=True)
        caller = Caller(task.organization_id, Actor("flow", "system"))
        if is_next_try and task.state in _TRIED_AGAIN:
            task = await begin_again(session, task, Caller(task.organization_id, PREFECT_UI))
        if task.state is State.QUEUED:
            return await advance(
                session,
                task,
                Event.START,
                caller.actor,
                worker_id=this_worker().id,
                flow_run_id=UUID(this_run.id),
                started_at=now(),
            )
        if task.state not in FINAL:
            await session.execute(
                update(Task).where(col(Task.id) == task.id).values(worker_id=this_worker().id)
            )
        return task


PREFECT_UI = Actor("prefect-ui", "prefect")

_TRIED_AGAIN: Final = frozenset({State.FAILED, State.TIMED_OUT, State.CANCELED})


async def _was_started_again(task: Task) -> bool:
    """Whether somebody pressed Retry in Prefect on the run of a task that ended badly.

    Not one who took the run over from a worker that died before it told Prefect of the end: such a
    run was never over in Prefect.
    """
    if is_past(task):
        return False  # there is nothing left to try again with
    return await engine.times_restarted(UUID(this_run.id)) >= task.attempt


async def _end(run: TaskRun, event: Event, error: PapertrayError | None) -> None:
    result = error.as_result() if error else {}
    try:
        await run.happen(event, reason=error.code if error else "", result=result)
    except TaskEndedError:
        log.info("%s had ended as %s", run.task.public_id, run.task.state.value)
        return
    if error:
        await show_failure(run.task.public_id, error)
