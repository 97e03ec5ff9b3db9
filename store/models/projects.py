"""The tables of projects, and of what comes to them together."""

import uuid
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from store import columns
from store.ids import new_code
from store.row import Row


class Project(Row, table=True):
    """A named way of treating documents."""

    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("project")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id")
    """The team that sees it; none: the whole organization."""
    name: str
    current_version_id: uuid.UUID | None = None
    created_at: datetime = columns.time()
    deleted_at: datetime | None = columns.later()
    """Since when nobody sees it any more; its tasks keep it."""


class ProjectVersion(Row, table=True):
    """One text of a project file. A task keeps the version it was made with."""

    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    project_id: uuid.UUID = Field(foreign_key="project.id")
    number: int
    source: str
    """The project file as it was sent."""
    created_at: datetime = columns.time()


INBOX: Final = "inbox"
"""Where an upload is until it is done with, or somebody moves it."""


class Folder(Row, table=True):
    """A place for uploads of a project, beside those that every project has."""

    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `folder_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    project_id: uuid.UUID = Field(foreign_key="project.id")
    name: str
    created_at: datetime = columns.time()


class Upload(Row, table=True):
    """Files that were sent together; each is the input of a task of its own."""

    __table_args__ = (
        Index("ix_upload_project", "project_id", "created_at", "code"),
        Index("ix_upload_folder", "project_id", "folder", "created_at", "code"),
    )

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `upl_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    project_id: uuid.UUID = Field(foreign_key="project.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    """The team at whose address it was sent."""
    name: str = ""
    """As its sender calls it; empty: it is called like its first file."""
    meta: list[dict[str, Any]] = columns.json(list)
    """What its sender wants to keep with it: `{name, value}` each, in order."""
    folder: str = INBOX
    """Where it is: one of the folders of every project, or the code of another."""
    created_at: datetime = columns.time()
    updated_at: datetime = columns.time()

    @property
    def public_id(self) -> str:
        """The id at every address."""
        return f"upl_{self.code}"
