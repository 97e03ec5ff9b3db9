"""Taking out what must not stay in Prefect."""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from flows.engine import client
from flows.engine.deployments import BULK_SET, DEPLOYMENTS, PAGE, deployment_id
from store.errors import (
    NotFoundError,
)
from store.ids import now

MISSED_SECONDS: Final = 90
"""A housekeeping run that was due longer ago is not made up for."""

REMEMBERED_SECONDS: Final = 3600
"""How long housekeeping runs that have ended can be looked at."""


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
    while inputs := await client.call("POST", f"/flow_runs/{flow_run_id}/input/filter", every):
        for one in inputs:
            with suppress(NotFoundError):
                await client.call("DELETE", f"/flow_runs/{flow_run_id}/input/{one['key']}")
    with suppress(NotFoundError):
        await client.call(
            "PATCH",
            f"/flow_runs/{flow_run_id}",
            {"name": name, "parameters": {"task_id": str(task_id)}},
        )


async def delete_run(flow_run_id: UUID) -> None:
    """Delete a run with all that belongs to it; one that is gone already is no error."""
    await _delete_artifacts(flow_run_id)  # Prefect leaves those
    with suppress(NotFoundError):
        await client.call("DELETE", f"/flow_runs/{flow_run_id}")


async def _delete_artifacts(flow_run_id: UUID) -> None:
    body = {"artifacts": {"flow_run_id": {"any_": [str(flow_run_id)]}}, "limit": PAGE}
    while found := await client.call("POST", "/artifacts/filter", body):
        for one in found:
            with suppress(NotFoundError):
                await client.call("DELETE", f"/artifacts/{one['id']}")


async def tidy_up() -> int:
    """Delete runs of the flows that run every minute that are of no use; answers how many.

    A schedule goes on making runs while no worker is there, and a night of them would come before
    the first task. Those that have ended are thousands a day.
    """
    often = [await deployment_id(one.name) for one in DEPLOYMENTS if one.interval_seconds]
    of_them = {"deployment_id": {"any_": [str(one) for one in often]}}
    missed = (now() - timedelta(seconds=MISSED_SECONDS)).isoformat()
    old = (now() - timedelta(seconds=REMEMBERED_SECONDS)).isoformat()
    deleted = 0
    for useless in (
        {"state": {"type": {"any_": ["SCHEDULED"]}}, "expected_start_time": {"before_": missed}},
        {"state": {"type": {"any_": ["COMPLETED"]}}, "end_time": {"before_": old}},
    ):
        body = {"flow_runs": {**of_them, **useless}, "limit": BULK_SET}
        while gone := (await client.call("POST", "/flow_runs/bulk_delete", body))["deleted"]:
            deleted += len(gone)
    return deleted
