"""The tables of organizations, people and keys."""

import uuid
from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from store import columns
from store.row import Row


class Organization(Row, table=True):
    """A tenant: sees its own rows and no others."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("organization")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    name: str = Field(unique=True)
    created_at: datetime = columns.time()


class User(Row, table=True):
    """A person of an organization; reviews are signed with the e-mail."""

    __tablename__ = "user_account"  # pyright: ignore[reportAssignmentType]  # `user` is a reserved word in PostgreSQL
    __table_args__ = (UniqueConstraint("organization_id", "email"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("user_account")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    email: str
    name: str = ""
    """As people call them; nothing is decided by it."""
    is_admin: bool = False
    """May administer the organization, as far as their key lets them."""
    created_at: datetime = columns.time()


class Team(Row, table=True):
    """People of an organization who work on the same projects."""

    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    name: str
    created_at: datetime = columns.time()


class Membership(Row, table=True):
    """A person in a team."""

    team_id: uuid.UUID = Field(foreign_key="team.id", ondelete="CASCADE", primary_key=True)
    user_id: uuid.UUID = Field(
        foreign_key="user_account.id", ondelete="CASCADE", primary_key=True, index=True
    )
    is_admin: bool = False
    """May say who is in the team."""
    created_at: datetime = columns.time()


class ApiKey(Row, table=True):
    """A key of a program, a person or a team. Only its hash is kept."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    """Also the `client_id` of the OAuth client that the key may be."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    user_id: uuid.UUID | None = Field(default=None, foreign_key="user_account.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id")
    """Sees the projects of this team beside those of the whole organization."""
    name: str = ""
    """What it is for, in words."""
    is_test: bool = False
    """What is made with it is not reviewed, and is gone after a day."""
    client_secret_sha256: str | None = None
    """Hex digest of the secret of an OAuth client (RFC 6749, 4.4); none: the key is no client."""
    sha256: str = Field(unique=True)
    """Hex digest of the whole key; the key has 256 random bits, so no slow hash is needed."""
    prefix: str
    """The first characters of the key, by which its owner knows it."""
    scopes: list[str] = columns.json(list)
    created_at: datetime = columns.time()
    expires_at: datetime | None = columns.later()
    revoked_at: datetime | None = columns.later()
    last_used_at: datetime | None = columns.later()


class AccessToken(Row, table=True):
    """What an OAuth client got for its secret; opens for a while what its key opens."""

    sha256: str = Field(primary_key=True)
    key_id: uuid.UUID = Field(foreign_key="apikey.id", ondelete="CASCADE", index=True)
    created_at: datetime = columns.time()
    expires_at: datetime = columns.time(index=True)


class Session(Row, table=True):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "browser_session"  # pyright: ignore[reportAssignmentType]  # a plain name is what SQLModel wants

    sha256: str = Field(primary_key=True)
    key_id: uuid.UUID = Field(foreign_key="apikey.id", ondelete="CASCADE")
    csrf_token: str
    created_at: datetime = columns.time()
    expires_at: datetime = columns.time()
