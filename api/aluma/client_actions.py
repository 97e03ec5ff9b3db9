"""/tasks/{id}/client_actions: what a client does with a task that waits for it."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from api.aluma import examples, words
from api.aluma.results import ValidationResults, take_results
from api.aluma.route import AlumaRoute, TaskEditor, TaskId, failures
from api.aluma.specifications import (
    ExportSpecification,
    ValidationSpecification,
    export_of,
    validation_of,
)
from api.aluma.tasks import found, told
from api.bodies import Text
from api.v1.examples import answer, body
from api.v1.lists import base_of
from flows import verbs
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    ConflictError,
    FieldsInvalidError,
    IllegalTransitionError,
    NotClaimedError,
)
from store.finding import documents_of, pages_of, project_file_of

router = APIRouter(prefix="/tasks/{task_id}/client_actions", tags=["aluma"], route_class=AlumaRoute)

_START = failures(IllegalTransitionError, AlreadyClaimedError, 413, 415)
_THEN = failures(IllegalTransitionError, NotClaimedError, ConflictError, 413, 415)


class Failure(BaseModel):
    """Why the action cannot be done."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    message: Annotated[Text, Field(max_length=2000)] = ""
    """Kept with the task."""


FailureBody = Annotated[
    Failure | None, body({"message": "The customer is not known to the accounts system."})
]


@router.post(
    "/validation/start",
    summary="Start to validate a task",
    response_model_exclude_unset=True,
    responses={200: answer("What to validate.", examples.VALIDATION_SPECIFICATION), **_START},
)
async def start_validation(
    request: Request, task_id: TaskId, caller: TaskEditor
) -> ValidationSpecification:
    """Take a task that waits for validation, for half an hour.

    Then complete it, cancel, or fail it. Without any of these it waits for a client again.
    """
    row = await verbs.start_review(caller, (await found(caller, task_id)).public_id)
    async with database().reading() as session:
        return validation_of(
            await words.task_of(session, row),
            row,
            await project_file_of(session, row),
            await documents_of(session, row),
            await pages_of(session, row),
            _address(request, row.short_id),
        )


@router.post(
    "/validation/complete",
    summary="Complete a validation",
    response_model_exclude_unset=True,
    responses={
        200: answer("The task; it goes on.", examples.task("running")),
        **failures(
            FieldsInvalidError, IllegalTransitionError, NotClaimedError, ConflictError, 413, 415
        ),
    },
)
async def complete_validation(
    task_id: TaskId,
    caller: TaskEditor,
    results: Annotated[ValidationResults, body(examples.VALIDATION_RESULTS)],
) -> words.AlumaTask:
    """Say that the data is right, with what was corrected.

    What is not valid changes nothing: the message has the reason of each field. Where the type of
    a document is another, its fields are looked for anew.
    """
    row = await found(caller, task_id)
    await verbs.must_hold_review(caller, row.public_id)
    return await told(await take_results(caller, row, results))


@router.post(
    "/validation/cancel",
    summary="Give a task back without validating it",
    response_model_exclude_unset=True,
    responses={
        200: answer("The task.", examples.task("pending:start_client_action", "validation")),
        **_THEN,
    },
)
async def cancel_validation(task_id: TaskId, caller: TaskEditor) -> words.AlumaTask:
    """Let the task wait for a client again."""
    row = await found(caller, task_id)
    await verbs.must_hold_review(caller, row.public_id)
    return await told(await verbs.release(caller, row.public_id))


@router.post(
    "/validation/fail",
    summary="Fail a task that cannot be validated",
    response_model_exclude_unset=True,
    responses={200: answer("The task; its data goes.", examples.task("running")), **_THEN},
)
async def fail_validation(
    task_id: TaskId, caller: TaskEditor, failure: FailureBody = None
) -> words.AlumaTask:
    """End the task; it is `failed` once its data is gone."""
    row = await found(caller, task_id)
    message = failure.message if failure else ""
    return await told(await verbs.fail_review(caller, row.public_id, message))


@router.post(
    "/export/start",
    summary="Start to export a task",
    response_model_exclude_unset=True,
    responses={200: answer("What to export.", examples.EXPORT_SPECIFICATION), **_START},
)
async def start_export(
    request: Request, task_id: TaskId, caller: TaskEditor
) -> ExportSpecification:
    """Take a task that waits for export, for half an hour.

    Then complete it, cancel, or fail it. Without any of these it waits for a client again.
    """
    offer = await verbs.start_export(caller, (await found(caller, task_id)).public_id)
    async with database().reading() as session:
        return export_of(
            await words.task_of(session, offer.task),
            offer,
            await project_file_of(session, offer.task),
            _address(request, offer.task.short_id),
        )


@router.post(
    "/export/complete",
    summary="Complete an export",
    response_model_exclude_unset=True,
    responses={200: answer("The task; it goes on.", examples.task("running")), **_THEN},
)
async def complete_export(task_id: TaskId, caller: TaskEditor) -> words.AlumaTask:
    """Say that the data has arrived; the task ends, and its data goes."""
    row = await found(caller, task_id)
    return await told(await verbs.complete_export(caller, row.public_id))


@router.post(
    "/export/cancel",
    summary="Give a task back without exporting it",
    response_model_exclude_unset=True,
    responses={
        200: answer("The task.", examples.task("pending:start_client_action", "export")),
        **_THEN,
    },
)
async def cancel_export(task_id: TaskId, caller: TaskEditor) -> words.AlumaTask:
    """Let the task wait for a client again."""
    row = await found(caller, task_id)
    return await told(await verbs.cancel_export(caller, row.public_id))


@router.post(
    "/export/fail",
    summary="Fail a task that cannot be exported",
    response_model_exclude_unset=True,
    responses={200: answer("The task; its data goes.", examples.task("running")), **_THEN},
)
async def fail_export(
    task_id: TaskId, caller: TaskEditor, failure: FailureBody = None
) -> words.AlumaTask:
    """End the task; it is `failed` once its data is gone."""
    row = await found(caller, task_id)
    message = failure.message if failure else ""
    return await told(await verbs.fail_export(caller, row.public_id, message))


def _address(request: Request, task_id: str) -> str:
    return f"{base_of(request)}/tasks/{task_id}"
