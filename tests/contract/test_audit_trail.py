"""Whatever changes a task says who did it and by which way in; what is repeated is done once.

The addresses are those of every surface, called as the tests of access call them.
"""

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from sqlmodel import col

from api.error_shapes import ALUMA, HUMAN_LAMBDAS, INNODATA, SEND_AI, SHAPES, V1, shape_of
from api.idempotency import ABANDONED
from api.rate_limits import RateLimit
from store.database import database
from store.ids import now
from store.models import Activity, IdempotencyRecord, Task
from tests.contract.surface_calls import SURFACE_CALLS
from tests.contract.test_access_matrix import ADDRESSES, key_spelt, schemes_of
from tests.contract.test_v1_access import HELD_FIRST, address_of, call_of
from tests.contract.world import Client
from tests.faults import all_rows, killed_at_commits

ADA = "ada@example.com"
SURFACES = {
    V1.prefixes: "v1",
    ALUMA.prefixes: "aluma",
    SEND_AI.prefixes: "send-ai",
    HUMAN_LAMBDAS.prefixes: "human-lambdas",
    INNODATA.prefixes: "innodata",
}
"""What the record calls a way in."""

OF_TASKS = ("/v1/tasks", "/v1/pdf-operations", "/v1/image-operations", "/v1/projects/{name}/import")
"""Beginnings of the addresses under /v1 that may change a task."""

CHANGING = {
    (method, path)
    for method, path in ADDRESSES
    if (method != "get" or path.endswith("/next"))  # Human Lambdas' GET takes the task
    and (shape_of(path) is not V1 or path.startswith(OF_TASKS))
    and "/workflows" not in path  # another spelling of /queues
}


async def tasks() -> dict[UUID, dict[str, Any]]:
    """Every task as it is."""
    async with database().reading() as session:
        rows = (await session.execute(select(Task))).scalars().all()
        return {row.id: row.model_dump() for row in rows}


async def happened_since(number: int) -> list[Activity]:
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.number) > number)
        return list((await session.execute(query)).scalars().all())


async def last_number() -> int:
    async with database().reading() as session:
        return (await session.execute(select(func.max(col(Activity.number))))).scalar() or 0


async def prepared(
    client: Client, key: dict[str, str], method: str, path: str
) -> tuple[str, dict[str, Any]]:
    """An address, and what goes beside it; what it is about is there, and held where it must be."""
    if shape_of(path) is not V1:
        call = SURFACE_CALLS[method, path]
        subject = await call.of(client)
        if call.held_by:
            at = f"/v1/tasks/{subject['public_id']}/{call.held_by}"
            assert (await client.post(at, headers=key)).status_code == 200
        return path.format(**subject), call.sent(subject)
    call = call_of(method, path)
    address = address_of(path, await call.of(client))
    for verb, first in HELD_FIRST.items():
        if path.endswith(verb):
            held = await client.post(address.replace(verb, first), headers=key)
            assert held.status_code == 200
    return address, dict(call.send)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: SURFACES[shape.prefixes])
async def test_each_change_of_a_task_has_its_event_and_a_repeated_post_changes_nothing(
    shape: Any, app: FastAPI, client: Client, stranger: Client
) -> None:
    app.state.rate_limits.of_key = RateLimit(0)
    spelt: dict[str, dict[str, str]] = {}
    native = await key_spelt("ApiKey", "admin", user=ADA)
    changes = 0
    for number, (method, path) in enumerate(sorted(CHANGING)):
        if shape_of(path) is not shape:
            continue
        scheme = next(iter(schemes_of(ADDRESSES[method, path])))
        if scheme not in spelt:
            spelt[scheme] = await key_spelt(scheme, "admin", user=ADA)
        address, sent = await prepared(client, native, method, path)
        headers = {**spelt[scheme], **sent.pop("headers", {}), "idempotency-key": str(number)}
        before, since = await tasks(), await last_number()

        answer = await stranger.request(method, address, headers=headers, **sent)
        assert answer.is_success, (method, path, answer.text)
        after, events = await tasks(), await happened_since(since)
        changed = {id_ for id_ in {*before, *after} if before.get(id_) != after.get(id_)}
        told = {event.task_id for event in events}
        assert changed <= told, (method, path)
        for event in events:
            assert (event.actor, event.surface) == (ADA, SURFACES[shape.prefixes]), (method, path)
        changes += len(changed)

        if method == "post":
            again = await stranger.request(method, address, headers=headers, **sent)
            assert again.content == answer.content, (method, path)
            assert again.headers["idempotent-replayed"] == "true"
            assert await tasks() == after, (method, path)
            assert len(await happened_since(since)) == len(events), (method, path)
    print(f"{changes} changes of tasks, each with its event")
    assert changes >= 6


ONE_TASK = [
    ("post", "/v1/tasks"),
    ("post", "/v1/pdf-operations/extract-text"),
    ("post", "/tasks"),
    ("post", "/orgs/{organization_id}/queues/{queue_id}/tasks/create"),
    ("post", "/v2/{team_id}/project/{project_id}/upload"),
    ("post", "/jobs"),
]
"""An address of each surface that makes a task, and one that makes it without a project."""


@pytest.mark.parametrize(("method", "path"), ONE_TASK, ids=lambda part: str(part))
async def test_fifty_equal_requests_at_once_make_one_task(
    method: str, path: str, client: Client, stranger: Client
) -> None:
    scheme = next(iter(schemes_of(ADDRESSES[method, path])))
    key = await key_spelt(scheme, "admin", user=ADA)
    address, sent = await prepared(client, key, method, path)
    headers = {**key, **sent.pop("headers", {}), "idempotency-key": "order-4711"}
    answers = await asyncio.gather(
        *(stranger.request(method, address, headers=headers, **sent) for _ in range(50))
    )
    assert len(await tasks()) == 1
    assert len({answer.content for answer in answers if answer.is_success}) == 1
    refused = [answer for answer in answers if not answer.is_success]
    # The first one was still being answered.
    assert {answer.status_code for answer in refused} <= {400, 409}
    assert all("Idempotency-Key is still being answered" in answer.text for answer in refused)
    last = await stranger.request(method, address, headers=headers, **sent)
    assert last.is_success
    assert last.headers["idempotent-replayed"] == "true"


MAKING = [
    *ONE_TASK,
    *(("post", f"/v1/{name}") for name in ("files", "keys", "projects", "webhooks")),
]


async def done_so_far() -> dict[str, Any]:
    """All that is remembered, but for what is kept of requests themselves."""
    return {name: rows for name, rows in (await all_rows()).items() if "idempotency" not in name}


@pytest.mark.parametrize(("method", "path"), MAKING, ids=lambda part: str(part))
async def test_whenever_its_server_dies_a_request_was_not_done_or_is_answered_as_it_was(
    method: str, path: str, client: Client, stranger: Client
) -> None:
    scheme = next(iter(schemes_of(ADDRESSES[method, path])))
    key = await key_spelt(scheme, "admin", user=ADA)
    address, sent = await prepared(client, key, method, path)
    given = sent.pop("headers", {})
    await stranger.request(method, address, headers=key)  # the key is used, that is written once
    kills = replayed = 0
    for number in (1, 2, 3):
        for is_after in (False, True):
            headers = {**key, **given, "idempotency-key": f"order-{number}-{is_after}"}
            before = await done_so_far()
            with killed_at_commits() as commits:
                commits.kills_at, commits.is_after, commits.stays_dead = number, is_after, True
                with suppress(BaseException):  # Killed, alone or in a group of those around it
                    await stranger.request(method, address, headers=headers, **sent)
            if commits.count < number:
                break
            kills += 1
            async with database().writing() as session:
                long_ago = now() - 2 * ABANDONED
                await session.execute(update(IdempotencyRecord).values(created_at=long_ago))
            after = await done_so_far()
            if after == before:
                continue  # it was not done, and can be sent again
            again = await stranger.request(method, address, headers=headers, **sent)
            assert again.is_success, again.text
            assert again.headers["idempotent-replayed"] == "true"
            assert await done_so_far() == after
            replayed += 1
    assert (kills, replayed) == (4, 1)  # the key is taken; the work is done and answered
    print(f"{method} {path}: {kills} kills")
