"""A program is told: by a webhook of all that happens, by a callback of the end of its task."""

from pathlib import Path

import pytest
import standardwebhooks

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until
from tests.e2e.program import listening

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_a_program_is_told_of_a_task_from_its_beginning_to_its_end(tmp_path: Path):
    papertray = Installation(tmp_path / "home", PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32")
    with listening(lambda tries: 503 if tries == 1 else 200) as program:
        papertray.start()
        try:
            made = papertray.api.post("/webhooks", json={"url": program.url("/hook")}).json()
            papertray.install(project())
            answer = papertray.api.post(
                "/tasks",
                files={"file": ("invoice.pdf", invoice())},
                data={"project": "bills", "callback_url": program.url("/done")},
            )
            task = answer.json()["id"]
            papertray.until(task, "completed")

            def is_told() -> bool:
                types = {event["type"] for event in program.events("/hook")}
                return types >= {"file.created", "task.created", "task.completed"} and bool(
                    program.events("/done")
                )

            wait_until(is_told, 60, lambda: f"{program.heard}")
            log = papertray.api.get(f"/webhooks/{made['id']}/deliveries").json()["data"]
        finally:
            papertray.stop()
    verifying = standardwebhooks.Webhook(made["secret"])
    for said in program.heard:
        if said.path == "/hook":
            verifying.verify(said.body, said.headers)
        else:
            assert "webhook-signature" not in said.headers
    (done,) = {event["id"]: event for event in program.events("/done")}.values()
    assert (done["type"], done["data"]["id"]) == ("task.completed", task)
    assert {event["sequence"] for event in program.events("/hook")} == set(
        range(1, 1 + len({event["id"] for event in program.events("/hook")}))
    )
    assert {one["event_id"] for one in log} >= {e["id"] for e in program.events("/hook")}
