"""The Prefect worker type `papertray`: runs flow runs as coroutines of one process.

Stock Prefect starts an interpreter for every run. Here a run costs what its work costs, and one
that waits for a person costs some hundred kilobytes, then nothing (`flows/review.py`).

It finds work by events, within milliseconds, and by asking now and then, because events get
lost. It goes by what Prefect says of a run that it holds: cancelled, resumed, taken by somebody
else. `prefect worker start --pool papertray --type papertray` starts it.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

import anyio
import httpx
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.context import AsyncClientContext
from prefect.exceptions import Abort, Pause
from prefect.settings import PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED, temporary_settings
from prefect.states import Cancelled, Cancelling, Failed
from prefect.utilities.engine import propose_state
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from flows import engine
from flows.engine import Run
from flows.heartbeat import beating, this_worker
from flows.memory import few_arenas
from flows.review import SEAT, Seat
from flows.run_engine import Flows, RunEngine
from store.database import migrate
from store.errors import NotFoundError, PapertrayError
from store.ids import now
from store.settings import settings

log = logging.getLogger("papertray.worker")

STOP_SECONDS: Final = 20.0
"""How long a worker that stops takes to give its runs back; the rest is found as of a dead one."""

FORCED_AT_ONCE: Final = 4
"""How many runs are parked or given back at once: Prefect's server does them one by one anyway."""

SPACING_SECONDS: Final = 0.1
"""Between two polls, at least: what comes in meanwhile is claimed together."""

REFILL: Final = 4
"""A worker that was full asks for more when one place in so many is free: on SQLite, Prefect looks
at all runs that are queued to answer."""

ASK_AGAIN_SECONDS: Final = 1.0
"""How long after a place became free it is asked for what a limit may have held back, and after
others took all that was there."""

LOOK_AGAIN_SECONDS: Final = (0.05, 0.15, 0.5, 1.0)
"""After an event, until what it tells of is committed."""

UNFOLLOWED_SECONDS: Final = 1.0
"""How often it is asked while events do not come."""

LATE_EVENT_SECONDS: Final = 120.0
"""How late an event can be: on connecting, Prefect tells those of the last minute again."""

LOST_BEATS: Final = 6
"""After how many beats a worker asks for runs that name it and that it does not know it has."""

LEFT_SECONDS: Final = 15.0
"""How long a run that has parked itself is looked after."""


class Why(Enum):
    """Why an execution is ended from outside."""

    CANCELED = auto()
    """Somebody cancels the run."""
    STOPPING = auto()
    """The worker stops; another one goes on."""
    LOST = auto()
    """The run is not ours any more: ended, suspended, scheduled anew or taken over."""


@dataclass(eq=False)
class Held:
    """A run that this worker has."""

    flow_run: FlowRun
    since: float
    """When it was claimed, by the clock of the loop: what was asked before is of the past."""
    seat: Seat
    task: asyncio.Task[None] | None = None
    engine: RunEngine | None = None
    why: Why | None = None
    is_over: bool = field(default=False)
    """Prefect was seen to have ended the run; seen again, it is dropped."""

    @property
    def id(self) -> UUID:
        """Of the flow run."""
        return self.flow_run.id

    def drop(self, why: Why) -> None:
        """End the execution, once."""
        if self.why is None and self.task is not None:
            self.why = why
            self.task.cancel()


class PapertrayWorker(BaseWorker[BaseJobConfiguration, BaseVariables, BaseWorkerResult]):
    """Executes flow runs as coroutines of its own process."""

    type: str = engine.POOL_TYPE
    _description = "Executes flow runs of Papertray as coroutines of one process."

    def __init__(self, work_pool_name: str, *args: Any, limit: int | None = None, **kwargs: Any):
        """Make it, as `prefect worker start` does.

        Args:
            work_pool_name: of the pool whose runs it executes.
            args: of BaseWorker.
            limit: how many runs it holds at once, those attended in review not counted; the
                settings' `worker_limit` when omitted.
            kwargs: of BaseWorker.
        """
        super().__init__(work_pool_name, *args, limit=None, **kwargs)
        self._places = limit or settings().worker_limit
        self._held: dict[UUID, Held] = {}
        self._flows = Flows()
        self._services: list[asyncio.Task[None]] = []
        self._stack = AsyncExitStack()
        self._main: asyncio.Task[Any] | None = None
        self._is_stopping = False
        self._runs_once = False
        self._polling = asyncio.Lock()
        self._turn = asyncio.Semaphore(FORCED_AT_ONCE)
        self._wake = asyncio.Event()
        self._wanted: dict[UUID, int] = {}
        self._claimed_at: dict[UUID, datetime] = {}
        self._free_to_ask = 0
        self._may_be_limited = False
        self._asking: asyncio.TimerHandle | None = None
        self._hints: dict[UUID, int] = {}
        self._hinted = asyncio.Event()
        self._unreported: set[UUID] = set()
        self._left: dict[UUID, float] = {}
        self._is_following = False

    @classmethod
    def get_default_base_job_template(cls) -> dict[str, Any]:
        """The template of a pool of this type."""
        return engine.JOB_TEMPLATE

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,
        task_status: TaskStatus[int] | None = None,
    ) -> BaseWorkerResult:
        """Refuse: runs are claimed, never handed over one by one."""
        raise NotImplementedError(f"{type(self).__name__} claims its runs itself")

    async def start(
        self,
        run_once: bool = False,  # noqa: FBT001, FBT002  # Prefect's signature
        with_healthcheck: bool = False,  # noqa: FBT001, FBT002  # as above
        printer: Callable[..., None] = print,
    ) -> None:
        """Execute runs until SIGTERM or SIGINT.

        Args:
            run_once: execute what is scheduled now, then return.
            with_healthcheck: serve Prefect's health check.
            printer: called with what an operator wants to read.
        """
        few_arenas()  # for `prefect worker start`
        self._main = asyncio.current_task()
        self._runs_once = run_once
        try:
            await super().start(run_once, with_healthcheck, printer)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            if self._main is not None:
                self._main.uncancel()
            printer(f"Worker {self.name!r} stopped, its runs given back.")

    def stop(self) -> None:
        """Stop: runs that wait are parked, the others given back. Asked twice, stop at once."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._main is not None:
            self._main.cancel()

    async def setup(self) -> None:
        """Connect, begin to beat, follow the events of the pool."""
        self._stack.enter_context(self._signals())
        await asyncio.to_thread(migrate)
        # One client for all: the worker, our calls, and what Prefect's tasks and pauses call.
        with temporary_settings({PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False}):
            # The check would end a worker that is started before its server.
            await self._stack.enter_async_context(AsyncClientContext.get_or_create())
        await self._stack.enter_async_context(engine.connected())
        await super().setup()
        await self._stack.enter_async_context(beating(self.name))
        self._services = [
            asyncio.create_task(one, name=name)
            for name, one in {
                "follow": engine.keep_following(self._follow),
                "poll": self._poll_when_woken(),
                "look": self._look_when_hinted(),
                "watch": self._watch(),
                "find": self._find_lost_claims(),
            }.items()
        ]
        for service in self._services:
            service.add_done_callback(self._service_ended)

    async def teardown(self, *exc_info: Any) -> None:
        """Give back what is held, then disconnect."""
        async with AsyncExitStack() as last:
            last.push_async_callback(self._stack.aclose)
            last.push_async_callback(super().teardown, *exc_info)
            with anyio.CancelScope(shield=True):
                if self._runs_once and not self._is_stopping:
                    await self._all_done()
                self._is_stopping = True
                await self._let_go()
                for service in self._services:
                    service.cancel()
                await asyncio.gather(*self._services, return_exceptions=True)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Own the signals of the process; Prefect's engine would have a run end it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in numbers:
            loop.add_signal_handler(number, self._signaled)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, before[number])

    def _signaled(self) -> None:
        self._logger.info("Stopping: parking and giving back %d runs", len(self._held))
        self.stop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # The second one ends the process at once.
            asyncio.get_running_loop().remove_signal_handler(number)

    async def _let_go(self) -> None:
        for held in list(self._held.values()):
            held.seat.stop.set()
            if not held.seat.waits and not held.seat.parks:
                held.drop(Why.STOPPING)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._all_done()
        except TimeoutError:
            self._logger.warning("%d runs could not be given back in time", len(self._held))
            tasks = [held.task for held in self._held.values() if held.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _all_done(self) -> None:
        while tasks := [held.task for held in self._held.values() if held.task]:
            await asyncio.wait(tasks)

    async def sync_with_backend(self) -> None:
        """Tell Prefect that this worker is there; an outage is no reason to stop."""
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as error:
            self._logger.warning("Prefect does not answer: %s", type(error).__name__)

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Ask for work, in case an event was lost; called by BaseWorker, slowly."""
        try:
            await self._poll()
        except PapertrayError as error:
            self._logger.warning("no work could be asked for: %s", error.code)
        return []

    def _room(self) -> int:
        return self._places - sum(not held.seat.waits for held in self._held.values())

    async def _poll_when_woken(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._poll()
            except PapertrayError as error:
                self._logger.warning("no work could be asked for: %s", error.code)
            pause = SPACING_SECONDS
            if self._wanted:
                # The event came before its commit, or tells of a run that is due later.
                tries = min(self._wanted.values())
                pause = max(pause, LOOK_AGAIN_SECONDS[tries])
                self._wanted = {
                    run: count + 1
                    for run, count in self._wanted.items()
                    if count + 1 < len(LOOK_AGAIN_SECONDS)
                }
                self._wake.set()
            await asyncio.sleep(pause)

    async def _poll(self) -> None:
        async with self._polling:
            room = min(self._room(), engine.BULK_SET)
            if room <= 0 or self._is_stopping:
                self._free_to_ask = 1  # something came in
                return
            asked_at = now()
            found = await self._scheduled(room)
            self._last_polled_time = now()
            # All that were asked for: more are queued. Fewer: a limit may have held others back.
            are_more = len(found) >= room
            self._free_to_ask = max(1, self._places // REFILL) if are_more else 0
            is_busy = self._room() < self._places
            self._may_be_limited = bool(found) or (self._may_be_limited and is_busy)
            for one in found:
                self._wanted.pop(one.id, None)
                if one.id in self._held:
                    self._hint(one.id)  # it was scheduled anew, and the old execution must end
            fresh = {one.id: one for one in found if one.id not in self._held}
            claimed = await engine.claim(fresh, this_worker().id)
            for run_id in claimed:
                self._claimed_at[run_id] = asked_at
                self._begin(fresh[run_id])
            if are_more and claimed:
                self._freed()
            elif are_more:  # other workers were faster
                self._ask_later()

    async def _scheduled(self, limit: int) -> list[FlowRun]:
        body = {
            "work_queue_names": sorted(self._work_queues),
            "scheduled_before": (now() + timedelta(seconds=self._prefetch_seconds)).isoformat(),
            "limit": limit,
        }
        path = f"/work_pools/{self._work_pool_name}/get_scheduled_flow_runs"
        try:
            rows = await engine.call("POST", path, body)
        except NotFoundError:
            return []  # the pool is made at the next sync
        return [FlowRun.model_validate(row["flow_run"]) for row in rows]

    def _begin(self, flow_run: FlowRun) -> None:
        seat = Seat(turn=self._turn, changed=self._freed)
        held = Held(flow_run=flow_run, since=asyncio.get_running_loop().time(), seat=seat)
        self._held[flow_run.id] = held
        held.task = asyncio.create_task(self._execute(held), name=f"run {flow_run.id}")

    def _freed(self) -> None:
        if self._free_to_ask:
            if self._room() >= self._free_to_ask:
                self._wake.set()
        elif self._may_be_limited:
            self._ask_later()

    def _ask_later(self) -> None:
        if self._asking is None:
            self._asking = asyncio.get_running_loop().call_later(ASK_AGAIN_SECONDS, self._ask_now)

    def _ask_now(self) -> None:
        self._asking = None
        self._wake.set()

    async def _execute(self, held: Held) -> None:
        try:
            await self._execute_flow(held)
        except asyncio.CancelledError as canceled:
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await self._end_dropped(held, canceled)
        except (Abort, Pause):
            # It parked itself, or Prefect says that it is not to go on.
            self._left[held.id] = asyncio.get_running_loop().time()
        except Exception:
            # What a flow raises is reported as its state. This is a report that did not get
            # through, or an error of ours: the run must not stay Running with nobody behind it.
            self._logger.exception("run %s could not be reported", held.id)
            self._unreported.add(held.id)
        except BaseException as error:  # SystemExit in a flow must not end the worker
            await self._report_crash(held, error)
        finally:
            del self._held[held.id]
            self._freed()

    async def _execute_flow(self, held: Held) -> None:
        SEAT.set(held.seat)
        run = held.flow_run
        try:
            held.engine = await self._flows.engine_of(run, engine.held_by(this_worker().id))
        except PapertrayError:
            raise
        except Exception as error:  # whatever an import or a signature raises ends this run only
            self._logger.exception("run %s could not be begun", run.id)
            message = f"The run could not be begun: {type(error).__name__}: {error}"
            await propose_state(self.client, Failed(message=message), flow_run_id=run.id)
            return
        async with held.engine.start():
            while held.engine.is_running():
                async with held.engine.run_context():
                    await held.engine.call_flow_fn()
        if held.engine.state.is_cancelling():
            await engine.finish_cancelling(run.id)

    async def _end_dropped(self, held: Held, canceled: asyncio.CancelledError) -> None:
        try:
            if held.why is Why.CANCELED:
                if held.engine is not None:
                    await held.engine.call_hooks(Cancelling())
                await propose_state(self.client, Cancelled(), flow_run_id=held.id, force=True)
            elif held.why is Why.STOPPING:
                async with self._turn:
                    await engine.reschedule(held.id)
            elif held.why is None:
                await self._report_crash(held, canceled)
        except (PapertrayError, httpx.HTTPError, Abort, Pause) as error:
            self._logger.warning("run %s: %s", held.id, type(error).__name__)
            self._unreported.add(held.id)

    async def _report_crash(self, held: Held, error: BaseException) -> None:
        self._logger.error("run %s crashed: %s", held.id, type(error).__name__)
        try:
            await self._propose_crashed_state(held.flow_run, f"{type(error).__name__} in the flow")
        except httpx.HTTPError:
            self._unreported.add(held.id)

    async def _follow(self) -> None:
        if self._work_pool is None:
            raise NotFoundError("The pool is not there yet.")  # tried again soon
        resource = f"prefect.work-pool.{self.work_pool.id}"
        types = {"SCHEDULED", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED"}
        try:
            async for event in engine.state_events([resource], types, self._followed):
                run_id, held = engine.run_of(event), self._held.get(engine.run_of(event))
                name = event.resource.get("prefect.state-name")
                if held is None:
                    if event.resource["prefect.state-type"] == "SCHEDULED":
                        self._want(run_id, event.occurred)
                elif name != "Paused" and (name != "Running" or held.seat.waits):
                    self._hint(run_id)
        finally:
            self._is_following = False

    def _want(self, run_id: UUID, since: datetime) -> None:
        """Look for a run that was scheduled, unless it was claimed since: events can be late."""
        claimed_at = self._claimed_at.get(run_id)
        if claimed_at is None or claimed_at < since:
            self._wanted[run_id] = 0
            self._wake.set()

    def _forget_claims(self) -> None:
        late = now() - timedelta(seconds=LATE_EVENT_SECONDS)
        self._claimed_at = {run: at for run, at in self._claimed_at.items() if at > late}

    def _followed(self) -> None:
        self._is_following = True
        self._wake.set()
        for run_id in self._held:
            self._hint(run_id)

    def _hint(self, run_id: UUID) -> None:
        self._hints[run_id] = 0
        self._hinted.set()

    async def _look_when_hinted(self) -> None:
        while True:
            await self._hinted.wait()
            self._hinted.clear()
            hints, self._hints = self._hints, {}
            try:
                settled = await self._look(hints)
            except PapertrayError as error:
                self._logger.warning("runs could not be looked at: %s", error.code)
                settled = set[UUID]()
            again = {
                run: count + 1
                for run, count in hints.items()
                if run not in settled and run in self._held
                if count + 1 < len(LOOK_AGAIN_SECONDS)
            }
            if again:
                await asyncio.sleep(LOOK_AGAIN_SECONDS[min(again.values())])
                self._hints = {**again, **self._hints}
                self._hinted.set()

    async def _look(self, run_ids: Collection[UUID]) -> set[UUID]:
        """Compare runs that are held with what Prefect says; answers those that were acted on."""
        asked_at = asyncio.get_running_loop().time()
        ids = [one for one in run_ids if one in self._held]
        runs = await engine.read_runs(ids) if ids else {}
        return {
            held.id
            for held in list(self._held.values())
            if held.id in ids and held.since < asked_at and self._go_by(held, runs.get(held.id))
        }

    def _go_by(self, held: Held, run: Run | None) -> bool:
        if held.seat.parks or held.why is not None:
            return True
        if run is None or self._is_taken(run):
            held.drop(Why.LOST)
        elif run.type == "CANCELLING":
            held.drop(Why.CANCELED)
        elif run.is_final:
            if held.engine is not None and held.engine.state.is_final():
                return True
            # It may be our own report, whose answer is on its way: only if it stays so.
            if held.is_over:
                held.drop(Why.LOST)
            held.is_over = True
            return False
        elif run.type == "RUNNING" and held.seat.waits:
            held.seat.hint.set()
        else:
            return False
        return True

    def _is_taken(self, run: Run) -> bool:
        if run.type == "SCHEDULED":
            # With @flow(retries=...) Prefect's engine waits here for its own next try.
            return run.policy.get("retry_type") != "in_process"
        return run.is_parked or run.worker_id not in {None, this_worker().id}

    async def _watch(self) -> None:
        """Find what events did not tell."""
        while True:
            slow = self._is_following
            await asyncio.sleep(settings().heartbeat_seconds if slow else UNFOLLOWED_SECONDS)
            try:
                if not self._is_following:
                    await self._poll()
                await self._look(list(self._held))
                await self._look_at_left()
                self._forget_claims()
                for run_id in list(self._unreported):
                    await engine.take_over(run_id)
                    self._unreported.discard(run_id)
            except PapertrayError as error:
                self._logger.warning("runs could not be looked at: %s", error.code)

    async def _find_lost_claims(self) -> None:
        """Free the runs that name this worker and that it does not have.

        Prefect may commit a claim and die before it answers. Nobody else takes such a run: its
        worker is alive.
        """
        while True:
            await asyncio.sleep(LOST_BEATS * settings().heartbeat_seconds)
            try:
                async with self._polling:  # a claim that is still to be answered is not lost
                    held = await engine.runs_held(self._work_pool_name, but=self._held)
                    me = this_worker().id
                    lost = [run for run, by in held.items() if by == me and run not in self._held]
                for run_id in lost:
                    self._logger.warning("run %s was claimed without an answer", run_id)
                    await engine.take_over(run_id)
            except PapertrayError as error:
                self._logger.warning("lost runs could not be looked for: %s", error.code)

    def _service_ended(self, service: asyncio.Task[None]) -> None:
        """Stop where a part of the worker broke: who started it starts a whole one again."""
        if not service.cancelled() and (error := service.exception()) is not None:
            self._logger.critical("%s broke, the worker stops", service.get_name(), exc_info=error)
            self.stop()

    async def _look_at_left(self) -> None:
        """Find runs that were resumed while they parked, so late that parking did not see it.

        Prefect answers a resume by what it read of the run before: it makes it Running, for a
        process that has left it by now.
        """
        at = asyncio.get_running_loop().time()
        left = {run: since for run, since in self._left.items() if run not in self._held}
        self._left = {run: since for run, since in left.items() if at - since < LEFT_SECONDS}
        for run in (await engine.read_runs(left)).values() if left else ():
            if run.type == "RUNNING" and run.worker_id is None and run.id not in self._held:
                await engine.reschedule(run.id)
