"""How many tasks are in each state, as far as that is worth counting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, is_open_to, sees_task
from store.models import Task
from store.states import State

MOST_COUNTED: Final = 10_000
"""Beyond this nobody reads the figure, and counting would take longer the more there are."""


@dataclass(frozen=True)
class Count:
    """How many there are."""

    number: int = 0

    @property
    def is_least(self) -> bool:
        """There are more: it was not counted further."""
        return self.number > MOST_COUNTED

    def __str__(self) -> str:
        """As people read it: `1,204`, or `10,000+`."""
        return f"{min(self.number, MOST_COUNTED):,}{'+' if self.is_least else ''}"

    def __add__(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.number + other.number)


async def count_by_state(
    session: AsyncSession, caller: Caller, project_id: UUID | None = None
) -> Mapping[State, Count]:
    """How many tasks the caller sees in each state; states without are left out.

    Counted each time: the counters that triggers keep (`store/migrations/counters.py`) are those
    of projects. They have no task without one, and do not tell on which private tasks the caller
    collaborates.

    Args:
        session: any.
        caller: who asks.
        project_id: only of this project.
    """
    mine = [
        col(Task.organization_id) == caller.organization_id,
        col(Task.deleted_at).is_(None),
        *([] if project_id is None else [col(Task.project_id) == project_id]),
    ]
    # Each of the two has an index in which it is counted, without a look at the tasks.
    public = [*mine, ~col(Task.is_private), is_open_to(caller)]
    private = [*mine, col(Task.is_private), sees_task(caller)]
    parts = [
        select(literal(state.value), func.count()).select_from(
            select(literal(1))
            .where(col(Task.state) == state, *conditions)
            .limit(MOST_COUNTED + 1)
            .subquery()
        )
        for state in State
        for conditions in (public, private)
    ]
    counts: dict[State, Count] = {}
    for state, number in (await session.execute(union_all(*parts))).tuples():
        if number:
            counts[State(state)] = counts.get(State(state), Count()) + Count(int(number))
    return counts


async def count_some(session: AsyncSession, query: Select[tuple[Task]]) -> Count:
    """How many rows a query has, up to the limit."""
    some = query.with_only_columns(literal(1)).limit(MOST_COUNTED + 1)
    counted = select(func.count()).select_from(some.subquery())
    return Count((await session.execute(counted)).scalar_one())
