"""How fast tasks are taken in: beside Prefect's own way, and with Prefect's server stopped.

`python benchmarks/intake.py` sends 500 documents with 8 clients to a real Papertray, and creates
500 flow runs in its Prefect server the same way; then it freezes the Prefect server (SIGSTOP),
sends 500 more, lets it go on and waits until every task is done.
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
CLIENTS = 8
DONE_SECONDS = 1500


async def timed(call: Callable[[int], Awaitable[httpx.Response]]) -> tuple[list[float], list[int]]:
    """Seconds and status of COUNT calls made by CLIENTS clients."""
    numbers = iter(range(COUNT))
    seconds: list[float] = []
    statuses: list[int] = []

    async def client() -> None:
        for number in numbers:
            began = time.perf_counter()
            answer = await call(number)
            seconds.append(time.perf_counter() - began)
            statuses.append(answer.status_code)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
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


async def send(papertray: Installation, content: bytes) -> tuple[list[float], list[int]]:
    """POST /v1/tasks, each with its file."""
    async with httpx.AsyncClient(
        base_url=papertray.api.base_url, headers=papertray.api.headers, timeout=60
    ) as client:
        return await timed(
            lambda number: client.post(
                "/tasks",
                files={"file": (f"{number}.pdf", content)},
                data={"project": "bills"},
            )
        )


async def create_runs(papertray: Installation) -> tuple[list[float], list[int]]:
    """What intake would be, did it wait for Prefect."""
    found = papertray.prefect.get("/deployments/name/process-task/process-task").json()
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    async with httpx.AsyncClient(base_url=papertray.prefect.base_url, timeout=60) as client:
        return await timed(
            lambda _: client.post(
                f"/deployments/{found['id']}/create_flow_run", json={"state": later}
            )
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
            ours = show("POST /v1/tasks", *asyncio.run(send(papertray, content)), 202)
            until_none_is_left(papertray)
            theirs = show("Prefect: create_flow_run", *asyncio.run(create_runs(papertray)), 201)
            print(f"{'ratio of the p95, Prefect / Papertray':42} {theirs / ours:11.1f}")
            group = papertray.pid("prefect")
            os.killpg(group, signal.SIGSTOP)
            try:
                sent = asyncio.run(send(papertray, content))
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
