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
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from sqlalchemy import delete, insert, select
from sqlmodel import col

from api.app import create_app
from benchmarks.surfaces import BATCH, at_work, row_of
from flows import verbs
from flows.daily_report import days_before
from flows.erase import retain_once
from flows.expire import expire_once
from store.access import Caller
from store.blobs import blobs
from store.database import database, migrate
from store.finding import find_project
from store.ids import new_code, now
from store.models import Project, ReportedDay, Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor, State
from tests.documents import project

GROWTH: Final = 1.5
"""By so much anything may take longer with a hundred times the tasks."""

DAYS: Final = 90
"""Over so long the finished came in, evenly."""

TIMES: Final = 11


async def fill(finished: int, waiting: int) -> None:
    organization = await organization_named("acme")
    caller = Caller(organization, Actor("benchmark", "cli"))
    await verbs.install_project(caller, project())
    async with database().reading() as session:
        bills: Project = (await find_project(session, caller, "bills"))[0]
    same = row_of(
        Task(
            organization_id=organization,
            operation="process",
            project_id=bills.id,
            project_version_id=bills.current_version_id,
            created_by="key:benchmark",
        )
    )
    at = now()

    def row(number: int) -> dict[str, Any]:
        is_over = number < finished
        created = at - timedelta(days=DAYS * (number + 1) / finished if is_over else 0.1)
        ended = created + timedelta(minutes=3) if is_over else None
        return {
            **same,
            "id": Task.model_fields["id"].get_default(call_default_factory=True),
            "code": new_code(),
            "number": 1000 + number,
            "name": f"{number:08d}.pdf",
            "state": State.COMPLETED if is_over else State.IN_REVIEW,
            "created_at": created,
            "updated_at": ended or created,
            "finished_at": ended,
            "settled_at": ended,
            "deadline_at": at + timedelta(days=30),
            "review_round": 0 if is_over else 1,
            "review_reason": "" if is_over else "to be confirmed: total",
            "review_since": None if is_over else created,
            "review_due_at": None if is_over else at + timedelta(days=3),
        }

    for start in range(0, finished + waiting, BATCH):
        rows = [row(n) for n in range(start, min(start + BATCH, finished + waiting))]
        async with database().engine.begin() as connection:
            await connection.execute(insert(Task), rows)


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
    await measure("daily report, 14 days", report)
    async with at_work(create_app(run_background=False)) as client:
        await sign_in(client)
        async with database().reading() as session:
            code = (await session.execute(select(col(Task.code)).limit(1))).scalar_one()
        for name, path in {
            "page: the queue": "/review",
            "page: a task": f"/review/task_{code}",
            "page: metrics": "/review/metrics",
            "API: list": "/v1/tasks?take=20",
            "API: list, in_review": "/v1/tasks?take=20&state=in_review",
            "API: list, of a project": "/v1/tasks?take=20&project=bills&state=completed",
            "API: a task": f"/v1/tasks/task_{code}",
            "API: events": "/v1/events",
            "API: metrics, 7 days": "/v1/metrics/queues?range=7d",
            "API: metrics, 90 days": "/v1/metrics/queues?range=90d",
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
