"""The connection to the database: one engine a process, reading and writing transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from store.group_commit import GroupCommit
from store.settings import settings
from store.sqlite import sqlite_engine


class Database:
    """One database, opened."""

    def __init__(self, url: str):
        """Open it; no connection is made before the first transaction.

        Args:
            url: SQLAlchemy URL with an async driver: sqlite+aiosqlite or postgresql+asyncpg.
        """
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine: AsyncEngine = (
            sqlite_engine(url) if self.is_sqlite else create_async_engine(url, pool_pre_ping=True)
        )
        self._writers = GroupCommit(self.engine.execution_options(papertray_writes=True))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one moment of the database and changes nothing."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed together at the end, or not at all.

        On SQLite the transaction takes the write lock at once (BEGIN IMMEDIATE): one that
        begins by reading and writes later is answered `database is locked` without waiting
        when another one wrote in between (https://sqlite.org/lang_transaction.html, 2.2).
        """
        if not self.is_sqlite:
            async with (
                AsyncSession(self.engine, expire_on_commit=False) as session,
                session.begin(),
            ):
                yield session
            return
        # Writers of this process queue there, in order; SQLite's own waiting is a sleep.
        async with self._writers.member() as session:
            yield session

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


@cache
def database() -> Database:
    """The database of this process, as the settings say."""
    return Database(settings().effective_database_url)


def migrate(url: str | None = None, revision: str = "head") -> None:
    """Bring the schema to a revision; does nothing when it is there already.

    Blocking, and it runs an event loop of its own: call it from no coroutine.

    Args:
        url: of the database; the settings' own when omitted.
        revision: the Alembic revision to go to.
    """
    command.upgrade(alembic_config(url or settings().effective_database_url), revision)


def alembic_config(url: str) -> Config:
    """The Alembic configuration for one database."""
    path = make_url(url).database
    if make_url(url).get_backend_name() == "sqlite" and path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config
