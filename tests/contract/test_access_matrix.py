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
from sqlalchemy import delete, select, update
from sqlmodel import col

from api.error_shapes import HUMAN_LAMBDAS, SHAPES, V1, ErrorShape, shape_of
from api.rate_limits import RateLimit
from api.review_pages.sessions import COOKIE, begin_session
from api.v1 import streams
from flows.verbs import UNSEEN
from store.access import ALL_STEPS, SCOPES
from store.database import database
from store.keys import ACCESS_TOKEN_PREFIX, create_key, issue_token
from store.models import ApiKey, Collaboration, File, Task
from tests.contract.surface_calls import SURFACE_CALLS, Call, Subject, task_as, v1_names
from tests.contract.test_v1_access import CALLS, HELD_FIRST, METHODS
from tests.contract.world import PROJECT, Client, MakeKey, task_of
from tests.whole_app import whole_app


def addresses(app: FastAPI) -> dict[tuple[str, str], dict[str, Any]]:
    """Every address that wants a key."""
    return {
        (method, path): described
        for path, methods in app.openapi()["paths"].items()
        for method, described in methods.items()
        if method in METHODS and described.get("security")
    }


ADDRESSES = addresses(whole_app())


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


async def key_spelt(
    scheme: str, *scopes: str, organization: str = "acme", user: str = ""
) -> dict[str, str]:
    """Headers with a key, spelt so."""
    made = await create_key(
        scopes, organization=organization, user=user, is_client=scheme == "OAuth"
    )
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


# Whom a key lets in


def documented(described: dict[str, Any]) -> int:
    """The status of an address that does what it is for."""
    return min(int(status) for status in described["responses"] if status.startswith("2"))


async def let_hold(stranger: Client, call: Call, key: str, subject: Subject) -> None:
    """Take the task first, where an address is for who holds it; whoever may not, does not."""
    if call.held_by:
        at = f"/v1/tasks/{subject['public_id']}/{call.held_by}"
        assert (await stranger.post(at, headers={"x-api-key": key})).status_code in {200, 403, 404}


def test_every_address_of_the_other_surfaces_is_called_by_these_tests():
    assert {(m, p) for m, p in ADDRESSES if shape_of(p) is not V1} == set(SURFACE_CALLS)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s is not V1], ids=lambda s: s.prefixes[0])
async def test_a_key_with_the_scope_opens_an_address_and_only_in_its_organization(
    shape: ErrorShape, client: Client, stranger: Client
):
    """What /v1 does here is in test_v1_access.py."""
    elsewhere = 403 if shape is HUMAN_LAMBDAS else 404
    keys: dict[tuple[str, ...], dict[str, str]] = {}
    native = await create_key(["admin"], organization="acme", user="ada@example.com")
    for (method, path), described in ADDRESSES.items():
        if shape_of(path) is not shape:
            continue
        scheme, (scope,) = next(iter(schemes_of(described).items()))
        for who in ((scheme, scope, "acme"), (scheme, "admin", "globex")):
            if who not in keys:
                keys[who] = await key_spelt(
                    scheme, who[1], organization=who[2], user="ada@example.com"
                )
        call = SURFACE_CALLS[method, path]
        subject = await call.of(client)
        await let_hold(stranger, call, native.key, subject)

        async def status_with(
            headers: dict[str, str],
            at: tuple[str, str] = (method, path),
            call: Call = call,
            subject: Subject = subject,
        ) -> int:
            sent = call.sent(subject)
            headers = headers | sent.pop("headers", {})
            address = at[1].format(**subject)
            return (await stranger.request(at[0], address, headers=headers, **sent)).status_code

        if "{" in path or call.elsewhere:
            found = await status_with(keys[scheme, "admin", "globex"])
            assert found == (call.elsewhere or elsewhere), (method, path)
            assert str(found) in described["responses"], (method, path)
        found = await status_with(keys[scheme, scope, "acme"])
        assert found == documented(described), (method, path)


# What is private

WORK = {
    **dict.fromkeys(("claim", "release", "save", "complete", "arrange", "discard"), "review"),
    **dict.fromkeys(("assign",), "review"),
    **dict.fromkeys(("cancel", "retry", "unlock"), "own"),
}
"""What is done to a task under /v1, by the last word of the address."""


def native_call(method: str, path: str) -> Call:
    """An address of a task under /v1, as those of the others are told of."""
    call = CALLS[method, path]
    verb = path.rpartition("/")[2]
    of_export = "/export/" in path
    held = HELD_FIRST.get(path.partition("{task_id}")[2], "").lstrip("/")
    work = "export" if of_export else "own" if method == "delete" else WORK.get(verb, "read")
    return Call(task_as(v1_names, call.of), call.send, held, work, unheld=409 if held else None)


TASK_CALLS = {
    (method, path): SURFACE_CALLS.get((method, path)) or native_call(method, path)
    for method, path in ADDRESSES
    if "{task_id}" in path or "{job_id}" in path
}


async def make_private(public_id: str, owner_id: UUID | None) -> None:
    """Let a task be as one is that was made as a private one."""
    async with database().writing() as session:
        changed = await session.execute(
            update(Task)
            .where(col(Task.code) == public_id.removeprefix("task_"))
            .values(is_private=True, owner_id=owner_id)
            .returning(col(Task.input_file_id))
        )
        await session.execute(
            update(File)
            .where(col(File.id) == changed.scalar_one())
            .values(is_private=True, owner_id=owner_id)
        )


async def share(public_id: str, user_id: UUID | None, step: str) -> None:
    """Let a person work on one step of a task, or on all, and on no other."""
    task_id = (await task_of(public_id)).id
    async with database().writing() as session:
        await session.execute(delete(Collaboration).where(col(Collaboration.task_id) == task_id))
        session.add(Collaboration(task_id=task_id, user_id=user_id, steps=[step]))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
async def test_a_private_task_is_seen_by_its_owner_and_by_those_who_work_on_it(
    shape: ErrorShape, client: Client, stranger: Client
):
    """Of each address: another owner, a collaborator on no, another and every step, the owner."""
    keys = {
        name: await create_key(["admin"], organization="acme", user=f"{name}@example.com")
        for name in ("ada", "eve", "ann")  # Ada owns, Ann collaborates
    }
    for (method, path), call in TASK_CALLS.items():
        if shape_of(path) is not shape:
            continue
        described = ADDRESSES[method, path]
        scheme = next(iter(schemes_of(described)))

        async def status_for(
            name: str,
            subject: Subject,
            at: tuple[str, str] = (method, path),
            call: Call = call,
            scheme: str = scheme,
        ) -> int:
            await let_hold(stranger, call, keys[name].key, subject)
            sent = call.sent(subject)
            headers = SPELLINGS[scheme](keys[name].key)
            address = at[1].format(**subject)
            return (await stranger.request(at[0], address, headers=headers, **sent)).status_code

        own, shared = await call.of(client), await call.of(client)
        for one in (own, shared):
            await make_private(one["public_id"], keys["ada"].row.user_id)
        found = {
            "another owner": await status_for("eve", shared),
            "no collaborator": await status_for("ann", shared),
            "owner": await status_for("ada", own),
        }
        for what, step in (("another step", "classify"), ("every step", ALL_STEPS)):
            await share(shared["public_id"], keys["ann"].row.user_id, step)
            found[what] = await status_for("ann", shared)
        well, barred = documented(described), call.unheld or 403
        assert found == {
            "another owner": 404,
            "no collaborator": 404,
            "owner": well,
            "another step": well if call.work == "read" else barred,
            "every step": 403 if call.work == "own" else well,
        }, (method, path)
        assert {str(status) for status in found.values()} <= described["responses"].keys()


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
