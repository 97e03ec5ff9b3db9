"""What a run costs: Papertray's worker beside stock `flow.serve()` and the stock process worker.

`python benchmarks/orchestration.py` takes the same flow of three trivial tasks through all three,
against the same Prefect server, on SQLite and (where it finds one, or the programs to make one) on
PostgreSQL. It prints, for each: runs per second over a burst, CPU seconds per run of the workers
and of the server, calls to the server per run, and submit-to-completed p50 and p95 of runs that
come one at a time; then the ratios.

PAPERTRAY_BENCH_POSTGRES_URL   postgresql+asyncpg://... of an empty database to use
"""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psutil
from prefect import flow, task
from prefect.context import refresh_global_settings_context

REPOSITORY = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("BENCH_FOLDER", tempfile.gettempdir()))
PREFECT = str(Path(sys.executable).with_name("prefect"))

STOCK_RUNS = 50
APART_SECONDS = 0.5
TIMEOUT_SECONDS = 1800


@task(persist_result=True)
async def trivial(number: int) -> int:
    return number


@flow(persist_result=True, result_storage=FOLDER / "results")
async def lifecycle() -> None:
    for number in range(3):
        await trivial(number)


@dataclass
class Figures:
    """What was measured of one way to run."""

    name: str
    runs_per_second: float
    worker_cpu: float
    server_cpu: float
    calls: float
    p50: float
    p95: float

    def row(self) -> str:
        return (
            f"{self.name:28} {self.runs_per_second:8.2f} {self.worker_cpu:9.3f}"
            f" {self.server_cpu:9.3f} {self.calls:7.1f} {self.p50:8.2f} {self.p95:8.2f}"
        )


HEADER = (
    f"{'':28} {'runs/s':>8} {'worker':>9} {'server':>9} {'calls':>7} {'p50 s':>8} {'p95 s':>8}\n"
    f"{'':28} {'':8} {'CPU s/run':>9} {'CPU s/run':>9} {'per run':>7}"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Counter:
    """A proxy before the server that counts the calls, and hands on everything else."""

    def __init__(self, port: int):
        self.target = port
        self.port = free_port()
        self.calls = 0

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        with suppress(asyncio.CancelledError):  # the benchmark is over
            await asyncio.gather(self._pump(reader, back, counts=True), self._pump(there, writer))

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        try:
            while chunk := await source.read(65536):
                if counts:
                    self.calls += chunk.count(b" HTTP/1.1\r\n")
                target.write(chunk)
                await target.drain()
        except ConnectionError:
            pass  # one side has gone: so goes the other
        finally:
            target.close()


class Tree:
    """The CPU time of a process and all that it ever started.

    A child that has ended counts in the time of the parent that waited for it. Those nobody
    waits for are counted as they were last seen.
    """

    def __init__(self, pid: int):
        self.root = psutil.Process(pid)
        self.seen: dict[tuple[int, float], float] = {}

    def look(self) -> None:
        for process in [self.root, *self.root.children(recursive=True)]:
            try:
                times = process.cpu_times()
                self.seen[process.pid, process.create_time()] = times.user + times.system
            except psutil.NoSuchProcess:
                pass  # it ended between being listed and being asked

    def seconds(self) -> float:
        self.look()
        return sum(self.seen.values())


@contextmanager
def process(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def wait_for(url: str, log: Path) -> None:
    ends = time.monotonic() + 180
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(f"no server:\n{log.read_text()[-2000:]}")


@contextmanager
def postgres(folder: Path) -> Iterator[str | None]:
    """The URL of an empty PostgreSQL database; None where there is none to be had."""
    if url := os.environ.get("PAPERTRAY_BENCH_POSTGRES_URL"):
        yield url
        return
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if not initdb or not server:
        yield None
        return
    data, port = folder / "postgres", free_port()
    # PostgreSQL refuses to be started by root.
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    data.mkdir()
    folder.chmod(0o755)
    if user:
        shutil.chown(data, "nobody")
    subprocess.run(
        [*user, initdb, "-D", str(data), "-U", "bench", "-A", "trust", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
    )
    command = [*user, server, "-D", str(data), "-p", str(port), "-k", str(data)]
    log = folder / "postgres.log"
    with process([*command, "-c", "listen_addresses=127.0.0.1"], log):
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        time.sleep(1)
        createdb = shutil.which("createdb") or str(Path(initdb).with_name("createdb"))
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "bench"]
        subprocess.run([*user, createdb, *where, "prefect"], check=True, cwd="/")
        yield f"postgresql+asyncpg://bench@127.0.0.1:{port}/prefect"


async def create(deployment: UUID, count: int) -> dict[UUID, float]:
    """Make runs; answers when each was asked for."""
    from flows import engine

    at = time.time()
    path = f"/deployments/{deployment}/create_flow_run/bulk"
    body = [{"idempotency_key": str(uuid4())} for _ in range(count)]
    made = await engine.call("POST", path, body)
    return {UUID(one["flow_run_id"]): at for one in made["results"]}


async def finished(runs: dict[UUID, float], tree: Tree) -> list[float]:
    """Wait until all have completed; answers how long each took since it was asked for."""
    from flows import engine
    from store.errors import PrefectUnreachableError

    ends = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends:
        tree.look()
        # Fifty interpreters that start at once leave the server no time to answer.
        with suppress(PrefectUnreachableError):
            read = await engine.read_runs(runs)
            if all(run.is_final for run in read.values()):
                assert {run.type for run in read.values()} == {"COMPLETED"}
                return [run.at.timestamp() - runs[run.id] for run in read.values()]
        await asyncio.sleep(1)
    raise TimeoutError("the runs did not end")


async def measure(
    name: str, deployment: UUID, tree: Tree, server: Tree, counter: Counter, burst: int, single: int
) -> Figures:
    await finished(await create(deployment, 1), tree)  # what is loaded once is loaded now
    worker, serving, calls = tree.seconds(), server.seconds(), counter.calls
    took = await finished(await create(deployment, burst), tree)
    await asyncio.sleep(3)  # logs and events come a little later
    spent = tree.seconds() - worker, server.seconds() - serving, counter.calls - calls
    alone: list[float] = []
    for _ in range(single):
        alone += await finished_soon(await create(deployment, 1))
        await asyncio.sleep(APART_SECONDS)
    return Figures(
        name=name,
        runs_per_second=burst / max(took),
        worker_cpu=spent[0] / burst,
        server_cpu=spent[1] / burst,
        calls=spent[2] / burst,
        p50=statistics.median(alone),
        p95=sorted(alone)[min(len(alone) - 1, round(0.95 * len(alone)))],
    )


async def finished_soon(runs: dict[UUID, float]) -> list[float]:
    """As `finished`, for one run, looking often; Prefect's own times are taken."""
    from flows import engine

    (run_id,) = runs
    ends = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < ends:
        run = await engine.read_run(run_id)
        if run is not None and run.is_final:
            assert run.type == "COMPLETED"
            return [run.at.timestamp() - runs[run_id]]
        await asyncio.sleep(0.25)
    raise TimeoutError("the run did not end")


async def bench(database: str | None, folder: Path, ways: list[str], stock_runs: int) -> None:
    from flows import engine
    from flows.engine import Deployment

    port = free_port()
    command = [sys.executable, "-m", "flows.prefect_server", "--home", str(folder)]
    environment = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database} if database else {}
    log = folder / "log"
    with process([*command, "--port", str(port)], folder / "server.log", **environment) as served:
        wait_for(f"http://127.0.0.1:{port}/api/health", folder / "server.log")
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        refresh_global_settings_context()
        counter = Counter(port)
        await counter.start()
        through = {
            "PREFECT_API_URL": f"http://127.0.0.1:{counter.port}/api",
            "PREFECT_HOME": str(folder / "client"),
            "PAPERTRAY_HOME": str(folder / "papertray"),
            "BENCH_FOLDER": str(folder),
        }
        server = Tree(served.pid)
        found: list[Figures] = []
        async with engine.connected():
            for way in ways:
                pool = f"bench-{way}"
                if way == "papertray":
                    await engine.ensure_pool(pool)
                    command = [PREFECT, "worker", "start", "--pool", pool, "--type", way]
                elif way == "process":
                    await engine.call("POST", "/work_pools/", {"name": pool, "type": way})
                    # As many at once as `serve` has by default: without a limit fifty
                    # interpreters start together, the server cannot answer, and runs crash.
                    command = [PREFECT, "worker", "start", "--pool", pool, "--type", way]
                    command += ["--limit", "5"]
                else:
                    command = [sys.executable, __file__, "--serve", pool]
                if way != "serve":
                    deployment = await engine.deploy(
                        Deployment(pool, "benchmarks.orchestration.lifecycle", "default"), pool
                    )
                else:
                    deployment = None
                with process(command, log, **through) as started:
                    deployment = deployment or await served_deployment(pool)
                    tree = Tree(started.pid)
                    burst, single = (50, 40) if way == "papertray" else (stock_runs, 5)
                    found.append(
                        await measure(way, deployment, tree, server, counter, burst, single)
                    )
                    print(found[-1].row(), flush=True)
        ours = found[-1]
        for stock in found[:-1]:
            print(
                f"papertray : {stock.name:16}"
                f" {ours.runs_per_second / stock.runs_per_second:8.1f} x as many runs a second,"
                f" 1/{stock.worker_cpu / ours.worker_cpu:.0f} of the worker's CPU,"
                f" 1/{stock.server_cpu / ours.server_cpu:.1f} of the server's,"
                f" 1/{stock.calls / ours.calls:.1f} of the calls,"
                f" 1/{stock.p50 / ours.p50:.0f} of the time"
            )


async def served_deployment(name: str) -> UUID:
    from flows import engine
    from store.errors import NotFoundError

    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        try:
            return UUID((await engine.call("GET", f"/deployments/name/lifecycle/{name}"))["id"])
        except NotFoundError:
            await asyncio.sleep(0.3)
    raise TimeoutError("flow.serve() did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", help="be the stock side: flow.serve() under this name")
    parser.add_argument("--stock-runs", type=int, default=STOCK_RUNS)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--ways", nargs="+", default=["serve", "process", "papertray"])
    asked = parser.parse_args()
    if asked.serve:
        lifecycle.serve(name=asked.serve, print_starting_message=False, limit=5)
        return
    for database in asked.databases:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            url = stack.enter_context(postgres(folder)) if database == "postgresql" else None
            if database == "postgresql" and url is None:
                print("\npostgresql: no server given, and no initdb to make one with")
                continue
            print(f"\n{database}\n{HEADER}", flush=True)
            asyncio.run(bench(url, folder, asked.ways, asked.stock_runs))


if __name__ == "__main__":
    main()
