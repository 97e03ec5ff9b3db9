"""The life of a task that is one operation on files."""

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State as RunState

from flows import steps
from flows.adopt import adopt_operation_run
from flows.ending import record_cancellation
from flows.task_run import execute
from store.settings import settings


@flow(
    name="run-operation",
    persist_result=True,
    result_storage=settings().results_folder,
    on_cancellation=[record_cancellation],
)
async def run_operation(
    task_id: UUID | None = None,
    operation: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> RunState[Any]:
    """Do one operation on one file or several.

    Each operation has a deployment of its own, too, whose form has its parameters.

    Args:
        task_id: A task that was taken in already; leave it empty to make one from here.
        operation: For a new task: the name of the operation, like `extract-text`.
        parameters: For a new task: what the operation takes, and `input`, the id of a file that
            was sent (`file_...`), of a task (`task_...`), a public address (`https://...`), or the
            name of a file in the inbox.

    Returns:
        The final state of the run, which says how the task ended.
    """
    task_id = task_id or await adopt_operation_run(operation, parameters)
    return await execute(task_id, steps.operate)
