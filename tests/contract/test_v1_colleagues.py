"""Handing over, comments, audits, batches, and what the metrics make of them."""

from typing import get_args

import pytest

from api import gauges
from api.v1.batch import Verb
from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import Client, MakeKey, let_happen, put_into_review, send_task


async def waiting(client: Client, **fields: str) -> str:
    task_id = await send_task(client, **fields)
    await put_into_review(task_id)
    return task_id


async def test_the_next_task_is_the_one_with_the_highest_priority_then_the_first_due(
    client: Client,
):
    late = await waiting(client, due_at="2030-01-02T00:00:00Z")
    soon = await waiting(client, due_at="2030-01-01T00:00:00Z")
    whenever = await waiting(client)
    urgent = await waiting(client, priority="5")
    order = [(await client.post("/v1/tasks/next?project=invoices")).json()["id"] for _ in range(4)]
    assert order == [urgent, soon, late, whenever]
    assert (await client.post("/v1/tasks/next")).status_code == 204


async def test_a_task_is_handed_over_to_who_may_work_on_it(
    client: Client, stranger: Client, make_key: MakeKey
):
    task_id = await waiting(client)
    ada = {"x-api-key": await make_key("task.edit", user="ada@example.com")}
    eve = {"x-api-key": await make_key("task.edit", user="eve@example.com")}
    path = f"/v1/tasks/{task_id}/assign"
    to_ada = {"user": "ada@example.com"}
    assert (await stranger.post(path, json=to_ada, headers=eve)).json()["claimed_by"] == (
        "ada@example.com"
    )
    problem_in(await stranger.post(path, json={"user": None}, headers=eve), 409, "already_claimed")
    problem_in(
        await stranger.post(f"/v1/tasks/{task_id}/complete", headers=eve), 409, "already_claimed"
    )
    handed = await stranger.post(path, json={"user": "eve@example.com"}, headers=ada)
    assert handed.json()["claimed_by"] == "eve@example.com"
    assert (await client.post(path, json={"user": None})).json()["claimed_by"] is None
    problem_in(await client.post(path, json={"user": "nobody@example.com"}), 404, "not_found")
    await client.post("/v1/teams", json={"name": "claims"})
    await client.put("/v1/projects/invoices/team", json={"team": "claims"})
    problem_in(await client.post(path, json=to_ada), 422, "input_rejected")


async def test_comments_are_in_the_history_and_audits_in_the_metrics(client: Client):
    task_id = await waiting(client)
    answer = await client.post(f"/v1/tasks/{task_id}/comments", json={"text": "Blurred."})
    assert answer.status_code == 201
    history = (await client.get(f"/v1/tasks/{task_id}/events")).json()["data"]
    assert (history[0]["type"], history[0]["reason"]) == ("task.commented", "Blurred.")
    audit = f"/v1/tasks/{task_id}/audit"
    problem_in(await client.post(audit, json={"correct": True}), 409, "illegal_transition")
    await client.post(f"/v1/tasks/{task_id}/claim")
    await client.post(f"/v1/tasks/{task_id}/discard")
    assert (await client.post(audit, json={"correct": False})).json()["is_correct"] is False
    (queue,) = (await client.get("/v1/metrics/queues?range=24h")).json()["data"]
    assert queue["handling_seconds"] > 0
    assert queue["turnaround_seconds"] is not None
    told = ("created", "completed", "decided", "ended_otherwise", "waiting", "audited", "accuracy")
    assert [queue[name] for name in told] == [1, 0, 1, 1, 0, 1, 0.0]
    await client.post(audit, json={"correct": None})
    (queue,) = (await client.get("/v1/metrics/queues?project=invoices")).json()["data"]
    assert (queue["audited"], queue["accuracy"]) == (0, None)


async def test_a_batch_does_what_it_can_and_says_of_each_task_what_became_of_it(client: Client):
    waits = await waiting(client)
    queued = await send_task(client)
    answer = await client.post(
        "/v1/tasks:batch",
        json={"verb": "discard", "ids": [waits, queued, "task_none", waits], "reason": "spam"},
    )
    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [(one["id"], one["status"]) for one in results] == [
        (waits, 200),
        (queued, 409),
        ("task_none", 404),
    ]
    assert results[0]["task"]["state"] == "discarded"
    assert results[1]["error"]["code"] == "illegal_transition"
    gone = await client.post("/v1/tasks:batch", json={"verb": "delete", "ids": [queued]})
    assert gone.json()["results"] == [{"id": queued, "status": 204, "task": None, "error": None}]
    problem_in(
        await client.post("/v1/tasks:batch", json={"verb": "explode", "ids": [waits]}),
        422,
        "validation",
    )


@pytest.mark.parametrize("verb", get_args(Verb))
async def test_each_verb_of_a_batch_is_answered_for_each_task(client: Client, verb: str):
    """Of a task that waits, one that has not begun, one that has failed, and none."""
    tasks = [await waiting(client), await send_task(client), await send_task(client)]
    await let_happen(tasks[2], Event.START, Event.FAIL)
    ids = [*tasks, "task_none"]
    answer = await client.post("/v1/tasks:batch", json={"verb": verb, "ids": ids, "reason": "so"})
    assert answer.status_code == 207, answer.text
    results = answer.json()["results"]
    assert [one["id"] for one in results] == ids
    well = 204 if verb == "delete" else 200
    possible = {
        "claim": {0},
        "release": set[int](),
        "complete": {0},
        "discard": {0},
        "report": {0, 1, 2},
        "unlock": set[int](),
        "cancel": {0, 1},
        "retry": {2},
        "delete": {0, 1, 2},
    }[verb]
    expected = [well if index in possible else 409 for index in range(3)]
    assert [one["status"] for one in results] == [*expected, 404]
    for one in results:
        assert (one["task"] is not None) is (one["status"] == 200)
        assert (one["error"] is None) is (one["status"] < 400)
        assert one["error"] is None or one["error"]["status"] == one["status"]


async def test_tasks_are_found_by_the_number_of_their_queue(client: Client):
    task_id = await waiting(client)
    number = (await client.get("/v1/projects/invoices")).json()["number"]
    found = (await client.get(f"/v1/tasks?queue={number}")).json()["data"]
    assert [one["id"] for one in found] == [task_id]
    assert (await client.get(f"/v1/tasks?queue={number + 1}")).json()["data"] == []


async def test_figures_for_prometheus_count_the_tasks(
    client: Client, stranger: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gauges, "_last", (float("-inf"), b""))
    await waiting(client)
    figures = (await stranger.get("/metrics")).text
    assert 'papertray_tasks{state="in_review"} 1.0' in figures
    assert "papertray_prefect_calls_waiting 1.0" in figures
    answer = await stranger.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["database"], answer.json()["worker"]) == ("ok", "unavailable")
