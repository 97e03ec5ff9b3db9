"""The connection to the database: one engine a process, reading and writing transactions."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from asyncpg import PostgresError
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from store.errors import DatabaseAwayError, StorageFullError, UnavailableError
from store.group_commit import GroupCommit
from store.settings import settings
from store.sqlite import sqlite_engine

TROUBLE: Final = (DatabaseAwayError, StorageFullError)
"""What may be over in a while: whoever works in the background goes on then."""


class Database:
    """One database, opened."""

    def __init__(self, url: str):
        """Open it; no connection is made before the first transaction.

        Args:
            url: SQLAlchemy URL with an async driver: sqlite+aiosqlite or postgresql+asyncpg.
        """
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.engine: AsyncEngine = sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        self._writers = GroupCommit(self.engine.execution_options(papertray_writes=True))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one moment of the database and changes nothing.

        Raises:
            DatabaseAwayError: it does not answer, or is locked.
        """
        with _trouble_is_ours():
            async with AsyncSession(self.engine, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed together at the end, or not at all.

        On SQLite the transaction takes the write lock at once (BEGIN IMMEDIATE): one that
        begins by reading and writes later is answered `database is locked` without waiting
        when another one wrote in between (https://sqlite.org/lang_transaction.html, 2.2).

        Raises:
            DatabaseAwayError: it does not answer, or is locked.
            StorageFullError: it has no room.
        """
        with _trouble_is_ours():
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


def _postgres_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, pool_pre_ping=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def connect(  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        dialect: Any, _: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        try:
            return dialect.connect(*arguments, **options)
        except (OSError, PostgresError) as error:  # nobody listens, or it starts just now
            raise DatabaseAwayError from error

    return engine


_AWAY: Final = frozenset(
    {
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY),
        # PostgreSQL: the connection broke; there are too many; it was asked to stop, has crashed,
        # or starts (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        *("08000", "08001", "08003", "08006", "53300", "57P01", "57P02", "57P03"),
    }
)
"""What a database says that may answer later."""

_FULL: Final = frozenset({sqlite3.SQLITE_FULL, "53100"})


@contextmanager
def _trouble_is_ours() -> Iterator[None]:
    """Raise what a database says that is away or full as an error of ours."""
    try:
        yield
    except DBAPIError as error:
        if (ours := _as_ours(error)) is None:
            raise
        raise ours from error
    except PoolTimeoutError as error:  # all connections wait for it
        raise DatabaseAwayError from error


def _as_ours(error: DBAPIError) -> UnavailableError | None:
    of_sqlite = getattr(error.orig, "sqlite_errorcode", None)
    # The lower byte is the kind (https://sqlite.org/rescode.html).
    said = of_sqlite & 0xFF if of_sqlite is not None else getattr(error.orig, "sqlstate", None)
    if said in _FULL:
        return StorageFullError()
    if said in _AWAY or error.connection_invalidated:
        return DatabaseAwayError()
    return None


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
