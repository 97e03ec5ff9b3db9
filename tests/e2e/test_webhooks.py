"""A program is told: by a webhook of all that happens, by a callback of the end of its task."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@dataclass
class Program:
    """What was sent to it, by the path it came to."""

    port: int = 0
    heard: list[tuple[str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, dict[str, str], bytes]]
    )

    def events(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for to, _, body in list(self.heard) if to == path]


@contextmanager
def listening() -> Iterator[Program]:
    program = Program()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            program.heard.append((self.path, headers, body))
            self.send_response(503 if len(program.heard) == 1 else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    program.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield program
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_program_is_told_of_a_task_from_its_beginning_to_its_end(tmp_path: Path):
    papertray = Installation(tmp_path / "home", PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32")
    with listening() as program:
        papertray.start()
        try:
            address = f"http://127.0.0.1:{program.port}"
            made = papertray.api.post("/webhooks", json={"url": f"{address}/hook"}).json()
            papertray.install(project())
            answer = papertray.api.post(
                "/tasks",
                files={"file": ("invoice.pdf", invoice())},
                data={"project": "bills", "callback_url": f"{address}/done"},
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
    for path, headers, body in program.heard:
        if path == "/hook":
            verifying.verify(body, headers)
        else:
            assert "webhook-signature" not in headers
    (done,) = {event["id"]: event for event in program.events("/done")}.values()
    assert (done["type"], done["data"]["id"]) == ("task.completed", task)
    assert {event["sequence"] for event in program.events("/hook")} == set(
        range(1, 1 + len({event["id"] for event in program.events("/hook")}))
    )
    assert {one["event_id"] for one in log} >= {e["id"] for e in program.events("/hook")}
