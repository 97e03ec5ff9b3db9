"""A PostgreSQL server of the tests' own, from the programs of the machine."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.e2e.installation import free_port, wait_until

FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
USER = "papertray"


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*map(str, FOLDERS), os.environ["PATH"]]))
    assert found, f"there is no {name}: `make setup-system` installs PostgreSQL"
    return found


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """A server with nothing in it, on loopback; its address without a database at the end."""
    folder.mkdir(parents=True)
    user: str | None = None
    if os.geteuid() == 0:  # PostgreSQL refuses to be started by root
        user = next(n for n in ("postgres", "nobody") if n in {u.pw_name for u in pwd.getpwall()})
        shutil.chown(folder, user)
        _let_through(folder)
    data, port = folder / "data", free_port()
    subprocess.run(
        [_program("initdb"), "--pgdata", data, "--username", USER, "--auth", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
        user=user,
    )
    address = f"postgresql+asyncpg://{USER}@127.0.0.1:{port}"
    server = _RUNNING[address] = _Server(folder, port, user)
    server.start()
    try:
        yield address
    finally:
        del _RUNNING[address]
        server.stop(signal.SIGINT)  # SIGTERM waits until the last client has gone


def _let_through(folder: Path) -> None:
    """Let others pass through the folders above one; each start of pytest closes them again."""
    for parent in [folder.parent, *folder.parent.parents]:
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)


class _Server:
    """The process of a server."""

    def __init__(self, folder: Path, port: int, user: str | None):
        self._log = folder / "log"
        self._command = [_program("postgres"), "-D", str(folder / "data"), "-k", ""]
        self._command += ["-h", "127.0.0.1", "-p", str(port), "-c", "fsync=off"]
        self._is_ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        self._user = user

    def start(self) -> None:
        """Start it; it answers at the end."""
        if self._user is not None:
            _let_through(self._log.parent)
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd="/", user=self._user
            )
        wait_until(
            lambda: subprocess.run(self._is_ready, check=False).returncode == 0,
            60,
            lambda: self._log.read_text()[-2000:],
        )

    def stop(self, how: signal.Signals) -> None:
        """Stop it; its children end with it."""
        self._process.send_signal(how)
        self._process.wait(30)

    def kill(self) -> None:
        """SIGKILL for it and for whoever works for a client."""
        server = psutil.Process(self._process.pid)
        server.suspend()  # else it would notice that one is killed, and start it again
        all_of_it = [*server.children(), server]
        for process in all_of_it:
            process.kill()
        self._process.wait(30)
        # Whoever is left of it has its memory, and no other starts.
        wait_until(lambda: not any(map(_lives, all_of_it)), 30, lambda: "it lives on")


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


_RUNNING: dict[str, _Server] = {}
"""By their addresses."""


@contextmanager
def away(address: str) -> Iterator[None]:
    """Kill a server; it is started again at the end."""
    server = _RUNNING[address]
    server.kill()
    try:
        yield
    finally:
        server.start()


def kill_and_start(address: str) -> None:
    """Kill a server, and start it again; it answers at the end."""
    with away(address):
        pass


def create_database(server: str, name: str) -> str:
    """A new database; its address."""
    port = server.rsplit(":", 1)[1]
    subprocess.run(
        [_program("createdb"), "-h", "127.0.0.1", "-p", port, "-U", USER, name],
        check=True,
        capture_output=True,
    )
    return f"{server}/{name}"
