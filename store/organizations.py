"""Organizations, their people and teams; the organization that is there from the start."""

from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlmodel import col

from store.blocks import is_email
from store.database import database
from store.errors import InputError
from store.models import Organization, Team, User

DEFAULT_NAME = "default"
"""The organization of the command line, of runs started in Prefect, and of the first key."""


async def default_organization() -> UUID:
    """The id of the default organization; made when it is not there yet."""
    return await organization_named(DEFAULT_NAME)


def require_email(email: str) -> None:
    """Let nothing through that is not the e-mail address of a person.

    Raises:
        InputError: it is no e-mail address.
    """
    if not is_email(email):
        raise InputError(f"{email!r} is no e-mail address.", email=email)


def has_address(email: str) -> ColumnElement[bool]:
    """Who has that e-mail address, however it is spelled.

    Addresses that differ by capitals only are those of one person (RFC 5321, section 2.4,
    discourages others).
    """
    spelled_so = col(User.email) == email
    return or_(spelled_so, func.lower(col(User.email)) == email.lower())  # SQLite: of ASCII only


async def organization_named(name: str) -> UUID:
    """The id of the organization of that name; made when it is not there yet."""
    async with database().writing() as session:
        query = select(Organization).where(col(Organization.name) == name)
        found = (await session.execute(query)).scalar_one_or_none()
        if found is None:
            found = Organization(name=name)
            session.add(found)
        return found.id


async def number_of(organization_id: UUID) -> int:
    """The id of an organization where ids are whole numbers."""
    async with database().reading() as session:
        return (await session.get_one(Organization, organization_id)).number


async def user_of(organization_id: UUID, email: str, *, is_admin: bool = False) -> UUID:
    """The id of the person with that e-mail; made when not there yet.

    Raises:
        InputError: it is no e-mail address.
    """
    require_email(email)
    async with database().writing() as session:
        query = select(User).where(col(User.organization_id) == organization_id, has_address(email))
        found = (await session.execute(query.limit(1))).scalar_one_or_none()
        if found is None:
            found = User(organization_id=organization_id, email=email, is_admin=is_admin)
            session.add(found)
        return found.id


async def team_named(organization_id: UUID, name: str) -> UUID:
    """The id of the team of that name; made when it is not there yet."""
    async with database().writing() as session:
        query = select(Team).where(
            col(Team.organization_id) == organization_id, col(Team.name) == name
        )
        found = (await session.execute(query)).scalar_one_or_none()
        if found is None:
            found = Team(organization_id=organization_id, name=name)
            session.add(found)
        return found.id
