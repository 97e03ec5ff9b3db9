"""What people do with a task beside deciding: hand it over, say something of it, judge it."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from api.auth import TaskEditor
from api.bodies import Body, Text
from api.problems import described
from api.v1 import examples, words
from api.v1.route import V1Route
from api.v1.tasks import TaskId
from flows import verbs
from store.errors import (
    AlreadyClaimedError,
    ConflictError,
    ForbiddenError,
    IllegalTransitionError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
)

router = APIRouter(prefix="/v1/tasks/{task_id}", tags=["tasks"], route_class=V1Route)


class AssignBody(Body):
    """Whom a task is handed over to."""

    user: Text | None
    """Id or e-mail of a person; null: nobody is to hold it."""


class CommentBody(Body):
    """What somebody has to say of a task."""

    text: Annotated[Text, Field(min_length=1, max_length=verbs.MAX_COMMENT_CHARACTERS)]


class AuditBody(Body):
    """Whether the decision on a task was right."""

    correct: bool | None
    """Null: nobody has judged it."""


def _answers(good: dict[int | str, Any], *errors: type[ConflictError | InputError]) -> Any:
    reading = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
    return {**good, **described(*reading, 413, 415, ConflictError, *errors)}


@router.post(
    "/assign",
    summary="Hand a task over",
    responses=_answers(
        {200: examples.answer("The task.", examples.TASK_IN_REVIEW)},
        AlreadyClaimedError,
        IllegalTransitionError,
        InputError,
    ),
)
async def assign_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[AssignBody, examples.body({"user": "ada@example.com"})],
) -> words.Task:
    """Hand a task that waits over to a person, who then holds it for a day; or to nobody.

    Who holds it may do so, or an admin; anybody, while nobody holds it.
    """
    return words.task_of(await verbs.assign(caller, task_id, body.user))


@router.post(
    "/comments",
    status_code=201,
    summary="Comment on a task",
    responses=_answers(
        {201: examples.answer("The comment, as the history has it.", examples.EVENT)},
        IllegalTransitionError,
        InputError,
    ),
)
async def comment_on_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[CommentBody, examples.body({"text": "The supplier sends a new one."})],
) -> words.Event:
    """Write something down about a task, for whoever sees it. Its history has it."""
    return words.event_of(await verbs.comment(caller, task_id, body.text))


@router.post(
    "/audit",
    summary="Judge the decision on a task",
    responses=_answers({200: examples.answer("The task.", examples.TASK)}, IllegalTransitionError),
)
async def audit_task(
    task_id: TaskId,
    caller: TaskEditor,
    body: Annotated[AuditBody, examples.body({"correct": True})],
) -> words.Task:
    """Say whether the decision on a task was right; the metrics of its queue count it."""
    return words.task_of(await verbs.audit(caller, task_id, is_correct=body.correct))
