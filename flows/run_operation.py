"""The life of a task that is one operation on files."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State as RunState
from pydantic import Field

from flows import steps
from flows.adopt import adopt_operation_run
from flows.ending import record_cancellation
from flows.engine.deployments import OPERATION_DEPLOYMENTS
from flows.task_run import adopt_and_execute, execute
from store.settings import settings


@flow(
    name="run-operation",
    persist_result=True,
    result_storage=settings().results_folder,
    on_cancellation=[record_cancellation],
)
async def run_operation(
    operation: Annotated[
        str, Field(json_schema_extra={"enum": [one.name for one in OPERATION_DEPLOYMENTS]})
    ] = "",
    input: str = "",  # noqa: A002  # the word of the form
    parameters: dict[str, Any] = {},  # noqa: B006  # never changed; for `None` forms have a switch
    task_id: UUID | None = None,
) -> RunState[Any]:
    """Do one operation on one file or several.

    Each operation has a deployment of its own, too, whose form has its parameters.

    Args:
        operation: What is done.
        input: The file: its name in the inbox folder, its public address (`https://...`), the id
            of one that was sent (`file_...`), or of a task whose output is taken (`task_...`). For
            `merge` several, one a line.
        parameters: What the operation takes beside, such as `{"pages": "2-3"}`; the form of its
            own deployment tells of each.
        task_id: Leave it empty; only a task that was taken in already has one.

    Returns:
        The final state of the run, which says how the task ended.
    """
    if task_id is None:
        files = [line.strip() for line in input.splitlines() if line.strip()]
        given = {**parameters, "input": files[0] if len(files) == 1 else files}
        return await adopt_and_execute(adopt_operation_run(operation, given), steps.operate)
    return await execute(task_id, steps.operate)
