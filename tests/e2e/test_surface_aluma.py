"""A client of Aluma from its token to the end of its tasks, against a real Papertray."""

import io
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.canary import CANARY, paper, places_of
from tests.documents import project
from tests.e2e.installation import TURN_SECONDS, Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

START = "pending:start_client_action"


def sent_once() -> dict[str, str]:
    """A header by which the answer is kept for a while; its content must go, too."""
    return {"Idempotency-Key": os.urandom(8).hex()}


class Aluma:
    """What a client of Aluma does; it knows nothing of Papertray but its address."""

    def __init__(self, client: httpx.Client, credentials: dict[str, str]):
        self.client = client
        token = client.post("/oauth/token", json=credentials).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        yaml = {"Content-Type": "application/yaml"}
        made = client.post("/projects", content=project(), headers=yaml).raise_for_status()
        self.project_id = made.json()["id"]

    def create(self, content: bytes, tags: str = "task_name=AB39", kind: str = "pdf") -> str:
        answer = self.client.post(
            "/tasks",
            params={"project_id": self.project_id},
            content=content,
            headers={
                "Content-Type": f"application/{kind}",
                "X-Aluma-Tags": tags,
                **sent_once(),
            },
        )
        assert (answer.status_code, answer.json()["state"]) == (202, "queued"), answer.text
        return answer.json()["id"]

    def until(self, task_id: str, state: str, action: str | None = None) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def reached() -> bool:
            seen.clear()
            seen.update(self.client.get(f"/tasks/{task_id}").raise_for_status().json())
            return (seen["state"], seen.get("client_action")) == (state, action)

        wait_until(reached, TURN_SECONDS, lambda: f"not {state}: {seen}")
        return seen

    def act(self, task_id: str, action: str, **body: Any) -> dict[str, Any]:
        sent: dict[str, Any] = {"json": body} if body else {}
        address = f"/tasks/{task_id}/client_actions/{action}"
        answer = self.client.post(address, headers=sent_once(), **sent)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    yield installation
    installation.stop()


@pytest.fixture(scope="module")
def aluma(papertray: Installation) -> Iterator[Aluma]:
    key = papertray.command("key", "create", "--oauth")
    credentials = {name: key[name] for name in ("client_id", "client_secret")}
    with httpx.Client(base_url=str(papertray.api.base_url.join("/")), timeout=30) as client:
        yield Aluma(client, credentials)


def test_a_document_is_validated_and_exported_and_nothing_of_it_is_left(
    papertray: Installation, aluma: Aluma
) -> None:
    tags = rf"task_name={CANARY}&file_name={CANARY}.pdf&file_path=C:\inbox\{CANARY}"
    task_id = aluma.create(paper(CANARY), tags)
    assert aluma.until(task_id, START, "validation")["documents_count"] == 1
    specification = aluma.act(task_id, "validation/start")
    (document,) = specification["documents"]
    wrong = [field["name"] for field in document["fields"] if not field["valid"]]
    assert wrong == ["total"]
    image = aluma.client.get(document["pages"][0]["image_uri"]).raise_for_status()
    with Image.open(io.BytesIO(image.content)) as page:
        assert page.size == (document["pages"][0]["width"], document["pages"][0]["height"])
    right = {"id": document["id"], "document_type": "invoice", "fields": {"total": "119.00"}}
    aluma.act(task_id, "validation/complete", documents=[right])

    aluma.until(task_id, START, "export")
    offer = aluma.act(task_id, "export/start")
    assert offer["documents"][0]["fields"]["total"] == "119.00"
    files = {one["name"]: one for one in offer["files"]}
    fetched = aluma.client.get(files["data.json"]["uri"]).raise_for_status().json()
    assert fetched["documents"][0]["fields"]["number"]["value"] == f"AB-{CANARY}"
    assert places_of(CANARY, papertray.home) != []
    aluma.act(task_id, "export/complete")

    ended = aluma.until(task_id, "completed")
    assert places_of(CANARY, papertray.home) == []
    assert (ended["id"], ended["name"], ended["project_id"]) == (task_id, "", aluma.project_id)
    assert aluma.client.get(document["pages"][0]["image_uri"]).status_code == 404
    assert aluma.client.get(files["data.json"]["uri"]).status_code == 404
    listed = aluma.client.get("/tasks", params={"state": "completed"}).json()["tasks"]
    assert ended in listed


def test_a_file_that_is_neither_pdf_nor_tiff_is_accepted_and_its_task_fails(
    aluma: Aluma,
) -> None:
    picture = io.BytesIO()
    Image.new("L", (300, 300), 255).save(picture, "PNG")
    sent = [
        aluma.create(picture.getvalue()),
        aluma.create(b"only text", kind="octet-stream"),
        aluma.create(b"%PDF-1.7 and nothing else"),
    ]
    for task_id in sent:
        aluma.until(task_id, "failed")


def test_who_validates_can_fail_a_task_and_who_sent_it_can_cancel_it(aluma: Aluma) -> None:
    failing, canceled = aluma.create(paper("X1")), aluma.create(paper("X2"))
    aluma.until(failing, START, "validation")
    aluma.act(failing, "validation/start")
    assert aluma.act(failing, "validation/fail", message="not ours")["state"] == "running"
    aluma.until(failing, "failed")
    answer = aluma.client.post(f"/tasks/{canceled}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")
    aluma.until(canceled, "canceled")
