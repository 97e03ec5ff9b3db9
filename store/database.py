"""The connection to the database: one engine a process, reading and writing transactions."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
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

from store.errors import (
    DatabaseAwayError,
    StorageAwayError,
    StorageFullError,
    UnavailableError,
)
from store.group_commit import GroupCommit
from store.settings import settings
from store.sqlite import sqlite_engine
from store.together import Together

TROUBLE: Final = (DatabaseAwayError, StorageAwayError, StorageFullError)
"""What may be over in a while: whoever works in the background goes on then."""


_TOGETHER: ContextVar[Together | None] = ContextVar("together", default=None)


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
        together = _TOGETHER.get()
        with _trouble_is_ours():
            async with (together and together.look()) or AsyncSession(
                self.engine, expire_on_commit=False
            ) as session:
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
        together = _TOGETHER.get()
        with _trouble_is_ours():
            async with together.part() if together else self._transaction() as session:
                yield session

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Commit all that is written inside at its end, in one transaction, or nothing of it.

        What is written inside is seen by those who read inside, and by nobody else. From the
        first change on the work has SQLite's one write lock: it waits for nothing outside, or
        calls `commit_so_far` before.

        Raises:
            DatabaseAwayError: it does not answer, or is locked.
            StorageFullError: it has no room.
        """
        together = Together(self._transaction)
        token = _TOGETHER.set(together)
        try:
            yield
            with _trouble_is_ours():
                await together.commit()
        except BaseException as error:
            await together.undo(error, is_in_doubt=self.is_in_doubt_after(error))
            raise
        finally:
            _TOGETHER.reset(token)

    async def commit_so_far(self) -> None:
        """Commit now what was written inside of `together`; outside it is committed already."""
        if together := _TOGETHER.get():
            with _trouble_is_ours():
                await together.commit()

    def when_committed(self, what: Callable[[], None]) -> None:
        """Do something as soon as what was just written is committed."""
        if together := _TOGETHER.get():
            together.when_committed(what)
        else:
            what()

    def when_undone(self, what: Callable[[], Awaitable[None]]) -> None:
        """Do something if what was just written is undone after all, by what comes after it."""
        if together := _TOGETHER.get():
            together.when_undone(what)

    def is_in_doubt_after(self, error: BaseException) -> bool:
        """Whether what ended with this error may be committed after all, even after a look.

        Who is cancelled has perhaps been committed by others. PostgreSQL whose connection breaks
        over a commit makes it or not, now or in a moment; SQLite has made it or not.
        """
        if not isinstance(error, Exception):
            return True
        return isinstance(error, DatabaseAwayError) and not self.is_sqlite

    def _transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        # Writers of this process queue there, in order; SQLite's own waiting is a sleep.
        return self._writers.member() if self.is_sqlite else self._on_postgres()

    @asynccontextmanager
    async def _on_postgres(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _postgres_engine(url: str) -> AsyncEngine:
    engine = create_async_engine(url, pool_pre_ping=True, hide_parameters=True)

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
