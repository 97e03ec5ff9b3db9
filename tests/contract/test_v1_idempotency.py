"""A POST with an Idempotency-Key is done once and answered twice the same."""

import asyncio
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from api.idempotency import ABANDONED, KEPT
from store.database import database
from store.ids import now
from store.models import IdempotencyRecord
from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import (
    PNG,
    Client,
    MakeKey,
    blobs_on_disk,
    install,
    let_happen,
    send_file,
    send_task,
)

ONCE = {"idempotency-key": "order-4711"}
FORM: dict[str, Any] = {
    "files": {"file": ("page.png", PNG)},
    "data": {"project": "invoices", "metadata": '{"order": 4711}'},
}


async def grow_older(by: timedelta) -> None:
    async with database().writing() as session:
        await session.execute(
            update(IdempotencyRecord).values(created_at=now() - by - timedelta(seconds=1))
        )


async def count(client: Client, path: str) -> int:
    return len((await client.get(path)).json()["data"])


async def test_the_same_form_again_gives_the_same_answer_and_does_nothing(client: Client):
    await install(client)
    first = await client.post("/v1/tasks", headers=ONCE, **FORM)
    again = await client.post("/v1/tasks", headers=ONCE, **FORM)
    # The client has put another boundary between the parts: the bytes sent were not the same.
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await count(client, "/v1/tasks") == 1
    assert len(blobs_on_disk()) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"files": {"file": ("page.png", PNG + b"x")}},
        {"files": {"file": ("other.png", PNG)}},
        {"data": {"project": "invoices"}},
        {"params": {"x": "1"}},
    ],
    ids=["content", "name", "field", "query"],
)
async def test_the_same_key_with_another_request_is_a_422(client: Client, other: dict[str, Any]):
    await install(client)
    await client.post("/v1/tasks", headers=ONCE, **FORM)
    answer = await client.post("/v1/tasks", headers=ONCE, **{**FORM, **other})
    problem_in(answer, 422, "idempotency_key_reused")
    assert await count(client, "/v1/tasks") == 1


async def test_the_same_key_of_another_person_is_a_422(
    client: Client, stranger: Client, make_key: MakeKey
):
    address = f"/v1/tasks/{await send_task(client)}/report"
    body = {"issues": [{"problem": "blurred"}]}
    assert (await client.post(address, json=body, headers=ONCE)).status_code == 200
    ada = {"x-api-key": await make_key(user="ada@example.com"), **ONCE}
    answer = await stranger.post(address, json=body, headers=ada)
    problem_in(answer, 422, "idempotency_key_reused")


async def test_the_same_key_in_another_organization_is_another_key(
    client: Client, stranger: Client, make_key: MakeKey
):
    body = {"input": "file_abc", "format": "plain"}
    address = "/v1/pdf-operations/extract-text"
    first = await client.post(address, json=body, headers=ONCE)
    other = {"x-api-key": await make_key(organization="globex"), **ONCE}
    second = await stranger.post(address, json=body, headers=other)
    assert first.json()["id"] != second.json()["id"]


async def test_without_a_key_the_same_request_is_done_twice(client: Client):
    await install(client)
    for _ in range(2):
        await client.post("/v1/tasks", **FORM)
    assert await count(client, "/v1/tasks") == 2


async def test_of_two_requests_at_once_one_is_done(client: Client):
    await install(client)
    answers = await asyncio.gather(
        *(client.post("/v1/tasks", headers=ONCE, **FORM) for _ in range(5))
    )
    assert await count(client, "/v1/tasks") == 1
    bodies = {answer.content for answer in answers if answer.status_code == 202}
    assert len(bodies) == 1
    for answer in answers:
        if answer.status_code != 202:
            problem_in(answer, 409, "request_under_way")


async def test_an_error_is_given_again_too(client: Client):
    task_id = await send_task(client)
    address = f"/v1/tasks/{task_id}/retry"
    first = await client.post(address, headers=ONCE)
    problem_in(first, 409, "illegal_transition")
    await let_happen(task_id, Event.START, Event.FAIL)
    again = await client.post(address, headers=ONCE)
    assert again.content == first.content
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"
    assert (await client.post(address, headers={"idempotency-key": "b"})).status_code == 200


async def test_an_empty_answer_is_given_again_too(client: Client):
    for replayed in (None, "true"):
        answer = await client.post("/v1/tasks/next", headers=ONCE)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers.get("idempotent-replayed") == replayed


async def test_a_mistake_of_ours_is_not_kept(client: Client, monkeypatch: pytest.MonkeyPatch):
    await install(client)
    with monkeypatch.context() as broken:

        async def fail(*_: Any, **__: Any) -> Any:
            raise RuntimeError

        broken.setattr("flows.verbs.submit_process", fail)
        problem_in(await client.post("/v1/tasks", headers=ONCE, **FORM), 500, "internal")
        assert blobs_on_disk() == []
    answer = await client.post("/v1/tasks", headers=ONCE, **FORM)
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers


async def test_a_key_is_free_again_after_a_day(client: Client):
    body = {"input": "file_abc", "format": "plain"}
    address = "/v1/pdf-operations/extract-text"
    first = await client.post(address, json=body, headers=ONCE)
    await grow_older(KEPT)
    second = await client.post(address, json=body, headers=ONCE)
    assert second.json()["id"] != first.json()["id"]


async def test_a_request_whose_server_died_can_be_sent_again(client: Client):
    body = {"input": "file_abc", "format": "plain"}
    address = "/v1/pdf-operations/extract-text"
    await client.post(address, json=body, headers=ONCE)
    async with database().writing() as session:
        await session.execute(update(IdempotencyRecord).values(status=None, body=""))
    problem_in(await client.post(address, json=body, headers=ONCE), 409, "request_under_way")
    await grow_older(ABANDONED)
    assert (await client.post(address, json=body, headers=ONCE)).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
async def test_a_key_that_is_none_is_a_422(client: Client, key: str):
    answer = await client.post(
        "/v1/tasks/next", headers={b"idempotency-key": key.encode("latin-1")}
    )
    problem_in(answer, 422, "input_rejected")


SECRETS = {
    "/v1/keys": ("key", {"scopes": ["task.read"], "is_client": True}),
    "/v1/webhooks": ("secret", {"url": "https://example.com/hook"}),
    "/v1/webhooks/{webhook_id}/rotate-secret": ("secret", {}),
}
"""Addresses whose answer has a secret, where it is, and what is sent."""


def test_these_are_the_addresses_whose_answers_have_secrets(app: FastAPI):
    found = {
        path
        for path, methods in app.openapi()["paths"].items()
        if path.startswith("/v1/")
        for described in methods.values()
        if re.search('whsec_|ptk_[^"]*\\.\\.\\.|pts_|ptt_', json.dumps(described["responses"]))
    }
    assert found == set(SECRETS)


@pytest.mark.parametrize("path", SECRETS)
async def test_a_secret_is_given_again_and_lies_readable_nowhere(
    path: str, client: Client, stranger: Client, make_key: MakeKey
):
    member, body = SECRETS[path]
    if "{" in path:
        webhook = await client.post("/v1/webhooks", json=SECRETS["/v1/webhooks"][1])
        path = path.format(webhook_id=webhook.json()["id"])
    first = await client.post(path, json=body, headers=ONCE)
    assert first.is_success, first.text
    again = await client.post(path, json=body, headers=ONCE)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-store"
    secret = first.json()[member]
    async with database().reading() as session:
        record = (await session.execute(select(IdempotencyRecord))).scalar_one()
        kept = " ".join(str(value) for value in record.model_dump().values())
    assert record.status == first.status_code
    assert secret not in kept
    assert client.headers["x-api-key"] not in kept
    # A stranger who has the database and another key gets no further.
    other = {"x-api-key": await make_key(user="ada@example.com"), **ONCE}
    problem_in(await stranger.post(path, json=body, headers=other), 422, "idempotency_key_reused")


async def test_a_secret_is_given_again_to_the_key_alone_that_asked(
    client: Client, stranger: Client, make_key: MakeKey
):
    """Two keys of one person are told apart by nothing else."""
    path, body = "/v1/keys", SECRETS["/v1/keys"][1]
    mine, new = [{"x-api-key": await make_key(user="ada@example.com"), **ONCE} for _ in range(2)]
    assert (await stranger.post(path, json=body, headers=mine)).status_code == 201
    refused = await stranger.post(path, json=body, headers=new)
    problem_in(refused, 422, "idempotency_key_reused")
    assert "holds a secret" in refused.text


async def test_a_refused_caller_takes_no_key(stranger: Client, client: Client, make_key: MakeKey):
    file_id = await send_file(client)
    body = {"input": file_id, "format": "plain"}
    address = "/v1/image-operations/extract-text"
    lesser = {"x-api-key": await make_key("task.read"), **ONCE}
    problem_in(await stranger.post(address, json=body, headers=lesser), 403, "forbidden")
    assert (await client.post(address, json=body, headers=ONCE)).status_code == 202
