"""The same on PostgreSQL: the store, its races, and a whole Papertray with Prefect on it, too."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from alembic import command
from sqlalchemy import Column, Connection, MetaData, select
from sqlalchemy.ext.asyncio import create_async_engine

from flows import verbs, webhooks
from flows.deliver_webhooks import Deliverer
from flows.delivering import deliver
from flows.public_http import PublicHttp
from store.access import Caller
from store.activity import record
from store.blobs import blobs
from store.database import alembic_config, database, migrate
from store.errors import ConflictError
from store.models import Outbox, Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor
from tests.canary import (
    CANARY,
    ERASED_SECONDS,
    complete,
    places_of,
    submit,
    tables_with,
    write_everywhere,
)
from tests.documents import invoice, project, scan
from tests.e2e.installation import (
    RECOVERY_SECONDS,
    TURN_SECONDS,
    Installation,
    patiently,
    wait_until,
)
from tests.e2e.program import listening
from tests.postgres import away, create_database, kill_and_start, running_postgres
from tests.postgres_killer import Killer, killer_in_thread
from tests.receiver import receiving
from tests.unit.flows.conftest import PROJECT, bytes_of, make_wait

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(600)]

AWAY_SECONDS = int(os.environ.get("PAPERTRAY_AWAY_SECONDS", "5"))
"""How long both databases are away at once; `make chaos` has them away for a minute."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_postgres(tmp_path_factory.mktemp("postgres") / "server") as address:
        yield address


@pytest.fixture(scope="module")
def store_url(server: str) -> str:
    url = create_database(server, "store")
    migrate(url)
    return url


@pytest.fixture
async def alice(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Caller]:
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    monkeypatch.setenv("PAPERTRAY_DATABASE_URL", store_url)
    for cached in (settings, database, blobs):
        cached.cache_clear()
    yield Caller(await organization_named(tmp_path.name), Actor("alice@example.com", "tests"))
    await database().close()
    for cached in (settings, database, blobs):
        cached.cache_clear()


async def waiting_task(alice: Caller) -> Task:
    await verbs.install_project(alice, PROJECT)
    file = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(b"%PDF-1.7 made up"))
    return await make_wait(await verbs.submit_process(alice, project="invoices", file_id=file.id))


def test_the_migrations_make_what_the_models_say(store_url: str) -> None:
    command.check(alembic_config(store_url))


def test_the_schema_goes_back_and_forth(server: str) -> None:
    url = create_database(server, "back_and_forth")
    migrate(url)
    command.downgrade(alembic_config(url), "base")
    migrate(url)
    command.check(alembic_config(url))


def test_rows_live_through_every_migration_there_and_back(server: str) -> None:
    url = create_database(server, "with_rows")
    config = alembic_config(url)
    command.upgrade(config, "0003")
    asyncio.run(in_tables(url, fill_each_table))
    before = asyncio.run(in_tables(url, rows_of_each_table))
    assert {"task", "document", "file", "page", "project"} <= set(before)
    command.upgrade(config, "head")
    command.check(config)
    after = asyncio.run(in_tables(url, rows_of_each_table))
    for table, rows in before.items():
        for old, new in zip(rows, after[table], strict=True):
            assert {name: new[name] for name in old if name in new} == {
                name: value for name, value in old.items() if name in new
            }
    (task,), (document,) = after["task"], after["document"]
    assert (task["review_step"], task["source"], task["task_data"]) == ("extract", "", None)
    assert (document["is_extracted"], document["pages_confidence"]) == (True, 1.0)
    command.downgrade(config, "0003")
    assert asyncio.run(in_tables(url, rows_of_each_table)) == before


Rows = dict[str, list[dict[str, Any]]]


async def in_tables(url: str, work: Callable[[Connection, MetaData], Any]) -> Any:
    """Do something with all tables of a database, as they are there."""
    engine = create_async_engine(url)

    def run(connection: Connection) -> Any:
        tables = MetaData()
        tables.reflect(connection)
        return work(connection, tables)

    async with engine.begin() as connection:
        result = await connection.run_sync(run)
    await engine.dispose()
    return result


def rows_of_each_table(connection: Connection, tables: MetaData) -> Rows:
    found = {
        table.name: [dict(row) for row in connection.execute(table.select()).mappings()]
        for table in tables.sorted_tables
    }
    return {name: rows for name, rows in found.items() if rows and name != "alembic_version"}


def fill_each_table(connection: Connection, tables: MetaData) -> None:
    """A row in each table: what a column refers to, else something of its type."""
    words = {"state": "in_review", "review_round": 1}
    for table in tables.sorted_tables:
        if table.name == "alembic_version":
            continue
        row: dict[str, Any] = {}
        for column in table.columns:
            key = next(iter(column.foreign_keys), None)
            if key is not None and key.column.table is not table:
                row[column.name] = connection.scalar(select(key.column))
            elif column.name in words:
                row[column.name] = words[column.name]
            elif not column.nullable and column.server_default is None:
                row[column.name] = _something(column)
        connection.execute(table.insert().values(row))


def _something(column: Column[Any]) -> Any:
    kind = column.type.python_type
    made: dict[type, Any] = {
        UUID: uuid4(),
        str: "a",
        int: 1,
        float: 1.0,
        bool: True,
        bytes: b"a",
        dict: {},
        datetime: datetime(2026, 3, 14, tzinfo=UTC),
    }
    value = made[kind]
    return value.replace(tzinfo=None) if kind is datetime and not column.type.timezone else value  # pyright: ignore[reportAttributeAccessIssue]  # of a DateTime


def test_two_that_migrate_at_once_do_not_disturb_each_other(server: str) -> None:
    url = create_database(server, "at_once")
    code = f"from store.database import migrate; migrate({url!r})"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    command.check(alembic_config(url))


async def test_of_many_that_decide_at_once_one_wins(alice: Caller) -> None:
    task = await waiting_task(alice)
    results = await asyncio.gather(
        *(
            verbs.complete(alice, task.public_id, {"total": "10.00"})
            if n % 2
            else verbs.discard(alice, task.public_id)
            for n in range(16)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Task) for result in results) == 1, results
    assert sum(isinstance(result, ConflictError) for result in results) == 15, results
    async with database().reading() as session:
        calls = (await session.execute(select(Outbox).where(Outbox.task_id == task.id))).scalars()  # pyright: ignore[reportArgumentType]  # a column
        assert [call.kind for call in calls] == ["submit", "resume"]


async def test_clients_that_race_for_the_next_task_get_different_ones(alice: Caller) -> None:
    for _ in range(4):
        await waiting_task(alice)
    got = await asyncio.gather(*(verbs.next_task(alice) for _ in range(8)))
    ids = [task.id for task in got if task]
    assert len(ids) == len(set(ids)) == 4


async def test_of_exports_that_want_one_name_at_once_each_has_its_own(
    alice: Caller, tmp_path: Path
) -> None:
    source = "name: orders\nblocks: [{name: a, type: text}]\nexport: {name: same, to: orders}\n"
    await verbs.install_project(alice, source)
    tasks = [await verbs.submit_process(alice, project="orders", data={}) for _ in range(6)]
    for task in tasks:
        file = await verbs.store_bytes(alice, name="same.json", chunks=bytes_of(b"{}"))
        file.task_id, file.role = task.id, "data"
        async with database().writing() as session:
            session.add(file)
    for _ in range(2):  # done again, each takes its own place
        await asyncio.gather(*(deliver.fn(task.id) for task in tasks))
        names = {path.name for path in (tmp_path / "exports" / tmp_path.name / "orders").iterdir()}
        assert names == {"same.json", *(f"same-{n}.json" for n in range(2, 7))}


async def test_senders_of_webhooks_share_the_work_and_lose_nothing(
    alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    async with receiving() as receiver, PublicHttp() as http:
        for path in ("/one", "/other"):
            await webhooks.create_webhook(alice, url=receiver.url(path))
        await asyncio.gather(*(make_events(alice, 20) for _ in range(5)))
        stop = asyncio.Event()
        senders = [asyncio.create_task(Deliverer(http).run(stop)) for _ in range(3)]
        await receiver.until(200)
        stop.set()
        await asyncio.gather(*senders)
        assert await Deliverer(http).deliver_due() == 0
    for path in ("/one", "/other"):
        heard = [one.event for one in receiver.heard if one.path == path]
        assert len({event["id"] for event in heard}) == len(heard) == 100
        assert sorted(event["sequence"] for event in heard) == list(range(1, 101))


async def make_events(alice: Caller, count: int) -> None:
    async with database().writing() as session:
        for _ in range(count):
            record(session, "task.failed", alice.actor, organization_id=alice.organization_id)


@pytest.fixture(scope="module")
def killer(server: str) -> Iterator[tuple[Killer, str]]:
    with killer_in_thread(server) as found:
        yield found


@pytest.fixture(scope="module")
def urls(server: str, killer: tuple[Killer, str]) -> tuple[str, str]:
    """Of the databases of an installation, and of its Prefect server, by way of a killer."""
    ours, prefects = create_database(server, "papertray"), create_database(server, "prefect")
    return ours.replace(server, killer[1]), prefects.replace(server, killer[1])


@pytest.fixture(scope="module")
def papertray(
    urls: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    installation = Installation(
        tmp_path_factory.mktemp("papertray"),
        PAPERTRAY_DATABASE_URL=urls[0],
        PREFECT_SERVER_DATABASE_CONNECTION_URL=urls[1],
        PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32",
    )
    installation.start()
    yield installation
    installation.stop()


def test_papertray_and_prefect_run_on_postgresql(server: str, papertray: Installation) -> None:
    papertray.install(project())
    clear = [papertray.submit(invoice()), papertray.submit(scan(invoice()))]
    unclear = papertray.submit(invoice(total="120.00"))
    papertray.until(unclear, "in_review")
    papertray.until_run(unclear, "Suspended")
    papertray.kill("worker")
    answer = papertray.api.post(f"/tasks/{unclear}/complete", json={"values": {"total": "119.00"}})
    assert answer.status_code == 200
    for task in (*clear, unclear):
        papertray.until(task, "completed", seconds=90)
        papertray.until_run(task, "Completed")
    # Both databases are killed, and away for a while.
    waiting = papertray.submit(invoice(total="120.00"))
    papertray.until(waiting, "in_review")
    reading = papertray.submit(scan(invoice(pages=3)))
    with away(server):
        for _ in range(AWAY_SECONDS):
            answer = papertray.api.get("/tasks")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_away")
            time.sleep(1)
    put_right(papertray, waiting)
    for task in (waiting, reading):
        ends_right(papertray, task)
    assert not (papertray.home / "papertray.db").exists()
    assert not (papertray.home / "prefect" / "prefect.db").exists()


def is_read(papertray: Installation, task: str) -> bool:
    with suppress(httpx.TransportError):
        return papertray.task(task)["progress"]["step"] == "read"
    return False


def put_right(papertray: Installation, task: str) -> None:
    """Decide what waits for a person, as one who asks again where no answer came."""
    answer = patiently(
        lambda: papertray.api.post(f"/tasks/{task}/complete", json={"values": {"total": "119.00"}}),
        until=lambda answer: answer.status_code != 503,
    )
    assert answer.status_code in {200, 409}, answer.text


def ends_right(papertray: Installation, task: str) -> None:
    """Completed once, its files there once, its run ended with the same word."""
    papertray.until(task, "completed", "failed", seconds=RECOVERY_SECONDS)
    assert papertray.task(task)["state"] == "completed"
    assert papertray.events(task).count("task.completed") == 1
    outputs = papertray.api.get(f"/tasks/{task}/outputs").json()["data"]
    assert sorted(one["name"] for one in outputs) == ["data.csv", "data.json", "searchable.pdf"]
    papertray.until_run(task, "Completed", seconds=RECOVERY_SECONDS)


def test_both_databases_are_killed_at_each_step_of_one_life(
    papertray: Installation, server: str, killer: tuple[Killer, str]
) -> None:
    papertray.install(project())

    @contextmanager
    def killed_before(statement: str) -> Iterator[None]:
        """Both databases, as the first statement with these words comes; what causes it, inside."""
        killing, _ = killer
        killing.kill_before(statement)
        yield
        wait_until(lambda: killing.kills == 1, TURN_SECONDS, lambda: f"never said: {statement}")

    with listening(lambda _: 200) as program:
        webhook = {"url": program.url("/all"), "events": ["task.completed"]}
        assert papertray.api.post("/webhooks", json=webhook).status_code == 201
        with killed_before("INSERT INTO flow_run ("):  # taken in, before Prefect has its run
            task = papertray.submit(scan(invoice(pages=2, total="120.00")))
        wait_until(lambda: is_read(papertray, task), TURN_SECONDS, lambda: "it is never read")
        kill_and_start(server)
        with killed_before("INSERT INTO flow_run_input"):  # paused, before the schema of its form
            pass
        papertray.until(task, "in_review", seconds=RECOVERY_SECONDS)
        with killed_before("UPDATE outbox SET available_at"):  # decided, before it is resumed
            put_right(papertray, task)
        with killed_before("INSERT INTO file "):  # its files made, before their rows
            pass
        with killed_before("tried_at="):  # its webhook sent, before that is noted
            pass
        began = time.monotonic()
        ends_right(papertray, task)
        wait_until(lambda: bool(program.taken("/all")), RECOVERY_SECONDS, lambda: "no webhook")
        print(f"killed at 6 steps of one life; right {time.monotonic() - began:.0f} s after")
        assert len({said.id for said in program.heard}) == 1


def test_what_is_erased_is_in_no_row_of_any_table(
    papertray: Installation, urls: tuple[str, str]
) -> None:
    def left() -> list[str]:
        tables = [table for url in urls for table in asyncio.run(tables_with(CANARY, url))]
        return [*tables, *places_of(CANARY, papertray.home)]

    papertray.install(project("final", "retention: {data: final}\n"))
    papertray.install(project("kept"))
    by_api, in_prefect = (submit(papertray, CANARY, "final") for _ in range(2))
    deleted = submit(papertray, CANARY, "kept")
    for task in (by_api, in_prefect, deleted):
        papertray.until(task, "in_review")
    run = papertray.until_run(in_prefect, "Suspended")
    write_everywhere(papertray, CANARY, by_api)
    write_everywhere(papertray, CANARY, deleted)
    assert {"public.task", "public.activity", "public.artifact"} <= set(left())
    complete(papertray, CANARY, by_api)
    papertray.resume_in_prefect(
        run["id"], decision="complete", note=CANARY, value_total="119.00", value_number=CANARY
    )
    assert papertray.api.delete(f"/tasks/{deleted}").status_code == 204
    wait_until(
        lambda: not left(),
        ERASED_SECONDS,
        lambda: f"left in {left()}",
        every_seconds=2.0,  # to read all tables is work for those who are to empty them
    )
    for task in (by_api, in_prefect):
        assert papertray.task(task)["state"] == "completed"
