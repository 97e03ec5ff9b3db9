"""The store of this machine's Papertray, as an operator of one organization sees it."""

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlmodel import col

from api.cli.output import Options
from api.supervisor import running
from store.access import Caller
from store.database import database, migrate
from store.errors import NotFoundError
from store.models import Organization
from store.organizations import DEFAULT_NAME, organization_named
from store.settings import settings
from store.states import Actor


@asynccontextmanager
async def store_open(*, make: bool = False) -> AsyncIterator[None]:
    """The database, at the schema of this version, closed at the end.

    Args:
        make: begin a home where there is none.

    Raises:
        NotFoundError: there is no home, and none is to be made.
    """
    sqlite = settings().home / "papertray.db"
    if not make and not settings().database_url and not sqlite.exists():
        raise NotFoundError(
            f"There is no Papertray at {settings().home}. Start it with `papertray up`, or name"
            " its home with --home or PAPERTRAY_HOME.",
            home=str(settings().home),
        )
    await asyncio.to_thread(migrate)  # runs a loop of its own; a moment when nothing is to do
    try:
        yield
    finally:
        await database().close()


@asynccontextmanager
async def operator(options: Options, *, make: bool = False) -> AsyncIterator[Caller]:
    """Who calls from this machine's shell: may do all that its organization may.

    Args:
        options: name the organization.
        make: begin a home and an organization where there are none.

    Raises:
        NotFoundError: there is no home or no such organization.
    """
    async with store_open(make=make):
        yield Caller(await _organization(options.org, make=make), operator_name())


def pages_url() -> str:
    """Where people reach the pages: as the settings say, else as the `up` of this home does."""
    known = settings().public_url or running(settings().home).get("url")
    return (known or settings().effective_public_url).rstrip("/")


def operator_name() -> Actor:
    """The actor that the activity of a task names."""
    return Actor(getpass.getuser(), "cli")


async def _organization(name: str, *, make: bool):
    if make or name == DEFAULT_NAME:
        return await organization_named(name)
    async with database().reading() as session:
        query = select(col(Organization.id)).where(col(Organization.name) == name)
        found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFoundError(
            f"There is no organization named {name!r}. Name one that is there, or make it with its"
            " first key: `papertray key create --org NAME`.",
            organization=name,
        )
    return found
