"""How Papertray starts a Prefect server of its own: its settings, its database, its process.

`python -m flows.prefect_server --home HOME --host HOST --port PORT` is the server, in the
foreground, in one process that starts no other. Its state is `HOME/prefect`. A PostgreSQL that is
given in `PREFECT_SERVER_DATABASE_CONNECTION_URL` is used as it is; otherwise the database is
SQLite, whose writers queue (`flows/prefect_sqlite.py`).

Prefect is imported only by `main`, when its settings are in the environment.
"""

import argparse
import fcntl
import ipaddress
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from flows.memory import few_arenas

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

    from flows.prefect_sqlite import WritersInTurn

    url = os.environ[DATABASE_URL]
    if url.startswith("sqlite"):
        set_database_config(WritersInTurn(url))
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
    few_arenas()

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
