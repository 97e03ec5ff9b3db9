"""Every call to Prefect's REST API.

Prefect's forced state changes (the only ones that park, give back or end a run from outside)
skip its rules and compare nothing. Here each is followed by a look at the history: what it
overwrote by accident is put right (`_force`).
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.context import SettingsContext
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import Event, ResourceSpecification
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings
from prefect.utilities.callables import parameter_schema

from operations.registry import OPERATIONS
from store.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    PapertrayError,
    PrefectUnreachableError,
    UnavailableError,
)
from store.ids import now
from store.settings import settings

log = logging.getLogger("papertray.engine")

PAGE: Final = 200
"""Most runs that Prefect gives in one answer."""

BULK_CREATE: Final = 100
BULK_SET: Final = 50
"""Most runs that Prefect creates, and changes the state of, in one call."""

MISSED_SECONDS: Final = 90
"""A housekeeping run that was due longer ago is not made up for."""

REMEMBERED_SECONDS: Final = 3600
"""How long housekeeping runs that have ended can be looked at."""

RESUME_TRIES: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.05
"""Between two tries of a resume; doubled each time, 6 seconds in all."""

LONGEST_PAUSE_SECONDS: Final = 5.0
"""Between two tries to follow the events."""

FINAL_TYPES: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})

JOB_TEMPLATE: Final[dict[str, Any]] = {
    # Prefect checks every new run against `variables`; for a pool of processes that is half of
    # the cost of making the run, and here there is nothing to set.
    "job_configuration": {"command": ""},  # Prefect takes an empty one for a missing one
    "variables": {"type": "object", "properties": {}},
}
POOL_TYPE: Final = "papertray"


@dataclass(frozen=True)
class Deployment:
    """A flow that is deployed, under its own name; `prefect.yaml` says the same."""

    name: str
    entrypoint: str
    queue: str
    interval_seconds: int | None = None


DEPLOYMENTS: Final = (
    Deployment("process-task", "flows.process_task.process_task", "default"),
    Deployment("run-operation", "flows.run_operation.run_operation", "interactive"),
    Deployment("reconcile", "flows.reconcile.reconcile", "interactive", interval_seconds=30),
    Deployment("expire", "flows.expire.expire", "interactive", interval_seconds=30),
    Deployment("retain", "flows.retain.retain", "interactive", interval_seconds=60),
    Deployment(
        "deliver-webhooks",
        "flows.deliver_webhooks.deliver_webhooks",
        "interactive",
        interval_seconds=60,
    ),
    *(
        Deployment(row.name, f"flows.operation_flows.{row.task.fn.__name__}", "interactive")
        for row in OPERATIONS.values()
        if row.accepts
    ),
)
QUEUES: Final = ("interactive", "default", "bulk")
"""Queues of the pool, the most urgent first."""

TASK_FLOWS: Final = (
    "process-task",
    "run-operation",
    *(row.name for row in OPERATIONS.values() if row.accepts),
)
"""Flows of which each run is a task."""


@dataclass(frozen=True)
class Submission:
    """A task that needs a run."""

    task_id: UUID
    operation: str
    """`process`, else the name of an operation."""
    name: str
    tags: list[str]
    queue: str | None = None
    """One of QUEUES; the deployment's own when omitted."""

    @property
    def deployment(self) -> str:
        """The deployment that executes it."""
        return "process-task" if self.operation == "process" else "run-operation"


@dataclass(frozen=True)
class Run:
    """A flow run, as Prefect has it."""

    id: UUID
    type: str
    """Of its state: SCHEDULED, PENDING, RUNNING, PAUSED, CANCELLING or one of FINAL_TYPES."""
    name: str
    """Of its state: Late, Suspended, Filtered ..."""
    at: datetime
    message: str
    state_id: str
    details: dict[str, Any]
    """Prefect's `state_details`."""
    run_count: int
    infrastructure_pid: str | None
    policy: dict[str, Any]
    """Prefect's `empirical_policy`."""

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Run":
        """Read it from Prefect's JSON."""
        state: dict[str, Any] = row["state"] or {
            "type": "PENDING",
            "name": "",
            "timestamp": row["created"],
        }
        return cls(
            id=UUID(row["id"]),
            type=state["type"],
            name=state["name"] or "",
            at=datetime.fromisoformat(state["timestamp"]),
            message=state.get("message") or "",
            state_id=state.get("id", ""),
            details=state.get("state_details") or {},
            run_count=row["run_count"],
            infrastructure_pid=row["infrastructure_pid"],
            policy=row["empirical_policy"] or {},
        )

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.type in FINAL_TYPES

    @property
    def is_parked(self) -> bool:
        """Whether it waits without a process: a resume schedules it."""
        return self.type == "PAUSED" and bool(self.details.get("pause_reschedule"))

    @property
    def is_paused(self) -> bool:
        """Whether it waits in a process: a resume only works while that one lives."""
        return self.type == "PAUSED" and not self.is_parked

    @property
    def worker_id(self) -> UUID | None:
        """The worker that said it has the run, where the state tells."""
        return worker_in(self.message)


class Outcome(Enum):
    """What became of a call that is about a moment."""

    ACCEPTED = auto()
    NOT_PAUSED = auto()
    """The run does not wait, or not for this."""
    INVALID = auto()
    """The answer does not fit the form."""


class Parked(Enum):
    """What became of a run that was to be parked."""

    PARKED = auto()
    RESUMED = auto()
    """The answer came first; the run is still Running, and is the caller's to go on with."""
    RESCHEDULED = auto()
    """The answer came in the same moment; the run is scheduled and goes on with it."""
    OVER = auto()
    """The run has ended or was cancelled."""


def held_by(worker_id: UUID) -> str:
    """The message of a state in which a worker has the run; read again by `worker_in`."""
    return f"Held by worker {worker_id}"


def worker_in(message: str) -> UUID | None:
    """The worker that a state's message names."""
    found = re.fullmatch(r"Held by worker ([0-9a-f-]{36})", message)
    return UUID(found[1]) if found else None


@dataclass
class _Connection:
    """The client of one event loop, and how many use it."""

    client: PrefectClient
    users: int = 0


_connections: dict[asyncio.AbstractEventLoop, _Connection] = {}


@asynccontextmanager
async def connected() -> AsyncIterator[PrefectClient]:
    """Keep one connection for all calls of this event loop: making one costs 84 ms of CPU.

    Raises:
        PrefectUnreachableError: no address of a server is set.
    """
    if not PREFECT_API_URL.value():
        # Prefect would start a server of its own here, in silence.
        raise PrefectUnreachableError("PREFECT_API_URL is not set.")
    loop = asyncio.get_running_loop()
    connection = _connections.get(loop) or _Connection(get_client())
    _connections[loop] = connection
    connection.users += 1
    try:
        async with connection.client:  # it counts, too, and closes with the last
            yield connection.client
    finally:
        connection.users -= 1
        if not connection.users:
            del _connections[loop]


@cache
def _impatient(url: str) -> SettingsContext:  # noqa: ARG001  # the key: settings differ by server
    """Prefect's settings, but for what takes long: callers here have their own retries."""
    patient = get_current_settings()
    context = SettingsContext.get()
    assert context is not None  # noqa: S101  # the global one is always there
    return SettingsContext(
        profile=context.profile,
        settings=patient.copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 1}),
    )


async def call(method: str, path: str, body: Any = None, **params: Any) -> Any:
    """Make one call; answers the JSON.

    Raises:
        PrefectUnreachableError: no answer, or one that says to come again.
        NotFoundError, ConflictError, InputError: Prefect's 404, 409, 422.
        PapertrayError: any other error.
    """
    async with connected() as client:
        try:
            with _impatient(PREFECT_API_URL.value()).model_copy():
                response = await client.request(
                    cast(Any, method), cast(Any, path), json=body, params=params or None
                )
        except httpx.HTTPStatusError as error:
            raise _error_of(error.response, path) from error
        except httpx.TransportError as error:
            raise PrefectUnreachableError(url=str(client.api_url)) from error
    return response.json() if response.content else None


def _error_of(response: httpx.Response, path: str) -> PapertrayError:
    facts = {"prefect_status": response.status_code, "prefect_path": path}
    if response.status_code == 404:
        return NotFoundError("Prefect does not know it.", **facts)
    if response.status_code == 409:
        return ConflictError("Prefect has it already.", **facts)
    if response.status_code == 422:
        return InputError("Prefect does not accept it.", **facts)
    if response.status_code in {401, 403}:
        return PrefectUnreachableError("Prefect refuses the credentials of this process.", **facts)
    if response.status_code >= 500:
        return PrefectUnreachableError("Prefect answers with an error.", **facts)
    return PapertrayError("Prefect refuses the call.", **facts)


async def ensure_deployed(deployments: Iterable[Deployment] = DEPLOYMENTS) -> None:
    """Make pool, queues and deployments what this version needs; changes nothing else.

    An existing pool of another type stays what it is: the flows run on stock pools, too.
    """
    pool = settings().work_pool
    await ensure_pool(pool)
    for deployment in deployments:
        await deploy(deployment, pool)


async def ensure_pool(pool: str) -> None:
    """Make a work pool and its queues, where they are missing."""
    with suppress(ConflictError):
        await call(
            "POST",
            "/work_pools/",
            {"name": pool, "type": POOL_TYPE, "base_job_template": JOB_TEMPLATE},
        )
    found = await call("POST", f"/work_pools/{pool}/queues/filter", {})
    priorities = {queue["name"]: queue["priority"] for queue in found}
    for queue in QUEUES:
        if queue not in priorities:
            with suppress(ConflictError):
                await call("POST", f"/work_pools/{pool}/queues", {"name": queue})
    order = [priorities.get(queue, 0) for queue in QUEUES]
    if order != sorted(order) or 0 in order:
        # `prefect deploy` makes the queues that it needs, each behind those that are there.
        for priority, queue in enumerate(QUEUES, start=1):
            await call("PATCH", f"/work_pools/{pool}/queues/{queue}", {"priority": priority})


async def deploy(deployment: Deployment, pool: str) -> UUID:
    """Make or renew one deployment; answers its id."""
    flow = await asyncio.to_thread(
        load_flow_from_entrypoint, deployment.entrypoint, use_placeholder_flow=False
    )
    flow_id = (await call("POST", "/flows/", {"name": flow.name}))["id"]
    schedules: list[dict[str, Any]] = []
    if deployment.interval_seconds:
        every = {"interval": deployment.interval_seconds, "timezone": "UTC"}
        schedules = [{"schedule": every, "active": True, "slug": deployment.name}]
    made = await call(
        "POST",
        "/deployments/",
        {
            "flow_id": flow_id,
            "name": deployment.name,
            "version": flow.version,
            "description": flow.description,
            "entrypoint": deployment.entrypoint,
            "pull_steps": [],  # a module path is imported, nothing is pulled
            "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
            "enforce_parameter_schema": True,
            "work_pool_name": pool,
            "work_queue_name": deployment.queue,
            "schedules": schedules,
        },
    )
    _deployment_ids.pop(deployment.name, None)
    return UUID(made["id"])


_deployment_ids: dict[str, UUID] = {}


async def _deployment_id(name: str) -> UUID:
    """The id of one of DEPLOYMENTS, whose name is its flow's, too."""
    if name not in _deployment_ids:
        found = await call("GET", f"/deployments/name/{name}/{name}")
        _deployment_ids[name] = UUID(found["id"])
    return _deployment_ids[name]


async def submit(batch: Collection[Submission]) -> dict[UUID, UUID]:
    """Make the runs of up to BULK_CREATE tasks; the same task gives the same run again.

    Returns:
        Task id to flow run id.

    Raises:
        PapertrayError: Prefect made a run of none of them, or not of all.
    """
    made: dict[UUID, UUID] = {}
    for name in {one.deployment for one in batch}:
        part = [one for one in batch if one.deployment == name]
        results = await _create(
            name,
            [
                {
                    "name": one.name,
                    "tags": one.tags,
                    "parameters": {"task_id": str(one.task_id)},
                    "idempotency_key": str(one.task_id),
                    **({"work_queue_name": one.queue} if one.queue else {}),
                }
                for one in part
            ],
        )
        made |= {one.task_id: run for one, run in zip(part, results, strict=True)}
    return made


async def _create(deployment: str, runs: list[dict[str, Any]]) -> list[UUID]:
    try:
        answer = await _create_once(deployment, runs)
    except NotFoundError:
        # Somebody deleted the deployment and made it anew: it has another id now.
        _deployment_ids.pop(deployment, None)
        answer = await _create_once(deployment, runs)
    failed = [one for one in answer["results"] if one["status"] != "CREATED"]
    if failed:
        raise PapertrayError("Prefect could not make the runs.", failed=len(failed))
    return [UUID(one["flow_run_id"]) for one in answer["results"]]


async def _create_once(deployment: str, runs: list[dict[str, Any]]) -> Any:
    deployment_id = await _deployment_id(deployment)
    return await call("POST", f"/deployments/{deployment_id}/create_flow_run/bulk", runs)


async def read_runs(flow_run_ids: Collection[UUID]) -> dict[UUID, Run]:
    """Read runs by id; one that Prefect does not have is missing in the answer."""
    ids = [str(one) for one in flow_run_ids]
    runs: dict[UUID, Run] = {}
    for start in range(0, len(ids), PAGE):
        part = ids[start : start + PAGE]
        body = {"flow_runs": {"id": {"any_": part}}, "limit": PAGE}
        for row in await call("POST", "/flow_runs/filter", body):
            runs[UUID(row["id"])] = Run.of(row)
    return runs


async def read_run(flow_run_id: UUID) -> Run | None:
    """Read one run; None when Prefect does not have it."""
    try:
        return Run.of(await call("GET", f"/flow_runs/{flow_run_id}"))
    except NotFoundError:
        return None


async def runs_ended_since(since: datetime) -> list[UUID]:
    """The runs of tasks that have ended since a time."""
    body = {
        "flows": {"name": {"any_": list(TASK_FLOWS)}},
        "flow_runs": {
            "state": {"type": {"any_": sorted(FINAL_TYPES)}},
            "end_time": {"after_": since.astimezone(UTC).isoformat()},
        },
    }
    return [run.id for run in await _all(body)]


async def runs_held_by(workers: Collection[UUID], pool: str | None = None) -> list[UUID]:
    """The runs that some workers say they have, be it only just claimed.

    Args:
        workers: ids of workers.
        pool: of the runs; the settings' own when omitted.
    """
    body = {
        "work_pools": {"name": {"any_": [pool or settings().work_pool]}},
        "flow_runs": {
            "state": {
                "type": {"any_": ["PENDING", "RUNNING", "CANCELLING", "PAUSED"]},
                "name": {"not_any_": ["Suspended"]},  # parked: thousands, and nobody holds them
            }
        },
    }
    runs = [run for run in await _all(body) if not run.is_parked]
    held: list[UUID] = []
    for run in runs:
        # After a resume, and while it is paused or cancelled, the state before tells.
        holder = run.worker_id or await _last_holder(run.id)
        if holder in workers:
            held.append(run.id)
    return held


async def _last_holder(flow_run_id: UUID) -> UUID | None:
    for state in reversed(await _history(flow_run_id)):
        if holder := worker_in(state.get("message") or ""):
            return holder
        if state["type"] == "SCHEDULED":
            return None
    return None


async def _all(body: dict[str, Any]) -> list[Run]:
    runs: list[Run] = []
    while True:
        page = await call(
            "POST",
            "/flow_runs/filter",
            {**body, "limit": PAGE, "offset": len(runs), "sort": "ID_DESC"},
        )
        runs += [Run.of(row) for row in page]
        if len(page) < PAGE:
            return runs


async def resume(
    flow_run_id: UUID, run_input: dict[str, Any], *, pause_key: str | None = None
) -> Outcome:
    """Resume a run that waits, with the answer to its form.

    Args:
        flow_run_id: of the run.
        run_input: the fields of the form.
        pause_key: resume only if the run waits under this key; any when omitted.

    Raises:
        UnavailableError: Prefect is busy, or the form is not there yet; try again later.
    """
    if pause_key is not None:
        run = await read_run(flow_run_id)
        if run is None or run.type != "PAUSED" or run.details.get("pause_key") != pause_key:
            return Outcome.NOT_PAUSED
    pause = FIRST_PAUSE_SECONDS
    for tries_left in reversed(range(RESUME_TRIES)):
        try:
            answer = await call(
                "POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": run_input}
            )
        except NotFoundError:
            return Outcome.NOT_PAUSED
        except PrefectUnreachableError:
            if not tries_left:
                raise
        else:
            reason = (answer.get("details") or {}).get("reason") or ""
            if answer["status"] == "ACCEPT":
                return Outcome.ACCEPTED
            if answer["status"] == "ABORT":
                return Outcome.NOT_PAUSED
            if reason != "Run input schema not found.":
                # What follows names the value that was sent, and stays out of the log.
                log.warning("run %s: %s", flow_run_id, reason.split(" Failure reason")[0])
                return Outcome.INVALID if reason.startswith("Reason: ") else Outcome.NOT_PAUSED
        await asyncio.sleep(pause)
        pause *= 2
    raise UnavailableError("The run waits, but its form is not there yet. Try again later.")


async def cancel(flow_run_id: UUID) -> None:
    """Cancel a run, as Prefect's UI does: at once where nobody executes it, else by its worker.

    A run that has ended stays as it is.
    """
    run = await read_run(flow_run_id)
    if run is None or run.is_final:
        return
    if run.type == "SCHEDULED" and run.infrastructure_pid:
        # Prefect would wait for a process that is gone to end itself.
        await call("PATCH", f"/flow_runs/{flow_run_id}", {"infrastructure_pid": None})
    await _set_state(flow_run_id, {"type": "CANCELLING", "name": "Cancelling"}, force=False)


async def end(flow_run_id: UUID, state: State[Any]) -> None:
    """Force a run to end in a state; one that is in it already stays as it is."""
    run = await read_run(flow_run_id)
    if run is None or (run.type, run.name) == (state.type.value, state.name):
        return
    wanted = {"type": state.type.value, "name": state.name, "message": state.message}
    await _set_state(flow_run_id, wanted, force=True)


async def reschedule(flow_run_id: UUID, *, even_if_final: bool = False) -> bool:
    """Have a run executed again, by any worker, from what it has done so far.

    Args:
        flow_run_id: of a run that nobody executes.
        even_if_final: also when it has ended; a retry.

    Returns:
        Whether it is scheduled now.
    """
    run = await read_run(flow_run_id)
    if run is None or (run.is_final and not even_if_final):
        return False
    if run.type == "SCHEDULED":
        return True
    if run.type == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return False
    if run.type == "PAUSED":
        return await park(flow_run_id) in {Parked.RESUMED, Parked.RESCHEDULED}
    await _make_pollable(run)
    between = await _force(run, _scheduled("AwaitingRetry"))
    return not await _is_over(flow_run_id, between, even_if_final=even_if_final)


async def _is_over(
    flow_run_id: UUID, between: dict[str, Any] | None, *, even_if_final: bool = False
) -> bool:
    """Put right what a forced change overwrote: the end of a run, or its cancel, stands."""
    if between and between["type"] in FINAL_TYPES and not even_if_final:
        await _set_state(flow_run_id, _copy(between), force=True)
        return True
    if between and between["type"] == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return True
    return False


async def _make_pollable(run: Run) -> None:
    """Clear what would keep a scheduled run from being found, or from being cancelled at once."""
    changes: dict[str, Any] = {}
    if run.infrastructure_pid:
        changes["infrastructure_pid"] = None
    if run.policy.get("retry_type") == "in_process":
        changes["empirical_policy"] = {**run.policy, "retry_type": "reschedule"}
    if changes:
        await call("PATCH", f"/flow_runs/{run.id}", changes)


async def park(flow_run_id: UUID) -> Parked:
    """Let a run wait without a process: from Paused, where one waits, to Suspended.

    The process must have let go of the run before. A resume in the same moment wins.
    """
    run = await read_run(flow_run_id)
    if run is None or run.is_final:
        return Parked.OVER
    if run.is_parked:
        return Parked.PARKED
    if run.type == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return Parked.OVER
    if not run.is_paused:
        return Parked.RESCHEDULED if run.type == "SCHEDULED" else Parked.RESUMED
    await _make_pollable(run)
    between = await _force(run, _suspended(run.details))
    if between is None:
        return Parked.PARKED
    if await _is_over(flow_run_id, between):
        return Parked.OVER
    if between["type"] == "RUNNING":
        # The answer came first, by a resume that thought the run to be in a process.
        await _set_state(flow_run_id, _scheduled("Resuming"), force=True)
    return Parked.RESCHEDULED


async def suspend(
    flow_run_id: UUID, *, pause_key: str, keyset: dict[str, str], until: datetime
) -> None:
    """Let a running run wait for an answer under a key that it has used already."""
    details = {
        "pause_key": pause_key,
        "run_input_keyset": keyset,
        "pause_timeout": until.isoformat(),
    }
    await _set_state(flow_run_id, _suspended(details), force=True)


async def finish_cancelling(flow_run_id: UUID) -> None:
    """End a run that is being cancelled and that nobody executes any more."""
    await _set_state(flow_run_id, {"type": "CANCELLED", "name": "Cancelled"}, force=True)


async def take_over(flow_run_id: UUID) -> None:
    """Free a run from a worker that is gone: any other can have it, or it goes on waiting."""
    run = await read_run(flow_run_id)
    if run is None or run.is_final or run.is_parked or run.type == "SCHEDULED":
        return
    if run.is_paused:
        if await park(flow_run_id) is Parked.RESUMED:
            await reschedule(flow_run_id)
    else:
        await reschedule(flow_run_id)


async def claim(flow_run_ids: Collection[UUID], worker_id: UUID) -> set[UUID]:
    """Claim scheduled runs for a worker, of two that try one gets a run; answers those it got."""
    ids = list(flow_run_ids)
    state = {"type": "PENDING", "name": "Pending", "message": held_by(worker_id)}
    mine: set[UUID] = set()
    for start in range(0, len(ids), BULK_SET):
        part = ids[start : start + BULK_SET]
        if len(part) == 1:
            # One by one it is cheaper for the server: no filter, no list.
            one = await _set_state(part[0], state, force=False)
            answers: list[dict[str, Any]] = [{**one, "flow_run_id": part[0]}]
        else:
            body = {
                "flow_runs": {"id": {"any_": [str(one) for one in part]}},
                "state": state,
                "limit": BULK_SET,
            }
            answers = (await call("POST", "/flow_runs/bulk_set_state", body))["results"]
        mine |= {
            UUID(str(answer["flow_run_id"])) for answer in answers if answer["status"] == "ACCEPT"
        }
    # An answer that was lost, and asked for again, says no to what it had said yes to.
    unclear = [one for one in ids if one not in mine]
    for run in (await read_runs(unclear)).values():
        if run.type == "PENDING" and run.worker_id == worker_id:
            mine.add(run.id)
    return mine


async def _force(run: Run, state: dict[str, Any]) -> dict[str, Any] | None:
    """Force a state upon a run; answers what happened to the run in the same moment, if anything.

    Prefect's forced change compares nothing, so that a resume, a cancel or the end of the run
    would be lost, and nothing but the history would tell. The times in it are those at which
    the changes were asked for, not their order: whatever is newer than what was known counts.
    """
    answer = await _set_state(run.id, state, force=True)
    known = {run.state_id, (answer["state"] or {}).get("id")}
    news = [
        entry
        for entry in await _history(run.id)
        if entry["id"] not in known and datetime.fromisoformat(entry["timestamp"]) > run.at
    ]
    return news[-1] if news else None


async def _history(flow_run_id: UUID) -> list[dict[str, Any]]:
    states = await call("GET", "/flow_run_states/", flow_run_id=str(flow_run_id))
    return sorted(states, key=lambda state: state["timestamp"])


async def _set_state(flow_run_id: UUID, state: dict[str, Any], *, force: bool) -> dict[str, Any]:
    body = {"state": state, "force": force}
    try:
        return await call("POST", f"/flow_runs/{flow_run_id}/set_state", body)
    except NotFoundError:
        return {"status": "ABORT", "state": None, "details": {"reason": "missing"}}


def _scheduled(name: str) -> dict[str, Any]:
    details = {"scheduled_time": now().isoformat()}
    return {"type": "SCHEDULED", "name": name, "state_details": details}


def _suspended(details: dict[str, Any]) -> dict[str, Any]:
    kept = {name: details.get(name) for name in ("pause_key", "run_input_keyset", "pause_timeout")}
    return {
        "type": "PAUSED",
        "name": "Suspended",
        "state_details": {**kept, "pause_reschedule": True},
    }


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    """A state to be set once more: without its id, and without the mark of its transition."""
    details = {k: v for k, v in (state["state_details"] or {}).items() if k != "transition_id"}
    return {
        "type": state["type"],
        "name": state["name"],
        "message": state["message"],
        "data": state["data"],
        "state_details": details,
    }


async def empty(flow_run_id: UUID, *, task_id: UUID, name: str) -> None:
    """Take out of a run that has ended whatever people and steps put into it.

    What was filled into its forms, its artifacts, and the parameters and the name that somebody
    gave it who started it in Prefect. Its states and its log stay: nothing of a document is there.

    Args:
        flow_run_id: of the run; one that is gone is empty.
        task_id: of the task, the one parameter that stays.
        name: what it is called from now on.
    """
    await _delete_artifacts(flow_run_id)
    every = {"prefix": "", "limit": PAGE}
    while inputs := await call("POST", f"/flow_runs/{flow_run_id}/input/filter", every):
        for one in inputs:
            with suppress(NotFoundError):
                await call("DELETE", f"/flow_runs/{flow_run_id}/input/{one['key']}")
    with suppress(NotFoundError):
        await call(
            "PATCH",
            f"/flow_runs/{flow_run_id}",
            {"name": name, "parameters": {"task_id": str(task_id)}},
        )


async def delete_run(flow_run_id: UUID) -> None:
    """Delete a run with all that belongs to it; one that is gone already is no error."""
    await _delete_artifacts(flow_run_id)  # Prefect leaves those
    with suppress(NotFoundError):
        await call("DELETE", f"/flow_runs/{flow_run_id}")


async def _delete_artifacts(flow_run_id: UUID) -> None:
    body = {"artifacts": {"flow_run_id": {"any_": [str(flow_run_id)]}}, "limit": PAGE}
    while found := await call("POST", "/artifacts/filter", body):
        for one in found:
            with suppress(NotFoundError):
                await call("DELETE", f"/artifacts/{one['id']}")


async def tidy_up() -> int:
    """Delete runs of the housekeeping flows that are of no use; answers how many.

    A schedule goes on making runs while no worker is there, and a night of them would come before
    the first task. Those that have ended are thousands a day.
    """
    housekeeping = [await _deployment_id(one.name) for one in DEPLOYMENTS if one.interval_seconds]
    of_them = {"deployment_id": {"any_": [str(one) for one in housekeeping]}}
    missed = (now() - timedelta(seconds=MISSED_SECONDS)).isoformat()
    old = (now() - timedelta(seconds=REMEMBERED_SECONDS)).isoformat()
    deleted = 0
    for useless in (
        {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": missed}},
        {"state": {"type": {"any_": ["COMPLETED"]}}, "end_time": {"before_": old}},
    ):
        body = {"flow_runs": {**of_them, **useless}, "limit": BULK_SET}
        while gone := (await call("POST", "/flow_runs/bulk_delete", body))["deleted"]:
            deleted += len(gone)
    return deleted


async def follow(changed: Callable[[UUID], Awaitable[None]], stop: asyncio.Event) -> None:
    """Tell of each run of a task that ends, or is being cancelled, until told to stop.

    Events come within milliseconds, may come before what they tell of is committed, and may be
    lost: they are hints.

    Args:
        changed: called with the id of the flow run, one after the other.
        stop: ends it.
    """

    async def follow_once() -> None:
        flows = [(await call("GET", f"/flows/name/{name}"))["id"] for name in TASK_FLOWS]
        resources = [f"prefect.flow.{one}" for one in flows]
        async for event in state_events(resources, {*FINAL_TYPES, "CANCELLING"}):
            try:
                await changed(run_of(event))
            except PapertrayError as error:
                log.warning("run %s could not be followed: %s", run_of(event), error.code)

    following = asyncio.create_task(keep_following(follow_once))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (following, stopping):
            task.cancel()
        await asyncio.gather(following, stopping, return_exceptions=True)


async def keep_following(follow_once: Callable[[], Awaitable[None]]) -> None:
    """Follow again whenever the connection is lost, for ever."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await follow_once()
        except (PapertrayError, OSError, httpx.HTTPError) as error:
            log.debug("the events of Prefect are lost: %s", type(error).__name__)
        except Exception as error:
            # The subscriber raises a plain Exception where it may not sign in, and whatever its
            # websocket library raises: there is no narrower name for what has to be survived.
            log.warning("the events of Prefect are lost: %s", type(error).__name__)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def state_events(
    resources: Collection[str], types: Collection[str], on_connect: Callable[[], None] | None = None
) -> AsyncGenerator[Event]:
    """Changes of state of flow runs, until the connection is lost.

    Args:
        resources: ids of flows, pools or deployments that the runs are related to.
        types: types of the new state.
        on_connect: called when the connection stands.
    """
    wanted = EventFilter(
        event=EventNameFilter(prefix=["prefect.flow-run."]),
        any_resource=EventAnyResourceFilter(id=list(resources)),
        resource=EventResourceFilter(
            labels=ResourceSpecification({"prefect.state-type": sorted(types)})
        ),
    )
    async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
        if on_connect:
            on_connect()
        async for event in events:
            yield event


def run_of(event: Event) -> UUID:
    """The flow run that an event is about."""
    return UUID(event.resource.id.removeprefix("prefect.flow-run."))
