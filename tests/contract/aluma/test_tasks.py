"""/tasks: taken in, listed, shown, canceled."""

from datetime import timedelta
from typing import Any

import pytest

from store.ids import now
from store.settings import settings
from store.states import Event
from tests.contract.aluma.desk import (
    PDF,
    TAGS,
    Connect,
    awaiting_export,
    awaiting_validation,
    change,
    create,
    let_data_go,
    message_in,
    row_of,
    standing,
    worked_on,
)
from tests.contract.world import Client, blobs_on_disk


async def ids_in_list(client: Client, **query: Any) -> list[str]:
    answer = await client.get("/tasks", params=query)
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()["tasks"]]


async def test_the_id_is_the_same_before_there_is_a_run_and_after(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id)
    assert (await row_of(task_id)).flow_run_id is None
    before = (await aluma.get(f"/tasks/{task_id}")).json()
    run_id = (await row_of(task_id)).id  # any UUID will do
    await worked_on(task_id, Event.START, flow_run_id=run_id)
    after = (await aluma.get(f"/tasks/{task_id}")).json()
    assert after == {**before, "state": "running"}


async def test_every_tag_is_kept_and_the_name_falls_back_on_that_of_the_file(
    aluma: Client, project_id: str
):
    for tags, name in (
        ("file_name=00001.pdf&case=7", "00001.pdf"),
        ("task_name=M\xc3\xbcller & S\xc3\xb6hne", "Müller & Söhne"),
        ("", "document"),
    ):
        answer = await aluma.post(
            "/tasks",
            params={"project_id": project_id},
            content=PDF,
            headers={"X-Aluma-Tags": tags.encode("latin-1")} if tags else {},  # pyright: ignore[reportArgumentType]  # bytes are sent as they are
        )
        assert answer.status_code == 202, answer.text
        assert answer.json()["name"] == name
    lines = [("X-Aluma-Tags", "task_name=a"), ("X-Aluma-Tags", "case=7")]
    once: dict[str, Any] = {"params": {"project_id": project_id}, "content": PDF}
    answer = await aluma.post("/tasks", **once, headers=[*lines, ("Idempotency-Key", "k")])
    kept = (await row_of(answer.json()["id"])).task_metadata
    assert kept == {"task_name": "a", "case": "7"}
    other = [lines[0], ("X-Aluma-Tags", "case=8"), ("Idempotency-Key", "k")]
    message_in(await aluma.post("/tasks", **once, headers=other), 400)
    first = await row_of(await create(aluma, project_id, "file_name=a.pdf&case=7"))
    assert first.task_metadata == {"file_name": "a.pdf", "case": "7"}


@pytest.mark.parametrize("media_type", ["image/tiff", "image/png", "text/plain", ""])
async def test_any_file_is_accepted_whatever_its_type_is(
    aluma: Client, project_id: str, media_type: str
):
    answer = await aluma.post(
        "/tasks",
        params={"project_id": project_id},
        content=b"neither PDF nor TIFF",
        headers={"Content-Type": media_type} if media_type else {},
    )
    assert answer.status_code == 202, answer.text


async def test_a_file_that_the_project_says_it_does_not_take_is_accepted_too(aluma: Client):
    source = "name: a\nfields: [{name: b, labels: [B]}]\nlimits: {file_types: [tiff]}\n"
    project = await aluma.post("/projects", content=source, headers={"Content-Type": "text/yaml"})
    await create(aluma, project.json()["id"], content=PDF)


async def test_what_cannot_be_taken_in_is_refused_and_leaves_nothing(
    aluma: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
):
    async def send(content: bytes = PDF, tags: str = TAGS, **query: str) -> Any:
        headers = {"X-Aluma-Tags": tags}
        return await aluma.post("/tasks", params=query, content=content, headers=headers)

    assert "project_id" in message_in(await send(), 400)
    for wrong in ("ZbfzIZorTFOV60GX58YUuQ", "x", ""):
        message_in(await send(project_id=wrong), 404)
    message_in(await send(project_id=project_id, content=b""), 400)
    assert "X-Aluma-Tags" in message_in(await send(project_id=project_id, tags="AB39"), 400)
    long = f"task_name={'x' * 256}"
    assert "255" in message_in(await send(project_id=project_id, tags=long), 400)
    monkeypatch.setattr(settings(), "max_file_bytes", 1000)
    message_in(await send(project_id=project_id, content=PDF * 100), 413)
    monkeypatch.setattr("api.bodies.MAX_BODY_BYTES", 10)
    message_in(await send(project_id=project_id, content=PDF * 100), 413)
    assert blobs_on_disk() == []
    assert await ids_in_list(aluma) == []


async def test_a_file_larger_than_a_body_may_be_else_is_taken_in(aluma: Client, project_id: str):
    await create(aluma, project_id, content=PDF + bytes(3 << 20))


async def test_a_file_that_is_sent_twice_with_one_key_makes_one_task(
    aluma: Client, project_id: str
):
    async def send(key: str, content: bytes = PDF + bytes(2 << 20), tags: str = TAGS) -> Any:
        return await aluma.post(
            "/tasks",
            params={"project_id": project_id},
            content=content,
            headers={"X-Aluma-Tags": tags, "Idempotency-Key": key},
        )

    first, second = await send("a"), await send("a")
    assert first.status_code == second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    message_in(await send("a", content=PDF), 400)
    message_in(await send("a", tags="task_name=other"), 400)
    await send("b")
    assert len(await ids_in_list(aluma)) == 2


async def test_a_burst_is_queued_and_listed_oldest_first(aluma: Client, project_id: str):
    sent = [await create(aluma, project_id, f"task_name={n}") for n in range(7)]
    assert await ids_in_list(aluma) == sent
    assert await ids_in_list(aluma, state="queued", project_id=project_id) == sent


async def test_a_list_can_be_read_in_parts(
    aluma: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
):
    sent = [await create(aluma, project_id, f"task_name={n}") for n in range(7)]
    assert await ids_in_list(aluma, limit=3) == sent[:3]
    assert await ids_in_list(aluma, limit=3, after=sent[2]) == sent[3:6]
    assert await ids_in_list(aluma, limit=3, after=sent[5]) == sent[6:]
    assert await ids_in_list(aluma, after=sent[6]) == []
    monkeypatch.setattr("api.aluma.tasks.BATCH", 2)
    assert await ids_in_list(aluma) == sent
    assert await ids_in_list(aluma, limit=5) == sent[:5]
    message_in(await aluma.get("/tasks", params={"after": "x"}), 404)
    for wrong in (0, 1001, "x"):
        message_in(await aluma.get("/tasks", params={"limit": wrong}), 400)


async def test_a_list_can_be_of_one_state_one_action_and_one_project(
    aluma: Client, project_id: str
):
    other = await aluma.post(
        "/projects",
        content="name: a\nfields: [{name: b, labels: [B]}]\n",
        headers={"Content-Type": "text/yaml"},
    )
    queued = await create(aluma, other.json()["id"])
    validation = await awaiting_validation(aluma, project_id)
    export = await awaiting_export(aluma, project_id)
    waits = "pending:start_client_action"
    for query, expected in (
        ({"state": "queued"}, [queued]),
        ({"state": waits}, [validation, export]),
        ({"client_action": "validation"}, [validation]),
        ({"state": waits, "client_action": "export"}, [export]),
        ({"state": "queued", "client_action": "export"}, []),
        ({"project_id": project_id}, [validation, export]),
        ({"project_id": other.json()["id"], "state": waits}, []),
    ):
        assert await ids_in_list(aluma, **query) == expected, query
    for wrong in ({"state": "waiting"}, {"client_action": "review"}):
        message_in(await aluma.get("/tasks", params=wrong), 400)
    message_in(await aluma.get("/tasks", params={"project_id": "x"}), 404)


async def test_what_has_ended_is_listed_for_72_hours(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id)
    await aluma.post(f"/tasks/{task_id}/cancel")
    await change(task_id, finished_at=now() - timedelta(hours=71))
    assert await ids_in_list(aluma, state="canceled") == [task_id]
    await change(task_id, finished_at=now() - timedelta(hours=73))
    assert await ids_in_list(aluma) == []


async def test_a_task_is_canceled_once(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id)
    canceled = await aluma.post(f"/tasks/{task_id}/cancel")
    assert (canceled.status_code, canceled.json()["state"]) == (200, "canceled")
    message_in(await aluma.post(f"/tasks/{task_id}/cancel"), 409)


async def test_a_task_is_over_once_its_data_is_gone(aluma: Client, project_id: str):
    for event, state in (
        (Event.FINISH, "completed"),
        (Event.FILTER, "completed"),
        (Event.FAIL, "failed"),
        (Event.TIME_OUT, "timed-out"),
    ):
        task_id = await create(aluma, project_id)
        ended = await worked_on(task_id, Event.START, event)
        assert ended.erase_after == ended.finished_at
        assert await standing(aluma, task_id) == ("running", None)
        assert task_id not in await ids_in_list(aluma, state=state)
        await let_data_go(task_id)
        assert await standing(aluma, task_id) == (state, None)
        assert task_id not in await ids_in_list(aluma, state="running")


async def test_where_the_project_keeps_data_a_task_is_over_at_once(aluma: Client):
    source = "name: a\nfields: [{name: b, labels: [B]}]\nretention: {data: 30d}\n"
    project = await aluma.post("/projects", content=source, headers={"Content-Type": "text/yaml"})
    task_id = await create(aluma, project.json()["id"])
    await worked_on(task_id, Event.START, Event.FINISH)
    assert await standing(aluma, task_id) == ("completed", None)
    await change(task_id, erase_after=now())  # its time has come
    assert await standing(aluma, task_id) == ("completed", None)


async def test_documents_are_counted_once_there_are_some(aluma: Client, project_id: str):
    task_id = await create(aluma, project_id)
    assert "documents_count" not in (await aluma.get(f"/tasks/{task_id}")).json()
    waiting = await awaiting_validation(aluma, project_id)
    assert (await aluma.get(f"/tasks/{waiting}")).json()["documents_count"] == 1


async def test_a_task_made_elsewhere_is_seen_here_and_the_other_way_round(
    aluma: Client, client: Client, project_id: str
):
    sent = {"file": ("a.pdf", PDF), "project": (None, "medical-records")}
    made = (await client.post("/v1/tasks", files=sent)).json()
    (task_id,) = await ids_in_list(aluma)
    assert (await row_of(task_id)).public_id == made["id"]
    mine = await row_of(await create(aluma, project_id))
    shown = (await client.get(f"/v1/tasks/{mine.public_id}")).json()
    assert (shown["name"], shown["metadata"]["file_path"]) == ("AB3947853", r"C:\inbox")


async def test_others_see_none_of_it(aluma: Client, connect: Connect, project_id: str):
    task_id = await awaiting_export(aluma, project_id)
    other = await connect(organization="globex")
    assert (await other.get("/tasks")).json() == {"tasks": []}
    assert (await other.get("/projects")).json() == {"projects": []}
    actions = f"/tasks/{task_id}/client_actions"
    for method, address in (
        ("GET", f"/tasks/{task_id}"),
        ("POST", f"/tasks/{task_id}/cancel"),
        ("GET", f"/tasks/{task_id}/pages/1/image"),
        ("GET", f"/tasks/{task_id}/files/file_euyrvozb9302uwhq"),
        *(
            ("POST", f"{actions}/{action}/{verb}")
            for action in ("validation", "export")
            for verb in ("start", "complete", "cancel", "fail")
        ),
        ("GET", f"/projects/{project_id}"),
        ("DELETE", f"/projects/{project_id}"),
        ("POST", f"/tasks?project_id={project_id}"),
    ):
        sent: dict[str, Any] = {"json": {}} if address.endswith("complete") else {}
        if address.startswith("/tasks?"):
            sent = {"content": PDF}
        message_in(await other.request(method, address, **sent), 404)
    assert (await aluma.get(f"/tasks/{task_id}")).status_code == 200


async def test_a_key_needs_the_scope_of_what_it_does(
    aluma: Client, connect: Connect, project_id: str
):
    task_id = await awaiting_validation(aluma, project_id)
    reader, writer = await connect("task.read"), await connect("task.create")
    assert (await reader.get(f"/tasks/{task_id}")).status_code == 200
    await create(writer, project_id)
    message_in(await writer.get("/tasks"), 403)
    for method, address in (
        ("POST", f"/tasks/{task_id}/cancel"),
        ("POST", f"/tasks/{task_id}/client_actions/validation/start"),
        ("POST", f"/tasks?project_id={project_id}"),
        ("GET", "/projects"),
        ("DELETE", f"/projects/{project_id}"),
    ):
        message_in(await reader.request(method, address), 403)


async def test_what_is_not_there_is_said_in_the_same_shape(aluma: Client):
    for method, address, status in (
        ("GET", "/tasks/x", 404),
        ("GET", "/tasks/x/y", 404),
        ("DELETE", "/tasks", 405),
        ("PUT", "/projects", 405),
        ("GET", "/oauth/token", 405),
        ("GET", "/projects/x", 404),
    ):
        message_in(await aluma.request(method, address), status)
