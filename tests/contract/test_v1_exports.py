"""/v1/tasks/{id}/export: how a client fetches what a task leaves with."""

from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import (
    Client,
    MakeKey,
    add_output,
    let_happen,
    put_into_review,
    send_task,
)


async def offered(client: Client) -> str:
    task_id = await send_task(client)
    await put_into_review(task_id)
    await add_output(await let_happen(task_id, Event.ANSWER))
    await let_happen(task_id, Event.OFFER_EXPORT, export_round=1)
    return task_id


async def test_a_client_fetches_the_files_and_says_so(client: Client):
    task_id = await offered(client)
    shown = (await client.get(f"/v1/tasks/{task_id}")).json()
    assert (shown["state"], shown["status"]) == ("awaiting_export", "processing")
    started = await client.post(f"/v1/tasks/{task_id}/export/start")
    assert started.status_code == 200, started.text
    offer = started.json()
    assert (offer["task"]["id"], offer["task"]["state"]) == (task_id, "exporting")
    assert offer["task"]["claimed_by"]
    assert offer["documents"] == [
        {
            "number": 1,
            "document_type": "invoice",
            "page_numbers": [1],
            "group_number": None,
            "fields": {"number": "4711", "total": "9.00"},
        }
    ]
    (file,) = offer["files"]
    assert (file["name"], file["role"]) == ("data.json", "data")
    assert (await client.get(f"/v1/files/{file['id']}/download")).content == b"{}"
    done = (await client.post(f"/v1/tasks/{task_id}/export/complete")).json()
    assert (done["state"], done["claimed_by"]) == ("running", None)
    assert done["exported_at"]
    events = (await client.get("/v1/events")).json()["data"]
    assert events[0]["type"] == "task.exported"


async def test_each_call_needs_its_state_and_the_caller_that_started(
    client: Client, stranger: Client, make_key: MakeKey
):
    task_id = await offered(client)
    address = f"/v1/tasks/{task_id}/export"
    for verb in ("complete", "cancel", "fail"):
        answer = await client.post(f"{address}/{verb}")
        problem_in(answer, 409, "illegal_transition")
    assert (await client.post(f"{address}/start")).status_code == 200
    other = {"x-api-key": await make_key("task.edit", user="bob@example.com")}
    for verb, code in (
        ("start", "illegal_transition"),
        ("complete", "not_claimed"),
        ("cancel", "not_claimed"),
        ("fail", "not_claimed"),
    ):
        answer = await stranger.post(f"{address}/{verb}", headers=other)
        problem_in(answer, 409, code)
    assert (await client.post(f"{address}/cancel")).json()["state"] == "awaiting_export"
    assert (await stranger.post(f"{address}/start", headers=other)).status_code == 200


async def test_a_client_that_refuses_the_files_fails_the_task(client: Client):
    task_id = await offered(client)
    await client.post(f"/v1/tasks/{task_id}/export/start")
    body = {"message": "There is no customer of that number."}
    failed = (await client.post(f"/v1/tasks/{task_id}/export/fail", json=body)).json()
    assert (failed["state"], failed["status"]) == ("failed", "failed")
    assert failed["result"] == {"error": body["message"], "details": {"code": "export_failed"}}
    assert failed["export_failed_at"]


async def test_the_place_of_an_export_is_refused_with_its_line(client: Client):
    source = "name: a\nfields: [{name: b, labels: [B]}]\nexport:\n  to: /etc/cron.d\n"
    answer = await client.post("/v1/projects", json={"source": source})
    problem = problem_in(answer, 422, "project_file_invalid")
    assert problem["problems"][0]["line"] == 4
    assert list(problem["errors"]) == ["export.to"]
