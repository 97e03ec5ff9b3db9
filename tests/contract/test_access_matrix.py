"""Every address there is, of every surface: who gets in, and what is private to others.

The addresses come from the OpenAPI document: those of a new surface are in here by themselves.
"""

import base64
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select, update
from sqlmodel import col

from api.app import create_app
from api.error_shapes import SHAPES, V1, ErrorShape, shape_of
from api.rate_limits import RateLimit
from api.review_pages.sessions import COOKIE, begin_session
from api.v1 import streams
from flows.verbs import UNSEEN
from store.access import ALL_STEPS, SCOPES
from store.database import database
from store.keys import ACCESS_TOKEN_PREFIX, create_key, issue_token
from store.models import ApiKey, Collaboration, File, Task
from tests.contract.test_v1_access import CALLS, METHODS, address_of
from tests.contract.world import PROJECT, Client, MakeKey


def addresses(app: FastAPI) -> dict[tuple[str, str], dict[str, Any]]:
    """Every address that wants a key."""
    return {
        (method, path): described
        for path, methods in app.openapi()["paths"].items()
        for method, described in methods.items()
        if method in METHODS and described.get("security")
    }


ADDRESSES = addresses(create_app(run_background=False))


@pytest.fixture(autouse=True)
def short_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LIFETIME_SECONDS", 0.0)


def _basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


SPELLINGS: dict[str, Callable[[str], dict[str, str]]] = {
    "ApiKey": lambda key: {"x-api-key": key},
    "Bearer": lambda key: {"authorization": f"Bearer {key}"},
    "OAuth": lambda token: {"authorization": f"Bearer {token}"},
    "Token": lambda key: {"authorization": f"Token {key}"},
    "Basic": lambda key: {"authorization": _basic(key)},
}
"""How a key is sent, by the name of the scheme in the OpenAPI document."""


def schemes_of(described: dict[str, Any]) -> dict[str, list[str]]:
    """The schemes of an address, each with the scopes it wants."""
    return {name: scopes for one in described["security"] for name, scopes in one.items()}


async def key_spelt(scheme: str, *scopes: str) -> dict[str, str]:
    """Headers with a key of the organization acme, spelt so."""
    made = await create_key(scopes, organization="acme", is_client=scheme == "OAuth")
    if scheme == "OAuth":
        token = await issue_token(str(made.row.id), made.client_secret or "")
        return SPELLINGS[scheme](token.token)
    return SPELLINGS[scheme](made.key)


def test_every_scheme_is_one_that_these_tests_speak():
    assert {name for one in ADDRESSES.values() for name in schemes_of(one)} <= set(SPELLINGS)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
async def test_who_has_no_key_or_a_lesser_one_is_turned_away_in_the_shape_of_the_surface(
    shape: ErrorShape, stranger: Client, app: FastAPI
):
    """One test a surface: each address answers, and the app is made once."""
    app.state.rate_limits.of_failures = RateLimit(0)  # all of them come from one address
    lesser: dict[tuple[str, str], dict[str, str]] = {}

    async def status_with(method: str, path: str, headers: dict[str, str]) -> int:
        answer = await stranger.request(method, re.sub(r"{\w+}", "1", path), headers=headers)
        assert answer.headers["content-type"] == shape.media_type, (method, path)
        assert ("detail" in answer.json()) == (shape is V1), (method, path)
        return answer.status_code

    for (method, path), described in ADDRESSES.items():
        if shape_of(path) is not shape:
            continue
        found = {"no key": await status_with(method, path, {})}
        for scheme, scopes in schemes_of(described).items():
            for wrong in ("ptk_wrong", f"{ACCESS_TOKEN_PREFIX}wrong"):
                headers = SPELLINGS[scheme](wrong)
                found[f"{scheme} {wrong}"] = await status_with(method, path, headers)
            for scope in scopes:
                if (scheme, scope) not in lesser:
                    others = set(SCOPES) - {scope, "admin"}
                    lesser[scheme, scope] = await key_spelt(scheme, *others)
                headers = lesser[scheme, scope]
                found[f"{scheme} without {scope}"] = await status_with(method, path, headers)
        expected = {what: 403 if "without" in what else 401 for what in found}
        assert found == expected, (method, path)


# What is private

REVIEW = {"claim", "release", "save", "complete", "arrange", "discard", "assign", "start"}
OWNER = {"cancel", "retry", "unlock"}
HOLDERS = {f"/v1/tasks/{{task_id}}/export/{word}" for word in ("complete", "cancel", "fail")}
"""Only who holds the task may; what that takes is asked by `export/start`."""

OF_A_TASK = [
    (method, path)
    for method, path in CALLS
    if "{task_id}" in path and path.rpartition("/")[2] != "release" and path not in HOLDERS
]


def is_for_owner(method: str, path: str) -> bool:
    return method == "delete" or path.rpartition("/")[2] in OWNER


def is_review(path: str) -> bool:
    return path.rpartition("/")[2] in REVIEW


async def make_private(public_id: str, owner_id: UUID | None, **collaborator: Any) -> None:
    """Let a task be as one is that was made as a private one."""
    async with database().writing() as session:
        changed = await session.execute(
            update(Task)
            .where(col(Task.code) == public_id.removeprefix("task_"))
            .values(is_private=True, owner_id=owner_id)
            .returning(col(Task.id), col(Task.input_file_id))
        )
        task_id, file_id = changed.one()
        await session.execute(
            update(File).where(col(File.id) == file_id).values(is_private=True, owner_id=owner_id)
        )
        if collaborator:
            session.add(Collaboration(task_id=task_id, **collaborator))


@pytest.mark.parametrize(("method", "path"), OF_A_TASK, ids=lambda part: str(part))
async def test_a_private_task_is_seen_by_its_owner_and_by_those_who_work_on_it(
    method: str, path: str, client: Client, stranger: Client
):
    call = CALLS[(method, path)]
    owner = await create_key(["admin"], organization="acme", user="ada@example.com")
    other = await create_key(["admin"], organization="acme", user="eve@example.com")
    helper = await create_key(["admin"], organization="acme", user="ann@example.com")

    async def status_for(made: Any, steps: list[str] | None = None) -> int:
        subject = await call.of(client)
        shared: dict[str, Any] = {}
        if steps is not None:
            shared = {"user_id": helper.row.user_id, "steps": steps}
        await make_private(subject, owner.row.user_id, **shared)
        answer = await stranger.request(
            method, address_of(path, subject), headers={"x-api-key": made.key}, **call.send
        )
        return answer.status_code

    assert await status_for(other) == 404
    assert await status_for(helper) == 404
    # Who is assigned must be one who may work on it: ada is its owner.
    assert await status_for(owner) == call.status
    without, with_all = (
        await status_for(helper, ["classify"]),
        await status_for(helper, [ALL_STEPS]),
    )
    if is_for_owner(method, path):
        assert (without, with_all) == (403, 403)
    elif is_review(path):
        assert (without, with_all) == (403, call.status)
    else:
        assert (without, with_all) == (call.status, call.status)


async def test_lists_events_and_next_have_nothing_of_what_is_private_to_others(
    client: Client, stranger: Client
):
    owner = await create_key(["admin"], organization="acme", user="ada@example.com")
    other = await create_key(["admin"], organization="acme", user="eve@example.com")
    subject = await CALLS[("post", "/v1/tasks/{task_id}/claim")].of(client)
    await make_private(subject, owner.row.user_id)
    theirs = {"x-api-key": other.key}
    mine = {"x-api-key": owner.key}
    assert (await stranger.get("/v1/tasks", headers=theirs)).json()["data"] == []
    assert (await stranger.get("/v1/files", headers=theirs)).json()["data"] == []
    assert (await stranger.post("/v1/tasks/next", headers=theirs)).status_code == 204
    assert [t["id"] for t in (await stranger.get("/v1/tasks", headers=mine)).json()["data"]] == [
        subject
    ]
    assert len((await stranger.get("/v1/files", headers=mine)).json()["data"]) == 1
    assert (await stranger.post("/v1/tasks/next", headers=mine)).json()["id"] == subject


async def test_a_project_of_a_team_is_seen_by_the_team_and_by_admins(
    client: Client, stranger: Client, make_key: MakeKey
):
    subject = await CALLS[("post", "/v1/tasks/{task_id}/claim")].of(client)
    await client.post("/v1/teams", json={"name": "claims"})
    await client.post("/v1/users", json={"email": "ada@example.com"})
    await client.put("/v1/teams/claims/members/ada@example.com")
    given = await client.put("/v1/projects/invoices/team", json={"team": "claims"})
    assert given.status_code == 200
    reading = ("task.read", "project.read", "file.read", "task.edit", "task.create")
    ada = await make_key(*reading, user="ada@example.com")
    eve = await make_key(*reading, user="eve@example.com")
    program = await make_key(*reading)
    of_team = (await create_key(reading, organization="acme", team="claims")).key

    async def seen_by(key: str) -> tuple[int, int, int, int, int]:
        headers = {"x-api-key": key}
        task = await stranger.get(f"/v1/tasks/{subject}", headers=headers)
        tasks = await stranger.get("/v1/tasks", headers=headers)
        project = await stranger.get("/v1/projects/invoices", headers=headers)
        events = await stranger.get("/v1/events", headers=headers)
        of_task = [one for one in events.json()["data"] if one["data"]["id"] == subject]
        following = await stranger.post("/v1/tasks/next?project=invoices", headers=headers)
        if following.status_code == 200:
            await stranger.post(f"/v1/tasks/{subject}/release", headers=headers)
        return (
            task.status_code,
            len(tasks.json()["data"]),
            project.status_code,
            min(1, len(of_task)),
            following.status_code,
        )

    assert await seen_by(ada) == (200, 1, 200, 1, 200)
    assert await seen_by(of_team) == (200, 1, 200, 1, 200)
    assert await seen_by(await make_key()) == (200, 1, 200, 1, 200)
    assert await seen_by(eve) == (404, 0, 404, 0, 404)
    assert await seen_by(program) == (404, 0, 404, 0, 404)
    taken = await stranger.post(
        "/v1/projects",
        json={"source": PROJECT},
        headers={"x-api-key": await make_key("project.edit")},
    )
    assert taken.status_code == 409


async def test_the_queue_shows_a_task_whose_project_is_not_seen(client: Client, stranger: Client):
    subject = await CALLS[("post", "/v1/tasks/{task_id}/claim")].of(client)
    ada = await create_key(["task.read"], organization="acme", user="ada@example.com")
    await make_private(subject, ada.row.user_id)
    await client.post("/v1/teams", json={"name": "claims"})
    given = await client.put("/v1/projects/invoices/team", json={"team": "claims"})
    assert given.status_code == 200
    stranger.cookies.set(COOKIE, await begin_session(ada.key))
    page = await stranger.get("/review")
    assert page.status_code == 200
    assert subject in page.text


async def test_an_operation_on_what_is_private_to_another_finds_no_file(
    client: Client, stranger: Client
):
    subject = await CALLS[("post", "/v1/tasks/{task_id}/claim")].of(client)
    await make_private(subject, (await create_key(["admin"], organization="acme")).row.id)
    answer = await client.post(
        "/v1/image-operations/extract-text", json={"input": subject, "format": "plain"}
    )
    assert answer.status_code == 202
    query = select(Task).where(col(Task.code) == answer.json()["id"].removeprefix("task_"))
    async with database().reading() as session:
        made = (await session.execute(query)).scalar_one()
    assert made.task_metadata[UNSEEN] == [subject]


async def test_a_key_of_an_organization_shows_no_key_of_another(stranger: Client, app: FastAPI):
    del app
    ours = await create_key(["admin"], organization="acme")
    theirs = await create_key(["admin"], organization="globex")
    listed = await stranger.get("/v1/keys", headers={"x-api-key": ours.key})
    assert [one["prefix"] for one in listed.json()["data"]] == [ours.row.prefix]
    answer = await stranger.delete(f"/v1/keys/{theirs.row.id}", headers={"x-api-key": ours.key})
    assert answer.status_code == 404
    async with database().reading() as session:
        assert (await session.get_one(ApiKey, theirs.row.id)).revoked_at is None
