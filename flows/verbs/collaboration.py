"""Who else sees a private task, and works on which of its steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import ALL_STEPS, Caller, require_owner
from store.database import database
from store.errors import FieldsInvalidError, NotFoundError
from store.finding import find_task, find_team, find_user
from store.lifecycle import amend
from store.models import Collaboration, Task


@dataclass(frozen=True)
class Collaborator:
    """A team or a person, as the owner of a task names them."""

    at: str
    """Where they are named: the key of what is wrong with it."""
    team: str = ""
    """Id or name; or else"""
    user: str = ""
    """Id or e-mail."""
    steps: Sequence[str] = field(default=(ALL_STEPS,))
    """Names of steps; `*` for all."""


async def change_task(
    caller: Caller,
    public_id: str,
    *,
    collaborators: Sequence[Collaborator] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Task:
    """Change what the owner of a task says of it; what is left out stays.

    Args:
        caller: the owner.
        public_id: of the task.
        collaborators: who works on it beside the owner, in the place of those that did.
        metadata: what the owner wants to keep with it, in the place of what was kept.

    Raises:
        NotFoundError: there is no such task.
        FieldsInvalidError: there is no such team or person.
        ForbiddenError: the task is another's.
    """
    async with database().writing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        require_owner(caller, task)
        if collaborators is not None:
            gone = delete(Collaboration).where(col(Collaboration.task_id) == task.id)
            await session.execute(gone)
            await set_collaborators(session, caller, task, collaborators)
            task = await amend(session, task, "task.shared", caller.actor)
        if metadata is not None:
            task = await amend(
                session, task, "task.described", caller.actor, task_metadata=dict(metadata)
            )
        return task


async def set_collaborators(
    session: AsyncSession, caller: Caller, task: Task, collaborators: Sequence[Collaborator]
) -> None:
    """Add the collaborators of a task to the transaction.

    Raises:
        FieldsInvalidError: there is no such team or person.
    """
    faults: dict[str, str] = {}
    for one in collaborators:
        row = Collaboration(task_id=task.id, steps=list(one.steps))
        try:
            if one.team:
                row.team_id = (await find_team(session, caller, one.team)).id
            else:
                row.user_id = (await find_user(session, caller, one.user)).id
        except NotFoundError:
            faults[one.at] = "names nobody here by id, name or e-mail"
        else:
            session.add(row)
    if faults:
        raise FieldsInvalidError("Some collaborators are not known here.", fields=faults)


async def collaborations_of(session: AsyncSession, task: Task) -> Sequence[Collaboration]:
    """Who works on a task beside its owner."""
    query = select(Collaboration).where(col(Collaboration.task_id) == task.id)
    return (await session.execute(query)).scalars().all()
