"""Prefect's SQLite, such that no call meets a locked database and none keeps the others waiting.

Prefect begins most of its transactions as readers, and SQLite refuses, at once and whatever the
timeout, to make a writer of a reader whose snapshot is old. With 20 runs in parallel most calls
then fail with "database is locked". Here a transaction is a writer from its first statement
(`BEGIN IMMEDIATE`), and the writers of this process wait for each other in order: SQLite's own
waiting is a sleep of up to 0.1 s, over and over, in which others overtake (26 s for the slowest of
20 clients, against 3 s in turn). Figures: `docs/decisions/0003-prefect-database.md`.

It is built on names of Prefect and SQLAlchemy that a release may move. Then the server does not
start: without this it would seem to work, and fail under load.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import aiosqlite
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from sqlalchemy import Insert, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, AsyncSessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only, greenlet_spawn

logger = logging.getLogger(__name__)

#: For how long a writer waits its turn; then it asks SQLite, which waits as long once more.
TURN_SECONDS: Final = 60.0

_BEGIN: Final = "BEGIN IMMEDIATE"


class WritersInTurn(AioSqliteConfiguration):
    """Prefect's SQLite, with writers that queue."""

    def __init__(self, connection_url: str):
        """Know where it is.

        Args:
            connection_url: `sqlite+aiosqlite:///...`
        """
        super().__init__(connection_url)
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()

    async def engine(self) -> AsyncEngine:
        """Prefect's engine, with what is done here at each of its connections and statements."""
        engine = await super().engine()
        if not event.contains(engine.sync_engine, "before_execute", rows_apart):
            event.listen(engine.sync_engine, "before_execute", rows_apart, retval=True)
            event.listen(engine.sync_engine, "do_connect", _with_closing_cursors)
            for name in ("do_execute", "do_executemany"):
                event.listen(engine.sync_engine, name, partial(self._write_alone, name))
        return engine

    def setup_sqlite(self, conn: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Add to each new connection that what is deleted is overwritten."""
        super().setup_sqlite(conn, record)
        cursor = conn.cursor()
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.close()

    @asynccontextmanager
    async def begin_transaction(
        self,
        session: AsyncSession,
        with_for_update: bool = False,  # noqa: FBT001, FBT002  # as Prefect calls it
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin as the writer, in turn, whether or not Prefect meant to write."""
        del with_for_update  # every transaction is one for update
        async with self._turn(), session.begin() as transaction:
            # Prefect's way leaves the mode set for the whole block, where a read through
            # another session would begin as a writer, too, and wait for this transaction.
            mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                await session.connection()
            finally:
                SQLITE_BEGIN_MODE.reset(mode)
            yield transaction

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._turns.setdefault(asyncio.get_running_loop(), _Turns()).turn()

    def _write_alone(
        self, execute: str, cursor: Any, statement: str, parameters: Any, context: Any
    ) -> bool:
        """Have what is written outside of a transaction wait its turn, too.

        Prefect records task runs so. One that waits in SQLite for those who write in turn is
        overtaken by them, and its thread holds the connection meanwhile.

        Args:
            execute: the method of SQLAlchemy's dialect that was about to be called.
            cursor: as the next three: its arguments.
            statement: what is executed.
            parameters: its values, or those of several rows.
            context: of the execution.

        Returns:
            Whether it is done.
        """
        connection = context.root_connection.connection.driver_connection
        is_write = context.isinsert or context.isupdate or context.isdelete
        if not is_write or connection.in_transaction:
            return False
        do = partial(getattr(context.dialect, execute), cursor, statement, parameters, context)
        await_only(self._alone(connection, do))
        return True

    async def _alone(self, connection: aiosqlite.Connection, do: Callable[[], None]) -> None:
        async with self._turn():
            async with connection.execute(_BEGIN):
                pass
            try:
                await greenlet_spawn(do)
            except Exception:
                await connection.rollback()
                raise
            await connection.commit()


class _ClosingCursor(sqlite3.Cursor):
    """A cursor that closes itself when its statement fails.

    SQLAlchemy forgets such a cursor, and the traceback keeps it until Python looks for cycles: in
    the thread of the loop, which then waits for the connection to end its statement before the
    cursor may go. If that statement waits for a transaction of this process, which needs the loop
    to go on, the server stood still for the minute that SQLite waits.
    """

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        with self._closed_if_it_fails():
            return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        with self._closed_if_it_fails():
            return super().executemany(*arguments)

    @contextmanager
    def _closed_if_it_fails(self) -> Generator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _ClosingCursor) -> Any:
        return super().cursor(factory)


def _with_closing_cursors(
    dialect: object, record: object, arguments: object, options: dict[str, Any]
) -> None:
    del dialect, record, arguments
    options["factory"] = _Connection


def rows_apart(
    connection: object,
    statement: Any,
    several: Sequence[Mapping[str, Any]],
    single: Mapping[str, Any],
    options: Mapping[str, Any],
) -> tuple[Any, Sequence[Mapping[str, Any]], Mapping[str, Any]]:
    """Insert many rows by one statement that is executed for each.

    On SQLite, Prefect writes events, task runs and logs by a statement that has all rows in it,
    and SQLAlchemy compiles one anew for each number of rows: a third of the processor time that
    the server takes for a task. On PostgreSQL Prefect does it in this way itself.

    Args:
        connection: as the next four: of SQLAlchemy's event `before_execute`.
        statement: an insert of several rows is taken apart.
        several: the parameters of the statement, where it is executed several times.
        single: the same, where it is executed once.
        options: not looked at.

    Returns:
        Statement and parameters that have the same effect.
    """
    del connection, options
    # `_multi_values` has no public name; a test fails when a release of SQLAlchemy moves it.
    whole: Any = statement if isinstance(statement, Insert) else None
    if whole is None or several or single or whole._returning:
        return statement, several, single
    rows: list[Any] = [row for some in whole._multi_values for row in some]
    if not rows or not all(isinstance(row, dict) for row in rows):
        return statement, several, single
    apart = whole._generate()
    apart._multi_values = ()
    # The keys of a row are columns, or their names.
    return apart, [{getattr(key, "key", key): row[key] for key in row} for row in rows], {}


class _Turns:
    """The queue of the writers of one event loop."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._writer: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Wait until no other writes.

        A transaction inside another one of the same task does not wait for itself, and no one
        waits for ever: past `TURN_SECONDS` it is left to SQLite to say that it is locked.
        """
        me = asyncio.current_task()
        if self._writer is me:
            yield
            return
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            logger.warning("A transaction was held for more than %.0f s.", TURN_SECONDS)
            yield
            return
        self._writer = me
        try:
            yield
        finally:
            self._writer = None
            self._lock.release()
