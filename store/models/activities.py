"""The tables of who has to do with a task, and of what happened."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from store import columns
from store.ids import new_code
from store.row import Row


class Presence(Row, table=True):
    """Somebody who has the page of a task open; one that is not renewed is soon over."""

    task_id: uuid.UUID = Field(primary_key=True, foreign_key="task.id", ondelete="CASCADE")
    actor: str = Field(primary_key=True)
    seen_at: datetime = columns.time(index=True)


class Collaboration(Row, table=True):
    """A team or a person who sees a private task, and works on some of its steps."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE", index=True)
    team_id: uuid.UUID | None = Field(
        default=None, foreign_key="team.id", ondelete="CASCADE", index=True
    )
    user_id: uuid.UUID | None = Field(
        default=None, foreign_key="user_account.id", ondelete="CASCADE", index=True
    )
    steps: list[str] = columns.json(list)
    """Names of steps; `*` for all."""


class Activity(Row, table=True):
    """One thing that happened, written in the transaction in which it happened."""

    __table_args__ = (
        Index("ix_activity_task", "task_id", "number"),
        Index("ix_activity_organization", "organization_id", "number"),
        {"sqlite_autoincrement": True},  # else the number of one that was forgotten came again
    )

    number: int | None = Field(default=None, primary_key=True)
    """Rises with every event; the order of events is the order of numbers."""
    code: str = columns.made(new_code, unique=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    type: str = Field(index=True)
    """`task.completed` and so on."""
    task_id: uuid.UUID | None = None
    is_private: bool = False
    """Only who sees its task, or sent its file, sees it; no webhook is told of it."""
    subject: str
    """Public id of what it happened to."""
    actor: str
    surface: str
    reason: str = ""
    data: dict[str, Any] = columns.json()
    at: datetime = columns.time()
