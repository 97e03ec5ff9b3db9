"""/v1/tasks/{id}/export: the protocol of a client that fetches the files of a task."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from api.auth import TaskEditor
from api.problems import described
from api.v1 import examples, words
from api.v1.route import V1Route
from api.v1.tasks import Reason, TaskId
from flows import verbs
from store.errors import (
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    NotClaimedError,
    NotFoundError,
    UnauthenticatedError,
)

router = APIRouter(prefix="/v1/tasks/{task_id}/export", tags=["tasks"], route_class=V1Route)


class FailBody(BaseModel):
    """Why the files cannot be used."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    message: Reason = ""
    """The `error` in the result of the task."""


def _answers(good: dict[str, Any], *conflicts: type[ConflictError]) -> dict[int | str, Any]:
    return {
        200: good,
        **described(
            UnauthenticatedError,
            ForbiddenError,
            NotFoundError,
            422,
            ConflictError,
            IllegalTransitionError,
            *conflicts,
            413,
            415,
        ),
    }


@router.post(
    "/start",
    summary="Start to fetch the files of a task",
    responses=_answers(examples.answer("What is to be fetched.", examples.OFFER)),
)
async def start_export(task_id: TaskId, caller: TaskEditor) -> words.Offer:
    """Take a task whose project has a client fetch its files (`export: {pickup: true}`).

    The caller then holds the task for half an hour: it downloads the files, and ends with
    complete, cancel or fail. Without any of these the task waits for a client again.
    """
    return words.offer_of(await verbs.start_export(caller, task_id))


@router.post(
    "/complete",
    summary="Say that the files are fetched",
    responses=_answers(
        examples.answer("The task; it goes on.", examples.TASK_EXPORTED), NotClaimedError
    ),
)
async def complete_export(task_id: TaskId, caller: TaskEditor) -> words.Task:
    """Confirm that the files have arrived; the task goes on, and ends."""
    return words.task_of(await verbs.complete_export(caller, task_id))


@router.post(
    "/cancel",
    summary="Give a task back without its files",
    responses=_answers(
        examples.answer("The task; it waits for a client again.", examples.TASK_AWAITING_EXPORT),
        NotClaimedError,
    ),
)
async def cancel_export(task_id: TaskId, caller: TaskEditor) -> words.Task:
    """Let the task wait for a client again."""
    return words.task_of(await verbs.cancel_export(caller, task_id))


@router.post(
    "/fail",
    summary="Refuse the files of a task",
    responses=_answers(
        examples.answer("The task, failed.", examples.TASK_NOT_EXPORTED), NotClaimedError
    ),
)
async def fail_export(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[
        FailBody | None, examples.body({"message": "There is no customer of that number."})
    ] = None,
) -> words.Task:
    """Say that the files cannot be used; the task ends as failed, and may be tried again."""
    return words.task_of(await verbs.fail_export(caller, task_id, body.message if body else ""))
