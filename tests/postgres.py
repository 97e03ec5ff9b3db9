"""A PostgreSQL server of the tests' own, from the programs of the machine."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        for parent in [folder.parent, *folder.parent.parents]:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)  # only to pass through
    data, port = folder / "data", free_port()
    subprocess.run(
        [_program("initdb"), "--pgdata", data, "--username", USER, "--auth", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
        user=user,
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                _program("postgres"),
                "-D",
                data,
                "-k",
                "",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-c",
                "fsync=off",
            ],
            stdout=log,
            stderr=log,
            cwd="/",
            user=user,
        )
    try:
        ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(
            lambda: subprocess.run(ready, check=False).returncode == 0,
            60,
            lambda: (folder / "log").read_text()[-2000:],
        )
        yield f"postgresql+asyncpg://{USER}@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # SIGTERM waits until the last client has gone
        server.wait(30)


def create_database(server: str, name: str) -> str:
    """A new database; its address."""
    port = server.rsplit(":", 1)[1]
    subprocess.run(
        [_program("createdb"), "-h", "127.0.0.1", "-p", port, "-U", USER, name],
        check=True,
        capture_output=True,
    )
    return f"{server}/{name}"
