"""What one organization notices of another that sends ten times what it may.

`python benchmarks/tenants.py` starts a real Papertray. One organization sends files and reads
its list, one call after the other; in every second round another one floods the same server, from
a process of its own, with ten times the calls that the limit of its key lets through.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.documents import invoice
from tests.e2e.installation import Installation

PER_MINUTE = 600
TIMES = 10
CALLS = 200
ROUNDS = 3


async def flood(url: str, key: str) -> None:
    """Send calls at a steady rate, whatever becomes of them, until killed."""
    async with httpx.AsyncClient(
        base_url=url,
        headers={"x-api-key": key},
        timeout=30,
        limits=httpx.Limits(max_connections=50),
    ) as client:
        # The bucket is emptied first: what it holds is let through at once.
        while (await client.get("/tasks")).status_code != 429:
            pass
        sys.stdout.write("flooding\n")
        sys.stdout.flush()
        statuses: Counter[int] = Counter()
        calls: set[asyncio.Task[None]] = set()

        async def one() -> None:
            statuses[(await client.get("/tasks")).status_code] += 1

        began = time.monotonic()
        while True:
            due = int((time.monotonic() - began) * TIMES * PER_MINUTE / 60) - sum(statuses.values())
            for _ in range(max(0, due - len(calls))):
                calls.add(call := asyncio.create_task(one()))
                call.add_done_callback(calls.discard)
            await asyncio.sleep(0.01)


def measured(client: httpx.Client, content: bytes) -> dict[str, list[float]]:
    """Milliseconds of calls made one after the other."""
    took: dict[str, list[float]] = {"POST /v1/files": [], "GET /v1/tasks": []}
    for number in range(CALLS):
        for name, times in took.items():
            began = time.perf_counter()
            if name.startswith("POST"):
                answer = client.post("/files", files={"file": (f"{number}.pdf", content)})
            else:
                answer = client.get("/tasks", params={"take": 20})
            times.append(1000 * (time.perf_counter() - began))
            answer.raise_for_status()
    return took


def p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * len(times))]


def main() -> None:
    content = invoice()
    with tempfile.TemporaryDirectory(prefix="papertray-bench-") as folder:
        papertray = Installation(
            Path(folder),
            PAPERTRAY_REQUESTS_PER_MINUTE_PER_KEY=str(PER_MINUTE),
            PAPERTRAY_REQUESTS_PER_MINUTE_PER_ORGANIZATION="0",
        )
        papertray.start()
        try:
            url = str(papertray.api.base_url)
            # The quiet one has a limit, too: it has as many keys as it needs.
            keys = [
                papertray.command("key", "create", "--scope", "admin")["key"]
                for _ in range(2 * ROUNDS)
            ]
            loud = papertray.command("key", "create", "--scope", "admin", "--org", "loud")["key"]
            found: dict[str, dict[str, list[float]]] = {"alone": {}, "flooded": {}}
            for number, key in enumerate(keys):
                side = ("alone", "flooded")[number % 2]
                flooder = None
                if side == "flooded":
                    flooder = subprocess.Popen(
                        [sys.executable, __file__, "--flood", url, loud], stdout=subprocess.PIPE
                    )
                    assert flooder.stdout is not None
                    flooder.stdout.readline()
                try:
                    with httpx.Client(
                        base_url=url, headers={"x-api-key": key}, timeout=60
                    ) as quiet:
                        for name, times in measured(quiet, content).items():
                            found[side].setdefault(name, []).extend(times)
                finally:
                    if flooder is not None:
                        flooder.kill()
                        flooder.wait()
            print(f"{TIMES} times {PER_MINUTE} calls a minute, {ROUNDS} rounds of {CALLS} each\n")
            print("| | alone p50 ms | p95 | flooded p50 | p95 | ratio of the p95 |")
            print("| --- | ---: | ---: | ---: | ---: | ---: |")
            for name, alone in found["alone"].items():
                flooded = found["flooded"][name]
                print(
                    f"| {name} | {statistics.median(alone):.1f} | {p95(alone):.1f}"
                    f" | {statistics.median(flooded):.1f} | {p95(flooded):.1f}"
                    f" | {p95(flooded) / p95(alone):.2f} |"
                )
        finally:
            papertray.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood", nargs=2, metavar=("URL", "KEY"))
    asked = parser.parse_args()
    if asked.flood:
        asyncio.run(flood(*asked.flood))
    else:
        main()
