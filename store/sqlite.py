"""SQLite: how its connections are opened, and spoken to in as few words as possible."""

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from store.niceness import stands_back

BUSY_MILLISECONDS: Final = 60_000
"""How long a transaction waits for another process to release the one write lock."""

LOOK_AGAIN_SECONDS: Final = 0.002
"""Between two looks for the write lock, while another process has it."""

KEPT_OPEN: Final = 32
"""Connections of a process. To open one, which reads the schema, takes longer than what most
requests ask; the library's own five are few for programs that send many at once."""

STATEMENTS_KEPT: Final = 48
"""Prepared ones, of a connection, each with 14 KiB. A worker speaks 110, of which a task needs half
that many; the library's own 128 let each connection fill for thousands of tasks."""

_BEGIN_READING: Final = "BEGIN DEFERRED"
_BEGIN_WRITING: Final = "BEGIN IMMEDIATE"

_ROWS_AT_ONCE: Final = 64
"""What aiosqlite takes at a time when it is iterated, which nobody does."""


def sqlite_engine(url: str) -> AsyncEngine:
    """An engine; a connection with the execution option `papertray_writes` takes the write lock."""
    path = make_url(url).database or ":memory:"
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)

    def connect() -> sqlite3.Connection:
        # The driver's own BEGIN would be a deferred one: it is switched off, `begin` does it.
        connection = sqlite3.connect(
            path,
            timeout=BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            cached_statements=STATEMENTS_KEPT,
            check_same_thread=False,  # opened, used and closed by one thread, collected by any
        )
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # what was answered 202 survives a loss of power
            "foreign_keys=ON",
            "secure_delete=ON",  # what is deleted is overwritten
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    async def opened() -> aiosqlite.Connection:
        return await _Connection(connect, _ROWS_AT_ONCE)

    # The one that was used last is taken first: each connection keeps its statements and 2 MB of
    # pages, and to have all of them do so in turn lets a process grow for thousands of tasks.
    engine = create_async_engine(
        url,
        async_creator=opened,
        pool_size=KEPT_OPEN,
        pool_use_lifo=True,
        hide_parameters=True,  # an error names the statement, never what was in the document
    )

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        is_writing = connection.get_execution_options().get("papertray_writes", False)
        connection.exec_driver_sql(_BEGIN_WRITING if is_writing else _BEGIN_READING)

    return engine


def empty_log(path: Path, wait_seconds: float = 5.0) -> bool:
    """Write the log of a database (WAL) into its file and cut it to nothing.

    What was deleted is overwritten in the file (`secure_delete`), but the log still has the pages
    as they were before (https://sqlite.org/wal.html, section 3.3: it is reused, not cleared).

    Args:
        path: of the database; nothing is done where it is not there.
        wait_seconds: for those who read what is in the log.

    Returns:
        Whether the log is empty now; somebody may have been reading from it all the time.
    """
    if not path.exists():
        return True
    connection = sqlite3.connect(path, timeout=wait_seconds, isolation_level=None)
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:  # another process does the same just now
        return False
    finally:
        connection.close()
    return not busy


class _Cursor:
    """What SQLAlchemy's dialect asks of an aiosqlite cursor, in at most one trip to its thread.

    aiosqlite sends a message to the connection's thread and waits for the answer to make a
    cursor, to run the statement, to take the rows and to close the cursor; and each answer
    wakes every coroutine from the request down. That was half of what taking a task in cost, and
    the one trip that was left a third of the rest.
    """

    def __init__(self, connection: "_Connection"):
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, statement: str, parameters: Any = ()) -> None:
        await self._connection.run(
            statement, lambda cursor: self._keep(cursor.execute(statement, parameters))
        )

    async def executemany(self, statement: str, parameters: Iterable[Any]) -> None:
        await self._connection.run(
            statement, lambda cursor: self._keep(cursor.executemany(statement, parameters))
        )

    def _keep(self, done: sqlite3.Cursor) -> None:
        self.description, self.lastrowid = done.description, done.lastrowid
        if done.description:
            self._rows = done.fetchall()
        self.rowcount = done.rowcount

    async def fetchall(self) -> Sequence[Any]:
        return self._rows

    async def close(self) -> None:
        return


class _Connection(aiosqlite.Connection):
    """A connection with such cursors. A test holds the private names of aiosqlite in it.

    What waits goes to the connection's thread: a BEGIN for the write lock, a COMMIT for the disk,
    a query of a reader for as many rows as it takes. What a writer does in between are single rows
    by their keys: faster done than handed over.
    """

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        # The end of the program waits for no connection, as where SQLAlchemy opens one.
        self._thread.daemon = True
        self._has_write_lock = False

    async def cursor(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # awaited all the same
        return _Cursor(self)

    async def run(self, statement: str, run: Callable[[sqlite3.Cursor], None]) -> None:
        """Run a statement where it holds up nobody."""
        if self._has_write_lock or statement == _BEGIN_READING:
            self._run(run)
            return
        is_eager = statement == _BEGIN_WRITING and not stands_back()
        await self._execute(self._take_write_lock if is_eager else self._run, run)
        self._has_write_lock = statement == _BEGIN_WRITING

    def _take_write_lock(self, begin: Callable[[sqlite3.Cursor], None]) -> None:
        """Begin to write as soon as no other process does.

        SQLite looks again ever less often, each tenth of a second in the end, and so comes too
        late each time while another process has one transaction after the other.
        """
        late = time.monotonic() + BUSY_MILLISECONDS / 1000
        self._have_patience(0)
        try:
            while True:
                try:
                    return self._run(begin)
                except sqlite3.OperationalError as error:
                    is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                    if not is_busy or time.monotonic() > late:
                        raise
                time.sleep(LOOK_AGAIN_SECONDS)
        finally:
            self._have_patience(BUSY_MILLISECONDS)

    def _have_patience(self, milliseconds: int) -> None:
        with closing(self._conn.execute(f"PRAGMA busy_timeout={milliseconds}")):
            return

    def _run(self, run: Callable[[sqlite3.Cursor], None]) -> None:
        # Closed, whatever happens: one that is not is collected with the traceback, by the thread
        # of the loop, which then waits for what the connection does just then.
        with closing(self._conn.cursor()) as cursor:
            run(cursor)

    async def commit(self) -> None:
        if self._has_write_lock:
            self._has_write_lock = False
            await super().commit()
        else:
            self._conn.commit()  # nothing was written: the disk has no part in it

    async def rollback(self) -> None:
        if self._has_write_lock:
            self._has_write_lock = False
            await super().rollback()
        else:
            self._conn.rollback()
