"""Documents come and go while their servers are killed at random: nothing lost, nothing twice.

200 documents in the suite; `make chaos` takes PAPERTRAY_CHAOS_DOCUMENTS of them, 2,000 when it is
not set, and kills for as long as they come in.
"""

import contextlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents import invoice, project
from tests.e2e.installation import Installation, patiently, wait_until
from tests.e2e.program import Program, listening

DOCUMENTS = int(os.environ.get("PAPERTRAY_CHAOS_DOCUMENTS", "200"))
SECONDS_A_DOCUMENT = 3.0
"""What two cores may take for each, once nobody kills any more, servers that start included."""
QUIET_SECONDS = 60
"""In which what was left wrong is put right."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600 + int((SECONDS_A_DOCUMENT + 2) * DOCUMENTS)),
]

PARTS = ("worker", "prefect", "serve")
CHANCE = random.Random(20261122)

# What a client sends, how it ends, how often of ten.
ENDS = {
    "completed": 5,
    "corrected": 2,  # a person puts the total right
    "discarded": 1,
    "canceled": 1,
    "failed": 1,  # it is no document
}
STATE_OF = {"corrected": "completed"}
RUN_ENDS_AS = {
    "completed": "Completed",
    "discarded": "Discarded",
    "canceled": "Cancelled",
    "failed": "Failed",
}


def content_of(end: str, number: int) -> bytes:
    if end == "failed":
        return f"number {number}, and no document".encode()
    total = "119.00" if end in {"completed", "canceled"} else "120.00"
    return invoice(number=f"CH-{number}", total=total)


@dataclass
class Chaos:
    """Kills one part of an installation after the other, until told to stop."""

    papertray: Installation
    killed: Counter[str] = field(default_factory=Counter[str])
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.wait(CHANCE.uniform(2.5, 10)):
            part = CHANCE.choice(PARTS)
            if part != "worker" and not self.papertray.is_up(part):
                continue  # killed faster than it starts, it would only ever be starting
            self.papertray.kill(part)
            self.killed[part] += 1

    def __enter__(self) -> "Chaos":
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def program() -> Iterator[Program]:
    with listening(lambda tries: 503 if tries == 1 else 200) as program:
        yield program


@pytest.fixture
def papertray(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path / "papertray", PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32")
    installation.start()
    installation.install(project())
    yield installation
    installation.stop()


def send(papertray: Installation, number: int, end: str) -> str:
    """Send a document as a client that does not give up; the key makes one task of its tries."""
    answer = patiently(
        lambda: papertray.api.post(
            "/tasks",
            files={"file": (f"{number}.pdf", content_of(end, number))},
            data={"project": "bills"},
            headers={"idempotency-key": f"document-{number}"},
        ),
        until=lambda answer: answer.status_code == 202,
    )
    return answer.json()["id"]


def decide(papertray: Installation, ends: dict[str, str]) -> None:
    """Decide what waits for a person, and cancel what is to be cancelled."""
    waiting = papertray.api.get("/tasks", params={"state": "in_review", "take": 100}).json()["data"]
    for task in waiting:
        verb, body = {
            "corrected": ("complete", {"values": {"total": "119.00"}}),
            "discarded": ("discard", {"reason": "not ours"}),
        }[ends[task["id"]]]
        papertray.api.post(f"/tasks/{task['id']}/{verb}", json=body)


def unfinished(papertray: Installation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for state in ("queued", "running", "in_review"):
        page = papertray.api.get("/tasks", params={"state": state, "take": 100}).json()
        found += page["data"]
    return found


def test_what_comes_in_while_everything_is_killed_ends_right_and_once(
    papertray: Installation, program: Program
) -> None:
    made = papertray.api.post("/webhooks", json={"url": program.url("/all")})
    assert made.status_code == 201, made.text
    wanted = [end for end, weight in ENDS.items() for _ in range(weight)]
    ends: dict[str, str] = {}
    with Chaos(papertray) as chaos:
        for number in range(DOCUMENTS):
            end = wanted[number % len(wanted)]
            task = send(papertray, number, end)
            ends[task] = end
            if end == "canceled":
                # A cancel that was answered by nobody is asked for again; twice is told by a 409.
                answer = patiently(lambda task=task: papertray.api.post(f"/tasks/{task}/cancel"))
                assert answer.status_code in {200, 409}, answer.text
            with contextlib.suppress(httpx.TransportError):
                if number % 10 == 0:
                    decide(papertray, ends)
            time.sleep(CHANCE.uniform(0, 0.1))
    assert len(ends) == DOCUMENTS

    left: list[dict[str, Any]] = []

    def all_are_done() -> bool:
        with contextlib.suppress(httpx.TransportError):
            decide(papertray, ends)
            left[:] = unfinished(papertray)
            return not left
        return False

    wait_until(
        all_are_done,
        QUIET_SECONDS + SECONDS_A_DOCUMENT * DOCUMENTS,
        lambda: f"{len(left)} are left, the first: {left[:3]}",
        every_seconds=1.0,  # to list hundreds of them is work for those who are to do it
    )

    wrong = {task: fault for task, end in ends.items() if (fault := fault_of(papertray, task, end))}
    assert not wrong, f"{len(wrong)} of {DOCUMENTS} after {dict(chaos.killed)}: {wrong}"
    hears_of_every_event(papertray, program)
    assert "database is locked" not in papertray.log("prefect")
    print(f"{DOCUMENTS} documents, killed {dict(chaos.killed)}: 0 lost, 0 twice")


def fault_of(papertray: Installation, task: str, end: str) -> str:
    """What is wrong with a task that has ended; empty when nothing is."""
    state = STATE_OF.get(end, end)
    found = papertray.task(task)
    # One that was cancelled may have been faster.
    if found["state"] != state and (end, found["state"]) != ("canceled", "completed"):
        return f"is {found['state']} and not {state}: {found['result']}"
    events = Counter(papertray.events(task))
    for once in ("task.created", f"task.{found['state']}"):
        if events[once] != 1:
            return f"{once} {events[once]} times"
    names = [one["name"] for one in papertray.api.get(f"/tasks/{task}/outputs").json()["data"]]
    files = ["data.csv", "data.json", "searchable.pdf"] if found["state"] == "completed" else []
    if sorted(names) != files:
        return f"has the files {names}"
    if found["state"] == "completed" and (
        found["result"]["documents"][0]["fields"]["total"] != "119.00"
    ):
        return f"has the wrong data: {found['result']}"
    if found["links"]["prefect"]:  # else it was cancelled before Prefect heard of it
        papertray.until_run(task, RUN_ENDS_AS[found["state"]], seconds=QUIET_SECONDS)
    return ""


def hears_of_every_event(papertray: Installation, program: Program) -> None:
    """Each event is delivered, again and again under the same id until it is taken."""
    every = {event["id"] for event in all_events(papertray)}

    def missing() -> set[str]:
        return every - {event["id"] for event in program.taken("/all")}

    wait_until(
        lambda: not missing(),
        QUIET_SECONDS + SECONDS_A_DOCUMENT * DOCUMENTS,
        lambda: f"{len(missing())} of {len(every)} events were not delivered",
    )


def all_events(papertray: Installation) -> Iterator[dict[str, Any]]:
    """The events since the webhook was made, as programs read them."""
    url: str | None = "/events?take=100"
    while url:
        page = papertray.api.get(url).json()
        yield from (one for one in page["data"] if not one["type"].startswith("webhook."))
        url = page["links"]["next"]
