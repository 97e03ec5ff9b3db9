"""Which flows are deployed, and deploying them."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final
from uuid import UUID

from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.engine import client
from operations.registry import OPERATIONS
from store.errors import (
    ConflictError,
)
from store.settings import settings

PAGE: Final = 200
"""Most runs that Prefect gives in one answer."""

BULK_CREATE: Final = 100

BULK_SET: Final = 50
"""Most runs that Prefect creates, and changes the state of, in one call."""

JOB_TEMPLATE: Final[dict[str, Any]] = {
    # Prefect checks every new run against `variables`; for a pool of processes that is half of
    # the cost of making the run, and here there is nothing to set.
    "job_configuration": {"command": ""},  # Prefect takes an empty one for a missing one
    "variables": {"type": "object", "properties": {}},
}

POOL_TYPE: Final = "papertray"


VERSION: Final = version("papertray")
"""Of all deployments: what is installed where the flows run."""


@dataclass(frozen=True)
class Deployment:
    """A flow that is deployed, under its own name; `prefect.yaml` says the same."""

    name: str
    entrypoint: str
    queue: str
    kind: str = "task"
    """`task`, `operation` or `housekeeping`; one of its tags."""
    interval_seconds: int | None = None
    cron: str | None = None
    """In UTC."""

    @property
    def tags(self) -> list[str]:
        """By which Prefect's UI finds it and, since each run gets them, its runs."""
        return ["papertray", f"papertray-{self.kind}"]

    @property
    def schedules(self) -> list[dict[str, Any]]:
        """When runs of it are made, as `prefect.yaml` writes it."""
        if self.interval_seconds:
            every: dict[str, Any] = {"interval": self.interval_seconds}
        elif self.cron:
            every = {"cron": self.cron}
        else:
            return []
        return [{**every, "timezone": "UTC", "slug": self.name}]


OPERATION_DEPLOYMENTS: Final = tuple(
    Deployment(
        row.name, f"flows.operation_flows.{row.task.fn.__name__}", "interactive", "operation"
    )
    for row in OPERATIONS.values()
    if row.accepts
)
"""One for each operation on files."""


def _housekeeping(name: str, **when: Any) -> Deployment:
    module = name.replace("-", "_")
    return Deployment(name, f"flows.{module}.{module}", "interactive", "housekeeping", **when)


DEPLOYMENTS: Final = (
    Deployment("process-task", "flows.process_task.process_task", "default", "task"),
    Deployment("run-operation", "flows.run_operation.run_operation", "interactive", "operation"),
    _housekeeping("reconcile", interval_seconds=30),
    _housekeeping("expire", interval_seconds=30),
    _housekeeping("retain", interval_seconds=60),
    _housekeeping("deliver-webhooks", interval_seconds=60),
    _housekeeping("watch-folder", interval_seconds=60),
    _housekeeping("daily-report", cron="5 0 * * *"),
    *OPERATION_DEPLOYMENTS,
)

QUEUES: Final = ("interactive", "default", "bulk")
"""Queues of the pool, the most urgent first."""

TASK_FLOWS: Final = (
    "process-task",
    "run-operation",
    *(one.name for one in OPERATION_DEPLOYMENTS),
)
"""Flows of which each run is a task."""


def queue_of(priority: int) -> str | None:
    """The queue for the run of a task; None: that of its deployment."""
    if priority < 0:
        return "bulk"
    return "interactive" if priority > 0 else None


async def ensure_deployed(deployments: Sequence[Deployment] = DEPLOYMENTS) -> None:
    """Make pool, queues and deployments what this version needs; changes nothing else.

    An existing pool of another type stays what it is: the flows run on stock pools, too.
    """
    pool = settings().work_pool
    async with client.connected():  # one for all the calls
        await ensure_pool(pool)
        # A deployment has the name of its flow; another flow may have a deployment of that name.
        names = {"name": {"any_": [one.name for one in deployments]}}
        both = {"flows": names, "deployments": names, "limit": PAGE}
        there = {one["name"]: one for one in await client.call("POST", "/deployments/filter", both)}
        for deployment in deployments:
            await deploy(deployment, pool, there.get(deployment.name))


async def ensure_pool(pool: str) -> None:
    """Make a work pool and its queues, where they are missing."""
    with suppress(ConflictError):
        await client.call(
            "POST",
            "/work_pools/",
            {"name": pool, "type": POOL_TYPE, "base_job_template": JOB_TEMPLATE},
        )
    found = await client.call("POST", f"/work_pools/{pool}/queues/filter", {})
    priorities = {queue["name"]: queue["priority"] for queue in found}
    for queue in QUEUES:
        if queue not in priorities:
            with suppress(ConflictError):
                await client.call("POST", f"/work_pools/{pool}/queues", {"name": queue})
    order = [priorities.get(queue, 0) for queue in QUEUES]
    if order != sorted(order) or 0 in order:
        # `prefect deploy` makes the queues that it needs, each behind those that are there.
        for priority, queue in enumerate(QUEUES, start=1):
            await client.call("PATCH", f"/work_pools/{pool}/queues/{queue}", {"priority": priority})


async def limit_bulk(pool: str, most: int) -> None:
    """Let so many runs of the queue `bulk` go at once, where nobody has set a limit yet.

    Those of the other queues then find places in the workers however much is in bulk.
    """
    (queue,) = [
        one
        for one in await client.call("POST", f"/work_pools/{pool}/queues/filter", {})
        if one["name"] == "bulk"
    ]
    if queue["concurrency_limit"] is None:
        path = f"/work_pools/{pool}/queues/bulk"
        await client.call("PATCH", path, {"concurrency_limit": most})


async def deploy(deployment: Deployment, pool: str, there: Mapping[str, Any] | None = None) -> UUID:
    """Make or renew one deployment; answers its id.

    Args:
        deployment: what it is to be.
        pool: the work pool in which its runs are scheduled.
        there: what Prefect has of it; nothing is called where that is the same.
    """
    flow = await asyncio.to_thread(
        load_flow_from_entrypoint, deployment.entrypoint, use_placeholder_flow=False
    )
    wanted: dict[str, Any] = {
        "name": deployment.name,
        "version": VERSION,
        "description": flow.description,
        "tags": deployment.tags,
        "entrypoint": deployment.entrypoint,
        "pull_steps": [],  # a module path is imported, nothing is pulled
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "work_pool_name": pool,
        "work_queue_name": deployment.queue,
        "schedules": _schedules(deployment, there["schedules"] if there else []),
    }
    if there and wanted == {name: _as_sent(name, there[name]) for name in wanted}:
        return UUID(there["id"])
    flow_id = (await client.call("POST", "/flows/", {"name": flow.name}))["id"]
    made = await client.call("POST", "/deployments/", {**wanted, "flow_id": flow_id})
    deployment_ids.pop(deployment.name, None)
    return UUID(made["id"])


_SCHEDULE: Final = ("schedule", "active", "slug")


def _schedules(deployment: Deployment, there: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The schedules of a deployment: those that are there, as people left them, where they fit."""
    kept = {one["slug"]: one for one in there}
    wanted: list[dict[str, Any]] = []
    for written in deployment.schedules:
        schedule = {name: value for name, value in written.items() if name != "slug"}
        slug = written["slug"]
        one = {"schedule": schedule, "active": True, "slug": slug}
        if slug in kept and schedule.items() <= kept[slug]["schedule"].items():
            one = {name: kept[slug][name] for name in _SCHEDULE}
        wanted.append(one)
    return wanted


def _as_sent(name: str, value: Any) -> Any:
    """What Prefect answers for a member of a deployment, without what it adds itself."""
    if name == "schedules":
        return [{part: one[part] for part in _SCHEDULE} for one in value]
    return value


async def is_paused(name: str) -> bool:
    """Whether people have paused one of DEPLOYMENTS that has a schedule, or taken that away.

    Raises:
        NotFoundError: it is not deployed.
        PrefectUnreachableError: Prefect does not answer.
    """
    return is_off(await client.call("GET", f"/deployments/name/{name}/{name}"))


def is_off(found: Mapping[str, Any]) -> bool:
    """Whether Prefect makes no runs of a deployment that had a schedule.

    Args:
        found: the deployment, as Prefect's API gives it.
    """
    return found["paused"] or not any(one["active"] for one in found["schedules"])


deployment_ids: dict[str, UUID] = {}
"""As Prefect has them, by name; one that is made anew has another id."""


async def deployment_id(name: str) -> UUID:
    """The id of one of DEPLOYMENTS, whose name is its flow's, too."""
    if name not in deployment_ids:
        found = await client.call("GET", f"/deployments/name/{name}/{name}")
        deployment_ids[name] = UUID(found["id"])
    return deployment_ids[name]
