"""Look-ups by the names that people and programs use, of what the caller may see."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, code_of, visible
from store.errors import NotFoundError
from store.fields import FieldValue
from store.models import Document, File, Project, ProjectVersion, Task
from store.project_file import ProjectFile, parse_project_file


async def find_task(
    session: AsyncSession, caller: Caller, public_id: str, *, lock: bool = False
) -> Task:
    """The task of that public id.

    Args:
        session: any.
        caller: who asks.
        public_id: `task_<code>`.
        lock: keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Task, caller).where(col(Task.code) == code_of(public_id))
    task = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if task is None:
        raise NotFoundError("There is no task with that id.", id=public_id)
    return task


async def find_file(session: AsyncSession, caller: Caller, file_id: str) -> File:
    """The file of that id.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(File, caller).where(col(File.id) == file_id)
    file = (await session.execute(query)).scalar_one_or_none()
    if file is None:
        raise NotFoundError("There is no file with that id.", id=file_id)
    return file


async def find_project(
    session: AsyncSession, caller: Caller, name: str
) -> tuple[Project, ProjectVersion]:
    """The project of that name, and its version in force, with which new tasks are made.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = (
        visible(Project, caller)
        .where(col(Project.name) == name)
        .join(ProjectVersion, col(ProjectVersion.id) == col(Project.current_version_id))
        .add_columns(ProjectVersion)
    )
    found = (await session.execute(query)).tuples().one_or_none()
    if found is None:
        raise NotFoundError(f"There is no project named {name!r}.", project=name)
    return found


async def project_file_of(session: AsyncSession, task: Task) -> ProjectFile:
    """The project file that the task was made with."""
    version = await session.get_one(ProjectVersion, task.project_version_id)
    return parse_project_file(version.source)


async def documents_of(session: AsyncSession, task: Task) -> Sequence[Document]:
    """The documents found in the input of the task, in order."""
    query = select(Document).where(col(Document.task_id) == task.id).order_by(col(Document.number))
    return (await session.execute(query)).scalars().all()


def field_values(document: Document) -> dict[str, FieldValue]:
    """The fields of a document, by name."""
    return {name: FieldValue.model_validate(value) for name, value in document.fields.items()}
