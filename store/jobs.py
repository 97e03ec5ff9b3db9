"""Lists of tasks on files, and of files, whose pages are named by how many rows are before them."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, private_lists, visible
from store.models import File, Project, Task
from store.project_tasks import Page, count_public, count_rows, page_of
from store.states import State


async def tasks_on_files(
    session: AsyncSession,
    caller: Caller,
    *,
    states: Collection[State] = frozenset(State),
    project: str | None = None,
    limit: int,
    offset: int,
) -> Page:
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
    projects = (await session.execute(seen)).scalars().all()
    tasks = select(Task).where(col(Task.input_file_id).is_not(None), col(Task.deleted_at).is_(None))
    if frozenset(states) != frozenset(State):
        tasks = tasks.where(col(Task.state).in_(states))
    counts = await count_public(session, projects, states, only_on_file=True)
    public = tasks.where(
        col(Task.organization_id) == caller.organization_id,
        col(Task.project_id).in_([one.id for one in projects]),
        ~col(Task.is_private),
    )
    # Of a private one the caller need not see the project.
    private = tasks.where(col(Task.project_id).in_(own), col(Task.is_private))
    lists = [public] if counts else []
    count = sum(counts.values())
    for one in private_lists(caller, private):
        if found := await count_rows(session, [one]):
            lists.append(one)
            count += found
    order = (col(Task.created_at), col(Task.code))
    return await page_of(
        session, lists, order, count, newest_first=True, limit=limit, offset=offset
    )


async def sent_files(
    session: AsyncSession, caller: Caller, *, limit: int, offset: int
) -> tuple[int, Sequence[File]]:
    """How many files were sent, and a page of them, the newest first; arguments as above."""
    query = visible(File, caller).where(col(File.task_id).is_(None))
    order = (col(File.created_at).desc(), col(File.id).desc())
    # Which they are is read off an index alone; only those of the page are read as a whole.
    ids = query.with_only_columns(col(File.id)).order_by(*order).limit(limit).offset(offset)
    rows = select(File).where(col(File.id).in_(ids)).order_by(*order)
    count = query.with_only_columns(func.count())
    return (
        (await session.execute(count)).scalar_one(),
        (await session.execute(rows)).scalars().all(),
    )
