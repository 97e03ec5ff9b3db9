"""`papertray up` and the command line beside it, as somebody at a terminal has them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from store.errors import FieldsInvalidError, UnavailableError
from tests.documents import invoice, project
from tests.e2e.installation import Installation, wait_until
from tests.e2e.prefect_server_fixture import Server

pytestmark = pytest.mark.e2e

STOP_SECONDS = 20


class Shell:
    """A second terminal."""

    def __init__(self, papertray: Installation):
        self.environment = papertray.environment

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "api.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            stdin=subprocess.DEVNULL,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    yield installation
    installation.stop()


@pytest.fixture
def shell(papertray: Installation) -> Shell:
    return Shell(papertray)


def test_the_first_start_gives_a_key_that_opens_the_api_and_is_written_nowhere(
    papertray: Installation,
) -> None:
    assert papertray.key.startswith("ptk_")
    assert papertray.api.get("/tasks").status_code == 200
    for path in papertray.home.rglob("*"):
        if path.is_file():
            assert papertray.key.encode() not in path.read_bytes(), path


def test_every_address_that_is_printed_answers(papertray: Installation) -> None:
    url = f"http://127.0.0.1:{papertray.port}"
    for address in (f"{url}/healthz", f"{url}/docs", f"{url}/review", f"{url}/openapi.json"):
        assert httpx.get(address, follow_redirects=True).status_code == 200, address
    prefect = f"http://127.0.0.1:{papertray.prefect_port}"
    assert "html" in httpx.get(prefect, follow_redirects=True).headers["content-type"]
    # The pages of Prefect's UI call the address that the server tells them.
    assert httpx.get(f"{prefect}/ui-settings").json()["api_url"] == f"{prefect}/api"


def test_nothing_listens_beyond_this_machine(papertray: Installation) -> None:
    children = json.loads((papertray.home / "run.json").read_text())["children"].values()
    listening = [
        one.laddr.ip
        for pid in children
        for one in psutil.Process(pid).net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def test_doctor_finds_everything_in_order(papertray: Installation, shell: Shell) -> None:
    def worker_is_alive() -> bool:
        told.update(shell.json("doctor"))
        return {check["name"]: check["health"] for check in told["checks"]}["worker"] == "ok"

    told: dict[str, Any] = {}
    wait_until(worker_is_alive, 90, lambda: f"doctor says {told}")
    assert {check["health"] for check in told["checks"]} == {"ok"}
    assert told["prefect_api_url"] == f"http://127.0.0.1:{papertray.prefect_port}/api"


def test_a_document_is_sent_decided_and_seen_from_the_shell(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bills.yaml").write_text(project())
    (tmp_path / "wrong.pdf").write_bytes(invoice(total="120.00"))
    installed = shell.json("projects", "install", str(tmp_path / "bills.yaml"))
    assert installed["version"] == 1
    assert [one["name"] for one in shell.json("projects", "list")] == ["bills"]

    sent = str(tmp_path / "wrong.pdf")
    (task,) = shell.json("submit", sent, "--project", "bills", "--wait", "--timeout-seconds", "90")
    assert task["state"] == "in_review"

    refused = shell.run("tasks", "complete", task["id"], "-f", "total=a lot", "--json")
    assert refused.returncode == FieldsInvalidError.exit_code
    assert "total" in json.loads(refused.stderr)["error"]["details"]["fields"]

    shell.json("tasks", "complete", task["id"], "-f", "total=119.00", "--note", "read it again")
    wait_until(
        lambda: shell.json("tasks", "show", task["id"])["state"] == "completed",
        90,
        lambda: "it is not completed",
    )
    whole = shell.json("tasks", "show", task["id"])
    assert whole["documents"][0]["fields"]["total"]["value"] == "119.00"
    assert whole["files"]
    kinds = [event["type"] for event in whole["events"]]
    assert kinds[0] == "task.created"
    assert kinds[-1] == "task.completed"


def test_a_task_that_is_refused_sets_the_exit_status(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "no.pdf").write_text("not a document")
    done = shell.run("submit", str(tmp_path / "no.pdf"), "--project", "bills", "--wait", "--json")
    (task,) = json.loads(done.stdout)
    assert task["state"] == "failed"
    assert task["result"]["details"]["code"] == "file_type_unsupported"
    assert done.returncode == 65
    retried = shell.json("tasks", "retry", task["id"])
    assert retried["state"] == "queued"


def test_a_second_start_in_the_same_home_is_refused(shell: Shell) -> None:
    done = shell.run("up", "--json")
    assert done.returncode == UnavailableError.exit_code
    assert "already" in json.loads(done.stderr)["error"]["message"]


def test_a_port_in_use_is_refused_with_the_remedy(
    papertray: Installation, shell: Shell, tmp_path: Path
) -> None:
    done = shell.run("up", "--home", str(tmp_path / "other"), "--json")
    assert done.returncode == UnavailableError.exit_code
    told = json.loads(done.stderr)["error"]
    assert told["details"]["port"] == papertray.port
    assert "--port" in told["message"]


def test_sigterm_ends_all_of_it_in_time_and_the_next_start_has_what_was_there(
    papertray: Installation,
) -> None:
    assert papertray.process is not None
    before = psutil.Process(papertray.process.pid).children(recursive=True)
    assert len(before) >= 3
    began = time.monotonic()
    papertray.process.send_signal(signal.SIGTERM)
    assert papertray.process.wait(STOP_SECONDS) == 0
    assert time.monotonic() - began < STOP_SECONDS
    gone, alive = psutil.wait_procs(before, timeout=5)
    assert alive == []
    assert len(gone) == len(before)
    assert not (papertray.home / "run.json").exists()

    tasks = Shell(papertray).json("tasks", "list")
    key = papertray.key
    papertray.stop()
    papertray.start()
    assert papertray.key == key, "a key is made the first time only"
    assert len(papertray.api.get("/tasks").json()["data"]) == len(tasks)


def test_a_prefect_server_that_is_named_is_used(prefect_server: Server, tmp_path: Path) -> None:
    elsewhere = Installation(tmp_path / "home", PREFECT_API_URL=prefect_server.url)
    elsewhere.start()
    try:
        children = json.loads((elsewhere.home / "run.json").read_text())["children"]
        assert set(children) == {"serve", "worker"}
        assert str(elsewhere.prefect.base_url).rstrip("/") == prefect_server.url
        elsewhere.install(project())
        task = elsewhere.submit(invoice())
        elsewhere.until(task, "completed", seconds=120)
        elsewhere.until_run(task, "Completed")
    finally:
        elsewhere.stop()


def test_ctrl_c_at_a_terminal_ends_it_in_order(tmp_path: Path) -> None:
    """The terminal sends SIGINT to the whole foreground group; only `up` may act on it."""
    papertray = Installation(tmp_path / "home")
    papertray.start()
    assert papertray.process is not None
    children = psutil.Process(papertray.process.pid).children()
    assert all(os.getpgid(child.pid) == child.pid for child in children)
    papertray.process.send_signal(signal.SIGINT)
    assert papertray.process.wait(STOP_SECONDS) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []
    papertray.stop()
