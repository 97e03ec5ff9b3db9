"""Whose turn it is among the tasks that wait for a person: for `next`, and for lists of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, literal_column
from sqlalchemy.orm import Mapped
from sqlmodel import col

from store.columns import StateColumn
from store.models import LAST_DUE, Task
from store.states import State

WAITS: Final = col(Task.state) == bindparam(
    None, State.IN_REVIEW, type_=StateColumn, literal_execute=True
)
"""It waits for a person. Written out, not bound: so that the index of those that wait is seen to be
enough."""


@dataclass(frozen=True)
class Key:
    """One of the things that rows are ordered by."""

    column: ColumnElement[Any] | Mapped[Any]
    is_descending: bool = False

    def direction(self, *, backwards: bool) -> ColumnElement[Any]:
        """What a query is ordered by."""
        return self.column.desc() if self.is_descending != backwards else self.column.asc()

    def beyond(self, value: Any, *, backwards: bool) -> ColumnElement[bool]:
        """Whether a row comes later than one with that value."""
        return self.column < value if self.is_descending != backwards else self.column > value


NO_DUE: Final[ColumnElement[Any]] = literal_column(LAST_DUE)
"""In the place of a due date, where there is none: after all that there are."""

TURN_KEYS: Final = (
    Key(col(Task.priority), is_descending=True),
    Key(func.coalesce(col(Task.due_at), NO_DUE)),
    Key(col(Task.created_at)),
    Key(col(Task.code)),
)
"""The highest priority first, of those the one that is due first, of those the oldest: the columns
of the indexes `ix_task_turn` and `ix_task_turn_in_project`."""


@dataclass(frozen=True)
class Stretch:
    """Rows that are alike in the first keys, in the order of the others."""

    conditions: Sequence[ColumnElement[bool]]
    order: Sequence[ColumnElement[Any]]


def stretches(
    keys: Sequence[Key], after: Sequence[Any] = (), *, backwards: bool = False
) -> Sequence[Stretch]:
    """What comes after a row, cut so that each stretch is a range of an index; the nearest first.

    In one condition SQLite would go through all rows that are before it.

    Args:
        keys: by which rows are ordered; the last one tells any two apart.
        after: the values of the row; none: from the beginning.
        backwards: in the other direction.
    """
    order = [key.direction(backwards=backwards) for key in keys]
    if not after:
        return [Stretch([], order)]
    found: list[Stretch] = []
    for place in reversed(range(len(keys))):
        alike = [key.column == value for key, value in zip(keys[:place], after, strict=False)]
        beyond = keys[place].beyond(after[place], backwards=backwards)
        found.append(Stretch([*alike, beyond], order[place:]))
    return found
