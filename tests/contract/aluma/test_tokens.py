"""/oauth/token, and what a token opens."""

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from sqlalchemy import update

from store.database import database
from store.ids import now
from store.keys import NewKey, create_key
from store.models import AccessToken
from tests.contract.aluma.desk import message_in
from tests.contract.world import Client


@pytest.fixture
async def oauth_client(app: object) -> NewKey:
    return await create_key(["task.read"], organization="acme", is_client=True)


def body_of(client: NewKey) -> dict[str, str]:
    return {"client_id": str(client.row.id), "client_secret": str(client.client_secret)}


async def test_a_token_is_given_for_json_and_for_a_form_and_opens_the_tasks(
    stranger: Client, oauth_client: NewKey
):
    body = body_of(oauth_client)
    forms: list[dict[str, Any]] = [
        {"json": body},
        {"data": body},
        {"data": {**body, "scope": "x"}},
    ]
    for sent in forms:
        answer = await stranger.post("/oauth/token", **sent)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        token = answer.json()
        assert token == {
            "access_token": token["access_token"],
            "token_type": "Bearer",
            "expires_in": 86400,
        }
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        assert (await stranger.get("/tasks", headers=bearer)).json() == {"tasks": []}


async def test_a_library_may_send_id_and_secret_in_a_header(stranger: Client, oauth_client: NewKey):
    both = ":".join(quote_plus(one) for one in body_of(oauth_client).values())
    basic = {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}
    grant = {"grant_type": "client_credentials"}
    answer = await stranger.post("/oauth/token", data=grant, headers=basic)
    assert answer.status_code == 200


async def test_a_wrong_secret_gets_no_token(stranger: Client, oauth_client: NewKey):
    right = body_of(oauth_client)
    for wrong in (
        {**right, "client_secret": "pts_wrong"},
        {**right, "client_id": "wrong"},
        {},
        {"client_id": right["client_id"]},
    ):
        assert "papertray key create" in message_in(
            await stranger.post("/oauth/token", json=wrong), 401
        )
    for header in ("Basic ", "Basic !!", "Basic d3Jvbmc=", f"Bearer {oauth_client.key}"):
        answer = await stranger.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": header},
        )
        message_in(answer, 401)


async def test_another_grant_and_another_form_are_refused(stranger: Client, oauth_client: NewKey):
    body = {**body_of(oauth_client), "grant_type": "password"}
    assert "grant_type" in message_in(await stranger.post("/oauth/token", json=body), 400)
    message_in(
        await stranger.post(
            "/oauth/token", content=b"{", headers={"Content-Type": "application/json"}
        ),
        400,
    )
    message_in(
        await stranger.post("/oauth/token", content=b"x", headers={"Content-Type": "text/plain"}),
        400,
    )


async def test_who_has_no_token_or_an_old_one_is_a_stranger(stranger: Client, aluma: Client):
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer ptt_wrong"}):
        answer = await stranger.get("/tasks", headers=headers)
        message_in(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await aluma.get("/tasks")).status_code == 200
    async with database().writing() as session:
        await session.execute(update(AccessToken).values(expires_at=now() - timedelta(seconds=1)))
    message_in(await aluma.get("/tasks"), 401)


async def test_a_key_itself_opens_the_tasks_too(stranger: Client, oauth_client: NewKey):
    bearer = {"Authorization": f"Bearer {oauth_client.key}"}
    assert (await stranger.get("/tasks", headers=bearer)).status_code == 200
    answer = await stranger.post("/projects", headers=bearer, content="name: a")
    assert "project.edit" in message_in(
        await stranger.post(
            "/projects", headers={**bearer, "Content-Type": "text/yaml"}, content="name: a"
        ),
        403,
    )
    message_in(answer, 400)
