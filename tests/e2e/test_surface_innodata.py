"""A client of Innodata, from a document over a collaborator to the output, on a real Papertray."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.documents import invoice
from tests.e2e.installation import TURN_SECONDS, Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

TAXONOMY = ["Invoice No", {"name": "Total due", "type": "money", "required": True}]


class User:
    """What a user of Innodata does; it knows nothing of Papertray but its address."""

    def __init__(self, papertray: Installation, email: str, *options: str):
        made = papertray.command("key", "create", "--user", email, *options)
        self.client = httpx.Client(
            base_url=str(papertray.api.base_url).replace("/v1", ""),
            auth=(made["key"], ""),
            timeout=30,
        )

    def call(self, method: str, path: str, **sent: Any) -> Any:
        answer = self.client.request(method, path, **sent)
        assert answer.is_success, answer.text
        return answer.json()["response"]

    def create(self, **more: Any) -> Any:
        headers = {"X-Name": "invoice.pdf", "X-Type": "application/pdf"}
        document = self.call("POST", "/documents", content=invoice(), headers=headers)
        contents = [{"role": "input", "uri": document["contents_uri"]}]
        body = {"type": "data-point-extraction", "contents": contents, "mapping.taxonomy": TAXONOMY}
        return self.call("POST", "/jobs", json={**body, **more})

    def until(self, job_id: str, status: str) -> Any:
        seen: list[Any] = []

        def reached() -> bool:
            seen[:] = [self.call("GET", f"/jobs/{job_id}")]
            return seen[0]["status"] == status

        wait_until(reached, TURN_SECONDS, lambda: f"{seen}")
        return seen[0]


def test_a_job_is_read_reviewed_by_a_collaborator_and_has_its_output(tmp_path: Path) -> None:
    papertray = Installation(tmp_path / "home")
    users: list[User] = []

    def user(*named: str) -> User:
        users.append(User(papertray, *named))
        return users[-1]

    papertray.start()
    try:
        ana, ben = user("ana@example.com"), user("ben@example.com")
        collaboration = {"users": [{"email": "ben@example.com", "steps": ["review"]}]}
        job = ana.create(collaboration=collaboration)
        address = f"/jobs/{job['id']}"
        blocked = ben.until(job["id"], "blocked")
        assert blocked["progress"] == {"current": 3, "total": 4}
        found = ben.client.get(f"{address}/contents/data-points").json()
        assert found["documents"][0]["fields"] == {"invoice_no": "AB-1001", "total_due": "119.00"}
        found["documents"][0]["fields"]["invoice_no"] = "AB-1002"
        ben.call("PUT", f"{address}/contents/output", json=found)
        done = ana.until(job["id"], "completed")
        output = ana.client.get(done["output_content"]["uri"])
        assert "AB-1002" in output.text
        # What is made with a test key waits for nobody.
        tester = user("ana@example.com", "--test")
        assert tester.until(tester.create()["id"], "completed")["output_content"]
    finally:
        for one in users:
            one.client.close()
        papertray.stop()
