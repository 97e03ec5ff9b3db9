"""/v1/webhooks, and `callback_url` wherever work is sent."""

from typing import Any

import pytest

from operations.registry import OPERATIONS
from store.activity import EVENT_TYPES
from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import PNG, Client, install, let_happen, send_file, send_task

URL = "https://example.com/hook"


async def created(client: Client, **fields: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def deliveries(client: Client, webhook: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/v1/webhooks/{webhook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_secret_is_shown_once(client: Client):
    made = await created(client)
    assert made["secret"].startswith("whsec_")
    shown = (await client.get(f"/v1/webhooks/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    listed = await client.get("/v1/webhooks")
    assert listed.json()["data"] == [shown]
    changed = await client.patch(f"/v1/webhooks/{made['id']}", json={"enabled": False})
    assert made["secret"] not in listed.text + changed.text


async def test_a_webhook_is_told_of_everything_where_nothing_is_chosen(client: Client):
    assert (await created(client))["events"] == ["*"]
    chosen = await created(client, events=["task.failed", "task.completed", "task.failed"])
    assert chosen["events"] == ["task.completed", "task.failed"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://2130706433/"}, "url"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "https://example.com:22/"}, "url"),
        ({"url": "https://example.com/\0"}, "url"),
        ({"url": 7}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["task.complete"]}, "events.0"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
    ],
)
async def test_what_is_not_right_is_refused_with_the_field(
    client: Client, sent: dict[str, Any], field: str
):
    answer = await client.post("/v1/webhooks", json=sent)
    assert answer.status_code == 422
    assert list(problem_in(answer, 422, "validation")["errors"]) == [field]
    assert "secret@" not in answer.text


async def test_a_webhook_is_changed_in_what_is_sent_and_nothing_else(client: Client):
    made = await created(client, events=["task.failed"])
    address = f"/v1/webhooks/{made['id']}"
    moved = (await client.patch(address, json={"url": "https://example.com/other"})).json()
    assert (moved["url"], moved["events"]) == ("https://example.com/other", ["task.failed"])
    off = (await client.patch(address, json={"enabled": False})).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "disabled by its owner")
    on = (await client.patch(address, json={"enabled": True, "events": ["*"]})).json()
    assert (on["enabled"], on["disabled_reason"], on["events"]) == (True, "", ["*"])
    assert (await client.patch(address, json={"url": "http://10.0.0.1/"})).status_code == 422
    assert (await client.patch(address, json={"name": "x"})).status_code == 422


async def test_a_deleted_webhook_is_gone(client: Client):
    made = await created(client)
    assert (await client.delete(f"/v1/webhooks/{made['id']}")).status_code == 204
    for method, rest in (("get", ""), ("delete", ""), ("post", "/test"), ("get", "/deliveries")):
        answer = await client.request(method, f"/v1/webhooks/{made['id']}{rest}")
        assert answer.status_code == 404


async def test_a_rotation_shows_the_new_secret_and_how_long_the_old_one_holds(client: Client):
    made = await created(client)
    address = f"/v1/webhooks/{made['id']}"
    rotated = (await client.post(f"{address}/rotate-secret")).json()
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"] > rotated["updated_at"]
    leaked = await client.post(f"{address}/rotate-secret", json={"keep_seconds": 0})
    assert leaked.json()["previous_secret_until"] is None
    too_long = await client.post(f"{address}/rotate-secret", json={"keep_seconds": 10**9})
    assert too_long.status_code == 422


async def test_what_happens_is_in_the_log_of_deliveries(client: Client):
    made = await created(client, events=["task.created", "task.canceled"])
    task_id = await send_task(client)
    await let_happen(task_id, Event.CANCEL)
    events = (await client.get(f"/v1/tasks/{task_id}/events")).json()["data"]
    told = (await deliveries(client, made))["data"]
    assert [(one["event_type"], one["event_id"]) for one in told] == [
        (one["type"], one["id"]) for one in events
    ]
    assert {one["status"] for one in told} == {"waiting"}
    assert {one["last_attempt"] for one in told} == {None}


async def test_the_log_is_read_page_by_page_and_by_status(client: Client):
    made = await created(client)
    for _ in range(5):
        assert (await client.post(f"/v1/webhooks/{made['id']}/test")).status_code == 202
    first = await deliveries(client, made, take=2)
    second = (await client.get(first["links"]["next"])).json()
    last = (await client.get(second["links"]["next"])).json()
    pages = [first, second, last]
    assert [len(page["data"]) for page in pages] == [2, 2, 1]
    assert last["links"]["next"] is None
    assert len({one["id"] for page in pages for one in page["data"]}) == 5
    assert (await client.get(last["links"]["previous"])).json()["data"] == second["data"]
    assert (await deliveries(client, made, status="delivered"))["data"] == []
    assert len((await deliveries(client, made, status="waiting"))["data"]) == 5


async def test_a_test_event_goes_to_one_webhook_whatever_it_is_told_of(client: Client):
    made, other = await created(client, events=["file.deleted"]), await created(client)
    sent = (await client.post(f"/v1/webhooks/{made['id']}/test")).json()
    assert (sent["event_type"], sent["status"]) == ("webhook.test", "waiting")
    assert (await deliveries(client, made))["data"] == [sent]
    assert (await deliveries(client, other))["data"] == []


async def test_a_delivery_is_sent_again_under_the_same_event(client: Client):
    made = await created(client)
    sent = (await client.post(f"/v1/webhooks/{made['id']}/test")).json()
    address = f"/v1/webhooks/{made['id']}/deliveries/{sent['id']}/resend"
    again = (await client.post(address)).json()
    assert (again["id"], again["event_id"]) == (sent["id"], sent["event_id"])
    await client.patch(f"/v1/webhooks/{made['id']}", json={"enabled": False})
    assert (await client.post(address)).status_code == 409


async def test_all_types_are_described(client: Client):
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert schemas["WebhookBody"]["properties"]["events"]["items"]["enum"] == ["*", *EVENT_TYPES]


# Callbacks

CALLBACK = "https://example.com/done?task=1"
INSIDE = "http://169.254.169.254/latest"


def bodies() -> list[tuple[str, dict[str, Any]]]:
    """A body for each operation that takes one file and needs no more, and one that does."""
    return [
        (f"/v1/{kind}-operations/{row.name}", {"input": "file_abc123xyz"})
        for row in OPERATIONS.values()
        for kind in sorted(row.accepts)
    ]


@pytest.mark.parametrize(("path", "body"), bodies())
async def test_every_operation_refuses_a_callback_inside(
    client: Client, path: str, body: dict[str, Any]
):
    answer = await client.post(path, json={**body, "callback_url": INSIDE})
    assert answer.status_code == 422
    assert "callback_url" in problem_in(answer, 422, "validation")["errors"]
    answer = await client.post(path, json={**body, "callback_url": CALLBACK})
    assert "callback_url" not in answer.json().get("errors", {})


async def test_the_task_of_an_operation_shows_its_callback(client: Client):
    sent = {"input": "file_abc123xyz", "format": "markdown", "callback_url": CALLBACK}
    answer = await client.post("/v1/pdf-operations/extract-text", json=sent)
    assert answer.status_code == 202
    assert answer.json()["callback_url"] == CALLBACK
    assert answer.json()["parameters"] == sent
    shown = await client.get(f"/v1/tasks/{answer.json()['id']}")
    assert shown.json()["callback_url"] == CALLBACK


async def test_a_task_of_a_project_takes_a_callback_in_a_form_and_in_json(client: Client):
    await install(client)
    form = await client.post(
        "/v1/tasks",
        files={"file": ("page.png", PNG)},
        data={"project": "invoices", "callback_url": CALLBACK},
    )
    body = {"project": "invoices", "input": await send_file(client)}
    sent = await client.post("/v1/tasks", json={**body, "callback_url": CALLBACK})
    without = await client.post("/v1/tasks", json=body)
    assert [one.json()["callback_url"] for one in (form, sent, without)] == [
        *(CALLBACK, CALLBACK, None)
    ]
    for refused in (
        await client.post("/v1/tasks", json={**body, "callback_url": INSIDE}),
        await client.post(
            "/v1/tasks",
            files={"file": ("page.png", PNG)},
            data={"project": "invoices", "callback_url": INSIDE},
        ),
    ):
        assert refused.status_code == 422
        assert list(problem_in(refused, 422, "validation")["errors"]) == ["callback_url"]
