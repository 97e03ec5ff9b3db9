"""What a call costs when there are many tasks: lists, tasks and claims of the five surfaces.

`python benchmarks/surfaces.py` fills a store with 10,000 and then one with 100,000 tasks, on SQLite
and on a PostgreSQL server of its own, and calls the app in this process, with no network between:
`--tasks 1000000`, `--databases sqlite`. Each row is one call, with p50 and p95 by the clock and the
processor time of this process; the last column says by how much the target is missed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI
from sqlalchemy import Table, insert, text
from sqlmodel import SQLModel

from api.app import create_app
from api.cli.servers import keep_what_is_loaded
from api.rate_limits import RateLimit
from flows import verbs
from store.access import Caller
from store.blobs import blobs
from store.database import database, migrate
from store.finding import find_project
from store.ids import new_code, now, short_of
from store.keys import create_key
from store.models import Activity, File, Project, Task, Upload
from store.organizations import number_of, organization_named
from store.settings import settings
from store.states import Actor, State
from tests.postgres import create_database, running_postgres

TARGET_MS: Final = 20.0
"""p95 of a read with 100,000 tasks."""

GROWTH: Final = 1.5
"""By so much a read may take longer with ten times as many."""

BATCH: Final = 5_000
FIRST_NUMBER: Final = 1_000
"""Of a task; the projects are told of in lower ones."""

DAYS: Final = 90
"""Over so long the tasks came in, evenly."""

PROJECTS: Final = {
    "invoices": "name: invoices\nfields: [{name: total, labels: [Total]}]\n",
    "bills": "name: bills\nfields: [{name: total, labels: [Total]}]\n",
    "comments": "name: comments\ntitle: Comments\nblocks:\n  - {name: comment, type: text}\n"
    "  - {name: approve, type: binary, required: true}\n",
}

STATES: Final = (
    *(State.COMPLETED,) * 86,
    *(State.FAILED,) * 5,
    *(State.DISCARDED,) * 2,
    *(State.CANCELED,) * 2,
    *(State.IN_REVIEW,) * 3,
    State.AWAITING_EXPORT,
    State.QUEUED,
)
"""Of a hundred tasks."""

ENDED: Final = {State.COMPLETED, State.FAILED, State.DISCARDED, State.CANCELED}


@dataclass
class World:
    """The ids that calls need."""

    organization: int
    queue: int
    project: str
    first: str = ""
    middle: str = ""
    last: str = ""
    """Of v1: the newest task, and the oldest."""
    aluma: str = ""
    job: str = ""
    queue_task: int = 0
    upload: str = ""


def row_of(made: SQLModel) -> dict[str, Any]:
    """A row, with a value for each column."""
    table: Table = made.__table__  # pyright: ignore[reportAttributeAccessIssue]  # SQLModel has it at run time
    return {column.key: getattr(made, column.key) for column in table.columns}


class Filler:
    """Writes tasks as if they had come in evenly until now."""

    def __init__(self, organization_id: uuid.UUID, projects: Sequence[Project], count: int):
        """Of some projects: two of five are of the first, two of the second, one of the third."""
        self._projects = projects
        self._count = count
        self._begin = now() - timedelta(days=DAYS)
        actor = "key:benchmark"
        self._task = row_of(
            Task(organization_id=organization_id, operation="process", created_by=actor)
        )
        self._file = row_of(
            File(
                organization_id=organization_id,
                name="a.pdf",
                blob="b",
                type="application/pdf",
                size_bytes=1,
                sha256="0" * 64,
            )
        )
        self._activity = row_of(
            Activity(
                organization_id=organization_id,
                type="task.created",
                actor=actor,
                surface="v1",
                subject="",
            )
        )
        self._upload = row_of(
            Upload(organization_id=organization_id, project_id=projects[0].id, name="Mail")
        )
        self._upload_id: uuid.UUID | None = None

    def time_of(self, index: int) -> datetime:
        return self._begin + timedelta(days=DAYS) * (index / self._count)

    def batch(self, start: int, length: int) -> dict[type[SQLModel], list[dict[str, Any]]]:
        """The rows of the tasks from one index on."""
        rows: dict[type[SQLModel], list[dict[str, Any]]] = {
            Upload: [],
            File: [],
            Task: [],
            Activity: [],
        }
        for index in range(start, start + length):
            which = (0, 0, 1, 1, 2)[index % 5]
            project, at = self._projects[which], self.time_of(index)
            state = STATES[(index * 7919) % len(STATES)]
            ended = state in ENDED
            later = at + timedelta(hours=1)
            task = {
                **self._task,
                "id": uuid.uuid4(),
                "code": new_code(),
                "number": FIRST_NUMBER + index,
                "project_id": project.id,
                "project_version_id": project.current_version_id,
                "name": f"{index:08d}.pdf",
                "created_at": at,
                "updated_at": later,
                "state": state,
                "finished_at": later if ended else None,
                "settled_at": later if ended or state is State.AWAITING_EXPORT else None,
                "review_round": 1 if state is State.IN_REVIEW else 0,
                "decided_by": "joe@example.com" if ended else None,
                "handling_seconds": 10.0 if ended else 0.0,
            }
            if which == 2:
                task |= {"task_data": {"comment": "Nice."}, "source": "api"}
            else:
                file_id = f"file_{new_code()}"
                rows[File].append({**self._file, "id": file_id, "created_at": at})
                task["input_file_id"] = file_id
            if which == 0:
                if index % 10 == 0 or self._upload_id is None:
                    self._upload_id = uuid.uuid4()
                    rows[Upload].append(
                        {
                            **self._upload,
                            "id": self._upload_id,
                            "code": new_code(),
                            "created_at": at,
                            "updated_at": at,
                        }
                    )
                task["upload_id"] = self._upload_id
            rows[Task].append(task)
            rows[Activity].append(
                {
                    **self._activity,
                    "code": new_code(),
                    "number": FIRST_NUMBER + index,
                    "task_id": task["id"],
                    "at": at,
                    "subject": f"task_{task['code']}",
                }
            )
        return rows


async def fill(count: int) -> World:
    """A store with so many tasks."""
    organization_id = await organization_named("acme")
    caller = Caller(organization_id, Actor("benchmark", "cli"))
    found: list[Project] = []
    for name, source in PROJECTS.items():
        await verbs.install_project(caller, source)
        async with database().reading() as session:
            found.append((await find_project(session, caller, name))[0])
    filler = Filler(organization_id, found, count)
    of = World(await number_of(organization_id), found[2].number or 0, str(found[0].id))
    for start in range(0, count, BATCH):
        batch = filler.batch(start, min(BATCH, count - start))
        async with database().engine.begin() as connection:
            for kind, rows in batch.items():
                if rows:
                    await connection.execute(insert(kind), rows)
        tasks = batch[Task]
        of.last = of.last or f"task_{tasks[0]['code']}"
        if start <= count // 2:
            of.middle = f"task_{tasks[0]['code']}"
            of.upload = f"upl_{batch[Upload][0]['code']}"
            of.job = str(tasks[0]["id"])
            of.aluma = short_of(tasks[0]["id"])
            of.queue_task = tasks[4]["number"]
        of.first = f"task_{tasks[-1]['code']}"
    if not database().is_sqlite:
        async with database().engine.begin() as connection:
            await connection.execute(
                text("SELECT setval(pg_get_serial_sequence('activity', 'number'), :last)"),
                {"last": FIRST_NUMBER + count},
            )
            await connection.execute(text("ANALYZE"))  # as autovacuum does
    return of


# Calling

Back = Callable[[httpx.AsyncClient, httpx.Response], Awaitable[Any]]


@dataclass(frozen=True)
class Call:
    """One call that is measured."""

    surface: str
    what: str
    method: str
    path: str
    key: str = "x-api-key"
    """How the key is sent: the name of the header, or the word before it in `Authorization`."""
    back: Back | None = None
    """Undoes it, unmeasured."""


async def release(client: httpx.AsyncClient, answer: httpx.Response) -> None:
    await client.post(f"/v1/tasks/{answer.json()['id']}/release")


async def give_back(client: httpx.AsyncClient, answer: httpx.Response) -> None:
    at = answer.request.url.path.rpartition("/")[0]
    await client.post(
        f"{at}/{answer.json()['id']}/assign",
        json={"assigned_to": None},
        headers={"authorization": f"Token {client.headers['x-api-key']}"},
    )


async def cancel(client: httpx.AsyncClient, answer: httpx.Response) -> None:
    at = str(answer.request.url.path).replace("/start", "/cancel")
    await client.post(at, headers=answer.request.headers)


def calls(of: World, count: int, waiting: str) -> Iterator[Call]:
    """All that are measured."""
    v1 = "/v1/tasks"
    for what, query in {
        "list, first page": "",
        "list, middle page": f"?from={of.middle}",
        "list, last page": f"?from={of.last}",
        "list, in_review": "?state=in_review",
        "list, failed and canceled, middle": f"?state=failed&state=canceled&from={of.middle}",
        "list, of a project, middle": f"?project=bills&from={of.middle}",
        "list, of a project and a state": f"?project=bills&state=failed&from={of.middle}",
        "list, made after a time": "?created_after=2026-01-01T00:00:00Z",
        "list, held by me": "?assignee=me",
        "search a name that one has": "?q=00000017",
        "search a name that none has": "?q=nothing-is-called-so",
        "search a part that many have": "?q=.pdf",
    }.items():
        yield Call("v1", what, "GET", f"{v1}{query}")
    yield Call("v1", "get", "GET", f"{v1}/{of.middle}")
    yield Call("v1", "claim the next", "POST", f"{v1}/next?project=invoices", back=release)
    yield Call("v1", "events", "GET", "/v1/events")
    yield Call("v1", "metrics, 7 days", "GET", "/v1/metrics/queues?range=7d")
    yield Call("v1", "metrics, 90 days", "GET", "/v1/metrics/queues?range=90d")
    for what, query in {
        "list, waiting, 100": "?state=pending:start_client_action&limit=100",
        "list, completed, 100": "?state=completed&limit=100",
        "list, all, 100": "?limit=100",
    }.items():
        yield Call("Aluma", what, "GET", f"/tasks{query}", "Bearer")
    yield Call("Aluma", "get", "GET", f"/tasks/{of.aluma}", "Bearer")
    at = f"/tasks/{waiting}/client_actions/validation/start"
    yield Call("Aluma", "client action", "POST", at, "Bearer", back=cancel)
    at = f"/v2/claims/project/{of.project}"
    yield Call("Send AI", "list of uploads, first page", "GET", f"{at}/upload", "Bearer")
    yield Call("Send AI", "list, middle", "GET", f"{at}/upload?from={of.upload}", "Bearer")
    yield Call("Send AI", "list of a folder", "GET", f"{at}/upload?folder_id=folder_bin", "Bearer")
    yield Call("Send AI", "upload", "GET", f"{at}/upload/{of.upload}", "Bearer")
    yield Call("Send AI", "get", "GET", f"{at}/task/{of.middle}", "Bearer")
    at = f"/orgs/{of.organization}/queues"
    done, left = count // 5 * 95 // 100, count // 5 * 4 // 100
    yield Call("Human Lambdas", "queues", "GET", at, "Token")
    at = f"{at}/{of.queue}"
    for what, query in {
        "completed, first page": "",
        "completed, middle": f"&offset={done // 2}",
        "completed, last": f"&offset={done - 100}",
        "completed, by a person": "&worker_id=joe@example.com",
        "completed, since a month": f"&start_date={(now() - timedelta(days=30)).date()}",
    }.items():
        yield Call("Human Lambdas", what, "GET", f"{at}/tasks/completed?limit=20{query}", "Token")
    yield Call(
        "Human Lambdas", "pending, first page", "GET", f"{at}/tasks/pending?limit=20", "Token"
    )
    yield Call(
        "Human Lambdas",
        "pending, middle",
        "GET",
        f"{at}/tasks/pending?limit=20&offset={left // 2}",
        "Token",
    )
    yield Call("Human Lambdas", "get", "GET", f"{at}/tasks/{of.queue_task}", "Token")
    yield Call(
        "Human Lambdas", "claim the next", "GET", f"{at}/tasks/next", "Token", back=give_back
    )
    yield Call("Human Lambdas", "metrics, daily", "GET", f"{at}/metrics", "Token")
    yield Call("Human Lambdas", "metrics, monthly", "GET", f"{at}/metrics?range=monthly", "Token")
    jobs = count * 4 // 5
    for what, query in {
        "list, first page": "",
        "list, middle": f"&offset={jobs // 2}",
        "list, last": f"&offset={jobs - 20}",
        "list, failed": "&status=failed",
        "list, running, of a type": "&status=running&type=bills",
        "list, of a type": "&type=bills",
    }.items():
        yield Call("Innodata", what, "GET", f"/jobs?limit=20{query}", "Basic")
    yield Call("Innodata", "get", "GET", f"/jobs/{of.job}", "Basic")
    yield Call("Innodata", "documents", "GET", "/documents?limit=20", "Basic")
    yield Call(
        "Innodata", "documents, middle", "GET", f"/documents?limit=20&offset={jobs // 2}", "Basic"
    )


@dataclass(frozen=True)
class Measured:
    """What calls took."""

    p50_ms: float
    p95_ms: float
    cpu_ms: float


async def measure(client: httpx.AsyncClient, call: Call, rounds: int) -> Measured:
    """Make a call so many times, after one that does not count."""
    key = client.headers["x-api-key"]
    said = b64encode(f"{key}:".encode()).decode() if call.key == "Basic" else key
    headers = {} if call.key == "x-api-key" else {"authorization": f"{call.key} {said}"}
    seconds: list[float] = []
    cpu: list[float] = []
    for _ in range(rounds + 1):
        began, worked = time.perf_counter(), time.process_time()
        answer = await client.request(call.method, call.path, headers=headers)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
        if not answer.is_success or not answer.content:
            sys.exit(f"{call}: {answer.status_code} {answer.text}")
        if call.back:
            await call.back(client, answer)
        # Under `chrt -f` the kernel stops for 50 ms whoever leaves others less than a twentieth.
        await asyncio.sleep(seconds[-1] / 5)
    del seconds[0], cpu[0]
    seconds.sort()
    return Measured(
        1000 * statistics.median(seconds),
        1000 * seconds[int(0.95 * len(seconds))],
        1000 * statistics.mean(cpu),
    )


@asynccontextmanager
async def at_work(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of a person who may do everything."""
    key = await create_key(["admin"], organization="acme", user="ada@example.com", team="claims")
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://papertray.test",
            headers={"x-api-key": key.key},
        ) as client,
    ):
        keep_what_is_loaded()  # as a server does
        app.state.rate_limits.of_key = RateLimit(0)
        app.state.rate_limits.of_organization = RateLimit(0)
        yield client


async def filled(count: int, home: Path) -> World:
    """The store in a folder, filled unless it was before."""
    kept = home / "world.json"
    if kept.exists():
        return World(**json.loads(kept.read_text()))
    began = time.monotonic()
    of = await fill(count)
    print(f"filled in {time.monotonic() - began:.0f} s")
    kept.write_text(json.dumps(asdict(of)))
    return of


async def run(name: str, of: World, count: int, rounds: int, only: str) -> None:
    """Print what each call takes."""
    print(f"\n{name}, {count:,} tasks\n")
    print("| | | p50 ms | p95 ms | CPU ms | of the target |")
    print("| --- | --- | ---: | ---: | ---: | ---: |", flush=True)
    async with at_work(create_app(run_background=False)) as client:
        found = await client.get("/v1/tasks", params={"state": "in_review", "project": "bills"})
        waiting = short_of(await id_of_task(found.json()["data"][0]["id"]))
        for call in calls(of, count, waiting):
            if only not in f"{call.surface} {call.what}":
                continue
            took = await measure(client, call, rounds)
            ratio = took.p95_ms / TARGET_MS
            print(
                f"| {call.surface} | {call.what} | {took.p50_ms:.1f} | {took.p95_ms:.1f}"
                f" | {took.cpu_ms:.1f} | {f'**{ratio:.1f}**' if ratio > 1 else f'{ratio:.1f}'} |",
                flush=True,
            )


async def fill_and_run(name: str, count: int, home: Path, asked: argparse.Namespace) -> None:
    """In one event loop: connections to PostgreSQL belong to one."""
    of = await filled(count, home)
    if not asked.fill:
        await run(name, of, count, asked.rounds, asked.only)


async def id_of_task(public_id: str) -> uuid.UUID:
    async with database().reading() as session:
        query = text("SELECT id FROM task WHERE code = :code")
        found = (await session.execute(query, {"code": public_id.removeprefix("task_")})).scalar()
    return found if isinstance(found, uuid.UUID) else uuid.UUID(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="calls whose name has this in it")
    parser.add_argument("--home", type=Path, help="keep the stores of SQLite there, and take them")
    parser.add_argument("--fill", action="store_true", help="fill the stores, and measure nothing")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="papertray-bench-")))
        server = ""
        if "postgresql" in asked.databases:
            server = stack.enter_context(running_postgres(folder / "postgres"))
        for name in asked.databases:
            for count in asked.tasks:
                is_kept = asked.home and name == "sqlite"
                home = (asked.home if is_kept else folder) / f"{name}-{count}"
                home.mkdir(parents=True, exist_ok=True)
                os.environ["PAPERTRAY_HOME"] = str(home)
                if name == "postgresql":
                    url = create_database(server, f"papertray_{count}")
                    os.environ["PAPERTRAY_DATABASE_URL"] = url
                else:
                    os.environ.pop("PAPERTRAY_DATABASE_URL", None)
                for cached in (settings, database, blobs):
                    cached.cache_clear()
                migrate()
                asyncio.run(fill_and_run(name, count, home, asked))


if __name__ == "__main__":
    main()
