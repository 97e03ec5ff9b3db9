"""Several API processes on one store: what one has answered, all know (docling-serve #467)."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.documents import invoice, project
from tests.e2e.installation import free_port, wait_until

pytestmark = pytest.mark.e2e

PROCESSES = 4
TASKS = 500


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[httpx.Client]]:
    """Processes that listen on ports of their own; there is no Prefect."""
    home = tmp_path_factory.mktemp("home")
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PAPERTRAY_"))
    }
    environment = {
        **inherited,
        "PAPERTRAY_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
    }
    papertray = [sys.executable, "-m", "api.cli"]
    made = subprocess.run(
        [*papertray, "key", "create", "--scope", "admin", "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    headers = {"x-api-key": json.loads(made.stdout)["key"]}
    with contextlib.ExitStack() as stack:
        clients: list[httpx.Client] = []
        for _ in range(PROCESSES):
            port = str(free_port())
            process = subprocess.Popen(
                [*papertray, "serve"],
                env={**environment, "PAPERTRAY_PORT": port},
                stdout=subprocess.DEVNULL,
                stderr=stack.enter_context((home / f"{port}.log").open("wb")),
            )
            stack.callback(process.wait, 30)
            stack.callback(process.send_signal, signal.SIGTERM)
            url = f"http://127.0.0.1:{port}/v1"
            clients.append(stack.enter_context(httpx.Client(base_url=url, headers=headers)))
        for client in clients:
            wait_until(lambda client=client: answers(client), 120, lambda: "no process listens")
        yield clients


def answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/tasks").is_success
    return False


def test_a_task_that_one_has_taken_in_is_there_for_all_at_once(apis: list[httpx.Client]):
    yaml = {"content-type": "application/yaml"}
    apis[0].post("/projects", content=project(), headers=yaml).raise_for_status()
    content = invoice()
    missed: list[str] = []
    for number in range(TASKS):
        file = {"file": ("invoice.pdf", content)}
        answer = apis[number % PROCESSES].post("/tasks", files=file, data={"project": "bills"})
        assert answer.status_code == 202, answer.text
        task = answer.json()["id"]
        missed += [task for api in apis if api.get(f"/tasks/{task}").status_code != 200]
    assert missed == []
    ids = [[one["id"] for one in api.get("/tasks?take=100").json()["data"]] for api in apis]
    assert all(one == ids[0] for one in ids)


def test_a_key_that_is_revoked_at_one_opens_none(apis: list[httpx.Client]):
    made = apis[0].post("/keys", json={"scopes": ["task.read"]}).json()
    headers = {"x-api-key": made["key"]}
    assert [api.get("/tasks", headers=headers).status_code for api in apis] == [200] * PROCESSES
    assert apis[1].delete(f"/keys/{made['id']}").status_code == 204
    assert [api.get("/tasks", headers=headers).status_code for api in apis] == [401] * PROCESSES
