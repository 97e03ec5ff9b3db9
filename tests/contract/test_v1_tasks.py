"""/v1/tasks, operations, events, projects: what they take and what they give."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from api.v1 import lists
from operations.registry import OPERATIONS
from store.activity import EVENT_TYPES
from store.database import database
from store.ids import now
from store.models import Outbox, OutboxKind, Task
from store.states import Event
from tests.contract.test_errors import problem_in
from tests.contract.world import (
    PNG,
    PROJECT,
    Client,
    MakeKey,
    add_output,
    install,
    let_happen,
    put_into_review,
    send_file,
    send_task,
)

# The two tasks of Scan Documents' page "Task Operations".
COMPLETED = json.loads("""{
  "id": "task_euyrvozb9302uwhq",
  "operation": "extract-text",
  "status": "completed",
  "parameters": {"input": "file_abc123xyz", "format": "markdown"},
  "result": {"format": "markdown", "content": "**This** is the *extracted* text content"},
  "created_at": "2021-05-03T10:00:00Z",
  "updated_at": "2021-05-03T10:05:00Z"
}""")
FAILED = json.loads("""{
  "id": "task_euyrvozb9302uwhq",
  "operation": "extract-text",
  "status": "failed",
  "parameters": {"input": "file_abc123xyz", "format": "markdown"},
  "result": {
    "error": "Source file not found.",
    "details": {
      "file_id": "file_abc123xyz",
      "reason": "The file might have been deleted."
    }
  },
  "created_at": "2021-05-03T10:00:00Z",
  "updated_at": "2021-05-03T10:05:00Z"
}""")

BEGUN = datetime(2021, 5, 3, 10, tzinfo=UTC)


async def outbox() -> list[tuple[OutboxKind, UUID]]:
    async with database().reading() as session:
        rows = await session.execute(select(Outbox.kind, Outbox.task_id).order_by(col(Outbox.id)))
        return [(OutboxKind(kind), task_id) for kind, task_id in rows]


async def change(task_id: str, **values: Any) -> None:
    async with database().writing() as session:
        code = task_id.removeprefix("task_")
        await session.execute(update(Task).where(col(Task.code) == code).values(**values))


def names(listed: Any) -> list[str]:
    return [one["name"] for one in listed.json()["data"]]


class TestAnOperation:
    @pytest.mark.parametrize(
        ("event", "printed"), [(Event.FINISH, COMPLETED), (Event.FAIL, FAILED)]
    )
    async def test_gives_the_task_that_scan_documents_prints(
        self, client: Client, event: Event, printed: dict[str, Any]
    ):
        address = "/v1/image-operations/extract-text"
        sent = await client.post(address, json=printed["parameters"])
        assert sent.status_code == 202
        task_id = sent.json()["id"]
        assert sent.json()["status"] == "pending"
        assert sent.json()["result"] == {}
        await let_happen(task_id, Event.START)
        running = (await client.get(f"/v1/tasks/{task_id}")).json()
        assert (running["status"], running["result"]) == ("processing", {})
        await let_happen(task_id, event, result=printed["result"])
        await change(
            task_id,
            code="euyrvozb9302uwhq",
            created_at=BEGUN,
            updated_at=BEGUN + timedelta(minutes=5),
        )
        shown = (await client.get(f"/v1/tasks/{printed['id']}")).json()
        assert {name: shown[name] for name in printed} == printed
        assert list(shown)[: len(printed)] == list(printed)

    @pytest.mark.parametrize("kind", ["pdf", "image"])
    async def test_takes_a_file_that_is_not_there_or_of_another_kind(
        self, client: Client, kind: str
    ):
        address = f"/v1/{kind}-operations/extract-text"
        for input_ in ("file_abc123xyz", await send_file(client)):
            body = {"input": input_, "format": "markdown"}
            answer = await client.post(address, json=body)
            assert answer.status_code == 202
            assert answer.json()["parameters"] == body
            assert answer.json()["project"] is None

    async def test_has_an_address_for_each_kind_of_file_it_accepts(self, client: Client):
        document = (await client.get("/openapi.json")).json()
        described = {path for path in document["paths"] if "-operations/" in path}
        assert described == {
            f"/v1/{kind}-operations/{name}"
            for name, row in OPERATIONS.items()
            for kind in row.accepts
        }

    async def test_can_have_a_name(self, client: Client):
        body = {"input": "file_abc123xyz", "format": "plain", "name": "Letter"}
        answer = await client.post("/v1/pdf-operations/extract-text", json=body)
        assert answer.json()["name"] == "Letter"
        assert answer.json()["parameters"] == body

    @pytest.mark.parametrize("wrong", ["a\0b", "\ud800"])
    async def test_takes_no_text_that_no_database_keeps(self, client: Client, wrong: str):
        body = {"input": "file_abc123xyz", "format": "plain", "languages": [wrong]}
        answer = await client.post(
            "/v1/pdf-operations/extract-text",
            content=json.dumps(body),
            headers={"content-type": "application/json"},
        )
        problem_in(answer, 422, "validation")


class TestATaskIn:
    async def test_is_answered_as_a_form_while_prefect_is_away(self, client: Client):
        await install(client)
        answer = await client.post(
            "/v1/tasks",
            files={"file": ("invoice 1.png", PNG)},
            data={"project": "invoices", "metadata": '{"order": {"number": 4711}}'},
        )
        assert answer.status_code == 202
        task = answer.json()
        file_id = task["parameters"]["input"]
        assert task["parameters"] == {"input": file_id, "project": "invoices"}
        assert task["operation"] == "process"
        assert (task["status"], task["state"]) == ("pending", "queued")
        assert (task["project"], task["name"]) == ("invoices", "invoice 1.png")
        assert task["metadata"] == {"order": {"number": 4711}}
        assert (task["claimed_by"], task["review"], task["version"]) == (None, None, 1)
        assert task["links"]["review"].endswith(f"/review/{task['id']}")
        assert task["links"]["prefect"] is None
        assert [kind for kind, _ in await outbox()] == [OutboxKind.SUBMIT]
        assert (await client.get(f"/v1/files/{file_id}/download")).content == PNG

    async def test_is_answered_as_json_for_a_file_that_was_sent(self, client: Client):
        await install(client)
        file_id = await send_file(client)
        body = {"input": file_id, "project": "invoices", "name": "May", "metadata": {"a": [1]}}
        task = (await client.post("/v1/tasks", json=body)).json()
        assert task["parameters"]["input"] == file_id
        assert (task["name"], task["metadata"]) == ("May", {"a": [1]})

    async def test_links_to_its_run_once_there_is_one(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ):
        from prefect.settings import PREFECT_UI_URL, temporary_settings

        task_id = await send_task(client)
        run_id = uuid4()
        await change(task_id, flow_run_id=run_id)
        with temporary_settings({PREFECT_UI_URL: "https://prefect.example.com"}):
            task = (await client.get(f"/v1/tasks/{task_id}")).json()
        assert task["links"]["prefect"] == f"https://prefect.example.com/runs/flow-run/{run_id}"


class TestTheList:
    async def test_can_be_filtered(self, client: Client):
        first = await send_task(client, name="Invoice 100%")
        second = await send_task(client, name="Letter of May")
        await client.post(
            "/v1/projects", json={"source": PROJECT.replace("name: invoices", "name: letters")}
        )
        body = {"input": await send_file(client), "project": "letters", "name": "Third"}
        await client.post("/v1/tasks", json=body)
        await put_into_review(second)
        assert await self.found(client, state="queued") == ["Third", "Invoice 100%"]
        assert await self.found(client, state=["in_review", "failed"]) == ["Letter of May"]
        assert await self.found(client, status="processing") == ["Letter of May"]
        assert await self.found(client, status=["pending", "processing"], take=100) == [
            *("Third", "Letter of May", "Invoice 100%")
        ]
        assert await self.found(client, project="letters") == ["Third"]
        assert await self.found(client, q="LETTER") == ["Letter of May"]
        assert await self.found(client, q="0%") == ["Invoice 100%"]
        assert await self.found(client, q="_") == []
        assert await self.found(client, q=first) == ["Invoice 100%"]
        assert await self.found(client, state="queued", q="invoice") == ["Invoice 100%"]
        answer = await client.get("/v1/tasks", params={"project": "nobody"})
        problem_in(answer, 404, "not_found")

    async def test_can_begin_after_a_time(self, client: Client):
        await change(await send_task(client, name="old"), created_at=BEGUN)
        await send_task(client, name="new")
        assert await self.found(client, created_after="2021-05-03T10:00:00Z") == ["new"]
        assert await self.found(client, created_after="2021-05-03T11:59:59+02:00") == ["new", "old"]
        assert await self.found(client, created_after="2021-05-03") == ["new", "old"]

    async def test_can_be_of_those_that_somebody_holds(
        self, client: Client, stranger: Client, make_key: MakeKey
    ):
        tasks = {name: await send_task(client, name=name) for name in ("free", "ada's", "lapsed")}
        ada = {"x-api-key": await make_key(user="ada@example.com")}
        for task_id in tasks.values():
            await put_into_review(task_id)
        for name in ("ada's", "lapsed"):
            await stranger.post(f"/v1/tasks/{tasks[name]}/claim", headers=ada)
        await change(tasks["lapsed"], claimed_until=now() - timedelta(seconds=1))
        assert await self.found(client, assignee="ada@example.com") == ["ada's"]
        assert await self.found(client, assignee="me") == []
        mine = await stranger.get("/v1/tasks", params={"assignee": "me"}, headers=ada)
        assert names(mine) == ["ada's"]
        assert await self.found(client, assignee="none") == ["lapsed", "free"]

    async def test_keeps_its_filters_from_page_to_page(self, client: Client):
        for number in range(3):
            await put_into_review(await send_task(client, name=str(number)))
            await send_task(client, name="queued")
        params = {"state": ["in_review", "running"], "take": 1}
        page = await client.get("/v1/tasks", params=params)
        found = names(page)
        while address := page.json()["links"]["next"]:
            page = await client.get(address)
            found += names(page)
        assert found == ["2", "1", "0"]

    async def test_goes_on_where_a_task_has_left_it(self, client: Client):
        tasks = [await send_task(client, name=str(number)) for number in range(3)]
        page = await client.get("/v1/tasks", params={"state": "queued", "take": 1})
        await client.post(f"/v1/tasks/{tasks[1]}/cancel")
        page = await client.get(page.json()["links"]["next"])
        assert names(page) == ["0"]

    async def found(self, client: Client, **params: Any) -> list[str]:
        answer = await client.get("/v1/tasks", params=params)
        assert answer.status_code == 200, answer.text
        return names(answer)


class TestAReview:
    async def test_goes_from_claim_to_decision(
        self, client: Client, stranger: Client, make_key: MakeKey
    ):
        task_id = await send_task(client)
        await put_into_review(task_id)
        address, me = f"/v1/tasks/{task_id}", {"x-api-key": await make_key(user="ada@example.com")}
        task = (await stranger.post("/v1/tasks/next?project=invoices", headers=me)).json()
        assert task["id"] == task_id
        assert task["claimed_by"] == "ada@example.com"
        assert (task["state"], task["status"], task["result"]) == ("in_review", "processing", {})
        assert task["review"]["round"] == 1
        assert task["review"]["reason"] == "to be confirmed: total"
        saved = await stranger.post(
            f"{address}/save", json={"values": {"total": "119.00"}}, headers=me
        )
        assert saved.json()["version"] == task["version"] + 1
        fields = (await client.get(f"{address}/documents")).json()["documents"][0]["fields"]
        assert fields["total"]["value"] == "119.00"
        assert fields["number"]["value"] == "4711"
        body = {"values": {"number": "0815"}, "note": "by hand"}
        done = await stranger.post(f"{address}/complete", json=body, headers=me)
        assert done.status_code == 200, done.text
        assert (done.json()["state"], done.json()["claimed_by"]) == ("running", None)
        assert [kind for kind, _ in await outbox()][-1] is OutboxKind.RESUME
        history = (await client.get(f"{address}/events")).json()["data"]
        assert [one["type"] for one in history] == [
            *("task.answered", "task.saved", "task.claimed", "task.in_review"),
            *("task.started", "task.created"),
        ]
        assert history[0]["actor"] == "ada@example.com"
        assert (history[0]["surface"], history[0]["reason"]) == ("v1", "by hand")
        assert history[0]["data"]["id"] == task_id

    async def test_can_be_given_back(self, client: Client):
        task_id = await send_task(client)
        await put_into_review(task_id)
        claimed = (await client.post(f"/v1/tasks/{task_id}/claim")).json()
        assert claimed["claimed_by"].startswith("key:ptk_")
        released = await client.post(f"/v1/tasks/{task_id}/release")
        assert released.json()["claimed_by"] is None

    async def test_can_end_in_the_bin(self, client: Client):
        task_id = await send_task(client)
        await put_into_review(task_id)
        body = {"reason": "a duplicate"}
        task = (await client.post(f"/v1/tasks/{task_id}/discard", json=body)).json()
        assert (task["state"], task["status"]) == ("discarded", "failed")
        task = (await client.post(f"/v1/tasks/{task_id}/unlock", json={"reason": "no"})).json()
        assert (task["state"], task["review"]["round"]) == ("in_review", 2)

    async def test_can_be_reported(self, client: Client):
        task_id = await send_task(client)
        body = {"issues": [{"field": "total", "problem": "unreadable"}], "message": "see total"}
        assert (await client.post(f"/v1/tasks/{task_id}/report", json=body)).status_code == 200
        (event, *_) = (await client.get(f"/v1/tasks/{task_id}/events")).json()["data"]
        assert event["type"] == "task.reported"
        assert event["data"]["issues"] == body["issues"]

    async def test_shows_documents_and_pages(self, client: Client):
        task_id = await send_task(client)
        assert (await client.get(f"/v1/tasks/{task_id}/documents")).json() == {
            "documents": [],
            "pages": [],
        }
        await put_into_review(task_id)
        found = (await client.get(f"/v1/tasks/{task_id}/documents")).json()
        (document,) = found["documents"]
        assert (document["number"], document["page_numbers"]) == (1, [1])
        assert document["fields"]["total"]["box"] == [1.0, 2.0, 3.0, 4.0]
        (page,) = found["pages"]
        image = await client.get(page["image"])
        assert (image.headers["content-type"], image.content) == ("image/png", PNG)
        assert image.headers["x-content-type-options"] == "nosniff"
        missing = await client.get(page["image"].replace("/pages/1/", "/pages/2/"))
        problem_in(missing, 404, "not_found")

    async def test_a_canceled_task_can_be_tried_again(self, client: Client):
        task_id = await send_task(client)
        canceled = (await client.post(f"/v1/tasks/{task_id}/cancel", json={"reason": "x"})).json()
        assert (canceled["state"], canceled["status"]) == ("canceled", "failed")
        again = (await client.post(f"/v1/tasks/{task_id}/retry")).json()
        assert (again["state"], again["status"]) == ("queued", "pending")

    async def test_shows_how_far_the_work_is(self, client: Client):
        task_id = await send_task(client)
        await change(task_id, step="read", progress_current=3, progress_total=7)
        task = (await client.get(f"/v1/tasks/{task_id}")).json()
        assert task["progress"] == {"current": 3, "total": 7, "step": "read"}

    async def test_shows_what_was_made(self, client: Client):
        task_id = await send_task(client)
        task = await let_happen(task_id, Event.START, Event.FINISH)
        made = [await add_output(task, name) for name in ("data.json", "data.csv")]
        listed = (await client.get(f"/v1/tasks/{task_id}/outputs")).json()
        assert [one["id"] for one in listed["data"]] == [one.id for one in reversed(made)]
        assert {one["task_id"] for one in listed["data"]} == {task_id}


class TestEvents:
    async def test_are_those_that_programs_are_told_of(self, client: Client):
        task_id = await send_task(client)
        await put_into_review(task_id)
        await client.post(f"/v1/tasks/{task_id}/save", json={"values": {"total": "1.00"}})
        await client.post(f"/v1/tasks/{task_id}/claim")
        listed = (await client.get("/v1/events")).json()["data"]
        assert [one["type"] for one in listed] == [
            *("task.claimed", "task.in_review", "task.created", "file.created"),
        ]
        assert {one["type"] for one in listed} <= set(EVENT_TYPES)
        for one in listed:
            assert one["id"].startswith("event_")
            assert one["timestamp"].endswith("Z")
        assert listed[0]["data"]["id"] == task_id
        only = await client.get("/v1/events", params={"type": ["task.created", "task.saved"]})
        assert [one["type"] for one in only.json()["data"]] == ["task.created"]

    async def test_there_is_one_of_each_type_that_is_told(self, client: Client):
        told = {
            *("file.created", "file.deleted", "task.created", "task.deleted", "task.completed"),
            *("task.failed", "task.in_review", "task.claimed", "task.released", "task.reported"),
            *("task.canceled", "task.timed_out", "task.discarded", "task.filtered"),
            *("task.unlocked", "task.exported", "upload.in_review", "upload.processed"),
        }
        assert set(EVENT_TYPES) == told
        await client.delete(f"/v1/files/{await send_file(client)}")
        for ends in ([Event.FAIL], [Event.TIME_OUT], [Event.START, Event.FILTER]):
            await let_happen(await send_task(client), *ends)
        for then in (
            [("claim", 200), ("release", 200), ("report", 200), ("discard", 200), ("unlock", 200)],
            [("cancel", 200)],
        ):
            task_id = await send_task(client)
            await put_into_review(task_id)
            for verb, status in then:
                body = {"issues": [{"field": "total"}]} if verb == "report" else None
                answer = await client.post(f"/v1/tasks/{task_id}/{verb}", json=body)
                assert answer.status_code == status, answer.text
        fetched = await send_task(client)
        await let_happen(fetched, Event.START)
        await let_happen(fetched, Event.OFFER_EXPORT, export_round=1)
        for verb in ("start", "complete"):
            assert (await client.post(f"/v1/tasks/{fetched}/export/{verb}")).status_code == 200
        await let_happen(fetched, Event.FINISH)
        assert (await client.delete(f"/v1/tasks/{fetched}")).status_code == 204
        listed = (await client.get("/v1/events", params={"take": 100})).json()["data"]
        assert {one["type"] for one in listed} == told - {"upload.in_review", "upload.processed"}
        assert all({"id", "type", "timestamp", "data"} <= one.keys() for one in listed)

    async def test_come_in_pages(self, client: Client):
        for _ in range(3):
            await send_file(client)
        page = (await client.get("/v1/events", params={"take": 2})).json()
        rest = (await client.get(page["links"]["next"])).json()
        assert len(page["data"]) == 2
        assert len(rest["data"]) == 1
        assert (await client.get(rest["links"]["previous"])).json() == page


class TestProjects:
    async def test_are_made_from_a_file_and_get_new_versions(self, client: Client):
        await install(client)
        shown = (await client.get("/v1/projects/invoices")).json()
        assert (shown["name"], shown["version"], shown["source"]) == ("invoices", 1, PROJECT)
        changed = PROJECT + "timeout: 2d\n"
        answer = await client.post("/v1/projects", json={"source": changed})
        assert (answer.status_code, answer.json()["version"]) == (201, 2)
        again = await client.post("/v1/projects", json={"source": changed})
        assert again.json()["version"] == 2
        (listed,) = (await client.get("/v1/projects")).json()["data"]
        assert (listed["name"], listed["version"]) == ("invoices", 2)

    async def test_come_in_pages(self, client: Client):
        for name in ("a", "b", "c"):
            source = PROJECT.replace("name: invoices", f"name: {name}")
            await client.post("/v1/projects", json={"source": source})
        page = (await client.get("/v1/projects", params={"take": 2})).json()
        rest = (await client.get(page["links"]["next"])).json()
        assert [one["name"] for one in page["data"] + rest["data"]] == ["c", "b", "a"]


class TestHealth:
    @pytest.fixture(autouse=True)
    def nothing_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("api.health._last", (float("-inf"), "unavailable"))

    async def test_is_good_without_prefect_and_says_so(self, stranger: Client):
        answer = await stranger.get("/healthz")
        assert answer.status_code == 200
        assert answer.json() == {
            "status": "ok",
            "database": "ok",
            "storage": "ok",
            "prefect": "unavailable",
        }

    async def test_says_that_prefect_answers_and_does_not_ask_it_each_time(
        self, stranger: Client, monkeypatch: pytest.MonkeyPatch
    ):
        asked: list[str] = []

        async def answer(_: str, path: str) -> None:
            asked.append(path)

        monkeypatch.setattr("flows.engine.call", answer)
        for _ in range(3):
            assert (await stranger.get("/healthz")).json()["prefect"] == "ok"
        assert asked == ["/health"]

    async def test_is_bad_without_a_storage(
        self, stranger: Client, monkeypatch: pytest.MonkeyPatch
    ):
        def no(*_: Any, **__: Any) -> None:
            raise PermissionError

        monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.makedirs", no)
        content = problem_in(await stranger.get("/healthz"), 503, "unavailable")
        assert (content["storage"], content["database"]) == ("unavailable", "ok")
        assert (await stranger.get("/healthz")).headers["retry-after"] == "5"

    async def test_is_bad_without_a_database(self, stranger: Client):
        async with database().writing() as session:
            from sqlalchemy import text

            await session.execute(text("ALTER TABLE task RENAME TO lost"))
        content = problem_in(await stranger.get("/healthz"), 503, "unavailable")
        assert (content["storage"], content["database"]) == ("ok", "unavailable")


async def test_a_search_goes_on_page_by_page_through_all_tasks(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lists, "LOOKED_AT", 3)
    names = ["needle", "hay", "hay", "hay", "needle", "needle", "hay", "hay"]
    ids = [await send_task(client, name=name) for name in names]
    wanted = [task_id for task_id, name in zip(ids, names, strict=True) if name == "needle"][::-1]

    async def walk(page: dict[str, Any], link: str) -> list[list[str]]:
        found = [[one["id"] for one in page["data"]]]
        while page["links"][link]:
            page = (await client.get(page["links"][link])).json()
            found.append([one["id"] for one in page["data"]])
        return found

    first = (await client.get("/v1/tasks?q=NEEDLE&take=2")).json()
    pages = await walk(first, "next")
    assert [one for page in pages for one in page] == wanted
    assert len(pages) == 3  # of eight tasks: three, three and two
    last = (await client.get(f"/v1/tasks?q=needle&take=2&from={ids[0]}")).json()
    back = await walk(last, "previous")
    assert {one for page in back for one in page} == set(wanted)
    none = (await client.get("/v1/tasks?q=nothing&take=2")).json()
    assert await walk(none, "next") == [[], [], []]
    by_id = (await client.get(f"/v1/tasks?q={ids[0]}")).json()
    assert [one["id"] for one in by_id["data"]] == [ids[0]]
    assert by_id["links"] == {"previous": None, "next": None}
