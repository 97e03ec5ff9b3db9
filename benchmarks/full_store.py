"""What a full store slows: the scheduled flows, the pages and the API.

`python benchmarks/full_store.py [--finished 100000] [--waiting 10000]` fills one store with a
hundredth of that and one with all of it, on SQLite, and does the same in both: the flows that
clean up and report, pages, and calls of the API, in this process. Each figure is the processor time
of one, since the clock of a machine that does other things says little.
"""

import argparse
import asyncio
import os
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from sqlalchemy import delete, insert, select
from sqlmodel import SQLModel, col

from api import gauges
from api.app import create_app
from benchmarks.surfaces import BATCH, FIRST_NUMBER, PROJECTS, Filler, at_work, row_of
from flows import verbs
from flows.daily_report import days_before
from flows.deliver_webhooks import deliver_overdue
from flows.erase import retain_once
from flows.expire import expire_once
from store.access import Caller
from store.blobs import blobs
from store.database import database, migrate
from store.fields import FieldType, FieldValue
from store.finding import find_project
from store.ids import new_code, now
from store.models import Activity, Document, Project, ReportedDay, Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor, State

GROWTH: Final = 1.5
"""By so much anything may take longer with a hundred times the tasks."""

DAYS: Final = 90
"""Over so long the finished came in, evenly."""

TIMES: Final = 11

FIELDS: Final = ("total", "sender", "due", "number", "iban", "currency")

ENDS: Final = (State.COMPLETED, State.FAILED, State.DISCARDED, State.CANCELED)
SHARES: Final = (90, 5, 3, 2)
"""Of a hundred that ended, how many ended so."""

DECIDED: Final = 0.4
AUDITED: Final = 0.25
RIGHT: Final = 0.8
PRIVATE: Final = 0.01
"""0..1: of those that ended, on how many a person decided; of those, how many were judged, and of
these, how many were found right; of all, how many are private."""

PEOPLE: Final = 6
"""So few that all of them decided on something in each store."""

LIFE: Final = {
    State.IN_REVIEW: ("task.created", "task.started", "task.in_review"),
    **{one: ("task.created", "task.started", "task.in_review", f"task.{one}") for one in ENDS},
}
"""What is told of a task."""


class Mixed(Filler):
    """Tasks as they are where people work: of several kinds, decided by many, some judged."""

    def __init__(
        self, organization_id: UUID, projects: Sequence[Project], ended: int, waiting: int
    ):
        """So many of each, those that wait last."""
        super().__init__(organization_id, projects, ended + waiting)
        self._ended = ended
        self._random = Random(8)  # the same each time
        self._document = row_of(Document(task_id=UUID(int=0), number=1, document_type="invoice"))
        self._numbers = count(FIRST_NUMBER)
        self._fields = {
            name: FieldValue(
                name=name, label=name, type=FieldType.TEXT, value="12.30", text="12.30"
            ).model_dump(mode="json")
            for name in FIELDS
        }

    def time_of(self, index: int) -> datetime:
        if index < self._ended:
            return now() - timedelta(days=DAYS) * (1 - index / self._ended)
        return now() - timedelta(hours=2)

    def batch(self, start: int, length: int) -> dict[type[SQLModel], list[dict[str, Any]]]:
        rows = super().batch(start, length)
        rows[Document], told = [], []
        for index, task in enumerate(rows[Task], start):
            self._happened(task, is_over=index < self._ended)
            if task["input_file_id"]:
                document = {"id": uuid4(), "task_id": task["id"], "fields": self._fields}
                rows[Document].append({**self._document, **document})
            for kind in LIFE[task["state"]]:
                about = {"task_id": task["id"], "subject": f"task_{task['code']}"}
                known = {"code": new_code(), "number": next(self._numbers), "type": kind}
                told.append({**self._activity, **about, **known, "at": task["updated_at"]})
        rows[Activity] = told
        return rows

    def _happened(self, task: dict[str, Any], *, is_over: bool) -> None:
        """Whether a person decided, and what an audit said, differ from task to task."""
        draw, at = self._random, task["created_at"]
        end = at + timedelta(seconds=draw.lognormvariate(5, 1.5))
        state = draw.choices(ENDS, weights=SHARES)[0] if is_over else State.IN_REVIEW
        is_decided = is_over and state is not State.FAILED and draw.random() < DECIDED
        is_audited = is_decided and draw.random() < AUDITED
        is_correct = draw.random() < RIGHT if is_audited else None
        task |= {
            "state": state,
            "updated_at": end,
            "finished_at": end if is_over else None,
            "settled_at": end if is_over else None,
            "deadline_at": now() + timedelta(days=30),
            "review_round": 1 if is_decided or not is_over else 0,
            "review_reason": "" if is_over else "to be confirmed: total",
            "review_since": None if is_over else at,
            "review_due_at": None if is_over else now() + timedelta(days=3),
            "due_at": None if is_over else now() + timedelta(hours=draw.randrange(-20, 80)),
            "priority": draw.choice((0, 0, 0, 1)),
            "is_private": draw.random() < PRIVATE,
            "decided_by": f"{draw.randrange(PEOPLE)}@example.com" if is_decided else None,
            "handling_seconds": draw.lognormvariate(4, 1) if is_decided else 0.0,
            "is_correct": is_correct,
            "wrong_fields": None if is_correct is not False else draw.sample(FIELDS, 2),
        }


async def fill(finished: int, waiting: int) -> None:
    organization = await organization_named("acme")
    caller = Caller(organization, Actor("benchmark", "cli"))
    projects: list[Project] = []
    for name, source in PROJECTS.items():
        await verbs.install_project(caller, source)
        async with database().reading() as session:
            projects.append((await find_project(session, caller, name))[0])
    filler = Mixed(organization, projects, finished, waiting)
    for start in range(0, finished + waiting, BATCH):
        batch = filler.batch(start, min(BATCH, finished + waiting - start))
        async with database().engine.begin() as connection:
            for kind, rows in batch.items():
                if rows:
                    await connection.execute(insert(kind), rows)


async def report() -> None:
    """The report of a day: the days before it were counted on theirs."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = (midnight - timedelta(days=1)).date()
    async with database().writing() as session:
        await session.execute(delete(ReportedDay).where(col(ReportedDay.day) == yesterday))
    await days_before(midnight, 14)


async def sign_in(client: httpx.AsyncClient) -> None:
    page = await client.get("/sign-in")
    found = re.search('name="csrf_token" value="([^"]+)"', page.text)
    assert found is not None
    form = {"csrf_token": found[1], "key": client.headers["x-api-key"]}
    answer = await client.post("/sign-in", data=form)
    assert answer.status_code in {200, 303}, answer.text


async def measured(home: Path, finished: int, waiting: int) -> dict[str, float]:
    os.environ["PAPERTRAY_HOME"] = str(home)
    for cached in (settings, database, blobs):
        cached.cache_clear()
    await asyncio.to_thread(migrate)
    await fill(finished, waiting)
    took: dict[str, float] = {}

    async def measure(name: str, work: Callable[[], Awaitable[Any]]) -> None:
        times: list[float] = []
        for _ in range(TIMES):
            began = time.process_time()
            answer = await work()
            times.append(time.process_time() - began)
            assert not isinstance(answer, httpx.Response) or answer.is_success, answer.text
        took[name] = min(times)  # others on the machine only add to it

    await measure("expire", expire_once)
    await measure("retain", retain_once)
    await measure("webhooks", deliver_overdue)
    await measure("daily report, 14 days", report)
    gauges.REMEMBERED_SECONDS = 0.0  # pyright: ignore[reportAttributeAccessIssue]  # else they are counted once
    async with at_work(create_app(run_background=False)) as client:
        await sign_in(client)
        async with database().reading() as session:
            waiting_first = select(col(Task.code)).order_by(col(Task.created_at).desc()).limit(1)
            code = (await session.execute(waiting_first)).scalar_one()
        for name, path in {
            "page: the queue": "/review",
            "page: the queue, of a project": "/review?project=bills",
            "page: the queue, completed": "/review?state=completed",
            "page: the queue, judged wrong": "/review?state=completed&verdict=wrong",
            "page: a task": f"/review/task_{code}",
            "page: metrics, 7 days": "/review/metrics",
            "page: metrics, 90 days": "/review/metrics?range=90d",
            "page: metrics, of a project": "/review/metrics?project=bills",
            "API: list": "/v1/tasks?take=20",
            "API: list, in_review": "/v1/tasks?take=20&state=in_review",
            "API: list, of a project": "/v1/tasks?take=20&project=bills&state=completed",
            "API: a task": f"/v1/tasks/task_{code}",
            "API: events of a task": f"/v1/tasks/task_{code}/events",
            "API: events": "/v1/events",
            "API: metrics, 7 days": "/v1/metrics/queues?range=7d",
            "API: metrics, 90 days": "/v1/metrics/queues?range=90d",
            "API: figures for Prometheus": "/metrics",
            "API: health": "/healthz",
        }.items():
            await measure(name, lambda path=path: client.get(path))

        async def next_one() -> httpx.Response:
            answer = await client.post("/v1/tasks/next")
            await client.post(f"/v1/tasks/{answer.json()['id']}/release")
            return answer

        await measure("API: claim the next, and release it", next_one)
    await database().close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    asked = parser.parse_args()
    finished, waiting = asked.finished, asked.waiting
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = asyncio.run(measured(folder / "few", finished // 100, waiting // 100))
        many = asyncio.run(measured(folder / "many", finished, waiting))
    print(f"CPU ms | {finished // 100} ended, {waiting // 100} waiting | {finished}, {waiting}\n")
    print("| | few | many | ratio |\n| --- | ---: | ---: | ---: |")
    for what, seconds in few.items():
        ratio = many[what] / seconds
        told = f"**{ratio:.2f}**" if ratio > GROWTH else f"{ratio:.2f}"
        print(f"| {what} | {1000 * seconds:.1f} | {1000 * many[what]:.1f} | {told} |")


if __name__ == "__main__":
    main()
