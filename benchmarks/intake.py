"""How fast tasks are taken in: beside Prefect's own way, and with Prefect's server stopped.

`python benchmarks/intake.py` sends 500 documents to a real Papertray, so many a second, and then
with 1, 4 and 8 clients of which each sends the next when it has its answer, while the worker works
on what came before. It creates 500 flow runs in its Prefect server with 8 clients; then it freezes
the Prefect server (SIGSTOP), sends 500 more, lets it go on and waits until every task is done.
"""

import asyncio
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from tests.documents import invoice, project
from tests.e2e.installation import Installation

COUNT = 500
RATES = (25, 50, 75)
"""Documents a second, when they come by themselves."""
CLIENTS = (1, 4, 8)
DONE_SECONDS = 1500


Call = Callable[[int], Awaitable[httpx.Response]]
Drive = Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]]


def at_rate(each_second: int) -> Drive:
    """COUNT calls, one when its time has come, however many are under way."""

    async def drive(call: Callable[[int], Awaitable[None]]) -> None:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as under_way:
            for number in range(COUNT):
                await asyncio.sleep(began + number / each_second - time.perf_counter())
                under_way.create_task(call(number))

    return drive


def by_clients(clients: int) -> Drive:
    """COUNT calls by so many, each of which makes the next when it has its answer."""

    async def drive(call: Callable[[int], Awaitable[None]]) -> None:
        numbers = iter(range(COUNT))

        async def client() -> None:
            for number in numbers:
                await call(number)

        await asyncio.gather(*(client() for _ in range(clients)))

    return drive


async def timed(call: Call, drive: Drive) -> tuple[list[float], list[int]]:
    """Seconds and status of COUNT calls."""
    seconds: list[float] = []
    statuses: list[int] = []

    async def one(number: int) -> None:
        began = time.perf_counter()
        answer = await call(number)
        seconds.append(time.perf_counter() - began)
        statuses.append(answer.status_code)

    await drive(one)
    return seconds, statuses


def show(name: str, seconds: list[float], statuses: list[int], wanted: int) -> float:
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * len(ordered))]
    refused = sum(status != wanted for status in statuses)
    print(
        f"{name:42} p50 {1000 * statistics.median(ordered):7.1f} ms   p95 {1000 * p95:7.1f} ms"
        f"   max {1000 * ordered[-1]:7.1f} ms   not {wanted}: {refused}",
        flush=True,
    )
    return p95


async def send(
    papertray: Installation, content: bytes, drive: Drive
) -> tuple[list[float], list[int]]:
    """POST /v1/tasks, each with its file."""
    async with httpx.AsyncClient(
        base_url=papertray.api.base_url, headers=papertray.api.headers, timeout=60
    ) as client:
        return await timed(
            lambda number: client.post(
                "/tasks",
                files={"file": (f"{number}.pdf", content)},
                data={"project": "bills"},
            ),
            drive,
        )


async def create_runs(papertray: Installation) -> tuple[list[float], list[int]]:
    """What intake would be, did it wait for Prefect."""
    found = papertray.prefect.get("/deployments/name/process-task/process-task").json()
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    async with httpx.AsyncClient(base_url=papertray.prefect.base_url, timeout=60) as client:
        return await timed(
            lambda _: client.post(
                f"/deployments/{found['id']}/create_flow_run", json={"state": later}
            ),
            by_clients(CLIENTS[-1]),
        )


def until_none_is_left(papertray: Installation) -> float:
    began = time.monotonic()
    while time.monotonic() - began < DONE_SECONDS:
        left = [
            papertray.api.get("/tasks", params={"state": state, "take": 1}).json()["data"]
            for state in ("queued", "running")
        ]
        if not any(left):
            return time.monotonic() - began
        time.sleep(1)
    raise SystemExit("the tasks are not done in time")


def failed(papertray: Installation) -> int:
    return len(papertray.api.get("/tasks", params={"state": "failed", "take": 100}).json()["data"])


def main() -> None:
    content = invoice()
    with tempfile.TemporaryDirectory(prefix="papertray-bench-") as folder:
        papertray = Installation(Path(folder))
        papertray.start()
        try:
            papertray.install(project())
            drives = {f"{rate} a second": at_rate(rate) for rate in RATES}
            drives |= {f"{clients} clients": by_clients(clients) for clients in CLIENTS}
            ours = 0.0
            for how, drive in drives.items():
                sent = asyncio.run(send(papertray, content, drive))
                ours = show(f"POST /v1/tasks, {how}", *sent, 202)
            until_none_is_left(papertray)
            theirs = show("Prefect: create_flow_run", *asyncio.run(create_runs(papertray)), 201)
            print(f"{'ratio of the p95, Prefect / Papertray':42} {theirs / ours:11.1f}")
            group = papertray.pid("prefect")
            os.killpg(group, signal.SIGSTOP)
            try:
                sent = asyncio.run(send(papertray, content, by_clients(CLIENTS[-1])))
            finally:
                os.killpg(group, signal.SIGCONT)
            show("POST /v1/tasks, Prefect stopped", *sent, 202)
            seconds = until_none_is_left(papertray)
            print(f"{'all of them done after Prefect is back':42} {seconds:11.1f} s")
            print(f"{'tasks that failed':42} {failed(papertray):11}")
        finally:
            papertray.stop()


if __name__ == "__main__":
    main()
