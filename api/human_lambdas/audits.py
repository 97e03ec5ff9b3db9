"""/orgs/{id}/queues/{id}/tasks/{id}: what happened to a task, and what is said of it."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from api.bodies import Text
from api.human_lambdas import examples, words
from api.human_lambdas.route import (
    HumanLambdasRoute,
    QueueId,
    TaskEditor,
    TaskId,
    TaskReader,
    find_queue_task,
)
from api.v1.examples import answer, body
from flows import verbs
from store.database import database
from store.errors import IllegalTransitionError
from store.models import Activity

router = APIRouter(route_class=HumanLambdasRoute)

MAX_COMMENT_CHARACTERS = 2000


class QueueCommentBody(BaseModel):
    """Something to be said of a task."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    comment: Text = Field(min_length=1, max_length=MAX_COMMENT_CHARACTERS)


class QueueAuditBody(BaseModel):
    """Whether what was done with a task was right."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    correct: bool | None = Field(strict=True)
    """Null: nobody has judged it."""


@router.get(
    "/{queue_id}/tasks/{task_id}/activity",
    summary="Show what happened to a task",
    responses={200: answer("What happened.", [examples.COMMENT]), **examples.problems()},
)
async def list_activity(
    queue_id: QueueId, task_id: TaskId, caller: TaskReader
) -> list[words.QueueActivity]:
    """Show what happened to a task, and what was said of it, the newest first."""
    _, task = await find_queue_task(caller, queue_id, task_id)
    query = select(Activity).where(
        col(Activity.task_id) == task.id, col(Activity.type).in_(words.ACTIONS)
    )
    async with database().reading() as session:
        found = await session.execute(query.order_by(col(Activity.number).desc()))
    return [words.activity_of(row, task) for row in found.scalars()]


@router.post(
    "/{queue_id}/tasks/{task_id}/activity",
    status_code=201,
    summary="Comment on a task",
    responses={
        201: answer("The comment.", examples.COMMENT),
        **examples.problems(413, IllegalTransitionError),
    },
)
async def comment_on_task(
    queue_id: QueueId,
    task_id: TaskId,
    sent: Annotated[QueueCommentBody, body({"comment": "Is this irony?"})],
    caller: TaskEditor,
) -> words.QueueActivity:
    """Write something down about a task; whoever sees the task can read it."""
    _, task = await find_queue_task(caller, queue_id, task_id)
    return words.activity_of(await verbs.comment(caller, task.public_id, sent.comment), task)


@router.put(
    "/{queue_id}/tasks/{task_id}/audit",
    summary="Audit a task",
    responses={
        200: answer("The task.", {**examples.COMPLETED_TASK, "correct": True}),
        **examples.problems(413, IllegalTransitionError),
    },
)
async def audit_task(
    queue_id: QueueId,
    task_id: TaskId,
    sent: Annotated[QueueAuditBody, body({"correct": True})],
    caller: TaskEditor,
) -> words.QueueTask:
    """Say whether what was done with a completed task was right."""
    queue, task = await find_queue_task(caller, queue_id, task_id)
    row = await verbs.audit(caller, task.public_id, is_correct=sent.correct)
    return await words.task_of(row, queue)
