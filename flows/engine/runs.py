"""Runs: made, and read."""

import re
from collections.abc import Collection, Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from flows.engine import client
from flows.engine.deployments import PAGE, TASK_FLOWS, deployment_id, deployment_ids
from store.errors import (
    NotFoundError,
    PapertrayError,
)
from store.ids import now
from store.settings import settings

FINAL_TYPES: Final = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})

FARTHEST: Final = timedelta(seconds=60)
"""No run of a task is scheduled for later than so: a retry waits seconds."""


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
    def is_ahead(self) -> bool:
        """Whether it is scheduled for a time that the clock had before it was put back."""
        at = self.details.get("scheduled_time") if self.type == "SCHEDULED" else None
        return at is not None and datetime.fromisoformat(at) > now() + FARTHEST

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


def held_by(worker_id: UUID) -> str:
    """The message of a state in which a worker has the run; read again by `worker_in`."""
    return f"Held by worker {worker_id}"


def worker_in(message: str) -> UUID | None:
    """The worker that a state's message names."""
    found = re.fullmatch(r"Held by worker ([0-9a-f-]{36})", message)
    return UUID(found[1]) if found else None


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
        deployment_ids.pop(deployment, None)
        answer = await _create_once(deployment, runs)
    failed = [one for one in answer["results"] if one["status"] != "CREATED"]
    if failed:
        raise PapertrayError("Prefect could not make the runs.", failed=len(failed))
    return [UUID(one["flow_run_id"]) for one in answer["results"]]


async def _create_once(deployment: str, runs: list[dict[str, Any]]) -> Any:
    made_of = await deployment_id(deployment)
    return await client.call("POST", f"/deployments/{made_of}/create_flow_run/bulk", runs)


async def read_runs(flow_run_ids: Collection[UUID]) -> dict[UUID, Run]:
    """Read runs by id; one that Prefect does not have is missing in the answer."""
    ids = [str(one) for one in flow_run_ids]
    runs: dict[UUID, Run] = {}
    for start in range(0, len(ids), PAGE):
        part = ids[start : start + PAGE]
        body = {"flow_runs": {"id": {"any_": part}}, "limit": PAGE}
        for row in await client.call("POST", "/flow_runs/filter", body):
            runs[UUID(row["id"])] = Run.of(row)
    return runs


async def read_run(flow_run_id: UUID) -> Run | None:
    """Read one run; None when Prefect does not have it."""
    try:
        return Run.of(await client.call("GET", f"/flow_runs/{flow_run_id}"))
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


async def runs_held(pool: str | None = None, *, but: Container[UUID] = ()) -> dict[UUID, UUID]:
    """The runs that workers say they have, be it only just claimed, and which worker it is.

    Args:
        pool: of the runs; the settings' own when omitted.
        but: ids of runs that are of no interest.
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
    runs = [run for run in await _all(body) if not run.is_parked and run.id not in but]
    held: dict[UUID, UUID] = {}
    for run in runs:
        # After a resume, and while it is paused or cancelled, the state before tells.
        if holder := run.worker_id or await _last_holder(run.id):
            held[run.id] = holder
    return held


async def _last_holder(flow_run_id: UUID) -> UUID | None:
    for state in reversed(await history(flow_run_id)):
        if holder := worker_in(state.get("message") or ""):
            return holder
        if state["type"] == "SCHEDULED":
            return None
    return None


async def _all(body: dict[str, Any]) -> list[Run]:
    runs: list[Run] = []
    while True:
        page = await client.call(
            "POST",
            "/flow_runs/filter",
            {**body, "limit": PAGE, "offset": len(runs), "sort": "ID_DESC"},
        )
        runs += [Run.of(row) for row in page]
        if len(page) < PAGE:
            return runs


async def history(flow_run_id: UUID) -> list[dict[str, Any]]:
    """The states of a run in Prefect's JSON, the oldest first."""
    states = await client.call("GET", "/flow_run_states/", flow_run_id=str(flow_run_id))
    return sorted(states, key=lambda state: state["timestamp"])


async def times_restarted(flow_run_id: UUID) -> int:
    """How often a run that was over went on: each try after the first, ours or by Retry there."""
    types = [state["type"] for state in await history(flow_run_id)]
    return sum(
        before in FINAL_TYPES and after not in FINAL_TYPES for before, after in pairwise(types)
    )
