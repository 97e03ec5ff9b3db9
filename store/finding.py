"""Look-ups by the names that people and programs use, of what the caller may see."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, code_of, visible
from store.errors import NotFoundError
from store.fields import FieldValue
from store.ids import id_of
from store.models import (
    Activity,
    ApiKey,
    Document,
    File,
    Page,
    Project,
    ProjectVersion,
    Task,
    Team,
    User,
    ValueChange,
)
from store.organizations import has_address
from store.project_file import ProjectFile, parse_project_file
from store.surface_defaults import project_file_by

Named = TypeVar("Named", User, Team, ApiKey, Project)
Found = TypeVar("Found", Task, File, User, Page)


async def _only(
    session: AsyncSession, query: Select[tuple[Found]], otherwise: str, **facts: Any
) -> Found:
    """The one row that a query finds, or the error that there is none."""
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFoundError(otherwise, **facts)
    return found


async def _in_force(
    session: AsyncSession,
    query: Select[tuple[Project, ProjectVersion]],
    otherwise: str,
    **facts: Any,
) -> tuple[Project, ProjectVersion]:
    """The one project that a query finds, or the error that there is none."""
    found = (await session.execute(query)).tuples().one_or_none()
    if found is None:
        raise NotFoundError(otherwise, **facts)
    return found


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
    return await _only(
        session,
        query.with_for_update() if lock else query,
        "There is no task with that id.",
        id=public_id,
    )


async def find_task_numbered(
    session: AsyncSession, caller: Caller, project: Project, number: int
) -> Task:
    """The task of that number, of a project that the caller sees.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Task, caller).where(
        col(Task.number) == number, col(Task.project_id) == project.id
    )
    return await _only(session, query, "There is no task with that id.", id=number)


async def find_task_of_project(
    session: AsyncSession, caller: Caller, project: Project, public_id: str
) -> Task:
    """The task of that public id, of a project that the caller sees.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    task = await find_task(session, caller, public_id)
    if task.project_id != project.id:
        raise NotFoundError("There is no task with that id.", id=public_id)
    return task


async def find_task_by_short_id(session: AsyncSession, caller: Caller, short_id: str) -> Task:
    """The task of that id in Aluma's API.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Task, caller).where(col(Task.id) == id_of(short_id))
    return await _only(session, query, "There is no task with that id.", id=short_id)


async def find_task_by_id(session: AsyncSession, caller: Caller, id_: UUID) -> Task:
    """The task of a project that has this id.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Task, caller).where(col(Task.id) == id_, col(Task.project_id).is_not(None))
    return await _only(session, query, "There is no task with that id.", id=str(id_))


async def find_file(session: AsyncSession, caller: Caller, file_id: str) -> File:
    """The file of that id.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(File, caller).where(col(File.id) == file_id)
    return await _only(session, query, "There is no file with that id.", id=file_id)


async def find_project(
    session: AsyncSession, caller: Caller, name: str
) -> tuple[Project, ProjectVersion]:
    """The project of that name, and its version in force, with which new tasks are made.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = _projects(caller).where(col(Project.name) == name)
    otherwise = f"There is no project named {name!r}. Install it, or name one that is there."
    return await _in_force(session, query, otherwise, project=name)


async def find_project_numbered(
    session: AsyncSession, caller: Caller, number: int
) -> tuple[Project, ProjectVersion]:
    """The project of that number, and its version in force.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = _projects(caller).where(col(Project.number) == number)
    return await _in_force(session, query, "There is no project with that id.", project=number)


async def find_project_by_short_id(
    session: AsyncSession, caller: Caller, short_id: str
) -> tuple[Project, ProjectVersion]:
    """The project of that id in Aluma's API, and its version in force.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = _projects(caller).where(col(Project.id) == id_of(short_id))
    return await _in_force(session, query, "There is no project with that id.", id=short_id)


async def projects_of(
    session: AsyncSession, caller: Caller
) -> Sequence[tuple[Project, ProjectVersion]]:
    """All projects that the caller sees, the oldest first, and their versions in force."""
    query = _projects(caller).order_by(col(Project.number))
    return (await session.execute(query)).tuples().all()


@lru_cache(maxsize=1024)  # as `visible`: each task that is taken in asks it
def _projects(caller: Caller) -> Select[tuple[Project, ProjectVersion]]:
    return (
        visible(Project, caller)
        .join(ProjectVersion, col(ProjectVersion.id) == col(Project.current_version_id))
        .add_columns(ProjectVersion)
    )


async def find_user(session: AsyncSession, caller: Caller, wanted: str) -> User:
    """The person with that id or e-mail.

    Raises:
        NotFoundError: the organization has none.
    """
    of = (col(User.id), has_address(wanted))
    return await _find_one(session, visible(User, caller), of, "person", wanted)


async def find_user_numbered(session: AsyncSession, caller: Caller, number: int) -> User:
    """The person of that number.

    Raises:
        NotFoundError: the organization has none.
    """
    query = visible(User, caller).where(col(User.number) == number)
    return await _only(session, query, "There is no person with that id.", user=number)


async def find_team(session: AsyncSession, caller: Caller, wanted: str) -> Team:
    """The team with that id or name.

    Raises:
        NotFoundError: the organization has none.
    """
    of = (col(Team.id), col(Team.name) == wanted)
    return await _find_one(session, visible(Team, caller), of, "team", wanted)


async def find_project_of_team(
    session: AsyncSession, caller: Caller, team: str, project: str
) -> tuple[Team, Project]:
    """A team, and a project of it or of the whole organization, each with that id or name.

    Who is in teams names one of those; an admin, and who is in none, may name any.

    Raises:
        NotFoundError: there is no such team or project, or the caller may not see it.
    """
    of = await find_team(session, caller, team)
    if caller.team_ids and of.id not in caller.team_ids and not caller.is_admin:
        raise NotFoundError("There is no team with that id.", id=team)
    query = visible(Project, caller).where(
        or_(col(Project.team_id).is_(None), col(Project.team_id) == of.id)
    )
    columns = (col(Project.id), col(Project.name) == project)
    return of, await _find_one(session, query, columns, "project", project)


async def find_key_row(session: AsyncSession, caller: Caller, wanted: str) -> ApiKey:
    """The key with that id, or that begins so.

    Raises:
        NotFoundError: the organization has none.
    """
    of = (col(ApiKey.id), col(ApiKey.prefix) == wanted)
    return await _find_one(session, visible(ApiKey, caller), of, "key", wanted)


async def _find_one(
    session: AsyncSession,
    query: Select[tuple[Named]],
    of: tuple[Any, ColumnElement[bool]],
    what: str,
    wanted: str,
) -> Named:
    """The one row with that id, or else with what it is called by."""
    id_column, is_called_so = of
    try:
        by = or_(id_column == UUID(wanted), is_called_so)
    except ValueError:
        by = is_called_so
    found = (await session.execute(query.where(by).limit(2))).scalars().all()
    if not found:
        raise NotFoundError(f"There is no {what} {wanted!r}, neither by id nor by name.", id=wanted)
    if len(found) > 1:
        raise NotFoundError(f"More than one {what} is called {wanted!r}. Give the id.", id=wanted)
    return found[0]


async def project_file_of(session: AsyncSession, task: Task) -> ProjectFile:
    """The project file that the task was made with, as it holds for the way in it came."""
    return (await project_files_of(session, [task]))[task.id]


async def project_files_of(
    session: AsyncSession, tasks: Collection[Task]
) -> Mapping[UUID, ProjectFile]:
    """The project files of some tasks, by the ids of the tasks; those without one are left out."""
    query = (
        select(col(Task.id), col(ProjectVersion.source), col(Activity.surface))
        .join(ProjectVersion, col(ProjectVersion.id) == col(Task.project_version_id))
        # The activity row that tells that the task was made has the number of the task.
        .join(Activity, col(Activity.number) == col(Task.number), isouter=True)
        .where(col(Task.id).in_([task.id for task in tasks]))
    )
    found = (await session.execute(query)).tuples()
    return {id_: project_file_by(source, surface or "") for id_, source, surface in found}


async def versions_of(
    session: AsyncSession, tasks: Collection[Task]
) -> Mapping[UUID | None, ProjectFile]:
    """The project files of some tasks as they were written, by the ids of their versions."""
    wanted = {task.project_version_id for task in tasks if task.project_version_id}
    query = select(col(ProjectVersion.id), col(ProjectVersion.source))
    found = (await session.execute(query.where(col(ProjectVersion.id).in_(wanted)))).tuples()
    return {id_: parse_project_file(source) for id_, source in found}


async def documents_of(session: AsyncSession, task: Task) -> Sequence[Document]:
    """The documents found in the input of the task, in order."""
    query = select(Document).where(col(Document.task_id) == task.id).order_by(col(Document.number))
    return (await session.execute(query)).scalars().all()


async def pages_of(session: AsyncSession, task: Task) -> Sequence[Page]:
    """The pages of the input of the task, in order."""
    query = select(Page).where(col(Page.task_id) == task.id).order_by(col(Page.number))
    return (await session.execute(query)).scalars().all()


async def find_page(session: AsyncSession, task: Task, number: int) -> Page:
    """A page of the input of the task.

    Raises:
        NotFoundError: it has none of that number, or not yet.
    """
    query = select(Page).where(col(Page.task_id) == task.id, col(Page.number) == number)
    return await _only(
        session, query, "The task has no page of that number, or not yet.", page=number
    )


async def find_output(session: AsyncSession, task: Task, file_id: str) -> File:
    """A file that the task made.

    Raises:
        NotFoundError: it made none with that id.
    """
    query = select(File).where(col(File.task_id) == task.id, col(File.id) == file_id)
    return await _only(session, query, "The task made no file with that id.", id=file_id)


async def count_documents(session: AsyncSession, tasks: Collection[Task]) -> Mapping[UUID, int]:
    """How many documents tasks have, by the ids of the tasks; those that have none are left out."""
    task_id = col(Document.task_id)
    query = select(task_id, func.count()).where(task_id.in_([task.id for task in tasks]))
    return dict((await session.execute(query.group_by(task_id))).tuples().all())


async def files_of(session: AsyncSession, task: Task) -> Sequence[File]:
    """The files that the task made, in the order in which it made them."""
    query = select(File).where(col(File.task_id) == task.id)
    ordered = query.order_by(col(File.created_at), col(File.id))
    return (await session.execute(ordered)).scalars().all()


async def changes_of(session: AsyncSession, task: Task) -> Sequence[ValueChange]:
    """What people made of the values of the task, the newest first."""
    query = select(ValueChange).where(col(ValueChange.task_id) == task.id)
    return (await session.execute(query.order_by(col(ValueChange.at).desc()))).scalars().all()


def field_values(document: Document) -> dict[str, FieldValue]:
    """The fields of a document, by name."""
    return {name: FieldValue.model_validate(value) for name, value in document.fields.items()}
