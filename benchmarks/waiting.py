"""What waiting for a person costs: 1,000 tasks in review, beside stock `pause_flow_run`.

`python benchmarks/waiting.py` measures an idle Papertray, brings 1,000 tasks into review, measures
it again, decides 100 of them, and 20 at once while the others wait; then it lets three runs
pause on a stock process worker against the same server, and prints both sides and the ratio.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx
import psutil
from prefect import flow, pause_flow_run
from prefect.input import RunInput

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until

IDLE_SECONDS = 60
DECIDED = 100
AT_ONCE = 20
LOOK_SECONDS = 0.05
"""Between two looks at all the tasks that were decided: 20 a second."""
STOCK_RUNS = 3
MIB = 2**20


class Form(RunInput):
    decision: str


@flow
async def stock_wait() -> None:
    """What a review is without Papertray's worker."""
    await pause_flow_run(wait_for_input=Form, timeout=3600)  # pyright: ignore[reportGeneralTypeIssues]


class Measured:
    """Processes, memory of the worker, processor time of the server while nothing happens."""

    def __init__(self, papertray: Installation):
        worker, server = (psutil.Process(papertray.pid(part)) for part in ("worker", "prefect"))
        before = cpu(server), cpu(worker)
        time.sleep(IDLE_SECONDS)
        self.server_percent = 100 * (cpu(server) - before[0]) / IDLE_SECONDS
        self.worker_percent = 100 * (cpu(worker) - before[1]) / IDLE_SECONDS
        self.processes = len(tree(papertray))
        self.worker_mib = memory(worker) / MIB


def tree(papertray: Installation) -> list[psutil.Process]:
    assert papertray.process is not None
    up = psutil.Process(papertray.process.pid)
    return [up, *up.children(recursive=True)]


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def memory(process: psutil.Process) -> int:
    """Resident bytes of a process and of what it started; pages that they share count once each."""
    return sum(one.memory_full_info().uss for one in [process, *process.children(recursive=True)])


def bring_into_review(papertray: Installation, count: int) -> list[str]:
    content = invoice(total="120.00")
    tasks = [papertray.submit(content, name=f"{number}.pdf") for number in range(count)]
    began = time.monotonic()

    def all_parked() -> bool:
        body = {"flow_runs": {"state": {"name": {"any_": ["Suspended"]}}}}
        return papertray.prefect.post("/flow_runs/count", json=body).json() == count

    wait_until(all_parked, 5 * count, lambda: "not all tasks got parked")
    print(
        f"{count} tasks parked {time.monotonic() - began:.0f} s after the last was sent", flush=True
    )
    return tasks


async def decide(papertray: Installation, tasks: list[str], at_once: int) -> list[float]:
    """Seconds from the decision until the task is completed.

    The end is the time that its event bears: clients that ask for each task without a pause would
    take the processors from what they wait for.
    """
    numbers = iter(tasks)
    seconds: list[float] = []
    async with httpx.AsyncClient(
        base_url=papertray.api.base_url, headers=papertray.api.headers, timeout=60
    ) as client:

        async def reviewer() -> None:
            for task in numbers:
                began = time.time()
                answer = await client.post(
                    f"/tasks/{task}/complete", json={"values": {"total": "119.00"}}
                )
                answer.raise_for_status()
                while (ended := await ended_at(client, task)) is None:  # noqa: ASYNC110  # the API tells those who ask
                    await asyncio.sleep(LOOK_SECONDS * at_once)
                seconds.append(ended - began)

        await asyncio.gather(*(reviewer() for _ in range(at_once)))
    return seconds


async def ended_at(client: httpx.AsyncClient, task: str) -> float | None:
    """When a task was completed, in seconds since 1970; None before."""
    events = (await client.get(f"/tasks/{task}/events", params={"take": 100})).json()["data"]
    times = [event["timestamp"] for event in events if event["type"] == "task.completed"]
    return datetime.fromisoformat(times[0]).timestamp() if times else None


def show_seconds(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    print(
        f"{name:46} p50 {statistics.median(ordered):6.2f} s   p95"
        f" {ordered[int(0.95 * len(ordered))]:6.2f} s   max {ordered[-1]:6.2f} s",
        flush=True,
    )


def stock_mib_per_wait(papertray: Installation) -> float:
    """Memory of each run that waits in a process of its own."""
    environment = {
        **papertray.environment,
        "PREFECT_API_URL": str(papertray.prefect.base_url).rstrip("/"),
        "PREFECT_HOME": str(papertray.home / "stock"),
    }
    papertray.prefect.post("/work_pools/", json={"name": "stock", "type": "process"})
    flow_id = papertray.prefect.post("/flows/", json={"name": "stock-wait"}).json()["id"]
    deployment = papertray.prefect.post(
        "/deployments/",
        json={
            "name": "stock-wait",
            "flow_id": flow_id,
            "entrypoint": f"{Path(__file__).resolve()}:stock_wait",
            "path": str(Path(__file__).resolve().parents[1]),
            "work_pool_name": "stock",
        },
    ).json()["id"]
    for _ in range(STOCK_RUNS):
        papertray.prefect.post(f"/deployments/{deployment}/create_flow_run", json={})
    with (papertray.home / "stock.log").open("w") as log:
        worker = subprocess.Popen(
            [str(Path(sys.executable).with_name("prefect")), "worker", "start", "--pool", "stock"],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:

        def all_paused() -> bool:
            body = {"flow_runs": {"state": {"name": {"any_": ["Paused"]}}}}
            return papertray.prefect.post("/flow_runs/count", json=body).json() == STOCK_RUNS

        wait_until(all_paused, 300, lambda: "the stock runs do not pause")
        process = psutil.Process(worker.pid)
        alone = process.memory_full_info().uss
        return (memory(process) - alone) / STOCK_RUNS / MIB
    finally:
        for one in [*psutil.Process(worker.pid).children(recursive=True)]:
            one.kill()
        worker.kill()
        worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count: int = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="papertray-bench-") as folder:
        papertray = Installation(Path(folder))
        papertray.start()
        try:
            papertray.install(project())
            warm = bring_into_review(papertray, 20)
            asyncio.run(decide(papertray, warm, 1))
            none = Measured(papertray)
            tasks = bring_into_review(papertray, count)
            many = Measured(papertray)
            print(f"{'':34} {'none':>10} {f'{count} waiting':>14} {'more':>8}")
            for name, unit in (
                ("processes", ""),
                ("worker_mib", " MiB"),
                ("server_percent", " %"),
                ("worker_percent", " %"),
            ):
                a, b = getattr(none, name), getattr(many, name)
                print(f"{name:34} {a:9.1f}{unit:4} {b:9.1f}{unit:4} {b - a:8.1f}")
            show_seconds(
                "decision to completed, one at a time",
                asyncio.run(decide(papertray, tasks[:DECIDED], 1)),
            )
            show_seconds(
                f"decision to completed, {AT_ONCE} at once",
                asyncio.run(decide(papertray, tasks[DECIDED : 2 * DECIDED], AT_ONCE)),
            )
            locked = papertray.log("prefect").count("database is locked")
            print(f"{'`database is locked` in the log of Prefect':46} {locked}")
            stock = stock_mib_per_wait(papertray)
            ours = max((many.worker_mib - none.worker_mib) / count, 1e-3)
            print(f"{'memory of a waiting run, stock process worker':46} {stock:8.2f} MiB")
            print(f"{'memory of a waiting run, Papertray':46} {ours:8.3f} MiB")
            print(f"{'ratio':46} {stock / ours:8.0f}")
        finally:
            papertray.stop()


if __name__ == "__main__":
    main()
