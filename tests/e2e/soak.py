"""Documents go through for hours; memory, open files and threads stay what they were.

`make soak` runs it, for two hours or PAPERTRAY_SOAK_MINUTES. The first quarter warms up; the second
is what the last is compared with.
"""

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until

MINUTES = float(os.environ.get("PAPERTRAY_SOAK_MINUTES", "120"))
SECONDS_A_DOCUMENT = 1.5
"""A rate that two cores keep up with."""

SAMPLES = 40
"""How often it is looked, in all; at least one each second."""

PARTS = ("prefect", "serve", "worker")
KIB_A_TASK = 100.0
"""What the memory of a part may grow by; docling, for one, grows by 5 MB a document."""

SPARE = 15
"""How many more files, connections or threads a part may have than it had: pools fill late."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(int(MINUTES * 60) + 900)]


@dataclass(frozen=True)
class Sample:
    """A process, at a moment."""

    done: int
    memory_kib: float
    files: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process, done: int) -> "Sample":
        with process.oneshot():
            memory = process.memory_info().rss / 1024
            return cls(done, memory, process.num_fds(), process.num_threads())


def median(samples: list[Sample], name: str) -> float:
    return statistics.median(float(getattr(one, name)) for one in samples)


def decide(papertray: Installation) -> None:
    """Put right what waits for a person."""
    waiting = papertray.api.get("/tasks", params={"state": "in_review", "take": 100}).json()["data"]
    for task in waiting:
        answer = papertray.api.post(
            f"/tasks/{task['id']}/complete", json={"values": {"total": "119.00"}}
        )
        assert answer.status_code == 200, answer.text


def test_nothing_grows(tmp_path: Path) -> None:
    papertray = Installation(tmp_path / "papertray")
    papertray.start()
    try:
        papertray.install(project())
        processes = {part: psutil.Process(papertray.pid(part)) for part in PARTS}
        seen: dict[str, list[Sample]] = {part: [] for part in PARTS}
        began = time.monotonic()
        sent, next_sample = 0, 0.0
        while (passed := time.monotonic() - began) < MINUTES * 60:
            if passed >= next_sample:
                next_sample = passed + max(1.0, MINUTES * 60 / SAMPLES)
                for part, process in processes.items():
                    seen[part].append(Sample.of(process, sent))
                decide(papertray)
            total = "120.00" if sent % 10 == 0 else "119.00"  # one in ten is to be put right
            papertray.submit(invoice(number=f"S-{sent}", total=total), name=f"{sent}.pdf")
            sent += 1
            time.sleep(max(0.0, sent * SECONDS_A_DOCUMENT - (time.monotonic() - began)))

        def all_are_done() -> bool:
            decide(papertray)
            states = ("queued", "running", "in_review")
            counts = (papertray.api.get("/tasks", params={"state": one}).json() for one in states)
            return not any(one["data"] for one in counts)

        wait_until(all_are_done, 600, lambda: "tasks are left")
        for part, process in processes.items():
            assert process.pid == papertray.pid(part), f"{part} was started again"
        size = sum(path.stat().st_size for path in tmp_path.rglob("*.db"))
    finally:
        papertray.stop()
    print(
        f"\n{sent} documents in {MINUTES:g} minutes; databases {size / 1024 / sent:.0f} KiB a task"
    )
    grown: list[str] = []
    for part, samples in seen.items():
        quarter = len(samples) // 4
        early, late = samples[quarter : 2 * quarter], samples[-quarter:]
        tasks = median(late, "done") - median(early, "done")
        kib = (median(late, "memory_kib") - median(early, "memory_kib")) / tasks
        more = {name: median(late, name) - median(early, name) for name in ("files", "threads")}
        print(
            f"{part}: {median(late, 'memory_kib') / 1024:.0f} MiB, {kib:+.1f} KiB a task,"
            f" {more['files']:+g} files, {more['threads']:+g} threads"
        )
        if kib > KIB_A_TASK or max(more.values()) > SPARE:
            grown.append(part)
    assert not grown
