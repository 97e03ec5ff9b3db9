"""Database and disk fail under the API: it says so, leaves nothing half done, and goes on."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, event

from api import idempotency
from api.error_shapes import SHAPES
from store import sqlite
from store.database import database
from tests.contract.test_errors import problem_in
from tests.contract.test_rate_limits import CALLS
from tests.contract.world import PNG, Client, MakeKey, blobs_on_disk, install
from tests.faults import AWAY, FULL, all_rows, counted

ONCE = {"idempotency-key": "order-4711"}
FORM: dict[str, Any] = {"files": {"file": ("page.png", PNG)}, "data": {"project": "invoices"}}
VERDICT = {AWAY: (503, "database_away"), FULL: (507, "storage_full")}


@pytest.fixture
async def sender(client: Client) -> Client:
    """A client whose key was used just now, so that nothing is written of that."""
    await install(client)
    await client.get("/v1/tasks")
    return client


async def test_whatever_statement_of_an_intake_fails_nothing_is_left_and_the_next_try_is_the_first(
    sender: Client,
) -> None:
    rows, failures, made = await all_rows(), 0, ""
    for number in range(1, 100):
        with counted() as statements:
            statements.fails_at, statements.code = number, (AWAY, FULL)[number % 2]
            answer = await sender.post("/v1/tasks", headers=ONCE, **FORM)
        if answer.status_code == 202:
            made = answer.json()["id"]
            break
        failures += 1
        problem_in(answer, *VERDICT[statements.code])
        assert answer.headers["retry-after"] == "5"
        assert await all_rows() == rows
        assert blobs_on_disk() == []
    tasks = (await sender.get("/v1/tasks")).json()["data"]
    assert [task["id"] for task in tasks] == [made]
    assert len(blobs_on_disk()) == 1
    print(f"{failures} statements of an intake failed")
    assert failures >= 10


async def test_a_key_that_could_not_be_given_back_at_once_is_soon(
    sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SETTLE_SECONDS", 0.01)
    with counted() as statements:
        statements.each_fails_once = True
        async with asyncio.timeout(idempotency.ABANDONED.total_seconds() - 10):
            while (await sender.post("/v1/tasks", headers=ONCE, **FORM)).status_code != 202:
                await asyncio.sleep(0.01)
    given_back = "DELETE FROM idempotencyrecord WHERE idempotencyrecord.id = "
    assert [one for one in statements.failed if one.startswith(given_back)]
    assert len((await sender.get("/v1/tasks")).json()["data"]) == 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
async def test_a_database_that_is_away_is_told_in_the_shape_of_the_surface(
    shape: Any, stranger: Client, make_key: MakeKey
) -> None:
    address, spelt = CALLS[shape.prefixes[0]]
    headers = spelt(await make_key())
    with counted() as statements:
        statements.fails_at = 1
        refused = await stranger.get(address, headers=headers)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.headers["content-type"] == shape.media_type


async def test_while_another_process_locks_the_database_reads_go_on_and_writes_wait_or_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, sender: Client
) -> None:
    # Whoever has it has it for longer than anybody waits.
    await database().close()
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 50)
    other = sqlite3.connect(home / "papertray.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert (await sender.get("/v1/tasks")).status_code == 200
    answers = await asyncio.gather(*(sender.post("/v1/tasks", **FORM) for _ in range(3)))
    for answer in answers:
        problem_in(answer, 503, "database_away")
    assert blobs_on_disk() == []
    # And for a while only.
    await database().close()
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 60_000)
    waiting = [asyncio.create_task(sender.post("/v1/tasks", **FORM)) for _ in range(3)]
    done, _ = await asyncio.wait(waiting, timeout=0.2)
    assert not done
    other.execute("ROLLBACK")
    other.close()
    assert [(await one).status_code for one in waiting] == [202, 202, 202]
    assert len((await sender.get("/v1/tasks")).json()["data"]) == 3


async def test_a_database_without_room_is_told_and_goes_on_once_there_is_some(
    sender: Client,
) -> None:
    """SQLite's own limit of pages is to it what a full disk is (SQLITE_FULL)."""
    more_pages = 0

    def limit(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + more_pages}")

    event.listen(database().engine.sync_engine, "begin", limit)
    metadata = json.dumps({"long": "x" * 50_000})
    form: dict[str, Any] = {**FORM, "data": {"project": "invoices", "metadata": metadata}}
    problem_in(await sender.post("/v1/tasks", **form), 507, "storage_full")
    assert blobs_on_disk() == []
    assert (await sender.get("/v1/tasks")).json()["data"] == []
    more_pages = 1000
    assert (await sender.post("/v1/tasks", **form)).status_code == 202


async def test_pages_say_that_the_store_is_away(app: FastAPI, home: Path) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://papertray.test") as client:
        with counted() as statements:
            statements.fails_at = 1
            page = await client.get("/review")
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Not available now" in page.text
