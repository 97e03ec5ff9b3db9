"""A real Prefect server, workers of both kinds, and toy flows deployed to them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.context import refresh_global_settings_context

from flows import engine
from flows.engine import Deployment, Run

START_SECONDS = 120
REPOSITORY = Path(__file__).parents[2]
PREFECT = str(Path(sys.executable).with_name("prefect"))

CLIENT = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A Prefect server that can be killed and started again on its data."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        command = [sys.executable, "-m", "flows.prefect_server", "--home", str(self.folder)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=REPOSITORY,
                env={**os.environ, **self.settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text()[-3000:])

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)
            self.process.wait(30)
            self.process = None


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for a file of tests; until its end this process talks to it, too."""
    # That a worker is gone is noticed within seconds.
    quick = {"PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "2"}
    server = Server(tmp_path_factory.mktemp("prefect"), settings=quick)
    before = {name: os.environ.get(name) for name in ("PREFECT_API_URL", *CLIENT)}
    os.environ.update(CLIENT, PREFECT_API_URL=server.url)
    refresh_global_settings_context()
    server.start()
    yield server
    server.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
    refresh_global_settings_context()


@dataclass
class WorkerProcess:
    """`prefect worker start`, as an operator starts it."""

    pool: str
    type: str
    home: Path
    settings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.home / "worker.log").read_text()

    async def start(self) -> "WorkerProcess":
        environment = {
            **os.environ,
            "PAPERTRAY_HOME": str(self.home),
            "PREFECT_HOME": str(self.home / "prefect"),
            "TOY_FOLDER": str(self.home),
            "COLUMNS": "200",
            **self.settings,
        }
        command = [PREFECT, "worker", "start", "--pool", self.pool, "--type", self.type]
        begun = (self.home / "worker.log").stat().st_size if self._has_log else 0
        with (self.home / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await until(lambda: "started!" in self.log[begun:], START_SECONDS)
        return self

    @property
    def _has_log(self) -> bool:
        return (self.home / "worker.log").exists()

    async def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, 40)
        self.process = None
        return code

    async def kill(self) -> None:
        """SIGKILL to it and to all that it has started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            await asyncio.to_thread(self.process.wait, 10)
            self.process = None


async def until(
    condition: Callable[[], Any | Awaitable[Any]], seconds: float = 20, pause: float = 0.05
) -> Any:
    """Wait until something is true; answers it."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        await asyncio.sleep(pause)
    raise TimeoutError(f"not true within {seconds} s")


class Toys:
    """The toy flows, deployed to a pool of their own."""

    def __init__(self, pool: str, folder: Path):
        self.pool = pool
        self.folder = folder
        self._deployments: dict[str, UUID] = {}
        self._count = 0

    async def ready(self, pool_type: str = engine.POOL_TYPE) -> "Toys":
        if pool_type == engine.POOL_TYPE:
            await engine.ensure_pool(self.pool)
        else:
            await engine.call("POST", "/work_pools/", {"name": self.pool, "type": pool_type})
        return self

    async def submit(self, flow: str, count: int = 1, **parameters: Any) -> list["ToyRun"]:
        if flow not in self._deployments:
            deployment = Deployment(self.pool, f"tests.e2e.toy_flows.{flow}", "default")
            self._deployments[flow] = await engine.deploy(deployment, self.pool)
        runs: list[ToyRun] = []
        for _ in range(count):
            self._count += 1
            folder = self.folder / f"{flow}-{self._count}"
            folder.mkdir()
            runs.append(ToyRun(UUID(int=0), folder))
        body = [{"parameters": {"folder": str(run.folder), **parameters}} for run in runs]
        path = f"/deployments/{self._deployments[flow]}/create_flow_run/bulk"
        made = await engine.call("POST", path, body)
        for run, one in zip(runs, made["results"], strict=True):
            assert one["status"] == "CREATED", one
            run.id = UUID(one["flow_run_id"])
        return runs


@dataclass
class ToyRun:
    """A run of a toy flow."""

    id: UUID
    folder: Path

    @property
    def trace(self) -> list[str]:
        """What the run did, in order."""
        file = self.folder / "trace"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def child(self) -> int:
        """Process id of the child that the slow step started."""
        return int((self.folder / "child").read_text())

    async def read(self) -> Run:
        run = await engine.read_run(self.id)
        assert run is not None
        return run

    async def history(self) -> list[str]:
        states = await engine.call("GET", "/flow_run_states/", flow_run_id=str(self.id))
        return [one["name"] for one in sorted(states, key=lambda state: state["timestamp"])]

    async def reaches(self, *names: str, seconds: float = 20) -> Run:
        async def reached() -> Run | None:
            run = await self.read()
            return run if run.name in names else None

        try:
            return await until(reached, seconds)
        except TimeoutError as error:
            error.add_note(f"{await self.history()}, trace {self.trace}")
            raise

    async def resume(self, **answer: Any) -> engine.Outcome:
        return await engine.resume(self.id, answer or {"decision": "complete"})

    async def set_state(self, state: dict[str, Any]) -> None:
        """As Prefect's UI does: by force."""
        body = {"state": state, "force": True}
        await engine.call("POST", f"/flow_runs/{self.id}/set_state", body)


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
