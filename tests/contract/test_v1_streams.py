"""Server-sent events: nothing is missed, nothing comes twice, and they end."""

import asyncio
import json
from typing import Any

import pytest

from api.v1 import streams
from store.states import Event
from tests.contract.world import Client, let_happen, send_file, send_task


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(streams, "LIFETIME_SECONDS", 0.0)
    monkeypatch.setattr(streams, "_newest", streams._Newest())


def events_in(text: str) -> list[dict[str, Any]]:
    blocks = [block.splitlines() for block in text.split("\n\n") if "data:" in block]
    found = [dict(line.split(": ", 1) for line in block) for block in blocks]
    for one in found:
        assert json.loads(one["data"])["id"] == one["id"]
        assert json.loads(one["data"])["type"] == one["event"]
    return found


async def test_a_task_is_told_from_its_beginning_to_its_end(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    task_id = await send_task(client)
    monkeypatch.setattr(streams, "LIFETIME_SECONDS", 300.0)
    reading = asyncio.create_task(client.get(f"/v1/tasks/{task_id}/stream"))
    await let_happen(task_id, Event.START, Event.FINISH)
    answer = await reading  # ends with the task
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events_in(answer.text)
    assert [one["event"] for one in told] == ["task.created", "task.started", "task.completed"]
    shown = (await client.get(f"/v1/tasks/{task_id}/events")).json()["data"]
    assert [one["id"] for one in told] == [one["id"] for one in shown][::-1]


async def test_a_stream_goes_on_after_the_last_event_that_was_read(client: Client):
    task_id = await send_task(client)
    await let_happen(task_id, Event.START, Event.FINISH)
    whole = events_in((await client.get(f"/v1/tasks/{task_id}/stream")).text)
    rest = await client.get(
        f"/v1/tasks/{task_id}/stream", headers={"last-event-id": whole[0]["id"]}
    )
    assert events_in(rest.text) == whole[1:]
    over = await client.get(
        f"/v1/tasks/{task_id}/stream", params={"last_event_id": whole[-1]["id"]}
    )
    assert (over.status_code, over.text) == (204, "")


async def test_what_happens_is_told_from_now_on(client: Client):
    await send_file(client)
    assert events_in((await client.get("/v1/stream")).text) == []
    before = (await client.get("/v1/events")).json()["data"][0]["id"]
    file_id = await send_file(client)
    answer = await client.get("/v1/stream", headers={"last-event-id": before})
    (told,) = events_in(answer.text)
    assert told["event"] == "file.created"
    assert json.loads(told["data"])["data"]["id"] == file_id


async def test_a_stream_cannot_begin_at_an_event_of_another_organization(
    client: Client, stranger: Client, make_key: Any
):
    await send_file(client)
    event_id = (await client.get("/v1/events")).json()["data"][0]["id"]
    headers = {"x-api-key": await make_key(organization="globex"), "last-event-id": event_id}
    assert (await stranger.get("/v1/stream", headers=headers)).status_code == 404


async def test_a_quiet_stream_says_that_it_is_still_there_and_ends_when_told_to(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(streams, "LIFETIME_SECONDS", 300.0)
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)
    monkeypatch.setattr(streams, "_stopping", False)
    looks = 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        return 0

    monkeypatch.setattr(streams, "newest_number", look)
    reading = asyncio.create_task(client.get("/v1/stream"))
    while looks < 10:  # each is a hundredth of a second after the one before
        await asyncio.sleep(0.01)
    assert not reading.done()
    streams.stop_streams()
    assert ": still there" in (await reading).text
