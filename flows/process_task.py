"""The life of a task of a project: read, sort, extract, wait for a person, export."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State as RunState

from flows import exporting, reviewing, sorting, steps
from flows.adopt import adopt_process_run
from flows.ending import record_cancellation
from flows.task_run import TaskRun, execute
from store.settings import settings


@flow(
    name="process-task",
    persist_result=True,
    result_storage=settings().results_folder,
    on_cancellation=[record_cancellation],
)
async def process_task(
    task_id: UUID | None = None,
    project: str | None = None,
    input: str | None = None,  # noqa: A002  # the word of the API (wire/v1.md)
    data: dict[str, Any] | None = None,
) -> RunState[Any]:
    """Process one file or some data as its project says; a person checks where that is needed.

    Args:
        task_id: A task that was taken in already; leave it empty to make one from here.
        project: For a new task: the name of the project, like `invoices`.
        input: For a new task: the id of a file that was sent (`file_...`), a public address
            (`https://...`), or the name of a file in the inbox folder.
        data: For a new task of a project without files: values by the names of its blocks.
            Whoever opens this run in Prefect reads them, until the task is erased.

    Returns:
        The final state of the run, which says how the task ended.
    """
    task_id = task_id or await adopt_process_run(project, input, data)
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
