"""What one box carries, what a task costs and where, and what more boxes would carry.

`python benchmarks/scale.py [throughput] [growth] [housekeeping] [model]`; all of them when none is
named. The model is made of what throughput and growth have measured in the same call.

- throughput: 1, 2 and 4 workers on this machine, the same documents; processor time per task, split
  into API, Prefect server, workers and the children of workers that do the operations.
- growth: so many tasks at once (`--counts 10 100 1000 10000`): from submit to completed.
- housekeeping: the flows that run on schedules, in a store with few and with many tasks.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
from sqlalchemy import insert

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until

PARTS = ("api", "prefect", "worker", "operations")
MOST_SECONDS = 3600


@dataclass(frozen=True)
class Cost:
    """What so many tasks cost."""

    count: int
    seconds: float
    cpu: dict[str, float]
    """Processor seconds of each of PARTS."""
    latencies: list[float]
    """Seconds from when a task was taken in to its end."""

    @property
    def each(self) -> dict[str, float]:
        return {part: seconds / self.count for part, seconds in self.cpu.items()}

    def row(self, name: str) -> str:
        spent = " | ".join(f"{1000 * self.each[part]:.0f}" for part in PARTS)
        middle, last = statistics.median(self.latencies), max(self.latencies)
        whole = 1000 * sum(self.each.values())
        return (
            f"| {name} | {self.count / self.seconds:.2f} | {spent} | {whole:.0f} |"
            f" {middle:.2f} | {last:.2f} |"
        )


HEAD = (
    "| | tasks a second | API, CPU ms | Prefect | workers | operations | all | p50 s | most s |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
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


class Box:
    """A Papertray, and workers beside the one that it starts itself."""

    def __init__(self, folder: Path):
        self.papertray = Installation(folder)
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

    def _spent(self) -> dict[str, float]:
        workers = [self.papertray.pid("worker"), *(one.pid for one in self._more)]
        processes = [psutil.Process(pid) for pid in workers]
        return {
            "api": own(psutil.Process(self.papertray.pid("serve"))),
            "prefect": own(psutil.Process(self.papertray.pid("prefect"))),
            "worker": sum(map(own, processes)),
            "operations": sum(map(below, processes)),
        }

    def cost(self, count: int, content: bytes) -> Cost:
        """Send so many documents at once, and wait until all are done."""
        before, began = self._spent(), time.monotonic()
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
        after = self._spent()
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


def throughput(folder: Path, count: int) -> dict[int, Cost]:
    found: dict[int, Cost] = {}
    print(f"\n{count} invoices of one page with a text layer\n\n{HEAD}")
    with Box(folder / "throughput").running() as box:
        for workers in (1, 2, 4):
            box.have_workers(workers)
            box.cost(10 * workers, invoice())  # so that each has loaded everything
            found[workers] = box.cost(count, invoice())
            print(found[workers].row(f"{workers} workers"), flush=True)
    return found


def growth(folder: Path, counts: list[int]) -> dict[int, Cost]:
    found: dict[int, Cost] = {}
    print(f"\nSo many at once, one worker\n\n{HEAD}")
    with Box(folder / "growth").running() as box:
        box.cost(10, invoice())
        for count in counts:
            found[count] = box.cost(count, invoice())
            print(found[count].row(f"{count} tasks"), flush=True)
    if {100, counts[-1]} <= set(found) and counts[-1] > 100:
        ratio = sum(found[counts[-1]].each.values()) / sum(found[100].each.values())
        print(f"\nCost of a task, {counts[-1]} to 100: {ratio:.2f} (target: 1.2 at 10,000)")
    return found


def housekeeping(folder: Path, finished: int, waiting: int) -> None:
    print("\nThe scheduled flows, seconds\n")
    print(
        f"| | {finished // 100} ended, {waiting // 100} waiting | {finished}, {waiting} | ratio |"
    )
    print("| --- | ---: | ---: | ---: |")
    few = asyncio.run(_housekept(folder / "few", finished // 100, waiting // 100))
    many = asyncio.run(_housekept(folder / "many", finished, waiting))
    for name in few:
        ratio = many[name] / few[name]
        print(f"| {name} | {few[name]:.4f} | {many[name]:.4f} | {ratio:.2f} |")


async def _housekept(home: Path, finished: int, waiting: int) -> dict[str, float]:
    from flows.daily_report import days_before
    from flows.erase import retain_once
    from flows.expire import expire_once
    from store.blobs import blobs
    from store.database import database, migrate
    from store.ids import new_code, now
    from store.models import Task
    from store.organizations import default_organization
    from store.settings import settings
    from store.states import State

    os.environ["PAPERTRAY_HOME"] = str(home)
    for cached in (settings, database, blobs):
        cached.cache_clear()
    await asyncio.to_thread(migrate)
    organization = await default_organization()
    at = now()

    def row(number: int) -> dict[str, Any]:
        is_over = number < finished
        # The finished are of the last three months, as many each day.
        created = at - timedelta(days=90 * number / finished if is_over else 0.1)
        return {
            "id": uuid4(),
            "code": new_code(),
            "number": number,
            "organization_id": organization,
            "operation": "process",
            "state": State.COMPLETED if is_over else State.IN_REVIEW,
            "created_at": created,
            "updated_at": created,
            "finished_at": created + timedelta(minutes=3) if is_over else None,
            "deadline_at": at + timedelta(days=30),
            "review_due_at": None if is_over else at + timedelta(days=3),
        }

    for start in range(0, finished + waiting, 10_000):
        async with database().writing() as session:
            rows = range(start, min(start + 10_000, finished + waiting))
            await session.execute(insert(Task), [row(number) for number in rows])
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    works: dict[str, Callable[[], Awaitable[Any]]] = {
        "expire": expire_once,
        "retain": retain_once,
        "daily report, 14 days": lambda: days_before(midnight, 14),
    }
    took: dict[str, float] = {}
    for name, work in works.items():
        times: list[float] = []
        for _ in range(4):
            began = time.process_time()
            await work()
            times.append(time.process_time() - began)
        took[name] = statistics.median(times[1:])
    await database().close()
    return took


def model(measured: Cost, cores: int) -> None:
    """What 1, 10 and 100 machines carry, if a task costs there what it costs here.

    API and workers are as many processes as one likes, so they scale with the cores. A Prefect
    server is one process, and PostgreSQL writes for all: each is a core at most.
    """
    each = measured.each
    spread = each["api"] + each["worker"] + each["operations"]
    print(f"\nA model of machines with {cores} cores; processor seconds of a task: {spread:.3f}")
    print(f"that spread, {each['prefect']:.3f} of one Prefect server\n")
    print("| machines | what they have cores for, tasks/s | Prefect servers needed |")
    print("| ---: | ---: | ---: |")
    for machines in (1, 10, 100):
        rate = machines * cores / (spread + each["prefect"])
        servers = rate * each["prefect"]
        print(f"| {machines} | {rate:.1f} | {max(1, round(servers + 0.5))} |")
    print(f"\nOne Prefect server is full at {1 / each['prefect']:.1f} tasks a second.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="throughput, growth, housekeeping, model")
    parser.add_argument("--tasks", type=int, default=100, help="of each measurement of throughput")
    parser.add_argument("--counts", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--finished", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    asked = parser.parse_args()
    wanted = asked.what or ["throughput", "growth", "housekeeping", "model"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs: dict[int, Cost] = {}
        if "throughput" in wanted:
            costs = throughput(folder, asked.tasks)
        if "growth" in wanted:
            growth(folder, sorted(asked.counts))
        if "housekeeping" in wanted:
            housekeeping(folder, asked.finished, asked.waiting)
        if "model" in wanted and costs:
            model(costs[1], os.cpu_count() or 1)


if __name__ == "__main__":
    main()
