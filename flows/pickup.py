"""The wait for a client that fetches the files of a task."""

from typing import Any

from prefect.input import RunInput

from flows.form import PickupDecision, pickup_form
from flows.review import wait_out
from flows.task_run import PREFECT_UI, TaskRun
from flows.verbs import complete_export, fail_export, start_export
from store.access import Caller
from store.errors import ConflictError
from store.states import Event, State


async def have_it_fetched(run: TaskRun) -> None:
    """Offer the files of the task to a client, until one says that it has them."""
    if run.task.state is State.RUNNING and run.task.exported_at is None:
        await run.happen(Event.OFFER_EXPORT, export_round=run.task.export_round + 1, step="export")

    async def form_of() -> type[RunInput]:
        return pickup_form().with_initial_data(
            description="A client fetches the files of this task, which then goes on. Decide here"
            " only in its place."
        )

    await wait_out(run, form_of, lambda answer: _take_answer(run, answer))


async def _take_answer(run: TaskRun, answer: Any) -> None:
    """Do what the form says; while a client is on the task, ask again."""
    caller = Caller(run.task.organization_id, PREFECT_UI)
    try:
        await start_export(caller, run.task.public_id)
        if answer.decision is PickupDecision.COMPLETE:
            await complete_export(caller, run.task.public_id)
        else:
            await fail_export(caller, run.task.public_id, answer.note)
    except ConflictError as error:
        # Each pause of a run has its own key.
        await run.amend(
            f"task.{run.task.state.value}",
            reason=error.message,
            export_round=run.task.export_round + 1,
        )
    await run.reload()
