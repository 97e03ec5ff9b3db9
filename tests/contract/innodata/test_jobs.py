from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from api.vocabulary import VOCABULARY
from store.database import database
from store.finding import project_file_of
from store.models import Task
from store.states import Event, State
from tests.contract.innodata.bench import TAXONOMY, Bench, bench_of
from tests.contract.world import add_output, let_happen, put_into_review

# How a task gets into each state, and what its job is called there.
WAYS = {
    State.QUEUED: ((), "running"),
    State.RUNNING: ((Event.START,), "running"),
    State.IN_REVIEW: ((Event.START, Event.ASK), "blocked"),
    State.AWAITING_EXPORT: ((Event.START, Event.OFFER_EXPORT), "running"),
    State.EXPORTING: ((Event.START, Event.OFFER_EXPORT, Event.TAKE_EXPORT), "running"),
    State.COMPLETED: ((Event.START, Event.FINISH), "completed"),
    State.FILTERED: ((Event.START, Event.FILTER), "completed"),
    State.DISCARDED: ((Event.START, Event.ASK, Event.DISCARD), "cancelled"),
    State.FAILED: ((Event.FAIL,), "failed"),
    State.TIMED_OUT: ((Event.TIME_OUT,), "failed"),
    State.CANCELED: ((Event.CANCEL,), "cancelled"),
}


async def public_id(job: str) -> str:
    """The id of the task in the native API: one task, seen from two sides."""
    async with database().reading() as session:
        return (await session.get_one(Task, UUID(job))).public_id


async def test_a_job_has_the_shape_of_the_page(ana: Bench):
    job = await ana.create(order="4711")
    assert job["owner"]["email"] == "ana@example.com"
    assert (job["type"], job["status"]) == ("data-point-extraction", "running")
    assert job["progress"] == {"current": 0, "total": 4}
    assert job["input_content"]["role"] == "input"
    assert job["output_content"] is None
    assert job["collaboration"] == {"teams": [], "users": []}
    assert job["metadata"] == {"order": "4711", "mapping.taxonomy": TAXONOMY}
    assert await ana.call("GET", f"/jobs/{job['id']}") == job
    assert (await ana.client.get(job["input_content"]["uri"])).status_code == 200


@pytest.mark.parametrize("state", WAYS)
async def test_the_status_of_a_job_is_the_word_for_its_state(ana: Bench, state: State):
    events, word = WAYS[state]
    job = await ana.create()
    await let_happen(await public_id(job["id"]), *events)
    shown = await ana.call("GET", f"/jobs/{job['id']}")
    assert (shown["state"], shown["status"]) == (state.value, word)
    assert word in {words.innodata for words in VOCABULARY.values()}
    for status in ("running", "blocked", "completed", "cancelled", "failed"):
        found = await ana.call("GET", "/jobs", params={"status": status})
        assert found["count"] == (status == word)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mapping.taxonomy": None}, "mapping.taxonomy"),
        ({"mapping.taxonomy": []}, "mapping.taxonomy"),
        ({"mapping.taxonomy": [{"type": "money"}]}, "mapping.taxonomy"),
        ({"mapping.taxonomy": [{"name": "a", "type": "moneys"}]}, "mapping.taxonomy"),
        ({"mapping.taxonomy": ["a", "A"]}, "mapping.taxonomy"),
        ({"mapping.high_confidence_threshold": 2}, "mapping.high_confidence_threshold"),
        ({"type": "nothing"}, "type"),
        ({"contents": [{"role": "output", "uri": "file_0123456789abcdef"}]}, "contents"),
        ({"contents": [{"role": "input", "uri": "https://example.com/x"}]}, "contents.0.uri"),
        ({"collaboration": {"teams": [{"name": "x", "steps": []}]}}, "collaboration.teams.0.steps"),
    ],
)
async def test_a_job_that_cannot_be_made_names_the_key(
    ana: Bench, body: dict[str, Any], field: str
):
    document = await ana.send()
    contents = [{"role": "input", "uri": document["contents_uri"]}]
    sent = {"type": "data-point-extraction", "contents": contents, "mapping.taxonomy": TAXONOMY}
    told = await ana.call("POST", "/jobs", 400, json={**sent, **body})
    assert field in told["errors"]
    assert (await ana.call("GET", "/jobs"))["count"] == 0


async def test_a_taxonomy_may_come_as_a_document_and_is_among_the_contents(ana: Bench):
    document = await ana.send()
    taxonomy = await ana.call("POST", "/documents", 201, content=b'["Number"]')
    contents = [
        {"role": "input", "uri": document["id"]},
        {"role": "mapping-taxonomy-json", "uri": taxonomy["contents_uri"]},
    ]
    body = {"type": "data-point-extraction", "contents": contents}
    job = await ana.call("POST", "/jobs", 201, json=body)
    (content,) = [one for one in job["contents"] if one["role"] == "mapping-taxonomy-json"]
    assert (await ana.client.get(content["uri"])).json() == ["Number"]


async def test_only_owner_and_collaborators_see_a_job(ana: Bench, ben: Bench, eve: Bench):
    job = await ana.create()
    address = f"/jobs/{job['id']}"
    for other in (ben, eve):
        await other.call("GET", address, 404)
        await other.call("DELETE", address, 404)
        assert (await other.call("GET", "/jobs"))["count"] == 0
    users = [{"email": "ben@example.com", "steps": ["*"]}]
    await ana.call("PUT", address, json={"collaboration": {"users": users}})
    seen = await ben.call("GET", address)
    assert seen["collaboration"]["users"][0]["email"] == "ben@example.com"
    await ben.call("PUT", address, 403, json={"metadata": {}})
    await ben.call("DELETE", address, 403)
    await eve.call("GET", address, 404)
    native = await eve.client.get("/v1/tasks", headers={"x-api-key": eve.key})
    assert native.json()["data"] == []


async def test_a_collaborator_works_on_the_steps_that_are_listed(ana: Bench, ben: Bench):
    job = await ana.create()
    await put_into_review(await public_id(job["id"]))
    address = f"/jobs/{job['id']}"
    values = {"documents": [{"number": 1, "fields": {"number": "C-1", "total": "9.00"}}]}
    for steps, status in ((["export"], 403), (["review"], 200)):
        users = [{"email": "ben@example.com", "steps": steps}]
        await ana.call("PUT", address, json={"collaboration": {"users": users}})
        await ben.call("PUT", f"{address}/contents/output", status, json=values)


async def test_collaborators_who_are_not_there_are_told_by_their_place(ana: Bench, ben: Bench):
    job = await ana.create(collaboration={"users": [{"email": "ben@example.com", "steps": ["*"]}]})
    wrong = {
        "teams": [{"name": "nobody", "steps": ["*"]}],
        "users": [{"email": "ben@example.com", "steps": ["*"]}, {"steps": ["*"]}],
    }
    told = await ana.call("PUT", f"/jobs/{job['id']}", 400, json={"collaboration": wrong})
    assert list(told["errors"]) == ["collaboration.teams.0", "collaboration.users.1"]
    assert await ben.call("GET", f"/jobs/{job['id']}") == job
    document = await ana.send()
    contents = [{"role": "input", "uri": document["contents_uri"]}]
    sent = {"type": "data-point-extraction", "contents": contents, "mapping.taxonomy": TAXONOMY}
    told = await ana.call("POST", "/jobs", 400, json={**sent, "collaboration": wrong})
    assert list(told["errors"]) == ["collaboration.teams.0", "collaboration.users.1"]
    assert (await ana.call("GET", "/jobs"))["count"] == 1


async def test_a_review_is_looked_at_kept_and_completed_through_the_contents(ana: Bench):
    job = await ana.create()
    task = await public_id(job["id"])
    await put_into_review(task)
    address = f"/jobs/{job['id']}/contents"
    assert {"input", "mapping-taxonomy-json", "data-points"} == {
        one["role"] for one in await ana.call("GET", address)
    }
    found = (await ana.client.get(f"{address}/data-points")).json()
    assert found["documents"][0]["fields"] == {"number": "4711", "total": "9.00"}
    found["documents"][0]["fields"]["number"] = "4712"
    await ana.call("PUT", f"{address}/data-points", json=found)
    assert (await ana.call("GET", f"/jobs/{job['id']}"))["status"] == "blocked"
    await ana.call("PUT", f"{address}/input", 409, json=found)
    done = await ana.call("PUT", f"{address}/output", json=found)
    assert done["status"] == "running"
    await ana.call("PUT", f"{address}/output", 409, json=found)
    row = await let_happen(task, Event.FINISH)
    await add_output(row)
    shown = await ana.call("GET", f"/jobs/{job['id']}")
    assert shown["status"] == "completed"
    assert shown["progress"] == {"current": 4, "total": 4}
    assert (await ana.client.get(shown["output_content"]["uri"])).content == b"{}"
    again = await ana.call("POST", f"/jobs/{job['id']}/rewind")
    assert (again["status"], again["output_content"]) == ("blocked", None)


async def test_values_that_do_not_fit_leave_the_job_in_review(ana: Bench):
    job = await ana.create()
    await put_into_review(await public_id(job["id"]))
    sent = {"documents": [{"number": 1, "fields": {"total": "nine"}}]}
    told = await ana.call("PUT", f"/jobs/{job['id']}/contents/output", 400, json=sent)
    assert "total" in told["errors"]
    twice = {"documents": [{"number": 1, "fields": {"total": n}} for n in ("1", "2")]}
    told = await ana.call("PUT", f"/jobs/{job['id']}/contents/output", 400, json=twice)
    assert list(told["errors"]) == ["documents"]
    # Beside the documents they would be lost, and the review be over.
    lost = await ana.call("PUT", f"/jobs/{job['id']}/contents/output", 400, json={"total": "119"})
    assert "total" in lost["errors"]
    assert (await ana.call("GET", f"/jobs/{job['id']}"))["status"] == "blocked"


async def test_a_job_is_cancelled_and_removed(ana: Bench):
    job = await ana.create()
    cancelled = await ana.call("POST", f"/jobs/{job['id']}/cancel")
    assert cancelled["status"] == "cancelled"
    await ana.call("POST", f"/jobs/{job['id']}/cancel", 409)
    assert await ana.call("DELETE", f"/jobs/{job['id']}") == {"id": job["id"]}
    await ana.call("GET", f"/jobs/{job['id']}", 404)


async def test_what_is_kept_with_a_job_is_changed_and_the_rest_stays(ana: Bench):
    job = await ana.create(order="4711")
    changed = await ana.call("PUT", f"/jobs/{job['id']}", json={"metadata": {"order": 1}})
    assert changed["metadata"] == {"order": 1, "mapping.taxonomy": TAXONOMY}
    assert changed["collaboration"] == job["collaboration"]
    # What its type needs is a content of the job, and stays one.
    assert changed["contents"] == job["contents"]
    more = {"mapping": {"taxonomy": ["Date"]}, "order": 2}
    changed = await ana.call("PUT", f"/jobs/{job['id']}", json={"metadata": more})
    assert changed["metadata"] == more
    wrong = {"metadata": {"mapping.taxonomy": []}}
    told = await ana.call("PUT", f"/jobs/{job['id']}", 400, json=wrong)
    assert list(told["errors"]) == ["mapping.taxonomy"]
    assert (await ana.call("GET", f"/jobs/{job['id']}"))["metadata"] == more


async def test_each_project_of_files_is_a_type_of_jobs(ana: Bench):
    await ana.client.post(
        "/v1/projects",
        content="name: bills\nfields: [{name: total, labels: [Total]}]",
        headers={"content-type": "application/yaml", "x-api-key": ana.key},
    )
    types = {one["id"]: one for one in (await ana.call("GET", "/job-types"))["job_types"]}
    assert set(types) == {"data-point-extraction", "indexing", "bills"}
    extraction = types["data-point-extraction"]["metadata"]
    assert extraction["required"] == ["mapping.taxonomy"]
    assert await ana.call("GET", "/job-types/bills") == types["bills"]
    await ana.call("GET", "/job-types/none", 404)
    job = await ana.create(type="bills")
    assert (await ana.call("GET", "/jobs", params={"type": "bills"}))["jobs"] == [job]


async def test_two_jobs_have_each_the_project_file_of_its_taxonomy(ana: Bench):
    first = await ana.create(**{"mapping.taxonomy": ["Number"]})
    second = await ana.create(**{"mapping": {"taxonomy": ["Date"]}, "mapping.taxonomy": None})
    names: list[list[str]] = []
    for job in (first, second):
        async with database().reading() as session:
            file = await project_file_of(session, await session.get_one(Task, UUID(job["id"])))
        names.append([field.name for field in file.fields])
    assert names == [["number"], ["date"]]


async def test_what_is_made_with_a_test_key_is_not_seen_as_live(app: FastAPI, ana: Bench):
    async for tester in bench_of(app, "ana@example.com", is_test=True):
        answer = await tester.client.get("/status", auth=(f"user-test-{tester.key}", ""))
        assert answer.status_code == 200
        answer = await tester.client.get("/status", auth=(f"user-live-{tester.key}", ""))
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs/none", 404),
        ("GET", "/jobs/none/contents", 404),
        ("PATCH", "/jobs", 405),
        ("GET", "/jobs?limit=0", 400),
        ("GET", "/jobs?status=done", 400),
        ("POST", "/jobs", 400),
        ("GET", "/jobs/nowhere/at/all", 404),
    ],
)
async def test_every_error_is_in_the_envelope(ana: Bench, method: str, path: str, status: int):
    told = await ana.call(method, path, status)
    assert told["message"]
