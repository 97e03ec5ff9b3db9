"""The words of Aluma's API: its objects, made from our rows."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, not_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.vocabulary import AlumaWord, ClientAction, Words, is_called, words_of
from store import models
from store.finding import count_documents, versions_of
from store.ids import short_of
from store.project_file import ProjectFile

_GONE_FIRST: Final = frozenset[AlumaWord]({"completed", "failed", "timed-out"})
"""What a task is called only once its data is gone; until then it is `running`."""

ENDED: Final = _GONE_FIRST | {"canceled"}
"""Final states."""


class Shape(BaseModel):
    """An object of Aluma's API."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class AlumaTask(Shape):
    """A task."""

    id: str
    name: str
    """The tag `task_name`; empty once the data of the task is gone."""
    file_collection_id: str
    project_id: str | None
    """Null for an operation without a project, made by another API."""
    project_name: str | None
    created_at: str
    """`2024-03-25T16:37:08Z`, whole seconds."""
    state: AlumaWord
    client_action: ClientAction | None = None
    """Only in the two `pending:` states: which one it waits for."""
    documents_count: int | None = None
    """Once the file was split into documents, until the data of the task is gone."""


class Tasks(Shape):
    """A list of tasks, the oldest first."""

    tasks: list[AlumaTask]


class AlumaProject(Shape):
    """A project."""

    id: str
    name: str


class Projects(Shape):
    """All projects, the oldest first."""

    projects: list[AlumaProject]


# States


def state_of(row: models.Task) -> tuple[AlumaWord, ClientAction | None]:
    """What a task is called, and which action of a client it waits for."""
    words = words_of(row)
    if words.aluma in _GONE_FIRST and _is_going(row):
        return "running", None
    return words.aluma, words.client_action


def is_in(state: AlumaWord | None, action: ClientAction | None) -> ColumnElement[bool]:
    """The condition on tasks that `state_of` calls so."""

    def matches(words: Words) -> bool:
        return state in {None, words.aluma} and action in {None, words.client_action}

    found = is_called(matches)
    if action is not None or state is None:
        return found
    going = and_(
        is_called(lambda words: words.aluma in _GONE_FIRST),
        col(models.Task.erase_after).is_not_distinct_from(col(models.Task.finished_at)),
    )
    if state == "running":
        return or_(found, going)
    return and_(found, not_(going)) if state in _GONE_FIRST else found


def _is_going(row: models.Task) -> bool:
    """Whether the data of an ended task is to be gone with its end, and is not yet."""
    return row.erase_after is not None and row.erase_after == row.finished_at


# Objects

COLUMNS: Final = tuple(
    col(getattr(models.Task, name))
    for name in (
        *("id", "code", "name", "project_id", "project_version_id", "created_at", "state"),
        *("claimed_at", "claimed_by", "claimed_until", "settled_at", "finished_at", "erase_after"),
    )
)
"""What `tasks_of` reads of tasks."""


async def tasks_of(session: AsyncSession, rows: Sequence[models.Task]) -> list[AlumaTask]:
    """Tasks, with what is known of them elsewhere."""
    projects = await versions_of(session, rows)
    counts = await count_documents(session, rows)
    return [_task_of(row, projects.get(row.project_version_id), counts.get(row.id)) for row in rows]


async def task_of(session: AsyncSession, row: models.Task) -> AlumaTask:
    """A task."""
    return (await tasks_of(session, [row]))[0]


def _task_of(row: models.Task, project: ProjectFile | None, count: int | None) -> AlumaTask:
    state, action = state_of(row)
    task = AlumaTask(
        id=row.short_id,
        name=row.name,
        file_collection_id=short_of(uuid5(row.id, "file_collection")),
        project_id=short_of(row.project_id) if row.project_id else None,
        project_name=_spoken(project) if project else None,
        created_at=row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        state=state,
    )
    # What was not set is left out of answers, where null would be in them.
    if action is not None:
        task.client_action = action
    if count is not None:
        task.documents_count = count
    return task


def _spoken(project: ProjectFile) -> str:
    return project.title or project.name


def project_of(id_: UUID, project: ProjectFile) -> AlumaProject:
    """A project."""
    return AlumaProject(id=short_of(id_), name=_spoken(project))
