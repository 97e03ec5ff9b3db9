"""The table of files."""

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store import columns
from store.ids import new_code
from store.row import Row

SENT: Final = ("organization_id", "created_at", "id", "owner_id", "is_private", "task_id")

ONLY_SENT: Final = columns.only("task_id IS NULL")

OWN_SENT: Final = ("owner_id", "created_at", "id", "organization_id", "is_private", "task_id")

ONLY_OWN: Final = columns.only(
    "task_id IS NULL AND is_private = 1", "task_id IS NULL AND is_private"
)


class File(Row, table=True):
    """Bytes that came in or that a task made."""

    __table_args__ = (
        UniqueConstraint("task_id", "role", "name"),
        # What was sent: counted, and found far down its list, in the index alone.
        Index("ix_file_sent", *SENT, **ONLY_SENT),
        Index("ix_file_own", *OWN_SENT, **ONLY_OWN),
        # What was sent with test keys, and goes after a day.
        Index("ix_file_test", "created_at", **columns.only("is_test = 1", "is_test")),
    )

    id: str = columns.made(lambda: f"file_{new_code()}", primary_key=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id", index=True)
    name: str
    blob: str
    """Key of the bytes in the storage."""
    type: str
    """Media type, found in the content."""
    size_bytes: int
    sha256: str = Field(index=True)
    properties: dict[str, Any] = columns.json()
    """width and height of an image, page_count of a PDF or TIFF."""
    task_id: uuid.UUID | None = Field(default=None, foreign_key="task.id", index=True)
    """The task that made the file; none for a file that was sent."""
    role: str | None = None
    """What it is to its task: `data`, `searchable_pdf`, `generated` ..."""
    owner_id: uuid.UUID | None = None
    """Who sent it: a person, or else a key."""
    is_private: bool = False
    """Only its owner sees it, and who works on a task with it."""
    is_test: bool = False
    """It is gone after a day."""
    created_at: datetime = columns.time(index=True)
