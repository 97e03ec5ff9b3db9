"""The objects of Human Lambdas, made from our rows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from api.human_lambdas.blocks import blocks_shown
from api.vocabulary import HumanLambdasWord, words_of
from flows import queue_words
from flows.verbs import holder
from store import models
from store.database import database
from store.project_file import parse_project_file
from store.states import State

Action = Literal["created", "assigned", "saved", "completed", "comment", "audited"]

ACTIONS: Final[Mapping[str, Action]] = {
    "task.created": "created",
    "task.claimed": "assigned",
    "task.assigned": "assigned",
    "task.released": "assigned",
    "task.saved": "saved",
    "task.answered": "completed",
    "task.discarded": "completed",
    "task.filtered": "completed",
    "task.failed": "completed",
    "task.timed_out": "completed",
    "task.canceled": "completed",
    "task.commented": "comment",
    "task.audited": "audited",
}
"""What each thing that happened is called; all others have no word there."""

_VERDICTS: Final = {"correct": True, "wrong": False}


class _Shape(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class QueueTask(_Shape):
    """Work for a person, on data."""

    id: int
    status: HumanLambdasWord
    """In Human Lambdas' words; `state` is exact."""
    completed_at: datetime | None
    created_at: datetime
    completed_by: str | None
    """E-mail of who completed it, or `key:<first characters>` of a program."""
    queue: str
    """Name of the queue."""
    queue_id: int
    data: dict[str, Any]
    """A value for each block of the queue, by its id; null where there is none."""
    source: str | None
    """How it came: `api`, `zapier`, `manual`, or the name of the table it was a row of; null of
    one that was erased."""
    assigned_to: str | None
    """E-mail of who has it."""
    correct: bool | None
    """What an audit found of it; null: nobody has judged it."""
    state: State
    """Where the task is, exactly."""


class QueueTasks(_Shape):
    """A page of tasks."""

    count: int
    """How many there are on all pages."""
    next: str | None
    """Whole address of the page after; null on the last."""
    previous: str | None
    """Whole address of the page before; null on the first."""
    tasks: list[QueueTask]


class QueueWithBlocks(_Shape):
    """A queue of tasks."""

    id: int
    name: str
    description: str
    n_tasks: int
    """How many are not completed."""
    created_at: datetime
    data: list[dict[str, Any]]
    """Its blocks: `{id, name, type, <type>: {placeholder, read_only, is_required, ...}}`."""


class QueueActivity(_Shape):
    """Something that happened to a task."""

    id: int
    action: Action
    created_at: datetime
    created_by: str
    """Who did it: an e-mail, `key:<first characters>`, or a part of Papertray."""
    comment: str | None
    assignee: str | None
    """Whom it was given to, when it was assigned; null: to nobody."""
    source: str | None
    """How the task came, when it was created."""
    correct: bool | None
    """What was found, when it was audited."""
    event: str
    """What happened, exactly."""


async def task_of(row: models.Task, queue: queue_words.Queue) -> QueueTask:
    """A task of a queue."""
    async with database().reading() as session:
        return (await tasks_of(session, [row], queue))[0]


async def tasks_of(
    session: AsyncSession, rows: Sequence[models.Task], queue: queue_words.Queue
) -> list[QueueTask]:
    """Tasks of a queue, each with the blocks it was made with."""
    ids = {row.project_version_id for row in rows}
    query = select(models.ProjectVersion).where(col(models.ProjectVersion.id).in_(ids))
    files = {
        version.id: parse_project_file(version.source)
        for version in (await session.execute(query)).scalars()
    }
    of_files = [row.id for row in rows if not files[_version(row)].blocks]
    documents: defaultdict[UUID, list[models.Document]] = defaultdict(list)
    if of_files:
        found = select(models.Document).where(col(models.Document.task_id).in_(of_files))
        ordered = found.order_by(col(models.Document.number))
        for document in (await session.execute(ordered)).scalars():
            documents[document.task_id].append(document)
    return [
        QueueTask(
            **queue_words.task_members(
                row,
                queue,
                files[_version(row)],
                documents[row.id],
                status=words_of(row).human_lambdas,
                holder=holder(row),
            )
        )
        for row in rows
    ]


def _version(row: models.Task) -> UUID:
    assert row.project_version_id is not None  # noqa: S101  # every task of a project has one
    return row.project_version_id


def queue_of(queue: queue_words.Queue, waiting: Mapping[UUID, int]) -> QueueWithBlocks:
    """A queue.

    Args:
        queue: any.
        waiting: by the ids of projects, how many tasks of them are not completed.
    """
    project = queue.project
    return QueueWithBlocks(
        id=project.number,
        name=queue.title,
        description=queue.file.description,
        n_tasks=waiting.get(project.id, 0),
        created_at=project.created_at,
        data=blocks_shown(queue_words.blocks_of(queue.file)),
    )


def activity_of(row: models.Activity, task: models.Task) -> QueueActivity:
    """Something that happened to a task, of a type in ACTIONS."""
    action = ACTIONS[row.type]
    given = row.type in {"task.claimed", "task.assigned"}
    return QueueActivity(
        id=row.number or 0,
        action=action,
        created_at=row.at,
        created_by=row.actor,
        comment=row.reason if action == "comment" else None,
        assignee=row.data.get("to", row.actor) if given else None,
        source=task.source if action == "created" else None,
        correct=_VERDICTS.get(row.data.get("verdict", "")),
        event=row.type,
    )
