"""Queues: what they are made of, who sees them, and what is done with all of one."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

from fastapi import FastAPI
from sqlalchemy import select, update
from sqlmodel import col

from api.human_lambdas.blocks import BlockType
from flows.wordings import body_for
from store.blocks import BLOCK_TYPES
from store.database import database
from store.ids import now
from store.models import Activity, Delivery, Project, Task, Team, Webhook
from store.project_metrics import PERIODS, Rhythm, periods
from store.states import State
from tests.contract.human_lambdas.desk import (
    BLOCKS,
    COMMENT,
    Desk,
    ask,
    done,
    finish,
    organization_number,
    refused,
    signed_in,
)
from tests.contract.world import Client, MakeKey

OPTIONS = [{"id": "good", "name": "Good"}, {"id": "bad", "name": "Bad"}]
SETTINGS: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in BLOCK_TYPES},
    "text": {"placeholder": "Say", "max_characters": 5},
    "number": {"min": 1.0},
    "list": {"subtype": "number"},
    "single_selection": {"options": OPTIONS},
    "multiple_selection": {"options": OPTIONS},
    "named_entity_recognition": {"options": OPTIONS},
    "bounding_boxes": {"options": OPTIONS},
    "form_sequence": {
        "data": [
            {"id": "size", "name": "Size", "type": "number", "number": {"is_required": True}},
            {
                "id": "kind",
                "name": "Kind",
                "type": "single_selection",
                "single_selection": {
                    "options": OPTIONS,
                },
            },
        ]
    },
}
VALUES: dict[str, Any] = {
    "binary": True,
    "text": "hello",
    "number": 2.5,
    "date": "2026-01-31",
    "email": "joe@example.com",
    "link": "https://example.com/",
    "image": "https://example.com/a.png",
    "audio": "https://example.com/a.mp3",
    "video": "https://example.com/a.mp4",
    "pdf": "https://example.com/a.pdf",
    "embed": "https://example.com/",
    "list": [1, 2.5],
    "single_selection": "good",
    "multiple_selection": ["bad", "good"],
    "form_sequence": {"size": 3, "kind": "bad"},
    "text_sequence": ["Hi", "Ho"],
    "named_entity_recognition": {
        "text": "Ada met Joe",
        "entities": [{"start": 0, "end": 3, "category": "good"}],
    },
    "rich_text": "**hello**",
    "bounding_boxes": {
        "image": "https://example.com/a.png",
        "objects": [{"x": 0.1, "y": 0.2, "w": 0.5, "h": 0.25, "category": "bad"}],
    },
}


def block(kind: str) -> dict[str, Any]:
    return {"id": kind, "name": f"A {kind}", "type": kind, kind: SETTINGS[kind]}


def test_the_types_are_those_of_the_store() -> None:
    assert set(get_args(BlockType)) == set(BLOCK_TYPES) == set(VALUES)


async def test_each_type_of_block_comes_back_as_it_was_sent(joe: Desk) -> None:
    desk = await Desk(joe.client, joe.queues).set_up("All", [block(kind) for kind in BLOCK_TYPES])
    shown = done(await joe.client.get(desk.address))
    for kind, found in zip(BLOCK_TYPES, shown["data"], strict=True):
        assert (found["id"], found["name"], found["type"]) == (kind, f"A {kind}", kind)
        settings = found[kind]
        assert {"placeholder", "read_only", "is_required"} <= settings.keys()
        for name, value in SETTINGS[kind].items():
            if kind != "form_sequence":
                assert settings[name] == value
    inner = shown["data"][list(BLOCK_TYPES).index("form_sequence")]["form_sequence"]["data"]
    assert [(one["id"], one["type"]) for one in inner] == [
        ("size", "number"),
        ("kind", "single_selection"),
    ]
    # What is shown can be sent, and changes nothing.
    again = await joe.client.patch(desk.address, json={"data": shown["data"]})
    assert done(again)["data"] == shown["data"]


async def test_a_value_of_each_type_goes_in_and_comes_out_alike(joe: Desk) -> None:
    desk = await Desk(joe.client, joe.queues).set_up("All", [block(kind) for kind in BLOCK_TYPES])
    task = await desk.create(VALUES)
    assert task["data"] == VALUES
    await ask(task["id"])
    await desk.take()
    assert (await desk.submit(task["id"], task["data"]))["data"] == VALUES
    for kind in BLOCK_TYPES:
        body = {"data": {kind: {"what": "is this"}}}
        wrong = await joe.client.post(f"{desk.address}/tasks/create", json=body)
        assert refused(wrong, 400)[0]["field"] == kind


async def test_a_text_alone_is_one_in_which_names_are_to_be_found(joe: Desk) -> None:
    desk = await Desk(joe.client, joe.queues).set_up("N", [block("named_entity_recognition")])
    task = await desk.create({"named_entity_recognition": "Ada met Joe"})
    assert task["data"]["named_entity_recognition"] == {"text": "Ada met Joe", "entities": []}


async def test_a_queue_is_a_project_of_every_other_way_in(joe: Desk, client: Client) -> None:
    (project,) = (await client.get("/v1/projects")).json()["data"]
    assert project["name"] == "moderate-comments"
    sent = {"project": "moderate-comments", "data": {"comment": COMMENT}}
    made = (await client.post("/v1/tasks", json=sent)).json()
    (task,) = (await joe.pending())["tasks"]
    assert (task["data"], task["queue_id"]) == ({"comment": COMMENT, "approve": None}, joe.id)
    task = await joe.create()
    listed = (await client.get("/v1/tasks")).json()["data"]
    assert [one["data"] for one in listed] == [{"comment": COMMENT}] * 2
    assert made["id"] in {one["id"] for one in listed}


async def test_a_project_of_documents_is_a_queue_of_their_fields(joe: Desk, client: Client) -> None:
    source = "name: invoices\nfields: [{name: total, type: money, required: true, labels: [T]}]\n"
    done(await client.post("/v1/projects", json={"source": source}), 201)
    queues = done(await joe.client.get(joe.queues))
    assert [queue["name"] for queue in queues] == ["Moderate Comments", "invoices"]
    (total,) = queues[1]["data"]
    assert (total["id"], total["type"], total["text"]["is_required"]) == ("total", "text", True)
    desk = Desk(joe.client, joe.queues, queues[1]["id"])
    answer = await joe.client.post(f"{desk.address}/tasks/create", json={"data": {"total": "1"}})
    refused(answer, 400)


async def test_queues_are_listed_with_how_much_is_to_do(joe: Desk) -> None:
    other = await Desk(joe.client, joe.queues).set_up("Another")
    number = [(await other.create())["id"] for _ in range(2)][1]
    await ask(number)
    await other.take()
    await other.submit(number, {"approve": True})
    queues = done(await joe.client.get(joe.queues))
    assert [(queue["id"], queue["name"], queue["n_tasks"]) for queue in queues] == [
        (joe.id, "Moderate Comments", 0),
        (other.id, "Another", 1),
    ]
    assert [block["id"] for block in queues[0]["data"]] == ["comment", "approve"]


async def test_no_two_queues_have_one_name(joe: Desk) -> None:
    body = {"name": "Moderate Comments", "data": BLOCKS}
    refused(await joe.client.post(joe.queues, json=body), 400)
    other = await Desk(joe.client, joe.queues).set_up("Another")
    refused(await joe.client.patch(other.address, json={"name": "Moderate Comments"}), 400)
    renamed = done(await joe.client.patch(joe.address, json={"name": "Comments"}))
    assert (renamed["id"], renamed["name"]) == (joe.id, "Comments")
    # The name is free now, though the project that had it first keeps its own.
    made = done(await joe.client.post(joe.queues, json=body), 201)
    assert made["id"] not in {joe.id, other.id}


async def test_names_need_no_letter_of_ascii(joe: Desk) -> None:
    names = ["審査", "レビュー", "1st", "Über uns"]
    made = [
        done(await joe.client.post(joe.queues, json={"name": name, "data": BLOCKS}), 201)
        for name in names
    ]
    assert [queue["name"] for queue in made] == names


async def test_tasks_keep_the_blocks_they_were_made_with(joe: Desk) -> None:
    task = await joe.create()
    more = [*BLOCKS, {"id": "why", "name": "Why", "type": "text", "text": {}}]
    changed = await joe.client.patch(joe.address, json={"data": more, "description": "Be kind."})
    assert done(changed)["description"] == "Be kind."
    assert (await joe.show(task["id"]))["data"].keys() == {"comment", "approve"}
    assert (await joe.create())["data"].keys() == {"comment", "approve", "why"}


async def test_what_else_a_project_has_is_kept_when_its_queue_is_changed(
    joe: Desk, client: Client
) -> None:
    source = (
        "name: ratings\nretention: {data: 12h}\nblocks:\n  - {name: stars, type: number, max: 5}\n"
    )
    done(await client.post("/v1/projects", json={"source": source}), 201)
    queue = next(q for q in done(await joe.client.get(joe.queues)) if q["name"] == "ratings")
    done(await joe.client.patch(f"{joe.queues}/{queue['id']}", json={"name": "Stars"}))
    project = (await client.get("/v1/projects/ratings")).json()
    assert project["version"] == 2
    assert "data: 12h" in project["source"]
    assert "max: 5" in project["source"]


async def test_a_queue_that_is_not_valid_is_refused_by_name(joe: Desk) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"data": BLOCKS}, "name"),
        ({"name": "", "data": BLOCKS}, "name"),
        ({"name": "x" * 141, "data": BLOCKS}, "name"),
        ({"name": "x"}, "data"),
        ({"name": "x", "data": []}, "data"),
        ({"name": "x", "data": [{}]}, "data.0.id"),
        ({"name": "x", "data": [{"id": "a", "name": "a", "type": "game"}]}, "data.0.type"),
        (
            {"name": "x", "data": [{"id": "a", "name": "a", "type": "single_selection"}]},
            "data.0.options",
        ),
        ({"name": "x", "data": [{"id": "a", "name": "a", "type": "text", "text": 1}]}, "data.0"),
        ({"name": "x", "data": [BLOCKS[0], BLOCKS[0]]}, "data.1.name"),
        ({"name": "x", "data": [{"id": "/", "name": "a", "type": "text"}]}, "data.0.name"),
    ]
    for body, field in wrong:
        errors = refused(await joe.client.post(joe.queues, json=body), 400)
        assert field in {error["field"] for error in errors}


async def test_members_that_only_human_lambdas_has_are_passed_over(joe: Desk) -> None:
    block = {
        "id": 7,
        "_id": 7,
        "name": "Seven",
        "type": "text",
        "layout": {},
        "logic_jump": {},
        "text": {"value": None, "format": "", "placeholder": 1.5, "use_placeholder": False},
    }
    body = {"name": "x", "is_running": False, "guidelines_url": None, "data": [block]}
    queue = done(await joe.client.post(joe.queues, json=body), 201)
    assert queue["data"][0]["id"] == "7"
    assert queue["data"][0]["text"]["placeholder"] == "1.5"


async def test_a_table_becomes_tasks_whose_source_is_its_name(joe: Desk) -> None:
    table = "comment,approve,more\nnice,true,1\nbad,,2\n,perhaps,3\n"
    answer = await joe.client.post(
        f"{joe.address}/upload", files={"file": ("rows.csv", table.encode(), "text/csv")}
    )
    uploaded = done(answer, 201)
    assert (uploaded["count"], uploaded["refused_count"]) == (2, 1)
    tasks = (await joe.pending())["tasks"]
    assert [(task["data"], task["source"]) for task in tasks] == [
        ({"comment": "nice", "approve": True}, "rows.csv"),
        ({"comment": "bad", "approve": None}, "rows.csv"),
    ]


async def test_a_table_of_which_nothing_fits_is_refused(joe: Desk) -> None:
    for table in ("comment,approve\nx,perhaps\n", "what,is,this\n1,2,3\n", " "):
        sent = {"file": ("rows.csv", table.encode())}
        refused(await joe.client.post(f"{joe.address}/upload", files=sent), 400)
    wrong: list[dict[str, Any]] = [
        {"json": {}},
        {"content": b"comment\nx\n", "headers": {"content-type": "text/csv"}},
        {"files": {"other": ("rows.csv", b"comment\nx\n")}},
        {"files": {"file": ("", b"comment\nx\n")}},
        {"files": [("file", ("a.csv", b"comment\nx\n")), ("file", ("b.csv", b"comment\nx\n"))]},
        {"files": {"file": ("rows.csv", b"comment,comment\na,b\n")}},
        {"files": {"file": ("rows.csv", b"")}},
    ]
    for sent in wrong:
        refused(await joe.client.post(f"{joe.address}/upload", **sent), 400)
    table = {"file": ("rows.csv", b"comment,approve\na\nb,true,c\n")}
    told = refused(await joe.client.post(f"{joe.address}/upload", files=table), 400)
    assert [one.get("field") for one in told] == ["line 2", "line 3"]
    table = {"file": ("rows.csv", b"comment\nx\n")}
    refused(await joe.client.post(f"{joe.queues}/4711/upload", files=table), 404)
    assert (await joe.pending())["count"] == 0


async def test_flush_deletes_all_that_is_not_completed_and_nothing_else(joe: Desk) -> None:
    numbers = [(await joe.create())["id"] for _ in range(3)]
    for number in numbers[:2]:
        await ask(number)
        await joe.take()
        await joe.submit(number, {"approve": True})
    await finish(numbers[0])
    other = await Desk(joe.client, joe.queues).set_up("Another")
    await other.create()
    assert done(await joe.client.put(f"{joe.address}/flush")) == {"count": 1}
    assert (await joe.pending())["count"] == 0
    # One that is answered and not written out yet is completed.
    assert {task["id"] for task in (await joe.completed())["tasks"]} == set(numbers[:2])
    assert (await other.pending())["count"] == 1
    # Who is at work on one does not keep it, and there is nothing to be deleted twice.
    held = (await joe.create())["id"]
    await ask(held)
    await joe.take()
    for count in (1, 0):
        assert done(await joe.client.put(f"{joe.address}/flush")) == {"count": count}
    refused(await joe.client.get(f"{joe.address}/tasks/{held}"), 404)
    refused(await joe.client.put(f"{joe.queues}/4711/flush"), 404)


async def test_the_webhook_of_a_queue_gets_each_of_its_completed_tasks(joe: Desk) -> None:
    address = f"{joe.address}/webhook"
    assert done(await joe.client.get(address)) == {"target": None}
    target = {"target": "https://8.8.8.8/hook"}
    assert done(await joe.client.put(address, json=target)) == target
    assert done(await joe.client.put(address, json=target)) == target
    assert done(await joe.client.get(address)) == target
    other = await Desk(joe.client, joe.queues).set_up("Another")
    for desk in (joe, other):
        number = (await desk.create())["id"]
        await ask(number)
        await desk.take()
        await desk.submit(number, {"approve": True})
        await finish(number)
    async with database().reading() as session:
        (webhook,) = (await session.execute(select(Webhook))).scalars().all()
        (delivery,) = (await session.execute(select(Delivery))).scalars().all()
        activity = await session.get_one(Activity, delivery.activity_number)
        body = json.loads(await body_for(session, webhook, activity, 1))
    (task,) = (await joe.completed())["tasks"]
    assert body == task
    assert body["data"] == {"comment": COMMENT, "approve": True}
    for _ in range(2):
        gone = await joe.client.put(address, json={"target": ""})
        assert (gone.status_code, gone.content) == (204, b"")
    assert done(await joe.client.get(address)) == {"target": None}
    refused(await joe.client.put(address, json={"target": "http://127.0.0.1/"}), 400)
    refused(await joe.client.put(address, json={}), 400)


def test_periods_follow_each_other_up_to_now() -> None:
    at = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)  # a Friday, after a 29th of February
    starts: dict[Rhythm, tuple[int, int]] = {"daily": (3, 1), "weekly": (2, 26), "monthly": (3, 1)}
    for rhythm, (month, day) in starts.items():
        found = periods(rhythm, at)
        assert len(found) == PERIODS[rhythm]
        assert found[-1].start == datetime(2024, month, day, tzinfo=UTC)
        assert found[-1].end == at
        assert all(one.end == after.start for one, after in pairwise(found))
    assert periods("daily", at)[-2].start == datetime(2024, 2, 29, tzinfo=UTC)
    assert periods("weekly", at)[-2].start == datetime(2024, 2, 19, tzinfo=UTC)
    assert periods("monthly", at)[0].start == datetime(2023, 3, 1, tzinfo=UTC)


async def test_metrics_tell_what_was_done_when_and_how_fast(joe: Desk) -> None:
    today = now().replace(hour=0, minute=0, second=0, microsecond=0)
    numbers = [(await joe.create())["id"] for _ in range(4)]
    came = today - timedelta(days=3, hours=-1)
    settled = {
        numbers[0]: (today - timedelta(days=2, hours=-2), 10.0, True),
        numbers[1]: (today - timedelta(days=2, hours=-3), 20.0, False),
        numbers[2]: (today - timedelta(days=1, hours=-1), 5.0, None),
    }
    async with database().writing() as session:
        await session.execute(update(Task).values(created_at=came))
        for number, (at, handling, correct) in settled.items():
            one = update(Task).where(col(Task.number) == number)
            await session.execute(
                one.values(
                    state=State.COMPLETED,
                    settled_at=at,
                    decided_by="joe@example.com",
                    handling_seconds=handling,
                    is_correct=correct,
                )
            )
    address = f"{joe.address}/metrics"
    days = done(await joe.client.get(address))
    assert len(days) == PERIODS["daily"]
    shown = {day["date"][:10]: day for day in days[-5:]}

    def day(back: int) -> dict[str, Any]:
        return shown[f"{today - timedelta(days=back):%Y-%m-%d}"]

    assert [day(back)["completed"] for back in (3, 2, 1)] == [0, 2, 1]
    assert [day(back)["pending"] for back in (4, 3, 2, 1)] == [0, 4, 2, 1]
    assert days[-1]["pending"] == 1
    assert (day(2)["aht"], day(2)["accuracy"]) == (15.0, 0.5)
    assert day(2)["tat"] == timedelta(days=1, hours=1.5).total_seconds()
    assert (day(3)["aht"], day(3)["tat"], day(3)["accuracy"]) == (None, None, None)
    some = done(await joe.client.get(address, params={"type": ["aht", "tat"], "range": "monthly"}))
    assert [one.keys() for one in some] == [{"date", "aht", "tat"}] * PERIODS["monthly"]
    for wrong in ({"type": "luck"}, {"range": "hourly"}):
        refused(await joe.client.get(address, params=wrong), 400)


class TestWhoMayDoWhat:
    async def test_without_a_key_one_learns_how_to_send_it(self, joe: Desk) -> None:
        for headers in ({"authorization": ""}, {"authorization": "Token ptk_wrong"}):
            answer = await joe.client.get(joe.address, headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Token")

    async def test_another_organization_is_closed_whatever_is_in_it(
        self, joe: Desk, app: FastAPI, make_key: MakeKey
    ) -> None:
        async with signed_in(app, await make_key(organization="globex")) as other:
            refused(await other.get(joe.address), 403)
            refused(await other.get("/orgs/4711/queues"), 403)
            refused(await other.get("/orgs/acme/queues"), 403)
            own = f"/orgs/{await organization_number('globex')}/queues"
            assert done(await other.get(own)) == []
            refused(await other.get(f"{own}/{joe.id}"), 404)
            made = await Desk(other, own).set_up()
            number = (await joe.create())["id"]
            refused(await other.get(f"{made.address}/tasks/{number}"), 404)

    async def test_what_a_key_is_not_allowed_it_cannot_do(
        self, joe: Desk, app: FastAPI, make_key: MakeKey
    ) -> None:
        async with signed_in(app, await make_key("task.read")) as reader:
            done(await reader.get(f"{joe.address}/tasks/completed"))
            body = {"data": {"comment": COMMENT}}
            refused(await reader.post(f"{joe.address}/tasks/create", json=body), 403)
            refused(await reader.get(f"{joe.address}/tasks/next"), 403)
            refused(await reader.get(joe.queues), 403)
            refused(await reader.put(f"{joe.address}/flush"), 403)
            refused(await reader.put(f"{joe.address}/webhook", json={"target": ""}), 403)

    async def test_errors_of_the_framework_have_the_shape_too(self, joe: Desk) -> None:
        refused(await joe.client.get("/orgs"), 404)
        refused(await joe.client.get(f"{joe.address}/nothing"), 404)
        refused(await joe.client.delete(joe.address), 405)
        create = f"{joe.address}/tasks/create"
        json_type = {"content-type": "application/json"}
        refused(await joe.client.post(create, content=b"{", headers=json_type), 400)
        refused(await joe.client.post(create, content=b"x", headers={"content-type": "a/b"}), 400)
        refused(await joe.client.post(create, content=b" " * 2_000_000, headers=json_type), 413)


async def test_a_project_of_a_team_is_no_queue_of_others(
    joe: Desk, app: FastAPI, make_key: MakeKey
) -> None:
    async with database().writing() as session:
        project = (
            await session.execute(select(Project).where(col(Project.number) == joe.id))
        ).scalar_one()
        team = Team(organization_id=project.organization_id, name="secret")
        session.add(team)
        await session.flush()
        project.team_id = team.id
    async with signed_in(app, await make_key("project.read", "task.read")) as other:
        assert done(await other.get(joe.queues)) == []
        refused(await other.get(f"{joe.address}/tasks/completed"), 404)
    assert len(done(await joe.client.get(joe.queues))) == 1  # an admin sees it
