"""Files whose very bytes came before."""

from collections.abc import Mapping

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.errors import DuplicateFileError
from store.models import File, Project, Task
from store.project_file import ProjectFile
from store.project_limits import Duplicates
from store.states import State
from store.surface_defaults import FAILS_LATER

_CAME_TO_NOTHING = {State.FAILED, State.TIMED_OUT, State.CANCELED, State.DISCARDED}


async def first_with(session: AsyncSession, among: Select[tuple[Task]], sha256: str) -> Task | None:
    """The oldest task on a file with these bytes that did not come to nothing.

    Args:
        session: any.
        among: which tasks count; of one organization.
        sha256: hex digest of the bytes.
    """
    query = (
        among.join(File, col(File.id) == col(Task.input_file_id))
        .where(
            col(File.sha256) == sha256,
            col(File.organization_id) == col(Task.organization_id),
            col(Task.state).not_in(_CAME_TO_NOTHING),
        )
        .order_by(col(Task.created_at), col(Task.id))
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def first_of_project(
    session: AsyncSession, caller: Caller, project: Project, content: ProjectFile, file: File
) -> Task | None:
    """The task that has a file with these bytes already, where the project wants to know.

    Of those that the caller sees: nobody learns here what others have sent.

    Raises:
        DuplicateFileError: there is one, and the project takes no second.
    """
    if content.limits.duplicates is Duplicates.ALLOW:
        return None
    # One after the other: of two that send the same at once the second finds the first.
    await session.refresh(project, with_for_update=True)
    mine = visible(Task, caller).where(col(Task.project_id) == project.id)
    first = await first_with(session, mine, file.sha256)
    if first is not None and _refuses(caller, content):
        raise DuplicateFileError(task=first.public_id)
    return first


def first_beside(
    caller: Caller, content: ProjectFile, file: File, beside: Mapping[str, Task]
) -> Task | None:
    """The task that has a file with these bytes among those that are taken in with it.

    Args:
        caller: who sends them.
        content: of their project.
        file: any.
        beside: tasks by the digests of their files, the first of each.

    Raises:
        DuplicateFileError: there is one, and the project takes no second.
    """
    if content.limits.duplicates is Duplicates.ALLOW:
        return None
    first = beside.get(file.sha256)
    if first is not None and _refuses(caller, content):
        raise DuplicateFileError("Two of the files have the same bytes. Send them once.")
    return first


def _refuses(caller: Caller, content: ProjectFile) -> bool:
    is_rejected = content.limits.duplicates is Duplicates.REJECT
    return is_rejected and caller.actor.surface not in FAILS_LATER
