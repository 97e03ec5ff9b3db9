"""People, teams and keys over the API."""

from datetime import timedelta

from store.ids import now
from tests.contract.test_errors import problem_in
from tests.contract.world import Client, install


async def test_a_key_is_shown_once_opens_what_it_says_and_ends(client: Client, stranger: Client):
    body = {"scopes": ["task.read"], "name": "mail room", "is_client": True}
    answer = await client.post("/v1/keys", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert made["client_id"] == made["id"]
    assert made["client_secret"]
    headers = {"x-api-key": made["key"]}
    assert (await stranger.get("/v1/tasks", headers=headers)).status_code == 200
    assert (await stranger.get("/v1/files", headers=headers)).status_code == 403
    shown = (await client.get(f"/v1/keys/{made['id']}")).json()
    assert shown.keys() == made.keys() - {"key", "client_id", "client_secret"}
    assert made["key"] not in (await client.get("/v1/keys")).text
    assert shown["last_used_at"] is not None
    assert (await client.delete(f"/v1/keys/{made['prefix']}")).status_code == 204
    assert (await stranger.get("/v1/tasks", headers=headers)).status_code == 401
    assert (await client.get(f"/v1/keys/{made['id']}")).json()["status"] == "revoked"
    problem_in(
        await client.patch(f"/v1/keys/{made['id']}", json={"name": "again"}), 409, "conflict"
    )


async def test_a_key_cannot_be_made_that_has_ended_or_is_of_nobody(client: Client):
    past = (now() - timedelta(days=1)).isoformat()
    for wrong, status in (
        ({"scopes": ["task.read"], "expires_at": past}, 422),
        ({"scopes": ["everything"]}, 422),
        ({"scopes": []}, 422),
        ({"scopes": ["task.read"], "user": "nobody@example.com"}, 404),
        ({"scopes": ["task.read"], "team": "nobodys"}, 404),
    ):
        assert (await client.post("/v1/keys", json=wrong)).status_code == status, wrong
    assert len((await client.get("/v1/keys")).json()["data"]) == 1


async def test_an_expiry_is_set_later_too(client: Client, stranger: Client):
    made = (await client.post("/v1/keys", json={"scopes": ["task.read"]})).json()
    later = (now() + timedelta(days=1)).isoformat()
    changed = await client.patch(f"/v1/keys/{made['id']}", json={"expires_at": later})
    assert changed.json()["expires_at"] is not None
    past = (now() - timedelta(seconds=1)).isoformat()
    changed = await client.patch(f"/v1/keys/{made['id']}", json={"expires_at": past})
    assert changed.json()["status"] == "expired"
    headers = {"x-api-key": made["key"]}
    assert (await stranger.get("/v1/tasks", headers=headers)).status_code == 401


async def test_people_are_put_into_teams_and_taken_out(client: Client):
    ada = (await client.post("/v1/users", json={"email": "ada@example.com"})).json()
    claims = (await client.post("/v1/teams", json={"name": "claims"})).json()
    answer = await client.put(
        f"/v1/teams/{claims['id']}/members/{ada['id']}", json={"is_admin": True}
    )
    assert answer.json()["members"] == [
        {"id": ada["id"], "email": "ada@example.com", "is_admin": True}
    ]
    shown = (await client.get("/v1/users/ada@example.com")).json()
    assert shown["teams"] == [{"id": claims["id"], "name": "claims", "is_admin": True}]
    assert (await client.delete("/v1/teams/claims/members/ada@example.com")).status_code == 204
    assert (await client.get("/v1/teams/claims")).json()["members"] == []


async def test_a_name_is_given_once(client: Client):
    for path, body in (
        ("/v1/users", {"email": "ada@example.com"}),
        ("/v1/teams", {"name": "claims"}),
    ):
        assert (await client.post(path, json=body)).status_code == 201
        problem_in(await client.post(path, json=body), 409, "conflict")
    shouted = {"email": "ADA@example.com"}
    problem_in(await client.post("/v1/users", json=shouted), 409, "conflict")
    assert (await client.get("/v1/users/Ada@Example.com")).json()["email"] == "ada@example.com"
    answer = await client.get("/v1/users/ben@example.com")
    assert "no person 'ben@example.com'" in problem_in(answer, 404, "not_found")["detail"]
    problem_in(await client.post("/v1/users", json={"email": "no address"}), 422, "input_rejected")


async def test_a_team_that_has_projects_stays(client: Client):
    await install(client)
    await client.post("/v1/teams", json={"name": "claims"})
    await client.put("/v1/projects/invoices/team", json={"team": "claims"})
    problem_in(await client.delete("/v1/teams/claims"), 409, "conflict")
    await client.put("/v1/projects/invoices/team", json={"team": None})
    assert (await client.delete("/v1/teams/claims")).status_code == 204
