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
from contextlib import asynccontextmanager, contextmanager
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
            event.listen(engine.sync_engine, "do_executemany", in_one_piece)
            event.listen(engine.sync_engine, "do_connect", _with_closing_cursors)
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
        turns = self._turns.setdefault(asyncio.get_running_loop(), _Turns())
        async with turns.turn(), session.begin() as transaction:
            # Prefect's way leaves the mode set for the whole block, where a read through
            # another session would begin as a writer, too, and wait for this transaction.
            mode = SQLITE_BEGIN_MODE.set("IMMEDIATE")
            try:
                await session.connection()
            finally:
                SQLITE_BEGIN_MODE.reset(mode)
            yield transaction


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


def in_one_piece(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Write the rows of a statement together, also where no transaction was begun for them.

    Prefect records what happens to task runs outside of transactions, by one statement; taken
    apart, each of its rows would be committed by itself.

    Args:
        cursor: as the next three: of SQLAlchemy's event `do_executemany`.
        statement: what is executed.
        parameters: the values of each row.
        context: of the execution.

    Returns:
        Whether it is done; else SQLAlchemy does it.
    """
    connection: aiosqlite.Connection = context.root_connection.connection.driver_connection
    if connection.in_transaction:
        return False
    do = partial(context.dialect.do_executemany, cursor, statement, parameters, context)
    await_only(_in_transaction(connection, do))
    return True


async def _in_transaction(connection: aiosqlite.Connection, do: Callable[[], None]) -> None:
    async with connection.execute("BEGIN IMMEDIATE"):
        pass
    try:
        await greenlet_spawn(do)
    except Exception:
        await connection.rollback()
        raise
    await connection.commit()


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
