"""What one box carries, what a task costs and where, and what more boxes would carry.

`python benchmarks/scale.py [throughput] [growth] [model]`; all of them when none is
named. The model is made of what throughput and growth have measured in the same call.

- throughput: 1, 2 and 4 workers on this machine, the same documents; processor time per task, split
  into API, Prefect server, workers and the children of workers that do the operations.
- growth: what a task costs while so many are queued (`--counts 10 100 1000 10000`), on SQLite.
"""

import argparse
import asyncio
import contextlib
import math
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until
from tests.postgres import create_database, running_postgres

PARTS = ("api", "prefect", "worker", "operations", "database")
MOST_SECONDS = 3600

FIRST = 200
"""Tasks of which growth measures the cost, while the others wait."""

CLIENTS = 8
"""That send tasks at once, for growth."""

SHIPPED = {
    # The defaults, in the place of the hurried settings of tests.
    "PAPERTRAY_HEARTBEAT_SECONDS": "5",
    "PAPERTRAY_REVIEW_ATTENDED_SECONDS": "30",
    # While many tasks come in, Prefect would write down of the first that they are late: once for
    # each that waits so long, however many there are.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "7200",
}


@dataclass(frozen=True)
class Cost:
    """What so many tasks cost."""

    count: int
    seconds: float
    cpu: dict[str, float]
    """Processor seconds of each of PARTS."""
    latencies: list[float]
    """Seconds from when a task was taken in to its end; empty where that says nothing."""

    @property
    def each(self) -> dict[str, float]:
        return {part: seconds / self.count for part, seconds in self.cpu.items()}

    def row(self, name: str) -> str:
        spent = " | ".join(f"{1000 * self.each[part]:.0f}" for part in PARTS)
        middle, last = ("", "")
        if self.latencies:
            middle, last = f"{statistics.median(self.latencies):.2f}", f"{max(self.latencies):.2f}"
        whole = 1000 * sum(self.each.values())
        return (
            f"| {name} | {self.count / self.seconds:.2f} | {spent} | {whole:.0f} |"
            f" {middle} | {last} |"
        )


HEAD = (
    "| | tasks a second | API, CPU ms | Prefect | workers | operations | PostgreSQL | all | p50 s |"
    " most s |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def below(process: psutil.Process) -> float:
    """Processor time of what a process has started, what has ended included."""
    times = process.cpu_times()
    total = times.children_user + times.children_system
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            total += own(child) + below(child)
    return total


class Postgres:
    """A PostgreSQL server for store and Prefect."""

    def __init__(self, address: str):
        self.address = address
        self.process = next(one for one in psutil.Process().children() if one.name() == "postgres")

    def environment(self) -> dict[str, str]:
        return {
            "PAPERTRAY_DATABASE_URL": create_database(self.address, "papertray"),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": create_database(self.address, "prefect"),
        }

    def commits(self) -> int:
        """How many there were until now, in all databases."""

        async def ask() -> int:
            url = self.address.replace("+asyncpg", "") + "/postgres"
            connection = await asyncpg.connect(url)
            try:
                query = "SELECT sum(xact_commit)::bigint FROM pg_stat_database"
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(ask())


class Box:
    """A Papertray, and workers beside the one that it starts itself."""

    def __init__(self, folder: Path, postgres: Postgres | None = None):
        environment = SHIPPED | (postgres.environment() if postgres else {})
        self.papertray = Installation(folder, **environment)
        self._postgres = postgres
        self._more: list[subprocess.Popen[bytes]] = []
        self._log = (folder.parent / f"{folder.name}.log").open("wb")

    @contextlib.contextmanager
    def running(self) -> Iterator["Box"]:
        self.papertray.start()
        try:
            self.papertray.install(project())
            self.papertray.until(self.papertray.submit(invoice()), "completed")
            yield self
        finally:
            for process in self._more:
                process.terminate()
                process.wait(60)
            self.papertray.stop()
            self._log.close()

    def have_workers(self, count: int) -> None:
        """Start more, until there are so many; each has done nothing yet."""
        while len(self._more) + 1 < count:
            url = str(self.papertray.prefect.base_url).rstrip("/")
            self._more.append(
                subprocess.Popen(
                    [sys.executable, "-m", "api.cli", "worker", "--name", f"w{len(self._more)}"],
                    env={**self.papertray.environment, "PREFECT_API_URL": url},
                    stdout=self._log,
                    stderr=self._log,
                )
            )
        wait_until(lambda: self._alive() >= count, 300, lambda: "the workers do not start")

    def _alive(self) -> int:
        body = {"workers": {"status": {"any_": ["ONLINE"]}}}
        answer = self.papertray.prefect.post("/work_pools/papertray/workers/filter", json=body)
        return len(answer.json())

    def spent(self) -> dict[str, float]:
        """Processor seconds of each of PARTS until now."""
        workers = [self.papertray.pid("worker"), *(one.pid for one in self._more)]
        processes = [psutil.Process(pid) for pid in workers]
        return {
            "api": own(psutil.Process(self.papertray.pid("serve"))),
            "prefect": own(psutil.Process(self.papertray.pid("prefect"))),
            "worker": sum(map(own, processes)),
            "operations": sum(map(below, processes)),
            "database": below(self._postgres.process) if self._postgres else 0.0,
        }

    def cost(self, count: int, content: bytes) -> Cost:
        """Send so many documents at once, and wait until all are done."""
        before, began = self.spent(), time.monotonic()
        tasks = {self.papertray.submit(content, name=f"{n}.pdf") for n in range(count)}
        done: dict[str, float] = {}

        def all_done() -> bool:
            for one in self._ended(len(tasks)):
                if one["id"] in tasks:
                    assert one["state"] == "completed", one
                    done[one["id"]] = _seconds(one)
            return len(done) == count

        wait_until(all_done, MOST_SECONDS, lambda: f"{len(done)} of {count} are done")
        seconds = time.monotonic() - began
        after = self.spent()
        cpu = {part: after[part] - before[part] for part in PARTS}
        return Cost(count, seconds, cpu, list(done.values()))

    def _ended(self, count: int) -> list[dict[str, Any]]:
        """The newest tasks that have ended; asked for seldom, since asking costs, too."""
        time.sleep(1)
        found: list[dict[str, Any]] = []
        url: str | None = "/tasks?take=100"
        while url and len(found) < count:
            with contextlib.suppress(httpx.TransportError):
                page = self.papertray.api.get(url).json()
                found += page["data"]
                url = page["links"]["next"]
        return [one for one in found if one["status"] != "pending" and one["state"] == "completed"]


def _seconds(task: dict[str, Any]) -> float:
    from datetime import datetime

    begin, end = (datetime.fromisoformat(task[name]) for name in ("created_at", "updated_at"))
    return (end - begin).total_seconds()


def throughput(
    folder: Path, count: int, most_workers: int, postgres: Postgres | None
) -> dict[int, Cost]:
    found: dict[int, Cost] = {}
    print(f"\n{count} invoices of one page with a text layer\n\n{HEAD}")
    with Box(folder / "throughput", postgres).running() as box:
        for workers in (1, 2, 4):
            if workers > most_workers:
                break
            box.have_workers(workers)
            box.cost(10 * workers, invoice())  # so that each has loaded everything
            before = postgres.commits() if postgres else 0
            found[workers] = box.cost(count, invoice())
            print(found[workers].row(f"{workers} workers"), flush=True)
            if postgres:
                print(f"commits of PostgreSQL a task: {(postgres.commits() - before) / count:.0f}")
    return found


def growth(folder: Path, counts: list[int]) -> dict[int, Cost]:
    """What a task costs while so many wait behind it."""
    found: dict[int, Cost] = {}
    print(f"\nCost of the first {FIRST} while so many are queued, one worker\n\n{HEAD}")
    with Box(folder / "growth").running() as box:
        box.cost(10, invoice())
        queue = Queue(box)
        for count in counts:
            queue.fill(count)
            found[count] = queue.cost()
            print(found[count].row(f"{count} queued"), flush=True)
    if {100, counts[-1]} <= set(found) and counts[-1] > 100:
        ratio = sum(found[counts[-1]].each.values()) / sum(found[100].each.values())
        print(f"\nCost of a task, {counts[-1]} to 100: {ratio:.2f} (target: 1.2 at 10,000)")
    return found


class Queue:
    """Tasks that came in, and wait for the worker."""

    def __init__(self, box: Box):
        self._box = box
        self._store = box.papertray.home / "papertray.db"

    def fill(self, count: int) -> None:
        """Hold the queue, and fill it up."""
        self._hold(is_paused=True)
        self._wait_for_nothing_under_way()
        missing = count - self._tasks("state = 'queued'")
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._box.papertray.submit, [invoice()] * missing))
        taken_in = time.monotonic() - began
        sent = "state = 'queued' AND flow_run_id IS NOT NULL"
        wait_until(
            lambda: self._tasks(sent, every_seconds=0.5) >= count,
            MOST_SECONDS,
            lambda: "runs are not made",
        )
        print(
            f"{missing} more taken in within {taken_in:.0f} s, known to Prefect after"
            f" {time.monotonic() - began:.0f} s",
            file=sys.stderr,
        )

    def cost(self) -> Cost:
        """Let the worker take from the queue until FIRST are done, and all that it has taken."""
        before, done = self._box.spent(), self._tasks("state = 'completed'")
        began = time.monotonic()
        self._hold(is_paused=False)
        enough = min(FIRST, self._tasks("state = 'queued'"))
        wait_until(
            lambda: self._tasks("state = 'completed'", every_seconds=0.5) - done >= enough,
            MOST_SECONDS,
            lambda: "the tasks do not get done",
        )
        self._hold(is_paused=True)
        self._wait_for_nothing_under_way()
        seconds, after = time.monotonic() - began, self._box.spent()
        count = self._tasks("state = 'completed'") - done
        cpu = {part: after[part] - before[part] for part in PARTS}
        return Cost(count, seconds, cpu, [])

    def _hold(self, *, is_paused: bool) -> None:
        path = "/work_pools/papertray/queues/default"
        answer = self._box.papertray.prefect.patch(path, json={"is_paused": is_paused})
        answer.raise_for_status()

    def _wait_for_nothing_under_way(self) -> None:
        # What the worker has claimed is running in a moment: so it is looked at several times.
        wait_until(
            lambda: not any(self._tasks("state = 'running'", every_seconds=0.5) for _ in range(3)),
            300,
            lambda: "tasks do not end",
        )

    def _tasks(self, condition: str, every_seconds: float = 0.0) -> int:
        time.sleep(every_seconds)
        with contextlib.closing(sqlite3.connect(self._store)) as store:
            return store.execute(f"SELECT count(*) FROM task WHERE {condition}").fetchone()[0]


def model(measured: dict[int, Cost], cores: int) -> None:
    """What 1, 10 and 100 machines carry, if a task costs there what it costs here.

    API and workers are as many processes as one likes, so they scale with the cores. A Prefect
    server is one process, so it has one core at most; PostgreSQL is one for all.
    """
    each = measured[1].each
    whole = sum(each.values())
    print(f"\nA model of machines with {cores} cores, by the cost of a task with one worker\n")
    print("| machines | tasks/s | Prefect servers needed | cores of PostgreSQL |")
    print("| ---: | ---: | ---: | ---: |")
    for machines in (1, 10, 100):
        rate = machines * cores / whole
        servers = math.ceil(rate * each["prefect"])
        print(f"| {machines} | {rate:.1f} | {servers} | {rate * each['database']:.1f} |")
    print(f"\nOne Prefect server is full at {1 / each['prefect']:.1f} tasks a second.")
    for workers, cost in measured.items():
        predicted, found = cores / sum(cost.each.values()), cost.count / cost.seconds
        print(f"{workers} workers: {found:.2f} tasks/s of {predicted:.2f} by their own cost")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="throughput, growth, model")
    parser.add_argument("--tasks", type=int, default=100, help="of each measurement of throughput")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--workers", type=int, default=4, help="at most, in throughput")
    parser.add_argument("--postgres", action="store_true", help="store and Prefect are on one")
    asked = parser.parse_args()
    wanted = asked.what or ["throughput", "growth", "model"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = (
            Postgres(stack.enter_context(running_postgres(folder / "postgres")))
            if asked.postgres
            else None
        )
        costs: dict[int, Cost] = {}
        if "throughput" in wanted:
            costs = throughput(folder, asked.tasks, asked.workers, postgres)
        if "growth" in wanted:
            growth(folder, sorted(asked.counts))
        if "model" in wanted and costs:
            model(costs, os.cpu_count() or 1)


if __name__ == "__main__":
    main()
