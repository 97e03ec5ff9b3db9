"""Which flows are deployed, and deploying them."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Deployment:
    """A flow that is deployed, under its own name; `prefect.yaml` says the same."""

    name: str
    entrypoint: str
    queue: str
    interval_seconds: int | None = None


OPERATION_DEPLOYMENTS: Final = tuple(
    Deployment(row.name, f"flows.operation_flows.{row.task.fn.__name__}", "interactive")
    for row in OPERATIONS.values()
    if row.accepts
)
"""One for each operation on files."""

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


async def deploy(deployment: Deployment, pool: str) -> UUID:
    """Make or renew one deployment; answers its id."""
    flow = await asyncio.to_thread(
        load_flow_from_entrypoint, deployment.entrypoint, use_placeholder_flow=False
    )
    flow_id = (await client.call("POST", "/flows/", {"name": flow.name}))["id"]
    schedules: list[dict[str, Any]] = []
    if deployment.interval_seconds:
        every = {"interval": deployment.interval_seconds, "timezone": "UTC"}
        schedules = [{"schedule": every, "active": True, "slug": deployment.name}]
    made = await client.call(
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
    deployment_ids.pop(deployment.name, None)
    return UUID(made["id"])


deployment_ids: dict[str, UUID] = {}
"""As Prefect has them, by name; one that is made anew has another id."""


async def deployment_id(name: str) -> UUID:
    """The id of one of DEPLOYMENTS, whose name is its flow's, too."""
    if name not in deployment_ids:
        found = await client.call("GET", f"/deployments/name/{name}/{name}")
        deployment_ids[name] = UUID(found["id"])
    return deployment_ids[name]
