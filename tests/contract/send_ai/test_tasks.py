"""Tasks: what is found on their pages, what is decided, and what is refused."""

from typing import Any

import pytest
from sqlmodel import col, select

from api.vocabulary import VOCABULARY, Standing
from store.database import database
from store.lifecycle import FINAL, LIFECYCLE
from store.models import Document, Task
from store.settings import settings
from store.states import Event, State
from tests.contract.send_ai.desk import Desk, done, end, refused
from tests.contract.world import Client, let_happen, send_task
from tests.receiver import answer, receiving

REPORT = {"issues": [{"label": "Poor Document Quality", "value": "poor_quality"}]}


async def test_a_task_shows_what_was_found_on_its_pages(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    task = await desk.task(task_id)
    assert task.pop("created_at").endswith("Z")
    for name in ("id", "upload_id", "project_id"):
        assert task.pop(name)
    place = {"confidence": 0.5, "top": 2.0, "left_of_line": 1.0}
    assert task == {
        "name": "page.png",
        "meta": [],
        "status": "REVIEWING",
        "step_type": "EXTRACT",
        "approved": False,
        "exported_at": None,
        "export_failed_at": None,
        "last_opened_at": None,
        "pages": [
            {
                "id": "page_1",
                "width": 1,
                "height": 1,
                "annotations": [
                    {"id": "ann_number", "entity_id": "number", "content": "4711", **place},
                    {"id": "ann_total", "entity_id": "total", "content": "9.00", **place},
                ],
                "checkboxes": [],
                "segments": [
                    {
                        "id": "seg_1",
                        "confidence": 1.0,
                        "coordinates": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
                    }
                ],
                "signatures": [],
            }
        ],
    }


PATHS: dict[State, list[Event]] = {State.QUEUED: []}
"""How a task gets into each state."""
for _ in State:
    for (_state, _event), _target in LIFECYCLE.items():
        if _state in PATHS and _target not in PATHS:
            PATHS[_target] = [*PATHS[_state], _event]


@pytest.mark.parametrize("state", State)
async def test_each_state_has_its_word_and_its_verbs(state: State, desk: Desk):
    _, (task_id, _) = await desk.send("a.png", "b.png")
    await let_happen(task_id, *PATHS[state])
    word = VOCABULARY[Standing.WAITING if state is State.IN_REVIEW else Standing(state.value)]
    task = await desk.task(task_id)
    assert task["status"] == word.send_ai
    assert task["approved"] is (word.send_ai == "COMPLETED")
    done(await desk.call("POST", f"/task/{task_id}/report", json=REPORT), 201)
    if state is not State.IN_REVIEW:
        for verb in ("complete", "discard"):
            refused(await desk.call("POST", f"/task/{task_id}/{verb}"))
        corrections = {"annotations": [{"entity_id": "total", "content": "1"}]}
        refused(await desk.call("PATCH", f"/task/{task_id}", json=corrections))
    answered = await desk.call("POST", f"/task/{task_id}/unlock")
    if state in {State.COMPLETED, State.FILTERED, State.DISCARDED}:
        assert done(answered)["payload"]["status"] == "REVIEWING"
    else:
        assert state.value in refused(answered)["message"]
        assert (await desk.task(task_id))["status"] == word.send_ai


def test_every_state_is_reached():
    assert set(PATHS) == set(State)
    assert set(PATHS) >= FINAL


async def test_what_is_not_valid_is_told_by_field_and_the_task_stays(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    wrong = {"annotations": [{"entity_id": "total", "content": "much"}]}
    task = done(await desk.call("PATCH", f"/task/{task_id}", json=wrong))["payload"]
    assert task["pages"][0]["annotations"][1] == {
        "id": "ann_total",
        "entity_id": "total",
        "confidence": 1.0,
        "content": "much",
        "top": None,
        "left_of_line": None,
    }
    body = refused(await desk.call("POST", f"/task/{task_id}/complete"))
    assert list(body["errors"]) == ["total"]
    assert (await desk.task(task_id))["status"] == "REVIEWING"
    right = {"annotations": [{"entity_id": "total", "content": "119.00"}]}
    done(await desk.call("PATCH", f"/task/{task_id}", json=right))
    done(await desk.call("POST", f"/task/{task_id}/complete"))


async def test_an_entity_that_is_none_is_told(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    wrong = {"annotations": [{"entity_id": "colour", "content": "red"}]}
    assert "colour" in refused(await desk.call("PATCH", f"/task/{task_id}", json=wrong))["errors"]
    for body in ({}, {"annotations": []}, {"annotations": [{"entity_id": "total"}]}):
        refused(await desk.call("PATCH", f"/task/{task_id}", json=body))


async def test_values_of_several_documents_have_the_number_of_theirs(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    async with database().writing() as session:
        query = select(Task).where(col(Task.code) == task_id.removeprefix("task_"))
        row = (await session.execute(query)).scalar_one()
        session.add(Document(task_id=row.id, number=2, document_type="invoice", page_numbers=[1]))
    sent = {"annotations": [{"entity_id": "2.total", "content": "7.00"}]}
    task = done(await desk.call("PATCH", f"/task/{task_id}", json=sent))["payload"]
    entities = [one["entity_id"] for one in task["pages"][0]["annotations"]]
    assert sorted(entities) == ["1.number", "1.total", "2.total"]
    sent = {"annotations": [{"entity_id": "total", "content": "7.00"}]}
    assert "total" in refused(await desk.call("PATCH", f"/task/{task_id}", json=sent))["errors"]


async def test_a_task_of_an_upload_that_is_processed_stays_as_it_is(desk: Desk):
    _, tasks = await desk.send("a.png", "b.png")
    await end(tasks, Event.FINISH)
    body = refused(await desk.call("POST", f"/task/{tasks[0]}/unlock"))
    assert "fully processed" in body["message"]


async def test_a_task_that_was_exported_stays_as_it_is(desk: Desk):
    _, (task_id, _) = await desk.send("a.png", "b.png")
    row = await let_happen(task_id, Event.START)
    await let_happen(task_id, Event.FINISH, exported_at=row.created_at)
    body = refused(await desk.call("PUT", f"/task/{task_id}/unlock"))
    assert "was exported" in body["message"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "blurry"},
        {"issues": "blurry"},
        {"issues": [], "message": "blurry"},
        {"issues": [{"label": "Blurry"}]},
        {"issues": [{"label": "Blurry", "value": "b", "more": 1}]},
    ],
)
async def test_a_report_needs_issues(body: dict[str, Any], desk: Desk):
    _, (task_id,) = await desk.send()
    refused(await desk.call("POST", f"/task/{task_id}/report", json=body))


async def test_a_report_whose_hook_fails_is_kept_and_half_a_success(
    desk: Desk, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    statuses = iter([200, 500, 200, 500])
    async with receiving(lambda _: answer(next(statuses))) as hook:
        source = (await client.get("/v1/projects/invoices")).json()["source"]
        source += f"report_hook: {hook.url()}\n"
        assert (await client.post("/v1/projects", json={"source": source})).status_code == 201
        upload_id, (task_id, ended, failed, gone) = await desk.send(*"abcd")
        await end([ended], Event.FINISH)
        await end([failed], Event.FAIL)
        await client.delete(f"/v1/tasks/{gone}")
        body = done(await desk.call("POST", f"/task/{task_id}/report", json=REPORT), 201)
        assert body.keys() == {"payload"}
        body = done(await desk.call("POST", f"/task/{task_id}/report", json=REPORT), 207)
        # Each task of an upload has an answer of its own.
        for other, status in ((ended, 201), (failed, 207), (gone, 404)):
            told = await desk.call("POST", f"/task/{other}/report", json=REPORT)
            assert told.status_code == status, told.text
        heard = [one.event["data"]["id"] for one in hook.heard]
        assert heard == [task_id, task_id, ended, failed]
    assert body["payload"]["id"] == task_id
    assert body["errors"] == {"report_hook": ["The receiver answered 500."]}
    assert body["message"].endswith("The receiver answered 500.")
    assert [one.event["data"]["issues"] for one in hook.heard] == [REPORT["issues"]] * 4
    assert (await desk.upload(upload_id))["folder_id"] == "folder_reported"
    events = (await client.get(f"/v1/tasks/{task_id}/events")).json()["data"]
    assert [one["type"] for one in events].count("task.reported") == 2


async def test_a_task_of_another_way_in_is_seen_and_unlocked(desk: Desk, client: Client):
    task_id = await send_task(client)
    task = await desk.task(task_id)
    assert (task["upload_id"], task["status"]) == (None, "PROCESSING")
    await end([task_id], Event.FINISH)
    done(await desk.call("POST", f"/task/{task_id}/unlock"))


async def test_a_task_is_found_in_its_project_alone(desk: Desk, client: Client):
    _, (task_id,) = await desk.send()
    source = "name: receipts\nfields: [{name: total, labels: [Total]}]\n"
    assert (await client.post("/v1/projects", json={"source": source})).status_code == 201
    address = f"/v2/{desk.team_id}/project/receipts/task/{task_id}"
    refused(await desk.http.get(address), 404)
    for verb in ("complete", "discard", "unlock"):
        refused(await desk.http.post(f"{address}/{verb}"), 404)
