"""Every request printed on Send AI's page of tasks, sent as printed, and the answers told there."""

import pytest

from store.states import Event
from tests.contract.send_ai.desk import Desk, done, end, key_of, refused
from tests.contract.world import put_into_review

REPORT = {"issues": [{"label": "Poor Document Quality", "value": "poor_quality"}]}


async def test_get_task_shows_its_status_its_step_and_its_metadata(desk: Desk):
    upload_id, (task_id,) = await desk.send_to_review()
    task = done(await desk.call("GET", f"/task/{task_id}"))["payload"]
    assert (task["id"], task["status"], task["step_type"]) == (task_id, "REVIEWING", "EXTRACT")
    assert (task["upload_id"], task["project_id"]) == (upload_id, desk.project_id)


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("status", "event"), [("COMPLETED", Event.FINISH), ("FILTERED", Event.FILTER)]
)
async def test_unlock_opens_a_finalized_task(method: str, status: str, event: Event, desk: Desk):
    _, (task_id, _) = await desk.send("a.png", "b.png")
    await end([task_id], event)
    assert (await desk.task(task_id))["status"] == status
    task = done(await desk.call(method, f"/task/{task_id}/unlock"))["payload"]
    assert (task["id"], task["status"]) == (task_id, "REVIEWING")


async def test_unlock_opens_a_discarded_task(desk: Desk):
    _, (task_id, _) = await desk.send_to_review("a.png", "b.png")
    done(await desk.call("POST", f"/task/{task_id}/discard"))
    task = done(await desk.call("POST", f"/task/{task_id}/unlock"))["payload"]
    assert task["status"] == "REVIEWING"


async def test_complete_goes_on_to_the_next_step(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    body = done(await desk.call("POST", f"/task/{task_id}/complete"))
    assert body["message"] == "Task processing started"
    assert (body["payload"]["id"], body["payload"]["status"]) == (task_id, "PROCESSING")
    assert body["payload"]["approved"] is False


async def test_only_a_task_that_is_reviewing_is_completed_or_discarded(desk: Desk):
    _, (task_id,) = await desk.send()
    for verb in ("complete", "discard"):
        refused(await desk.call("POST", f"/task/{task_id}/{verb}"))
    refused(await desk.call("PUT", f"/task/{task_id}/discard"))
    assert (await desk.task(task_id))["status"] == "PROCESSING"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_discard_removes_a_task(method: str, desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    task = done(await desk.call(method, f"/task/{task_id}/discard"))["payload"]
    assert task["status"] == "DISCARDED"


async def test_report_creates_a_report(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    body = done(await desk.call("POST", f"/task/{task_id}/report", json=REPORT), 201)
    assert (body["payload"]["id"], body["payload"]["status"]) == (task_id, "REVIEWING")


async def test_the_quality_control_workflow(desk: Desk):
    upload_id, (one, two) = await desk.send_to_review("a.png", "b.png")
    await put_into_review(two)
    assert (await desk.task(one))["status"] == "REVIEWING"
    done(await desk.call("POST", f"/task/{one}/report", json=REPORT), 201)
    done(await desk.call("POST", f"/task/{one}/complete"))
    done(await desk.call("PUT", f"/task/{two}/discard"))
    assert (await desk.upload(upload_id))["status"] == "PROCESSING"


async def test_the_correction_workflow(desk: Desk):
    _, (task_id, _) = await desk.send_to_review("a.png", "b.png")
    done(await desk.call("PUT", f"/task/{task_id}/discard"))
    done(await desk.call("PUT", f"/task/{task_id}/unlock"))
    corrections = {"annotations": [{"entity_id": "total", "content": "119.00"}]}
    task = done(await desk.call("PATCH", f"/task/{task_id}", json=corrections))["payload"]
    (total,) = [one for one in task["pages"][0]["annotations"] if one["entity_id"] == "total"]
    assert total["content"] == "119.00"
    assert done(await desk.call("POST", f"/task/{task_id}/complete"))["message"]


async def test_the_batch_workflow(desk: Desk):
    upload_id, _ = await desk.send("a.png", "b.png", "c.png")
    tasks = list((await desk.upload(upload_id))["files"])
    for task_id in tasks:
        await put_into_review(task_id)
    done(await desk.call("POST", f"/task/{tasks[0]}/complete"))
    done(await desk.call("POST", f"/task/{tasks[1]}/report", json=REPORT), 201)
    done(await desk.call("PUT", f"/task/{tasks[2]}/discard"))
    statuses = [(await desk.task(task_id))["status"] for task_id in tasks]
    assert statuses == ["PROCESSING", "REVIEWING", "DISCARDED"]


async def test_the_status_codes_of_the_page(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    task = f"/task/{task_id}"
    refused(await desk.call("POST", f"{task}/report", json={"message": "no issues"}), 400)
    refused(await desk.call("POST", f"{task}/unlock"), 400)
    wrong = {"authorization": "Bearer ptk_wrong"}
    refused(await desk.call("GET", task, headers=wrong), 401)
    refused(await desk.call("GET", "/task/task_0000000000000000"), 404)


async def test_the_scopes_of_the_page(desk: Desk):
    _, (task_id,) = await desk.send_to_review()
    reading = {"authorization": f"Bearer {await key_of('claims', 'task.read')}"}
    editing = {"authorization": f"Bearer {await key_of('claims', 'task.edit')}"}
    done(await desk.call("GET", f"/task/{task_id}", headers=reading))
    refused(await desk.call("GET", f"/task/{task_id}", headers=editing), 403)
    for verb in ("unlock", "complete", "discard", "report"):
        sent = {"json": REPORT} if verb == "report" else {}
        path = f"/task/{task_id}/{verb}"
        refused(await desk.call("POST", path, headers=reading, **sent), 403)
        is_allowed = await desk.call("POST", path, headers=editing, **sent)
        assert is_allowed.status_code not in {401, 403}
