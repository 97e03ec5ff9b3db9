"""The connection to the database: one engine a process, reading and writing transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from store.settings import settings

# How long a transaction waits for another process to release SQLite's one write lock.
SQLITE_BUSY_MILLISECONDS = 60_000


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
            _sqlite_engine(url) if self.is_sqlite else create_async_engine(url, pool_pre_ping=True)
        )
        self._writing = asyncio.Lock()

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
        # Writers of this process queue here, in order; SQLite's own waiting is a sleep.
        async with self._writing:
            engine = self.engine.execution_options(papertray_begin="IMMEDIATE")
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                yield session

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _sqlite_engine(url: str) -> AsyncEngine:
    path = make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, connect_args={"timeout": SQLITE_BUSY_MILLISECONDS / 1000})

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        # The driver's own BEGIN would be a deferred one: it is switched off, `begin` does it.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # what was answered 202 survives a loss of power
            "foreign_keys=ON",
            "secure_delete=ON",  # what is deleted is overwritten
            f"busy_timeout={SQLITE_BUSY_MILLISECONDS}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        mode = connection.get_execution_options().get("papertray_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


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
