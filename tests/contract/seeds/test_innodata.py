"""The page "Jobs" of Innodata: what it says of a job, done with one."""

from typing import Any
from uuid import UUID

from store.database import database
from store.models import Task
from store.organizations import organization_named, team_named
from store.states import Event
from tests.contract.innodata.bench import TAXONOMY, Bench
from tests.contract.world import PNG, add_output, let_happen, put_into_review

STATUSES = ("running", "blocked", "completed", "cancelled", "failed")


async def row(job: dict[str, Any]) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, UUID(job["id"]))


async def worked_on(job: dict[str, Any], *events: Event) -> Task:
    """What a worker does."""
    public_id = (await row(job)).public_id
    if events == (Event.ASK,):
        return await put_into_review(public_id)
    return await let_happen(public_id, *events)


async def test_a_job_has_an_id_an_owner_a_type_and_its_input(ana: Bench):
    job = await ana.create()
    assert str(UUID(job["id"])) == job["id"]
    assert job["owner"]["email"] == "ana@example.com"
    assert job["input_content"]["role"] == "input"
    assert (await ana.client.get(job["input_content"]["uri"])).content == PNG
    assert (await ana.call("GET", "/jobs"))["jobs"] == [job]
    assert await ana.call("GET", f"/jobs/{job['id']}") == job
    types = (await ana.call("GET", "/job-types"))["job_types"]
    (kind,) = [one for one in types if one["id"] == job["type"]]
    assert await ana.call("GET", f"/job-types/{job['type']}") == kind


async def test_each_status_of_the_page_is_told(ana: Bench):
    seen: dict[str, str] = {}
    for events in (
        (),
        (Event.ASK,),
        (Event.START, Event.FINISH),
        (Event.CANCEL,),
        (Event.START, Event.FAIL),
    ):
        job = await ana.create()
        task = await worked_on(job, *events)
        if Event.FINISH in events:
            await add_output(task)
        shown = await ana.call("GET", f"/jobs/{job['id']}")
        seen[shown["status"]] = job["id"]
        assert (shown["output_content"] is not None) is (shown["status"] == "completed")
        progress = shown["progress"]
        assert 0 <= progress["current"] <= progress["total"]
        if shown["output_content"]:
            assert (await ana.client.get(shown["output_content"]["uri"])).content == b"{}"
    assert tuple(seen) == STATUSES
    for status, job_id in seen.items():
        found = await ana.call("GET", "/jobs", params={"status": status})
        assert [one["id"] for one in found["jobs"]] == [job_id]


async def test_an_extraction_has_the_content_that_the_page_names(ana: Bench):
    job = await ana.create()
    contents = await ana.call("GET", f"/jobs/{job['id']}/contents")
    assert {"input", "mapping-taxonomy-json"} <= {one["role"] for one in contents}
    taxonomy = await ana.client.get(f"/jobs/{job['id']}/contents/mapping-taxonomy-json")
    assert taxonomy.json() == TAXONOMY


async def test_teams_and_users_collaborate_as_printed(ana: Bench, ben: Bench):
    team_id = str(await team_named(await organization_named("acme"), "typists"))
    headers = {"x-api-key": ana.key}
    joined = await ana.client.put("/v1/teams/typists/members/ben@example.com", headers=headers)
    assert joined.status_code == 200
    user = (await ana.client.get("/v1/users/ben@example.com", headers=headers)).json()
    for team in ({"id": team_id}, {"name": "typists"}):
        job = await ana.create(collaboration={"teams": [{**team, "steps": ["*"]}], "users": []})
        assert job["collaboration"] == {
            "teams": [{"id": team_id, "name": "typists", "steps": ["*"]}],
            "users": [],
        }
        assert await ben.call("GET", f"/jobs/{job['id']}") == job
    await worked_on(job, Event.ASK)
    await ben.call("PUT", f"/jobs/{job['id']}/contents/output", json={"documents": []})
    for by in ("id", "email"):
        job = await ana.create(collaboration={"users": [{by: user[by], "steps": ["review"]}]})
        assert job["collaboration"]["users"] == [
            {"id": user["id"], "email": "ben@example.com", "steps": ["review"]}
        ]
        assert job in (await ben.call("GET", "/jobs"))["jobs"]


async def test_without_collaboration_only_the_owner_sees_changes_and_removes(
    ana: Bench, ben: Bench
):
    job = await ana.create()
    address = f"/jobs/{job['id']}"
    await ben.call("GET", address, 404)
    await ben.call("PUT", address, 404, json={"metadata": {}})
    await ben.call("DELETE", address, 404)
    assert (await ben.call("GET", "/jobs"))["count"] == 0
    changed = await ana.call("PUT", address, json={"metadata": {"a": 1}})
    assert changed["metadata"] == {"a": 1, "mapping.taxonomy": TAXONOMY}
    await ana.call("DELETE", address)
    await ana.call("GET", address, 404)


async def test_unknown_fields_are_metadata_of_any_json_type(ana: Bench):
    unknown = {"order": "4711", "pages": 3, "urgent": True, "tags": ["a", None], "of": {"a": 1.5}}
    job = await ana.create(**unknown)
    assert job["metadata"] == {**unknown, "mapping.taxonomy": TAXONOMY}
