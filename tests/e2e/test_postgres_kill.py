"""kill -9 of PostgreSQL at each step of a life: before a command arrives, or before it is answered.

What is committed without an answer is the hard part: who asked does not know whether it was done.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import ColumnElement, delete
from sqlmodel import SQLModel, col, select

from api import idempotency
from api.rate_limits import RateLimits
from flows import deliver_webhooks, dispatch, engine, erase, task_run, webhooks
from flows.deliver_webhooks import Deliverer
from flows.dispatch import dispatch_once
from flows.public_http import PublicHttp
from store.access import Caller
from store.blobs import blobs
from store.database import TROUBLE, database, migrate
from store.keys import create_key
from store.models import Delivery, Outbox, Task
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor
from tests.contract.test_store_faults import FORM, ONCE
from tests.contract.world import blobs_on_disk, install
from tests.flow_driver import Driver
from tests.postgres import create_database, running_postgres
from tests.postgres_killer import Killer, Moment, killer_before
from tests.receiver import receiving
from tests.unit.flows.test_dispatch import Prefect
from tests.unit.flows.test_store_faults import decides, is_right, started
from tests.whole_app import whole_app

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(600)]

ONLY_COMMITS = "PAPERTRAY_KILL_EACH_COMMAND" not in os.environ
"""Killed at commits only, when they are made and not answered. Else each command of a life is two
moments to be killed at, which takes minutes: `make chaos`."""

QUICK: list[tuple[Any, str, Any]] = [
    (task_run, "TROUBLE_WAITS_SECONDS", (0.05,) * 2000),
    (deliver_webhooks, "LOOK_SECONDS", 0.05),
    (idempotency, "SETTLE_SECONDS", 0.05),
    (dispatch, "TAKEN_SECONDS", 0.5),
]
"""How long is waited for a database, by whom."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_postgres(tmp_path_factory.mktemp("postgres") / "server") as address:
        yield address


@pytest.fixture(params=[Moment.AFTER] if ONLY_COMMITS else Moment)
async def killer(
    request: pytest.FixtureRequest, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Killer]:
    url = create_database(server, f"store_{tmp_path.name}")
    await asyncio.to_thread(migrate, url)
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    async with killer_before(server) as (killer, address):
        monkeypatch.setenv("PAPERTRAY_DATABASE_URL", url.replace(server, address))
        for cached in (settings, database, blobs):
            cached.cache_clear()
        killer.moment, killer.only_commits = request.param, ONLY_COMMITS
        yield killer
        await database().close()
    for cached in (settings, database, blobs):
        cached.cache_clear()


async def test_a_life_in_which_the_database_is_killed_at_each_step_ends_right(
    killer: Killer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in QUICK:
        monkeypatch.setattr(module, name, value)
    alice = Caller(await organization_named("acme"), Actor("alice@example.com", "tests"))
    kills: dict[str, int] = {}
    async with receiving() as receiver, PublicHttp() as http:
        url = receiver.url()
        await webhooks.create_webhook(alice, url=url, event_types=["task.completed"])
        driver = Driver(monkeypatch)
        task = await started(alice)
        killer.begin()
        for _ in range(200):
            with suppress(*TROUBLE):  # of what is read at the end, by the driver itself
                await driver.process(task, *[decides(alice)] * 100)
                break
        kills["life"] = killer.end()
        await is_right(task)

        deliverer = Deliverer(http, answer_seconds=1.0, taken_seconds=1.5)
        killer.begin()
        while await is_any(Delivery, col(Delivery.due_at).is_not(None)):
            await deliverer.deliver_due()
        kills["webhook"] = killer.end()
        assert {heard.event["type"] for heard in receiver.heard} == {"task.completed"}
        assert len({heard.id for heard in receiver.heard}) == 1

    async with database().writing() as session:
        await session.execute(delete(Outbox))  # a life without Prefect leaves its calls
    Prefect(monkeypatch).is_away = False
    app = whole_app()
    app.state.rate_limits = RateLimits()
    key = (await create_key(["admin"], organization="acme")).key
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://p", headers={"x-api-key": key}
    ) as client:
        await install(client)
        killer.begin()
        answer = await until_taken_in(client)
        kills["intake"] = killer.end()
        assert answer.status_code == 202
        again = await client.post("/v1/tasks", headers=ONCE, **FORM)
        assert again.content == answer.content
        assert len((await client.get("/v1/tasks?project=invoices")).json()["data"]) == 1

        monkeypatch.setattr(erase, "ABANDONED_SECONDS", -1.0)
        for call in ("cancel", "delete_run", "read_runs"):
            monkeypatch.setattr(engine, call, no_runs)
        killer.begin()
        while await is_any(Outbox):
            with suppress(*TROUBLE):
                await dispatch_once()
        kills["call"] = killer.end()
        killer.begin()
        for one in (task.public_id, answer.json()["id"]):
            # 404: it was done, and the answer was lost.
            while (await client.delete(f"/v1/tasks/{one}")).status_code not in {204, 404}:
                await asyncio.sleep(0.05)
        while await is_any(Outbox):
            with suppress(*TROUBLE):
                await dispatch_once()
        while await is_any(Task, col(Task.erased_at).is_(None)):
            with suppress(*TROUBLE):
                await erase.erase_due()
        while True:
            with suppress(*TROUBLE):
                await erase.retain_once()
                break
        kills["end"] = killer.end()
    assert blobs_on_disk() == []
    print(f"{sum(kills.values())} kills: {kills}")
    assert min(kills.values()) >= 1


async def until_taken_in(client: httpx.AsyncClient) -> httpx.Response:
    """Send a document as a client that tries again while the server cannot take it."""
    while True:
        answer = await client.post("/v1/tasks", headers=ONCE, **FORM)
        if answer.status_code not in {503, 409}:
            return answer
        await asyncio.sleep(0.05)


async def no_runs(_: object) -> dict[UUID, Any]:
    """What Prefect knows of runs, where there is none."""
    return {}


async def is_any(table: type[SQLModel], *conditions: ColumnElement[bool]) -> bool:
    """Whether there is such a row, once the database is there."""
    while True:
        with suppress(*TROUBLE):
            async with database().reading() as session:
                query = select(table).where(*conditions)
                return (await session.execute(query)).first() is not None
        await asyncio.sleep(0.05)
