"""Lists of tasks on files, and of files, whose pages are named by how many rows are before them."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, visible
from store.models import File, Project, Task


async def tasks_on_files(
    session: AsyncSession,
    caller: Caller,
    *conditions: ColumnElement[bool],
    project: str | None = None,
    limit: int,
    offset: int,
) -> tuple[int, Sequence[Task]]:
    """How many tasks of projects of files there are, and a page of them, the newest first.

    Args:
        session: any.
        caller: who asks.
        conditions: what must be true of them.
        project: name of the one project they are of; any when omitted.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    query = visible(Task, caller).where(
        col(Task.project_id).is_not(None), col(Task.input_file_id).is_not(None), *conditions
    )
    if project is not None:
        query = query.where(
            col(Task.project_id).in_(
                select(col(Project.id)).where(
                    col(Project.organization_id) == caller.organization_id,
                    col(Project.name) == project,
                )
            )
        )
    order = (col(Task.created_at).desc(), col(Task.code).desc())
    rows = await session.execute(query.order_by(*order).limit(limit).offset(offset))
    return await _count(session, query), rows.scalars().all()


async def sent_files(
    session: AsyncSession, caller: Caller, *, limit: int, offset: int
) -> tuple[int, Sequence[File]]:
    """How many files were sent, and a page of them, the newest first; arguments as above."""
    query = visible(File, caller).where(col(File.task_id).is_(None))
    order = (col(File.created_at).desc(), col(File.id).desc())
    rows = await session.execute(query.order_by(*order).limit(limit).offset(offset))
    return await _count(session, query), rows.scalars().all()


async def _count(session: AsyncSession, query: Select[tuple[Task]] | Select[tuple[File]]) -> int:
    return (await session.execute(query.with_only_columns(func.count()))).scalar_one()
