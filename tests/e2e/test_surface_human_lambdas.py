"""A client of Human Lambdas, as its page of tasks shows it, against a real Papertray."""

import json
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import TURN_SECONDS, Installation, wait_until
from tests.e2e.program import listening

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BLOCKS = [
    {"id": "comment", "name": "Comment", "type": "text", "text": {"read_only": True}},
    {"id": "approve", "name": "Approve", "type": "binary", "binary": {"is_required": True}},
]


def test_a_comment_is_created_taken_submitted_and_sent_back(tmp_path: Path) -> None:
    papertray = Installation(tmp_path / "home", PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32")
    with listening(lambda _: 200) as program:
        papertray.start()
        try:
            made = papertray.command("key", "create", "--user", "joe@example.com")
            client = httpx.Client(
                base_url=str(papertray.api.base_url).replace("/v1", ""),
                headers={"authorization": f"Token {made['key']}"},
                timeout=30,
            )
            queues = f"/orgs/{made['organization_number']}/queues"
            body = {"name": "Moderate Comments", "data": BLOCKS}
            queue = f"{queues}/{client.post(queues, json=body).json()['id']}"
            client.put(f"{queue}/webhook", json={"target": program.url("/hook")})
            sent = {"data": {"comment": "This is some random text"}}
            created = client.post(f"{queue}/tasks/create", json=sent)
            assert (created.status_code, created.json()["status"]) == (201, "new")
            taken: list[httpx.Response] = []

            def is_taken() -> bool:
                taken[:] = [client.get(f"{queue}/tasks/next")]
                return taken[0].status_code == 200

            wait_until(is_taken, TURN_SECONDS, lambda: f"{taken[0].status_code}")
            address = f"{queue}/tasks/{taken[0].json()['id']}"
            submitted = client.patch(address, json={"data": {"approve": True}})
            assert (submitted.status_code, submitted.json()["status"]) == (200, "completed")
            wait_until(lambda: bool(program.heard), TURN_SECONDS, lambda: client.get(address).text)
            listed = client.get(f"{queue}/tasks/completed").json()
            client.close()
        finally:
            papertray.stop()
    assert (listed["count"], listed["next"], listed["previous"]) == (1, None, None)
    (task,) = listed["tasks"]
    assert task["data"] == {"comment": "This is some random text", "approve": True}
    assert (task["completed_by"], task["state"]) == ("joe@example.com", "completed")
    assert json.loads(program.heard[0].body) == task
    assert program.heard[0].headers["webhook-signature"].startswith("v1,")
