"""How Papertray starts a Prefect server of its own: its settings, its database, its process.

`python -m flows.prefect_server --home HOME --host HOST --port PORT` is the server, in the
foreground, in one process that starts no other. Its state is `HOME/prefect`. A PostgreSQL that is
given in `PREFECT_SERVER_DATABASE_CONNECTION_URL` is used as it is; otherwise the database is
SQLite, with one change (`docs/decisions/0003-prefect-database.md`): Prefect begins most of its
transactions as readers, and SQLite refuses, at once and whatever the timeout, to make a writer of
a reader whose snapshot is old. With 20 runs in parallel most calls then fail with "database is
locked". Here a transaction is a writer from its first statement, and waits its turn.

Prefect is imported only by `main`, when its settings are in the environment.
"""

import argparse
import asyncio
import fcntl
import ipaddress
import logging
import os
import sys
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Insert, event

if TYPE_CHECKING:
    from prefect.server.database.configurations import BaseDatabaseConfiguration
    from sqlalchemy.ext.asyncio import AsyncEngine

logger = logging.getLogger(__name__)

DATABASE_URL: Final = "PREFECT_SERVER_DATABASE_CONNECTION_URL"

#: What an operator may set otherwise, in the environment.
TUNING: Final[Mapping[str, str]] = {
    # Nothing leaves the machine.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "DO_NOT_TRACK": "1",
    # Prefect hides a locked database from its log unless told not to.
    "PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "true",
    # Each waiting run is looked at in each round: 2,000 cost 13 % of a core at the default of 5 s.
    # Our own deadlines are in the store.
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",
    # Each run cancelled in the last day is read again in each round; the default is 20 s.
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "300",
    # A transaction for each run that waits longer than this for a worker. At the default of 15 s
    # a backlog of a thousand runs keeps the server from the work that would clear it.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "300",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "30",
    # Task runs and events are written in batches. One by one, they compete with the calls for the
    # database, and what was not written yet is lost when the server stops.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "2",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "2",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
    # One box: what these look for is seen as well a little later.
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "30",
}

#: Only for PostgreSQL; connections beyond the pool would be opened anew for each use.
POSTGRES_TUNING: Final[Mapping[str, str]] = {
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "0",
}

#: For how long a writer waits its turn; then it asks SQLite, which waits as long once more.
TURN_SECONDS: Final = 60.0

#: Open websockets (workers, the UI) would otherwise keep a server that is told to stop.
GRACE_SECONDS: Final = 2


def server_environment(
    home: Path, host: str, port: int, database_url: str | None = None
) -> dict[str, str]:
    """The settings of the server, as environment variables.

    Args:
        home: where Papertray keeps its state; the server's is the folder `prefect` in it.
        host: the address the server listens on.
        port: the port it listens on.
        database_url: a PostgreSQL (`postgresql+asyncpg://...`); without it, SQLite in `home`.

    Returns:
        What the server is told, and `TUNING`. Passing it on replaces what an operator set;
        `main` lets the operator win where that is harmless.
    """
    tuning = {**TUNING, **POSTGRES_TUNING} if database_url else TUNING
    return {**tuning, **_identity(home, host, port, database_url)}


def _identity(home: Path, host: str, port: int, database_url: str | None) -> dict[str, str]:
    """What must be as it is, or this would be another server."""
    state = home.absolute() / "prefect"
    return {
        "PREFECT_HOME": str(state),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        # The pages of the UI call this; without it they call port 4200, whatever the port is.
        "PREFECT_SERVER_UI_API_URL": f"http://{_reachable(host)}:{port}/api",
        # By default it is unpacked into the installed package, which may be read-only.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(state / "ui"),
        DATABASE_URL: database_url or f"sqlite+aiosqlite:///{database_file(home)}",
    }


def database_file(home: Path) -> Path:
    """Where the server of a home has its database, if that is SQLite."""
    return home.absolute() / "prefect" / "prefect.db"


def _reachable(host: str) -> str:
    """The address by which a browser on this machine reaches a server that listens on `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host or "127.0.0.1"
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{host}]" if address.version == 6 else host


def writers_in_turn(url: str) -> "BaseDatabaseConfiguration":
    """A configuration of Prefect's SQLite under which no call meets a locked database.

    SQLite has one writer at a time. Every transaction of Prefect's is made the writer at its
    beginning (`BEGIN IMMEDIATE`), and those of this process wait for each other in order: SQLite's
    own waiting is a sleep of up to 0.1 s, over and over, in which others overtake (26 s for the
    slowest of 20 clients, against 3 s in turn).

    Args:
        url: `sqlite+aiosqlite:///...`

    Raises:
        ImportError: a new release of Prefect has moved what this is built on. That must be seen
            at the start: without it the server seems to work, and fails under load.
    """
    from prefect.server.database.configurations import (
        SQLITE_BEGIN_MODE,
        AioSqliteConfiguration,
    )
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
    from sqlalchemy.pool import ConnectionPoolEntry

    class WritersInTurn(AioSqliteConfiguration):
        """Prefect's SQLite, with writers that queue."""

        def __init__(self, connection_url: str):
            super().__init__(connection_url)
            self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()

        async def engine(self) -> "AsyncEngine":
            """Prefect's engine, with `rows_apart`."""
            engine = await super().engine()
            if not event.contains(engine.sync_engine, "before_execute", rows_apart):
                event.listen(engine.sync_engine, "before_execute", rows_apart, retval=True)
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

    return WritersInTurn(url)


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


@contextmanager
def _alone(state: Path) -> Generator[None]:
    """Hold the folder against a second server; the system lets go of it however this one ends.

    Raises:
        SystemExit: another server works on it.
    """
    with (state / "server.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"Another Prefect server runs on {state}. Stop it, or choose another home."
            ) from None
        yield


def run(host: str, port: int) -> None:
    """Be the server until SIGTERM or SIGINT.

    Args:
        host: the address to listen on.
        port: the port to listen on.

    Raises:
        SystemExit: the port is in use, or the database cannot be opened.
    """
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.server.database.dependencies import set_database_config

    url = os.environ[DATABASE_URL]
    if url.startswith("sqlite"):
        set_database_config(writers_in_turn(url))
    configuration = uvicorn.Config(
        create_app(final=True),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    # Before the database is touched: else a port in use is found out after all else has started.
    listening = configuration.bind_socket()
    uvicorn.Server(configuration).run(sockets=[listening])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server that the command line describes.

    Args:
        arguments: those of the command line; by default this process's. A database with a
            password comes by the environment, where other users of the machine do not see it.
    """
    parser = argparse.ArgumentParser("python -m flows.prefect_server", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="where Papertray keeps its state")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=4200, help="the port to listen on")
    given = parser.parse_args(arguments)

    # An environment that is passed on names the file of some home; only PostgreSQL is a choice.
    url = os.environ.get(DATABASE_URL)
    postgres = url if url and url.startswith("postgresql") else None
    for name, value in server_environment(given.home, given.host, given.port, postgres).items():
        os.environ.setdefault(name, value)
    os.environ.update(_identity(given.home, given.host, given.port, postgres))

    state = Path(os.environ["PREFECT_HOME"])
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with nullcontext() if postgres else _alone(state):
        run(given.host, given.port)


if __name__ == "__main__":
    sys.exit(main())
