"""How the end of a run in Prefect becomes the end of its task."""

from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.objects import State as RunState
from sqlalchemy import select
from sqlmodel import col

from flows.outbox import changing
from store.lifecycle import FINAL, advance
from store.models import Task
from store.states import Actor, Event


async def end_task_of_run(
    flow_run_id: UUID, event: Event, *, reason: str, result: dict[str, Any] | None = None
) -> None:
    """End the task of a run that ended in Prefect; one that has ended keeps its end."""
    async with changing() as session:
        query = select(Task).where(col(Task.flow_run_id) == flow_run_id).with_for_update()
        task = (await session.execute(query)).scalar_one_or_none()
        if task is None or task.state in FINAL:
            return
        await advance(
            session,
            task,
            event,
            Actor("prefect", "prefect"),
            reason=reason,
            **({"result": result} if result is not None else {}),
        )


async def record_cancellation(
    flow: Flow[..., Any],  # noqa: ARG001  # Prefect's signature
    flow_run: FlowRun,
    state: RunState[Any],  # noqa: ARG001  # as above
) -> None:
    """Hook of the flows: the run is being cancelled, so the task is."""
    await end_task_of_run(flow_run.id, Event.CANCEL, reason="cancelled in Prefect")
