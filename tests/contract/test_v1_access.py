"""Every address under /v1: who gets in, and what of others is seen."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI

from api.v1 import streams
from api.v1.operations import body_of, example_of
from operations.registry import OPERATIONS as REGISTERED
from store.access import SCOPES
from store.states import Event
from tests.contract.world import (
    PNG,
    PROJECT,
    Client,
    MakeKey,
    add_output,
    install,
    let_happen,
    put_into_review,
    send_file,
    send_task,
)
from tests.whole_app import whole_app


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends at once: the client of these tests reads an answer as a whole."""
    monkeypatch.setattr(streams, "LIFETIME_SECONDS", 0.0)


METHODS = {"get", "post", "put", "patch", "delete"}


async def queued(client: Client) -> str:
    return await send_task(client)


async def failed(client: Client) -> str:
    task_id = await send_task(client)
    await let_happen(task_id, Event.START, Event.FAIL)
    return task_id


async def completed(client: Client) -> str:
    task_id = await send_task(client)
    await add_output(await let_happen(task_id, Event.START, Event.FINISH))
    return task_id


async def in_review(client: Client) -> str:
    task_id = await send_task(client)
    await put_into_review(task_id)
    return task_id


async def awaiting_export(client: Client) -> str:
    task_id = await send_task(client)
    await add_output(await let_happen(task_id, Event.START))
    await let_happen(task_id, Event.OFFER_EXPORT, export_round=1)
    return task_id


async def project(client: Client) -> str:
    await install(client)
    return "invoices"


async def data_project(client: Client) -> str:
    source = "name: moderation\nblocks: [{name: comment, type: text}]\n"
    answer = await client.post("/v1/projects", json={"source": source})
    assert answer.status_code == 201, answer.text
    return "moderation"


async def webhook(client: Client) -> str:
    answer = await client.post("/v1/webhooks", json={"url": "https://example.com/hook"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def webhook_delivery(client: Client) -> str:
    webhook_id = await webhook(client)
    answer = await client.post(f"/v1/webhooks/{webhook_id}/test")
    assert answer.status_code == 202, answer.text
    return f"{webhook_id}/{answer.json()['id']}"


async def decided(client: Client) -> str:
    task_id = await in_review(client)
    answer = await client.post(f"/v1/tasks/{task_id}/complete")
    assert answer.status_code == 200, answer.text
    return task_id


async def user(client: Client) -> str:
    answer = await client.post("/v1/users", json={"email": "eve@example.com"})
    assert answer.status_code == 201, answer.text
    return "eve@example.com"


async def team(client: Client) -> str:
    answer = await client.post("/v1/teams", json={"name": "claims"})
    assert answer.status_code == 201, answer.text
    return "claims"


async def team_and_user(client: Client) -> str:
    return f"{await team(client)}/{await user(client)}"


async def key(client: Client) -> str:
    answer = await client.post("/v1/keys", json={"scopes": ["task.read"]})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def nothing(client: Client) -> str:
    return ""


@dataclass(frozen=True)
class Call:
    """How an address is called so that it answers well."""

    of: Callable[[Client], Awaitable[str]] = nothing
    """Makes what the address is about, and answers its id."""
    send: dict[str, Any] = field(default_factory=dict[str, Any])
    status: int = 200


FORM = {"files": {"file": ("page.png", PNG)}}
CALLS: dict[tuple[str, str], Call] = {
    ("post", "/v1/files"): Call(send=FORM, status=201),
    ("get", "/v1/files"): Call(send_file),
    ("get", "/v1/files/{file_id}"): Call(send_file),
    ("delete", "/v1/files/{file_id}"): Call(send_file, status=204),
    ("get", "/v1/files/{file_id}/download"): Call(send_file),
    ("post", "/v1/tasks"): Call(project, {**FORM, "data": {"project": "invoices"}}, 202),
    ("get", "/v1/tasks"): Call(queued),
    ("post", "/v1/tasks/next"): Call(in_review),
    ("get", "/v1/tasks/{task_id}"): Call(queued),
    ("delete", "/v1/tasks/{task_id}"): Call(in_review, status=204),
    ("get", "/v1/tasks/{task_id}/documents"): Call(in_review),
    ("get", "/v1/tasks/{task_id}/pages/{number}/image"): Call(in_review),
    ("get", "/v1/tasks/{task_id}/events"): Call(queued),
    ("get", "/v1/tasks/{task_id}/outputs"): Call(completed),
    ("post", "/v1/tasks/{task_id}/claim"): Call(in_review),
    ("post", "/v1/tasks/{task_id}/release"): Call(in_review),
    ("post", "/v1/tasks/{task_id}/save"): Call(in_review, {"json": {"values": {"total": "9"}}}),
    ("post", "/v1/tasks/{task_id}/complete"): Call(in_review),
    ("post", "/v1/tasks/{task_id}/arrange"): Call(
        in_review,
        {"json": {"documents": [{"page_numbers": [1], "document_type": "invoice"}]}},
    ),
    ("post", "/v1/tasks/{task_id}/discard"): Call(in_review),
    ("post", "/v1/tasks/{task_id}/report"): Call(queued, {"json": {"issues": [{"a": 1}]}}),
    ("post", "/v1/tasks/{task_id}/unlock"): Call(completed),
    ("post", "/v1/tasks/{task_id}/cancel"): Call(queued),
    ("post", "/v1/tasks/{task_id}/retry"): Call(failed),
    ("post", "/v1/tasks/{task_id}/export/start"): Call(awaiting_export),
    ("post", "/v1/tasks/{task_id}/export/complete"): Call(awaiting_export),
    ("post", "/v1/tasks/{task_id}/export/cancel"): Call(awaiting_export),
    ("post", "/v1/tasks/{task_id}/export/fail"): Call(awaiting_export),
    ("post", "/v1/tasks/{task_id}/assign"): Call(in_review, {"json": {"user": "ada@example.com"}}),
    ("post", "/v1/tasks/{task_id}/comments"): Call(queued, {"json": {"text": "Look."}}, 201),
    ("post", "/v1/tasks/{task_id}/audit"): Call(decided, {"json": {"correct": True}}),
    ("post", "/v1/tasks:batch"): Call(send={"json": {"verb": "claim", "ids": ["x"]}}, status=207),
    ("get", "/v1/events"): Call(queued),
    ("get", "/v1/stream"): Call(queued),
    ("get", "/v1/tasks/{task_id}/stream"): Call(queued),
    ("get", "/v1/metrics/queues"): Call(project),
    ("post", "/v1/users"): Call(send={"json": {"email": "eve@example.com"}}, status=201),
    ("get", "/v1/users"): Call(user),
    ("get", "/v1/users/{user}"): Call(user),
    ("patch", "/v1/users/{user}"): Call(user, {"json": {"name": "Eve"}}),
    ("delete", "/v1/users/{user}"): Call(user, status=204),
    ("post", "/v1/teams"): Call(send={"json": {"name": "claims"}}, status=201),
    ("get", "/v1/teams"): Call(team),
    ("get", "/v1/teams/{team}"): Call(team),
    ("delete", "/v1/teams/{team}"): Call(team, status=204),
    ("put", "/v1/teams/{team}/members/{user}"): Call(team_and_user),
    ("delete", "/v1/teams/{team}/members/{user}"): Call(team_and_user, status=204),
    ("post", "/v1/keys"): Call(send={"json": {"scopes": ["task.read"]}}, status=201),
    ("get", "/v1/keys"): Call(key),
    ("get", "/v1/keys/{key_id}"): Call(key),
    ("patch", "/v1/keys/{key_id}"): Call(key, {"json": {"name": "mail room"}}),
    ("delete", "/v1/keys/{key_id}"): Call(key, status=204),
    ("post", "/v1/webhooks"): Call(send={"json": {"url": "https://example.com"}}, status=201),
    ("get", "/v1/webhooks"): Call(webhook),
    ("get", "/v1/webhooks/{webhook_id}"): Call(webhook),
    ("patch", "/v1/webhooks/{webhook_id}"): Call(webhook, {"json": {"enabled": False}}),
    ("delete", "/v1/webhooks/{webhook_id}"): Call(webhook, status=204),
    ("post", "/v1/webhooks/{webhook_id}/rotate-secret"): Call(webhook),
    ("post", "/v1/webhooks/{webhook_id}/test"): Call(webhook, status=202),
    ("get", "/v1/webhooks/{webhook_id}/deliveries"): Call(webhook),
    ("post", "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend"): Call(
        webhook_delivery, status=202
    ),
    ("post", "/v1/projects"): Call(send={"json": {"source": PROJECT}}, status=201),
    ("get", "/v1/projects"): Call(project),
    ("post", "/v1/projects/{name}/import"): Call(
        data_project, {"files": {"file": ("table.csv", b"comment\nnice\n")}}, 201
    ),
    ("get", "/v1/projects/{name}"): Call(project),
    ("put", "/v1/projects/{name}/team"): Call(project, {"json": {"team": None}}),
}


HELD_FIRST = {
    "/release": "/claim",
    "/export/complete": "/export/start",
    "/export/cancel": "/export/start",
    "/export/fail": "/export/start",
}
"""What only who holds a task can do -> how it is held."""


def operations_of(app: FastAPI) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): described
        for path, methods in app.openapi()["paths"].items()
        for method, described in methods.items()
        if path.startswith("/v1/") and method in METHODS
    }


OPERATIONS = operations_of(whole_app())


def call_of(method: str, path: str) -> Call:
    if is_operation(path):
        body = example_of(body_of(REGISTERED[path.rpartition("/")[2]]))
        return Call(send={"json": body}, status=202)
    return CALLS[(method, path)]


def address_of(path: str, subject: str) -> str:
    """An address, its parameters filled in with the parts of the subject, in order."""
    parts = iter(subject.split("/"))
    return re.sub(r"{(\w+)}", lambda name: "1" if name[1] == "number" else next(parts), path)


def is_operation(path: str) -> bool:
    return "-operations/" in path


def scope_of(described: dict[str, Any]) -> str:
    (scope,) = described["security"][0]["ApiKey"]
    return scope


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part))
async def test_a_key_opens_what_its_scope_says_and_only_in_its_organization(
    method: str, path: str, client: Client, stranger: Client, make_key: MakeKey
):
    call = call_of(method, path)
    subject = await call.of(client)
    address = address_of(path, subject)
    scope = scope_of(OPERATIONS[(method, path)])
    for verb, first in HELD_FIRST.items():
        if path.endswith(verb):
            me = {"x-api-key": await make_key(scope, user="ada@example.com")}
            held = await stranger.post(address.replace(verb, first), headers=me)
            assert held.status_code == 200

    async def status_with(headers: dict[str, str]) -> int:
        answer = await stranger.request(method, address, headers=headers, **call.send)
        if answer.is_error:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer.status_code

    assert await status_with({}) == 401
    assert await status_with({"x-api-key": "ptk_wrong"}) == 401
    assert await status_with({"authorization": "Bearer ptk_wrong"}) == 401
    lesser = await make_key(*(set(SCOPES) - {scope, "admin"}))
    assert await status_with({"x-api-key": lesser}) == 403
    if subject and "{" in path:
        other = await make_key(organization="globex")
        assert await status_with({"x-api-key": other}) == 404
    right = await make_key(scope, user="ada@example.com")
    assert await status_with({"authorization": f"Bearer {right}"}) == call.status


def test_every_address_is_called_by_these_tests():
    called = {key for key in OPERATIONS if is_operation(key[1])}
    assert set(OPERATIONS) == CALLS.keys() | called


@pytest.mark.parametrize("path", ["/v1/files", "/v1/tasks", "/v1/events", "/v1/projects"])
async def test_a_list_shows_nothing_of_another_organization(
    path: str, client: Client, stranger: Client, make_key: MakeKey
):
    await completed(client)
    assert (await client.get(path)).json()["data"]
    other = {"x-api-key": await make_key(organization="globex")}
    assert (await stranger.get(path, headers=other)).json() == {
        "data": [],
        "links": {"previous": None, "next": None},
    }


async def test_another_organization_cannot_use_a_file_or_a_project(
    client: Client, stranger: Client, make_key: MakeKey
):
    file_id = await send_file(client)
    await install(client)
    other = {"x-api-key": await make_key(organization="globex")}
    sent = {"input": file_id, "project": "invoices"}
    assert (await stranger.post("/v1/tasks", json=sent, headers=other)).status_code == 404
    await stranger.post("/v1/projects", json={"source": PROJECT}, headers=other)
    assert (await stranger.post("/v1/tasks", json=sent, headers=other)).status_code == 404


async def test_a_list_cannot_begin_at_an_item_of_another_organization(
    client: Client, stranger: Client, make_key: MakeKey
):
    file_id = await send_file(client)
    other = {"x-api-key": await make_key(organization="globex")}
    answer = await stranger.get("/v1/files", params={"from": file_id}, headers=other)
    assert answer.status_code == 404


async def test_next_gives_no_task_of_another_organization(
    client: Client, stranger: Client, make_key: MakeKey
):
    await in_review(client)
    other = {"x-api-key": await make_key(organization="globex")}
    assert (await stranger.post("/v1/tasks/next", headers=other)).status_code == 204
