"""Prefect's engine for a run that shares its process with others, and the flows that it runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.concurrency.context import ConcurrencyContext
from prefect.concurrency.v1.context import ConcurrencyContext as ConcurrencyContextV1
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, Pause
from prefect.flow_engine import AsyncFlowRunEngine
from prefect.flows import load_flow_from_entrypoint
from prefect.logging.loggers import flow_run_logger, patch_print
from prefect.results import ResultStore, should_persist_result
from prefect.utilities.callables import get_call_parameters, parameters_to_args_kwargs
from prefect.utilities.engine import should_log_prints

from flows import engine

FRESH_SECONDS: Final = 60.0
"""How long a deployment that was read counts as unchanged."""


class RunEngine(AsyncFlowRunEngine[Any, Any]):
    """Prefect's engine for one run, without what it does for a process of its own.

    Left out: the thread, websocket and client of each run that watch for its suspension, the
    thread for its heartbeats, two calls that read and write what is known, the signal handler
    (the signals of this process belong to the worker). Two calls remain: Running, and the end.
    """

    held_by: str = ""
    results: ResultStore | None = None

    @property
    def heartbeat_seconds(self) -> int | None:
        """None: the worker's one heartbeat stands for all its runs."""
        return None

    @contextmanager
    def setup_flow_run_suspension_request(self) -> Iterator[Any]:
        """Watch nothing: the worker is told of a suspension and drops the run."""
        yield self._get_flow_run_suspension_request()

    async def set_state(self, state: State[Any], force: bool = False) -> State[Any]:  # noqa: FBT001, FBT002  # Prefect's signature
        """Set a state; a running one names the worker."""
        if state.is_running() and not state.message:
            state.message = self.held_by
        reached = await super().set_state(state, force)
        run = self.flow_run
        if reached.is_running() and run is not None:
            # As the server counts: a run that was resumed is in the same try.
            if not (run.empirical_policy.resuming and run.run_count):
                run.run_count += 1
            run.start_time = run.start_time or cast(Any, reached.timestamp)
        return reached

    @asynccontextmanager
    async def initialize_run(self) -> AsyncIterator["RunEngine"]:
        """Take the worker's client; the run is there, and its outcome is the worker's matter."""
        assert self.flow_run is not None  # noqa: S101  # made with it
        async with engine.connected() as client:
            self._client = client
            self._is_started = True
            self.logger = cast(Any, flow_run_logger(flow_run=self.flow_run, flow=self.flow))
            try:
                yield self
            except (Abort, Pause) as signaled:
                self.flow_run.state = getattr(signaled, "state", None) or self.flow_run.state
                raise
            finally:
                if self.state.is_final():
                    self.logger.info("Finished in state %s", self.state)
                else:  # parked, given back or cancelled: the state that Prefect shows says which
                    self.logger.info("Left by its worker before its end")
                self._is_started = False
                self._client = None

    @asynccontextmanager
    async def setup_run_context(self, client: PrefectClient | None = None) -> AsyncIterator[None]:
        """Make what tasks and `prefect.runtime` look for, from what the worker knows."""
        assert self.flow_run is not None  # noqa: S101  # made with it
        assert self.results is not None  # noqa: S101  # set by the worker
        log_prints = should_log_prints(self.flow)
        async with AsyncExitStack() as stack:
            if log_prints:
                stack.enter_context(patch_print())
            stack.enter_context(
                FlowRunContext(
                    flow=self.flow,
                    log_prints=log_prints,
                    flow_run=self.flow_run,
                    parameters=self.parameters,
                    client=client or self.client,
                    result_store=self.results,
                    task_runner=stack.enter_context(self.flow.task_runner.duplicate()),
                    persist_result=(
                        should_persist_result()
                        if self.flow.persist_result is None
                        else self.flow.persist_result
                    ),
                    flow_run_suspension_request=self._get_flow_run_suspension_request(),
                )
            )
            stack.enter_context(ConcurrencyContextV1())
            stack.enter_context(ConcurrencyContext())
            self.logger.info(
                "Beginning flow run %r for flow %r", self.flow_run.name, self.flow.name
            )
            yield


@dataclass
class _Loaded:
    """A flow, ready to run."""

    flow: Flow[..., Any]
    results: ResultStore
    entrypoint: str
    read_at: float


class Flows:
    """The flows of deployments, each imported once."""

    def __init__(self) -> None:
        """Know none yet."""
        self._loaded: dict[UUID, _Loaded] = {}

    async def engine_of(self, run: FlowRun, held_by: str) -> RunEngine:
        """Make what executes a run.

        Args:
            run: of a deployment.
            held_by: the message of its running states, which names the worker.

        Raises:
            PapertrayError: Prefect does not answer.
            ValueError, TypeError: the run is none that can be executed here; whatever the import
                of its flow raises, or its signature, comes as it is.
        """
        loaded = await self._load(run)
        args, kwargs = parameters_to_args_kwargs(loaded.flow.fn, run.parameters)
        parameters = get_call_parameters(loaded.flow.fn, args, kwargs)
        made = RunEngine(flow=loaded.flow, flow_run=run, parameters=parameters)
        made.held_by = held_by
        cache = ResultStore.model_fields["cache"].get_default(call_default_factory=True)
        made.results = loaded.results.model_copy(update={"cache": cache})
        return made

    async def _load(self, run: FlowRun) -> _Loaded:
        if run.deployment_id is None:
            raise ValueError("the run has no deployment")
        known = self._loaded.get(run.deployment_id)
        at = asyncio.get_running_loop().time()
        if known and at - known.read_at < FRESH_SECONDS:
            return known
        deployment = await engine.call("GET", f"/deployments/{run.deployment_id}")
        entrypoint = _entrypoint(deployment)
        if known and known.entrypoint == entrypoint:
            known.read_at = at
            return known
        flow = await asyncio.to_thread(
            load_flow_from_entrypoint, entrypoint, use_placeholder_flow=False
        )
        if not flow.isasync or flow.isgenerator:
            raise TypeError("this worker executes `async def` flows only; use a process pool")
        results = await ResultStore().aupdate_for_flow(flow)
        loaded = _Loaded(flow=flow, results=results, entrypoint=entrypoint, read_at=at)
        self._loaded[run.deployment_id] = loaded
        return loaded


def _entrypoint(deployment: dict[str, Any]) -> str:
    """Where the flow is; a file is found by its folder, nothing is pulled or changed to."""
    entrypoint: str = deployment["entrypoint"]
    folder: str = deployment.get("path") or "."
    for step in deployment.get("pull_steps") or []:
        if "prefect.deployments.steps.set_working_directory" not in step:
            raise ValueError("this worker pulls no code; use a process pool")
        folder = step["prefect.deployments.steps.set_working_directory"]["directory"]
    return entrypoint if ":" not in entrypoint else str(Path(folder) / entrypoint)
