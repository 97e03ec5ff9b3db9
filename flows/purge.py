"""What is not to be kept any longer, told before it goes."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller
from store.activity import record
from store.blobs import blobs
from store.database import database
from store.erasing import file_ids_of
from store.finding import find_project
from store.ids import now
from store.lifecycle import FINAL
from store.models import File, Project, Task


@dataclass
class Purge:
    """What is to go, of one project."""

    project: str
    """Its name; empty for tasks that are one operation."""
    tasks: int = 0
    """Tasks whose content is to go."""
    size_bytes: int = 0
    """Of their files; a file of several tasks counts for each."""
    records: int = 0
    """Records of tasks whose content is gone."""


async def to_go(
    caller: Caller, *, project: str = "", older_than: timedelta | None = None
) -> list[Purge]:
    """What is due now, by project.

    Args:
        caller: whose tasks.
        project: only of this one; empty: of all.
        older_than: also what ended longer ago, whatever its project says.

    Raises:
        NotFoundError: there is no such project.
    """
    async with database().reading() as session:
        mine = await _mine(session, caller, project)
        tasks = (await session.execute(mine.where(_is_due(older_than)))).scalars().all()
        sizes = [await _size_of_files(session, task) for task in tasks]
        over = (await session.execute(mine.where(col(Task.forget_after) <= now()))).scalars().all()
        named = {task.project_id for task in (*tasks, *over) if task.project_id}
        query = select(col(Project.id), col(Project.name)).where(col(Project.id).in_(named))
        names = dict((await session.execute(query)).tuples().all())
    found: dict[str, Purge] = {}

    def of(task: Task) -> Purge:
        name = names.get(task.project_id, "") if task.project_id else ""
        return found.setdefault(name, Purge(name))

    for task, size in zip(tasks, sizes, strict=True):
        one = of(task)
        one.tasks += 1
        one.size_bytes += size + await blobs().size_bytes(f"tasks/{task.id}/")
    for task in over:
        of(task).records += 1
    return sorted(found.values(), key=lambda one: one.project)


async def make_due(caller: Caller, *, older_than: timedelta, project: str = "") -> int:
    """Let the time come of tasks that ended longer ago; answers of how many.

    Args:
        caller: whose tasks, and who wants it.
        older_than: how long ago.
        project: only of this one; empty: of all.

    Raises:
        NotFoundError: there is no such project.
    """
    async with database().writing() as session:
        mine = await _mine(session, caller, project)
        old = mine.where(
            _ended_before(older_than),
            or_(col(Task.erase_after).is_(None), col(Task.erase_after) > now()),
        )
        tasks = (await session.execute(old.with_for_update())).scalars().all()
        for task in tasks:
            await session.execute(
                update(Task).where(col(Task.id) == task.id).values(erase_after=now())
            )
            record(session, "task.purged", caller.actor, task=task)
    return len(tasks)


async def _mine(session: AsyncSession, caller: Caller, project: str) -> Select[tuple[Task]]:
    mine = select(Task).where(col(Task.organization_id) == caller.organization_id)
    if not project:
        return mine
    found, _ = await find_project(session, caller, project)
    return mine.where(col(Task.project_id) == found.id)


def _is_due(older_than: timedelta | None) -> ColumnElement[bool]:
    due = col(Task.erase_after) <= now()
    return due if older_than is None else or_(due, _ended_before(older_than))


def _ended_before(older_than: timedelta) -> ColumnElement[bool]:
    return (
        col(Task.state).in_(FINAL)
        & col(Task.erased_at).is_(None)
        & (func.coalesce(col(Task.finished_at), col(Task.updated_at)) < now() - older_than)
    )


async def _size_of_files(session: AsyncSession, task: Task) -> int:
    query = select(func.coalesce(func.sum(col(File.size_bytes)), 0))
    sent = query.where(col(File.id).in_(file_ids_of(task)), col(File.task_id).is_(None))
    return int((await session.execute(sent)).scalar_one())
