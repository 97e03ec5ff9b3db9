"""Papertray on one machine: starts its three processes, keeps them running, ends them in order.

Each child has a session of its own, so that Ctrl-C reaches only this process, and a pipe to
it, so that no child outlives it (api/child.py). All of them hold one lock on the home: it is
free again when the last is gone, which is what the next start waits for.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from store.errors import UnavailableError
from store.niceness import stand_back

START_SECONDS = 600.0
"""How long a child may take to answer for the first time: one that cannot start ends, and is told
of at once, so this is only for one that hangs. A busy machine has taken more than three minutes."""

LEFTOVER_SECONDS = 25.0
"""How long the children of an `up` that was killed may take to be gone."""

LONGEST_BACKOFF_SECONDS = 10.0
"""So that what was killed again and again is back well within the minute that tasks may take."""

STEADY_SECONDS = 20.0
"""A child that lived so long is started again at once when it dies."""

WORK_NICENESS = 3
"""People and programs wait for the answers of the API: it goes before the work on documents. Not
by much: who writes has SQLite's one write lock, and whoever waits for that waits for them."""

POLL_SECONDS = 0.1
LOG_BYTES = 20 * 2**20
"""Size at which a log file of a child is put aside as `<name>.log.1`."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Plan:
    """What to run, and where."""

    home: Path
    host: str
    port: int
    prefect_port: int
    prefect_api_url: str = ""
    """Of a server that runs already; empty: one is started."""
    public_url: str = ""
    to_terminal: bool = False
    """Whether the children write to this terminal instead of to `<home>/logs`."""

    @property
    def own_prefect(self) -> bool:
        """Whether a Prefect server is started."""
        return not self.prefect_api_url

    @property
    def prefect_host(self) -> str:
        """Where the Prefect server that is started listens.

        It has no users: beyond this machine only behind the password that Prefect itself
        offers, or else whoever reaches it could decide every review.
        """
        guarded = bool(os.environ.get("PREFECT_SERVER_API_AUTH_STRING"))
        return self.host if guarded else "127.0.0.1"

    @property
    def prefect_url(self) -> str:
        """The address of Prefect's API."""
        if self.prefect_api_url:
            return self.prefect_api_url.rstrip("/")
        return f"http://{reachable(self.prefect_host)}:{self.prefect_port}/api"

    @property
    def prefect_ui_url(self) -> str:
        """The address of Prefect's own pages."""
        return self.prefect_url.removesuffix("/api")

    @property
    def url(self) -> str:
        """The address of the API and the pages on this machine."""
        return f"http://{reachable(self.host)}:{self.port}"

    def environment(self) -> dict[str, str]:
        """What the children need to know."""
        ours = {
            "PAPERTRAY_HOME": str(self.home),
            "PAPERTRAY_HOST": self.host,
            "PAPERTRAY_PORT": str(self.port),
            "PAPERTRAY_PREFECT_PORT": str(self.prefect_port),
            "PREFECT_API_URL": self.prefect_url,
            "PYTHONUNBUFFERED": "1",
            # A call more for each client, answered with an error while the server starts.
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        }
        if self.own_prefect:
            # The server's clients must not follow a profile of the person who starts it.
            ours["PREFECT_HOME"] = str(self.home / "prefect")
            password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
            if password:
                ours["PREFECT_API_AUTH_STRING"] = password
        return {**os.environ, **ours}


def reachable(host: str) -> str:
    """The address by which this machine itself reaches what listens on `host`."""
    if host in ("0.0.0.0", ""):  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host


@dataclass
class Child:
    """One process that is kept running."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    stop_seconds: float = 10.0
    niceness: int = 0
    """How far it stands back from the others where processors are short (nice(2))."""
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None
    stopping: bool = False


class Supervisor:
    """The processes of one `papertray up`."""

    def __init__(self, plan: Plan, say: Callable[[str], None]):
        """Prepare; nothing is started.

        Args:
            plan: what to run.
            say: takes each line that tells a person what happens.
        """
        self.plan = plan
        self.say = say
        self.prefect = Child(
            "prefect",
            "flows.prefect_server",
            (
                *("--home", str(plan.home)),
                *("--host", plan.prefect_host, "--port", str(plan.prefect_port)),
            ),
            stop_seconds=5.0,
            niceness=WORK_NICENESS,
        )
        self.serve = Child("serve", "api.cli", ("serve",), stop_seconds=8.0)
        self.worker = Child(
            "worker", "api.cli", ("worker",), stop_seconds=8.0, niceness=WORK_NICENESS
        )
        self._lock: int | None = None
        self._rotation: asyncio.Task[None] | None = None

    @property
    def _children(self) -> list[Child]:
        first = [self.prefect] if self.plan.own_prefect else []
        return [*first, self.serve, self.worker]

    def log_path(self, child: Child) -> Path:
        """The file that a child writes to."""
        return self.plan.home / "logs" / f"{child.name}.log"

    async def start(self, prepare: Callable[[], Awaitable[None]]) -> None:
        """Start everything; returns when the API and the Prefect server answer.

        Args:
            prepare: what must be done in the home before anything uses it.

        Raises:
            UnavailableError: another one runs from this home, a port is in use, or a part did
                not come up; everything is stopped again.
        """
        self._lock = await take_home(self.plan.home)
        try:
            require_free("port", self.plan.host, self.plan.port)
            if self.plan.own_prefect:
                require_free("prefect-port", self.plan.prefect_host, self.plan.prefect_port)
            await prepare()
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        if not self.plan.to_terminal:
            self._rotation = asyncio.create_task(self._rotate())
        if self.plan.own_prefect:
            await self._spawn(self.prefect)
        await self._spawn(self.serve)
        # It waits for the server by itself; until then it is busy with its imports.
        await self._spawn(self.worker)
        self._keep(self.worker)
        if self.plan.own_prefect:
            await self._until_answers(self.prefect, f"{self.plan.prefect_url}/health")
            self._keep(self.prefect)
        await self._until_answers(self.serve, f"{self.plan.url}/healthz")
        self._keep(self.serve)

    async def stop(self) -> None:
        """End everything: first what uses the Prefect server, then the server.

        A worker that is told to stop parks its runs, which it tells the server.
        """
        if self._rotation:
            self._rotation.cancel()
        await asyncio.gather(self._end(self.serve), self._end(self.worker))
        await self._end(self.prefect)
        if self._lock is not None:
            self._run_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def kill(self) -> None:
        """End everything at once, not in order."""
        for child in self._children:
            child.stopping = True
            _signal_group(child, signal.SIGKILL)

    def _keep(self, child: Child) -> None:
        child.watch = asyncio.create_task(self._watch(child))

    async def _spawn(self, child: Child) -> None:
        output: Any = None
        if not self.plan.to_terminal:
            path = self.log_path(child)
            path.parent.mkdir(parents=True, exist_ok=True)
            output = path.open("ab", buffering=0)
        try:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "api.child", child.module, *child.arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=self.plan.environment(),
                start_new_session=True,
                pass_fds=() if self._lock is None else (self._lock,),
            )
            if child.niceness:
                with contextlib.suppress(ProcessLookupError):  # the watch says that it ended
                    stand_back(child.niceness, child.process.pid)
        finally:
            if output:
                output.close()
        self._write_run_file()

    async def _watch(self, child: Child) -> None:
        """Start a child that died again, later each time it dies soon."""
        backoff = 0.0
        while child.process:
            started = time.monotonic()
            status = await child.process.wait()
            _signal_group(child, signal.SIGKILL)  # what it may have left behind
            if child.stopping:
                return
            is_steady = time.monotonic() - started > STEADY_SECONDS
            backoff = 0.0 if is_steady else min(max(1.0, backoff * 2), LONGEST_BACKOFF_SECONDS)
            self.say(
                f"{child.name} ended {_cause(status)}; it is started again"
                f"{f' in {backoff:.0f} s' if backoff else ''}.{self._where_to_look(child)}"
            )
            await asyncio.sleep(backoff)
            await self._spawn(child)

    async def _until_answers(self, child: Child, url: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                if child.process and child.process.returncode is not None:
                    raise UnavailableError(
                        f"{child.name} ended {_cause(child.process.returncode)} while starting."
                        f"{self._where_to_look(child)}\n{self._last_words(child)}".rstrip()
                    )
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(url)).is_success:
                        return
                await asyncio.sleep(POLL_SECONDS)
        raise UnavailableError(
            f"{child.name} did not answer at {url} within {START_SECONDS:.0f} s."
            f"{self._where_to_look(child)}"
        )

    def _where_to_look(self, child: Child) -> str:
        return "" if self.plan.to_terminal else f" Its log: {self.log_path(child)}"

    def _last_words(self, child: Child) -> str:
        if self.plan.to_terminal:
            return ""
        return "\n".join(self.log_path(child).read_text(errors="replace").splitlines()[-8:])

    async def _end(self, child: Child) -> None:
        child.stopping = True
        if child.watch:
            child.watch.cancel()
            await asyncio.wait([child.watch])
        process = child.process
        if process and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(child.stop_seconds):
                    await process.wait()
            except TimeoutError:
                self.say(f"{child.name} did not end within {child.stop_seconds:g} s: killed.")
                _signal_group(child, signal.SIGKILL)
                await process.wait()
        if process:
            _signal_group(child, signal.SIGKILL)

    @property
    def _run_file(self) -> Path:
        return self.plan.home / "run.json"

    def _write_run_file(self) -> None:
        """Say what runs where, for other processes: whole or not at all."""
        facts = {
            "pid": os.getpid(),
            "url": self.plan.url,
            "host": self.plan.host,
            "port": self.plan.port,
            "prefect_api_url": self.plan.prefect_url,
            "prefect_ui_url": self.plan.prefect_ui_url,
            "children": {c.name: c.process.pid for c in self._children if c.process},
        }
        draft = self._run_file.with_suffix(".draft")
        draft.write_text(json.dumps(facts, indent=2) + "\n")
        draft.replace(self._run_file)

    async def _rotate(self) -> None:
        """Keep the log files small. The children append, so that a file can be cut short."""
        while True:
            for child in self._children:
                path = self.log_path(child)
                if path.exists() and path.stat().st_size > LOG_BYTES:
                    shutil.copyfile(path, path.with_suffix(".log.1"))
                    os.truncate(path, 0)
            await asyncio.sleep(30)


def _signal_group(child: Child, number: signal.Signals) -> None:
    """Signal a child and what it started; the leader of a session leads a group of its number."""
    if child.process:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, number)


def _cause(status: int) -> str:
    if status < 0:
        return f"by signal {signal.Signals(-status).name}"
    return f"with status {status}"


async def take_home(home: Path) -> int:
    """Make a home and take it for this process and its children.

    Returns:
        The open lock file; the home is free again when every copy of it is closed.

    Raises:
        UnavailableError: it cannot be written to, or another one has it and goes on.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UnavailableError(
            f"The home {home} cannot be written to ({error.strerror}). Choose another one with"
            " --home or PAPERTRAY_HOME.",
            home=str(home),
        ) from error
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = running(home)
            if owner or time.monotonic() > deadline:
                os.close(lock)
                pid = owner.get("pid")
                raise UnavailableError(
                    f"Papertray runs from {home} already"
                    f"{f' (process {pid})' if pid else ''}. Stop it first, or choose another"
                    " home with --home.",
                    home=str(home),
                ) from None
            # The one before was killed; its children are about to end.
            await asyncio.sleep(POLL_SECONDS)
        else:
            return lock


def running(home: Path) -> Mapping[str, Any]:
    """What `up` wrote down of itself, if it is still there; else nothing."""
    try:
        facts = json.loads((home / "run.json").read_text())
        os.kill(facts["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return facts


def require_free(option: str, host: str, port: int) -> None:
    """Check that a port can be listened on.

    Raises:
        UnavailableError: it cannot; the message names the option to choose another.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)  # binding alone succeeds beside a socket that reuses its address
    except OSError as error:
        raise UnavailableError(
            f"Port {port} of {host} cannot be listened on ({error.strerror}). Stop what uses it,"
            f" or choose another with --{option}.",
            host=host,
            port=port,
        ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]
