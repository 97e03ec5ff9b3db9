"""The tables of what is in the file of a task."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store import columns
from store.row import Row


class ExportedFile(Row, table=True):
    """A name that a task has at the place where its files are put: no other task gets it.

    Committed before the file is written, so that whoever writes it again writes it there.
    """

    location: str = Field(primary_key=True)
    """URL, in small letters: some file systems know no others."""
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE", index=True)
    name: str
    """In the letters in which it was written there."""
    blob: str
    """Key of the bytes that are there."""


class Document(Row, table=True):
    """A document found in the input of a task."""

    __table_args__ = (UniqueConstraint("task_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    number: int
    """1-based."""
    document_type: str
    page_numbers: list[int] = columns.json(list)
    pages_confidence: float = 1.0
    """0..1: how sure it is that these pages are one document."""
    type_confidence: float = 1.0
    """0..1: how sure it is that it is of this type."""
    is_extracted: bool = True
    """Its fields were looked for; not yet while only its pages and its type are known."""
    fields: dict[str, Any] = columns.json()
    """name -> FieldValue of store/fields.py."""
    group_number: int | None = None
    """1-based; documents of a task with the same number belong together."""


class Page(Row, table=True):
    """A page of the input of a task, as it was read."""

    __table_args__ = (UniqueConstraint("task_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    number: int
    """1-based."""
    width_pixels: int
    height_pixels: int
    """Of the page image, in whose pixels all boxes are given."""
    method: str
    """`text_layer` or `ocr`."""
    confidence: float
    """0..1, mean over the words."""
    image_blob: str
    detail_blob: str = ""
    """The page in gray and in more pixels, for who zooms in; empty: there is no more to see."""
    words_blob: str


class ValueChange(Row, table=True):
    """What somebody made of a value; it goes when the content of its task goes."""

    __table_args__ = (Index("ix_valuechange_task", "task_id", "at"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    document_number: int
    """1-based; 0: of the data of a task that has no documents."""
    name: str
    """Of the field or the block."""
    before: str
    """The value as people read it; empty: there was none."""
    after: str
    method: str = ""
    """How the value before was found; `person` when somebody had typed it."""
    actor: str
    surface: str
    at: datetime = columns.time()
