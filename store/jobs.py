"""Lists of tasks on files, and of files, whose pages are named by how many rows are before them."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import (
    Caller,
    counts_own,
    counts_shared,
    private_file_lists,
    private_lists,
    visible,
)
from store.long_lists import ListPage, Tally, counted_by_day, page_of, rows_by_day
from store.models import File, FileDay, Project, Task, TaskDay
from store.states import State


async def tasks_on_files(
    session: AsyncSession,
    caller: Caller,
    *,
    states: Collection[State] = frozenset(State),
    project: str | None = None,
    limit: int,
    offset: int,
) -> ListPage[Task]:
    """A page of the tasks of projects of files, the newest first.

    Args:
        session: any.
        caller: who asks.
        states: in which they are.
        project: name of the one project they are of; any when omitted.
        limit: how many rows at most.
        offset: how many rows are before them.
    """
    seen = visible(Project, caller)
    own = select(col(Project.id)).where(col(Project.organization_id) == caller.organization_id)
    if project is not None:
        seen, own = (one.where(col(Project.name) == project) for one in (seen, own))
    ids = (await session.execute(seen.with_only_columns(col(Project.id)))).scalars().all()
    tasks = select(Task).where(col(Task.input_file_id).is_not(None), col(Task.deleted_at).is_(None))
    counted = [col(TaskDay.moment) == "created", col(TaskDay.is_on_file).is_(True)]
    if frozenset(states) != frozenset(State):
        tasks = tasks.where(col(Task.state).in_(states))
        counted.append(col(TaskDay.state).in_([state.value for state in states]))
    public = tasks.where(
        col(Task.organization_id) == caller.organization_id,
        col(Task.project_id).in_(ids),
        ~col(Task.is_private),
    )
    # Of a private one the caller need not see the project.
    private = private_lists(
        caller, tasks.where(col(Task.project_id).in_(own), col(Task.is_private))
    )
    of_project = col(TaskDay.project_id)
    tally = Tally(
        await counted_by_day(
            session,
            TaskDay,
            [of_project.in_(ids), counts_shared(TaskDay), *counted],
            [of_project.in_(own), counts_own(TaskDay, caller), *counted],
        )
        + await rows_by_day(session, private[1:], col(Task.created_at))
    )
    return await page_of(
        session,
        Task,
        [public, *private],
        (col(Task.created_at), col(Task.code)),
        tally,
        newest_first=True,
        limit=limit,
        offset=offset,
    )


async def sent_files(
    session: AsyncSession, caller: Caller, *, limit: int, offset: int
) -> ListPage[File]:
    """A page of the files that were sent, the newest first; arguments as above."""
    sent = select(File).where(
        col(File.organization_id) == caller.organization_id, col(File.task_id).is_(None)
    )
    private = private_file_lists(caller)
    of_them = col(FileDay.organization_id) == caller.organization_id
    tally = Tally(
        await counted_by_day(
            session,
            FileDay,
            [of_them, counts_shared(FileDay)],
            [of_them, counts_own(FileDay, caller)],
        )
        + await rows_by_day(session, private[1:], col(File.created_at))
    )
    return await page_of(
        session,
        File,
        [sent.where(~col(File.is_private)), *private],
        (col(File.created_at), col(File.id)),
        tally,
        newest_first=True,
        limit=limit,
        offset=offset,
    )
