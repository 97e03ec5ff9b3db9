"""Uploads: what is sent, what is told of it, and where it is."""

import json
from typing import Any

import pytest

from store.settings import settings
from store.states import Event
from tests.contract.send_ai.desk import Desk, done, end, refused
from tests.contract.world import PNG, Client, MakeKey, blobs_on_disk, let_happen, put_into_review

META = [{"name": "category", "value": "invoice"}, {"name": "department", "value": "finance"}]


async def test_an_upload_is_told_of_as_the_public_page_prints_it(desk: Desk):
    answer = await desk.call(
        "POST",
        "/upload",
        files=[("file", ("document.png", PNG))],
        data={"name": "Important Document", "meta": json.dumps(META)},
    )
    upload = done(answer, 201)
    assert upload.pop("id").startswith("upl_")
    assert upload.pop("createdAt") == upload.pop("updatedAt")
    assert upload == {
        "name": "Important Document",
        "projectId": desk.project_id,
        "status": "processing",
        "fileType": "png",
        "fileSize": len(PNG),
    }


async def test_each_file_is_a_task_with_the_metadata_of_the_upload(desk: Desk):
    upload_id, tasks = await desk.send("a.png", "b.png", meta=json.dumps(META))
    upload = await desk.upload(upload_id)
    assert upload.pop("created_at").endswith("Z")
    assert upload == {
        "id": upload_id,
        "name": "a.png",
        "status": "PROCESSING",
        "files": {tasks[0]: "a.png", tasks[1]: "b.png"},
        "meta": META,
        "folder_id": "folder_inbox",
    }
    task = await desk.task(tasks[1])
    assert (task["name"], task["meta"], task["upload_id"]) == ("b.png", META, upload_id)


async def test_metadata_with_a_name_twice_is_told_of_the_task_as_it_was_sent(
    desk: Desk, client: Client
):
    meta = [{"name": "order", "value": 1}, {"name": "order", "value": 2}]
    upload_id, (task_id,) = await desk.send("a.png", meta=json.dumps(meta))
    assert (await desk.upload(upload_id))["meta"] == meta
    assert (await desk.task(task_id))["meta"] == meta
    assert (await client.get(f"/v1/tasks/{task_id}")).json()["metadata"] == {"order": 2}


async def test_files_of_several_kinds_are_told_of_together(desk: Desk):
    files = [("file", ("a.png", PNG)), ("file", ("b.pdf", b"%PDF-1.7 made up"))]
    upload = done(await desk.call("POST", "/upload", files=files), 201)
    assert (upload["fileType"], upload["fileSize"]) == ("mixed", len(PNG) + 16)


async def test_the_project_may_be_named_again_and_must_be_the_one_of_the_address(desk: Desk):
    await desk.send(projectId=desk.project_id)
    files = {"file": ("a.png", PNG)}
    refused(await desk.call("POST", "/upload", files=files, data={"projectId": "another"}))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"meta": "no JSON"}, "meta"),
        ({"meta": '{"name": "a", "value": "b"}'}, "meta"),
        ({"meta": '[{"name": "a"}]'}, "meta.0.value"),
        ({"meta": '[{"name": "a", "value": ["b"]}]'}, "meta.0.value"),
        ({"name": "x" * 256}, "name"),
        ({"unknown": "1"}, "unknown"),
    ],
)
async def test_a_form_that_does_not_fit_is_refused_by_field(
    fields: dict[str, str], field: str, desk: Desk
):
    answer = await desk.call("POST", "/upload", files={"file": ("a.png", PNG)}, data=fields)
    errors = refused(answer)["errors"]
    assert any(name.startswith(field) for name in errors)


async def test_an_upload_needs_a_file_that_is_not_empty(desk: Desk):
    answer = await desk.call("POST", "/upload", files={"other": ("a.png", PNG)})
    assert "file" in refused(answer)["errors"]
    files = [("file", ("a.png", PNG)), ("file", ("empty.png", b""))]
    assert "empty.png" in refused(await desk.call("POST", "/upload", files=files))["message"]
    assert "a.png" not in str(blobs_on_disk())


async def test_a_file_that_is_too_large_is_named_and_nothing_is_kept(desk: Desk):
    large = bytes(40 * 2**20 + 1)
    files = [("file", ("small.png", PNG)), ("file", ("large.png", large))]
    answer = await desk.call("POST", "/upload", files=files)
    assert refused(answer, 413)["message"].startswith("large.png: ")
    assert blobs_on_disk() == []


async def test_a_page_that_is_too_large_is_named_and_nothing_is_kept(desk: Desk):
    large = PNG + bytes(20 * 2**20)
    answer = await desk.call("POST", "/upload", files={"file": ("large.png", large)})
    assert refused(answer, 413)["message"].startswith("large.png: Its pages")
    assert blobs_on_disk() == []


async def test_more_than_a_hundred_files_are_refused(desk: Desk):
    files = [("file", (f"{number}.png", PNG)) for number in range(1, 102)]
    assert "101.png" in refused(await desk.call("POST", "/upload", files=files))["message"]
    done(await desk.call("POST", "/upload", files=files[:100]), 201)
    more = [*files, ("file", ("102.png", PNG))]
    refused(await desk.call("POST", "/upload", files=more))


async def test_a_form_beyond_all_limits_is_refused_while_it_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PAPERTRAY_MAX_FILE_BYTES", "1000")
    settings.cache_clear()
    files = {"file": ("large.png", bytes(2**20 + 102 * 1000))}
    refused(await desk.call("POST", "/upload", files=files), 413)


async def test_a_project_of_data_takes_no_files(desk: Desk, client: Client):
    source = "name: moderation\nblocks: [{name: comment, type: text}]\n"
    assert (await client.post("/v1/projects", json={"source": source})).status_code == 201
    address = f"/v2/{desk.team_id}/project/moderation/upload"
    refused(await desk.http.post(address, files={"file": ("a.png", PNG)}))


async def test_the_same_upload_sent_twice_is_taken_in_once(desk: Desk):
    sent: dict[str, Any] = {"files": {"file": ("a.png", PNG)}, "headers": {"idempotency-key": "1"}}
    first = await desk.call("POST", "/upload", **sent)
    second = await desk.call("POST", "/upload", **sent)
    assert done(first, 201) == done(second, 201)
    assert second.headers["idempotent-replayed"] == "true"
    sent["files"] = {"file": ("b.png", PNG)}
    assert "errors" in refused(await desk.call("POST", "/upload", **sent))


# How far


async def test_the_status_is_that_of_all_tasks(desk: Desk):
    upload_id, (one, two, three) = await desk.send("a.png", "b.png", "c.png")

    async def status() -> str:
        return (await desk.upload(upload_id))["status"]

    await end([one], Event.FINISH)
    assert await status() == "PROCESSING"
    await put_into_review(two)
    await end([three], Event.FILTER)
    assert await status() == "IN_REVIEW"
    await let_happen(two, Event.FAIL)
    assert await status() == "PARTIAL"
    assert (await desk.upload(upload_id))["folder_id"] == "folder_processed"


@pytest.mark.parametrize(("event", "status"), [(Event.FINISH, "COMPLETED"), (Event.FAIL, "FAILED")])
async def test_an_upload_ends_as_its_tasks_end(event: Event, status: str, desk: Desk):
    upload_id, tasks = await desk.send("a.png", "b.png")
    await end(tasks, event)
    assert (await desk.upload(upload_id))["status"] == status


# Lists and folders


async def test_a_list_is_paged_and_links_to_its_neighbours(desk: Desk):
    sent = [(await desk.send())[0] for _ in range(3)]
    newest = done(await desk.call("GET", "/upload", params={"take": 2}))
    assert [one["id"] for one in newest["payload"]] == [sent[2], sent[1]]
    assert newest["links"]["previous"] is None
    rest = done(await desk.http.get(newest["links"]["next"]))
    assert [one["id"] for one in rest["payload"]] == [sent[0]]
    assert rest["links"]["next"] is None
    back = done(await desk.http.get(rest["links"]["previous"]))
    assert back["payload"] == newest["payload"]
    refused(await desk.call("GET", "/upload", params={"take": 0}))
    refused(await desk.call("GET", "/upload", params={"from": "upl_0000000000000000"}), 404)


async def test_an_upload_moves_between_folders_and_is_listed_there(desk: Desk):
    upload_id, _ = await desk.send()
    made = done(await desk.call("POST", "/folder", json={"name": "Mine"}), 201)["payload"]
    assert made["name"] == "Mine"
    folders = done(await desk.call("GET", "/folder"))["payload"]
    assert [one["name"] for one in folders] == ["Inbox", "Processed", "Reported", "Bin", "Mine"]
    for folder in folders:
        moved = await desk.call("POST", f"/upload/{upload_id}/move/{folder['id']}")
        assert done(moved)["payload"]["folder_id"] == folder["id"]
        here = done(await desk.call("GET", "/upload", params={"folder_id": folder["id"]}))
        assert [one["id"] for one in here["payload"]] == [upload_id]
    refused(await desk.call("POST", f"/upload/{upload_id}/move/folder_nowhere"), 404)
    refused(await desk.call("POST", "/folder", json={"name": "Mine"}))
    refused(await desk.call("DELETE", "/folder/folder_bin"))
    assert (await desk.call("DELETE", f"/folder/{made['id']}")).status_code == 204
    assert (await desk.upload(upload_id))["folder_id"] == "folder_inbox"


async def test_a_deleted_upload_is_gone_with_its_tasks(desk: Desk, client: Client):
    upload_id, (task_id, _) = await desk.send("a.png", "b.png")
    assert (await desk.call("DELETE", f"/upload/{upload_id}")).status_code == 204
    refused(await desk.call("GET", f"/upload/{upload_id}"), 404)
    refused(await desk.call("GET", f"/task/{task_id}"), 404)
    assert done(await desk.call("GET", "/upload"))["payload"] == []
    assert (await client.get(f"/v1/tasks/{task_id}")).status_code == 404


async def test_another_organization_or_team_sees_nothing(desk: Desk, make_key: MakeKey):
    upload_id, _ = await desk.send()
    for key in (await make_key(organization="globex"), await make_key("upload.read")):
        headers = {"authorization": f"Bearer {key}"}
        refused(await desk.call("GET", f"/upload/{upload_id}", headers=headers), 404)
        refused(await desk.call("GET", "/upload", headers=headers), 404)
