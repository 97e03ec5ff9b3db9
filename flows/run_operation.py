"""The life of a task that is one operation on files."""

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State as RunState
from pydantic import Field

from flows import steps
from flows.adopt import adopt_operation_run
from flows.ending import record_cancellation
from flows.process_task import TaskId
from flows.task_run import execute
from store.settings import settings

OperationName = Annotated[
    str | None, Field(description="Name of the operation, for a new task: `extract-text`.")
]
Parameters = Annotated[
    dict[str, Any] | None,
    Field(
        description="For a new task: the operation's parameters, and `input`, the id of a file"
        " that was sent (`file_...`) or the name of a file in the inbox folder."
    ),
]


@flow(
    name="run-operation",
    persist_result=True,
    result_storage=settings().results_folder,
    on_cancellation=[record_cancellation],
)
async def run_operation(
    task_id: TaskId = None, operation: OperationName = None, parameters: Parameters = None
) -> RunState[Any]:
    """Do one operation on one file or several."""
    task_id = task_id or await adopt_operation_run(operation, parameters)
    async with execute(task_id) as run:
        await steps.operate(run)
    return run.final_state
