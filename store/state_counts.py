"""How many tasks are in each state, as far as that is worth counting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller, counts_open, sees_task
from store.models import StateCount, Task
from store.states import State

MOST_COUNTED: Final = 2_000
"""Beyond this what is not kept is not counted: it would take longer the more there are."""


@dataclass(frozen=True)
class Count:
    """How many there are."""

    number: int = 0
    is_least: bool = False
    """There are more: it was not counted further."""

    @classmethod
    def up_to_most(cls, number: int) -> "Count":
        """What was counted with one more than MOST_COUNTED as the limit."""
        return cls(min(number, MOST_COUNTED), number > MOST_COUNTED)

    def __str__(self) -> str:
        """As people read it: `1,204`, or `2,000+`."""
        return f"{self.number:,}{'+' if self.is_least else ''}"

    def __add__(self, other: "Count") -> "Count":
        """Both together."""
        return Count(self.number + other.number, self.is_least or other.is_least)


async def count_by_state(
    session: AsyncSession, caller: Caller, project_id: UUID | None = None
) -> Mapping[State, Count]:
    """How many tasks the caller sees in each state; states without are left out.

    The database keeps count of those that are shared. On which private ones the caller
    collaborates it does not know: they are counted each time.

    Args:
        session: any.
        caller: who asks.
        project_id: only of this project.
    """
    shared = [counts_open(caller)]
    private = [
        col(Task.organization_id) == caller.organization_id,
        col(Task.deleted_at).is_(None),
        col(Task.is_private),
        sees_task(caller),
    ]
    if project_id is not None:
        shared.append(col(StateCount.project_id) == project_id)
        private.append(col(Task.project_id) == project_id)
    state = col(StateCount.state)
    kept = select(state, func.sum(col(StateCount.counted))).where(*shared).group_by(state)
    counts = {
        State(name): Count(int(number))
        for name, number in (await session.execute(kept)).tuples()
        if number
    }
    # Each part has an index in which it is counted, without a look at the tasks.
    parts = [
        select(literal(one.value), func.count()).select_from(
            select(literal(1))
            .where(col(Task.state) == one, *private)
            .limit(MOST_COUNTED + 1)
            .subquery()
        )
        for one in State
    ]
    for name, number in (await session.execute(union_all(*parts))).tuples():
        if number:
            one = State(name)
            counts[one] = counts.get(one, Count()) + Count.up_to_most(int(number))
    return counts


async def count_some(session: AsyncSession, query: Select[tuple[Task]]) -> Count:
    """How many rows a query has, up to the limit."""
    some = query.with_only_columns(literal(1)).limit(MOST_COUNTED + 1)
    counted = select(func.count()).select_from(some.subquery())
    return Count.up_to_most((await session.execute(counted)).scalar_one())
