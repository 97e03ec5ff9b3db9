"""The life of a task of a project: read, sort, extract, wait for a person, export."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State as RunState

from flows import exporting, reviewing, sorting, steps
from flows.adopt import adopt_process_run
from flows.ending import record_cancellation
from flows.task_run import TaskRun, adopt_and_execute, execute
from store.settings import settings


@flow(
    name="process-task",
    persist_result=True,
    result_storage=settings().results_folder,
    on_cancellation=[record_cancellation],
)
async def process_task(
    project: str = "",
    input: str = "",  # noqa: A002  # the word of the API (wire/v1.md)
    data: dict[str, Any] = {},  # noqa: B006  # never changed; for `None` forms have a switch
    task_id: UUID | None = None,
) -> RunState[Any]:
    """Process one file or some data as its project says; a person checks where that is needed.

    Args:
        project: The name of the project, like `invoices`.
        input: The file: its name in the inbox folder, its public address (`https://...`), or the
            id of one that was sent (`file_...`).
        data: For a project without files: values by the names of its blocks, like
            `{"comment": "..."}`; a person fills in the others. Whoever opens this run in Prefect
            reads them, until the task is erased.
        task_id: Leave it empty; only a task that was taken in already has one.

    Returns:
        The final state of the run, which says how the task ended.
    """
    if task_id is None:
        adopted = adopt_process_run(project, input, data if data or not input else None)
        return await adopt_and_execute(adopted, go_through)
    return await execute(task_id, go_through)


async def go_through(run: TaskRun) -> None:
    """All that happens to a task, from wherever it is to its end."""
    if not await exporting.is_handed_over(run):
        await _process(run)
    await exporting.end(run)


async def _process(run: TaskRun) -> None:
    if await steps.has_data(run):
        await reviewing.have_data_reviewed(run)
        await exporting.export_the_data(run)
        return
    await sorting.turn_away_duplicate(run)
    pages = await steps.read(run)
    await sorting.sort(run, pages)
    await reviewing.have_sorting_reviewed(run)
    await steps.extract(run)
    await reviewing.have_it_reviewed(run, lambda: steps.extract(run))
    await exporting.export_documents(run, pages)
