"""A client of Send AI from an upload to its end, against a real Papertray."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.canary import paper
from tests.documents import project
from tests.e2e.installation import TURN_SECONDS, Installation, wait_until
from tests.receiver import Receiver, answer, receiving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

REPORT = {"issues": [{"label": "Poor Document Quality", "value": "poor_quality"}]}


class SendAi:
    """What a client of Send AI does; it knows nothing of Papertray but its address."""

    def __init__(self, client: httpx.Client):
        self.client = client

    def call(self, method: str, path: str, status: int = 200, **sent: Any) -> dict[str, Any]:
        answered = self.client.request(method, path, **sent)
        assert answered.status_code == status, answered.text
        return answered.json()

    def until(self, path: str, status: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def reached() -> bool:
            seen.update(self.call("GET", path)["payload"])
            return seen["status"] == status

        wait_until(reached, TURN_SECONDS, lambda: f"not {status}: {seen}")
        return seen


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    allowed = {"PAPERTRAY_ALLOWED_NETWORKS": "127.0.0.1/32"}
    installation = Installation(tmp_path_factory.mktemp("papertray"), **allowed)
    installation.start()
    yield installation
    installation.stop()


def set_up(papertray: Installation, hook: Receiver) -> SendAi:
    """A team with a project, a key of it, and a webhook."""
    source = f"{project()}report_hook: {hook.url('/report')}\n"
    papertray.api.post("projects", json={"source": source}).raise_for_status()
    sent = {"url": hook.url("/told"), "events": ["upload.in_review", "upload.processed"]}
    papertray.api.post("webhooks", json=sent).raise_for_status()
    papertray.command("teams", "create", "claims")
    name = papertray.api.get("projects").json()["data"][0]["name"]
    papertray.command("teams", "give", name, "--team", "claims")
    scopes = "upload.read,upload.create,task.read,task.edit"
    key = papertray.command("key", "create", "--team", "claims", "--scope", scopes)["key"]
    base = papertray.api.base_url.join(f"/v2/claims/project/{name}")
    return SendAi(
        httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    )


def go_through(client: SendAi) -> str:
    """Two documents: one is corrected, reported and completed, the other discarded."""
    files = [("file", (name, paper(name))) for name in ("one.pdf", "two.pdf")]
    meta = '[{"name": "order", "value": "4711"}]'
    upload_id = client.call("POST", "/upload", 201, files=files, data={"meta": meta})["id"]
    upload = client.until(f"/upload/{upload_id}", "IN_REVIEW")
    one, two = upload["files"]
    task = client.call("GET", f"/task/{one}")["payload"]
    assert (task["status"], task["step_type"], task["upload_id"]) == (
        *("REVIEWING", "EXTRACT"),
        upload_id,
    )
    entities = {found["entity_id"]: found for found in task["pages"][0]["annotations"]}
    assert entities["number"]["content"] == "AB-one.pdf"
    assert 0 < entities["number"]["top"] < task["pages"][0]["height"]

    wrong = client.call("POST", f"/task/{one}/complete", 400)
    assert "total" in wrong["errors"]
    right = {"annotations": [{"entity_id": "total", "content": "119.00"}]}
    client.call("PATCH", f"/task/{one}", json=right)
    client.call("POST", f"/task/{one}/report", 201, json=REPORT)
    started = client.call("POST", f"/task/{one}/complete")
    assert started["message"] == "Task processing started"
    assert client.until(f"/task/{one}", "COMPLETED")["approved"]

    assert client.call("PUT", f"/task/{one}/unlock")["payload"]["status"] == "REVIEWING"
    client.call("POST", f"/task/{one}/complete")
    client.until(f"/task/{one}", "COMPLETED")
    client.call("PUT", f"/task/{two}/discard")
    ended = client.until(f"/upload/{upload_id}", "COMPLETED")
    assert ended["folder_id"] == "folder_reported"
    assert "fully processed" in client.call("POST", f"/task/{two}/unlock", 400)["message"]
    return upload_id


async def test_an_upload_goes_through_review_to_its_end(papertray: Installation) -> None:
    async with receiving(lambda _: answer(200)) as hook:
        client = await asyncio.to_thread(set_up, papertray, hook)
        upload_id = await asyncio.to_thread(go_through, client)
        client.client.close()
        told = {heard.id: heard for heard in await hook.until(3)}
        wanted = ("IN_REVIEW", "PROCESSED")
        async with asyncio.timeout(TURN_SECONDS):
            while {one.event.get("event") for one in hook.heard} < {*wanted, None}:
                await asyncio.sleep(0.05)
        told = {heard.id: heard.event for heard in hook.heard}.values()
    (report,) = [one for one in told if one["type"] == "task.reported"]
    assert report["data"]["issues"] == REPORT["issues"]
    (processed,) = [one for one in told if one.get("event") == "PROCESSED"]
    assert (processed["upload"]["id"], processed["upload"]["status"]) == (upload_id, "COMPLETED")
    assert sorted(processed["upload"]["files"].values()) == ["one.pdf", "two.pdf"]
