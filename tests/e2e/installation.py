"""A real Papertray, started by `papertray up`, that tests use, kill and start again."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

READY_SECONDS = 120
TURN_SECONDS = 120
"""How long a task may take to reach what a test waits for, crashes included."""
RECOVERY_SECONDS = 180
"""Time to start the part again, plus the minute in which nothing may stay wrong; on a machine
that has three other things to do."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Installation:
    """Papertray in a folder of its own, on ports of its own."""

    def __init__(self, home: Path, **environment: str):
        self.home = home
        self.port, self.prefect_port = free_port(), free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PAPERTRAY_"))},
            "PAPERTRAY_HOME": str(home),
            "PAPERTRAY_PORT": str(self.port),
            "PAPERTRAY_PREFECT_PORT": str(self.prefect_port),
            "PAPERTRAY_HEARTBEAT_SECONDS": "1",
            "PAPERTRAY_REVIEW_ATTENDED_SECONDS": "4",
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.key = ""

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        log = (self.home / "up.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "up", "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"papertray up ended: {(self.home / 'up.log').read_text()[-2000:]}"
        facts = json.loads(line)
        self.key = facts["admin_key"] or self.key
        self.api = httpx.Client(
            base_url=facts["api_url"], headers={"x-api-key": self.key}, timeout=30
        )
        self.prefect = httpx.Client(base_url=facts["prefect_api_url"], timeout=30)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None
            self.api.close()
            self.prefect.close()

    def pid(self, part: str) -> int:
        """The process of a part: prefect, serve or worker."""
        return json.loads((self.home / "run.json").read_text())["children"][part]

    def kill(self, part: str) -> None:
        """kill -9, children and all; `up` starts it again."""
        with contextlib.suppress(ProcessLookupError):  # killed before, and not yet started again
            os.killpg(self.pid(part), signal.SIGKILL)

    def is_up(self, part: str) -> bool:
        """Whether a part with an address answers."""
        url = {
            "prefect": f"{self.prefect.base_url}health",
            "serve": f"http://127.0.0.1:{self.port}/healthz",
        }[part]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, timeout=5, trust_env=False).is_success
        return False

    def log(self, part: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.home / "logs" / f"{part}.log").read_text()
        return ""

    def command(self, *arguments: str) -> Any:
        """What a command of `papertray` answers here."""
        done = subprocess.run(
            [sys.executable, "-m", "api.cli", *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    # What a client does

    def install(self, source: str) -> None:
        self.api.post(
            "/projects", content=source, headers={"content-type": "application/yaml"}
        ).raise_for_status()

    def submit(self, content: bytes, project: str = "bills", name: str = "invoice.pdf") -> str:
        answer = self.api.post("/tasks", files={"file": (name, content)}, data={"project": project})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def task(self, task_id: str) -> dict[str, Any]:
        answer = self.api.get(f"/tasks/{task_id}")
        if answer.status_code == 503:  # to those who wait, as if it did not answer
            raise httpx.RemoteProtocolError(answer.text)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, task_id: str, *states: str, seconds: float = TURN_SECONDS) -> dict[str, Any]:
        """The task, once it is in one of the states; the API may be away meanwhile."""
        seen: dict[str, Any] = {}

        def reached() -> bool:
            with contextlib.suppress(httpx.TransportError):
                seen.update(self.task(task_id))
            return seen.get("state") in states

        wait_until(reached, seconds, lambda: f"{task_id} is {seen.get('state')}, not {states}")
        return seen

    def events(self, task_id: str) -> list[str]:
        answer = self.api.get(f"/tasks/{task_id}/events", params={"take": 100})
        return [event["type"] for event in answer.json()["data"]]

    # What Prefect says

    def run(self, task_id: str) -> dict[str, Any]:
        """The flow run of a task, found by what links to it."""
        link = self.task(task_id)["links"]["prefect"]
        return self.prefect.get(f"/flow_runs/{link.rsplit('/', 1)[1]}").json()

    def deployment_id(self, name: str) -> str:
        """The worker deploys when it starts; tasks are taken in before."""
        found: dict[str, str] = {}

        def there() -> bool:
            found.update(self.prefect.get(f"/deployments/name/{name}/{name}").json())
            return "id" in found

        wait_until(there, TURN_SECONDS, lambda: f"{name} is not deployed: {found}")
        return found["id"]

    def start_in_prefect(self, name: str, **parameters: Any) -> str:
        """Start a run of a deployment, as its form does; answers the run's id."""
        answer = self.prefect.post(
            f"/deployments/{self.deployment_id(name)}/create_flow_run",
            json={"parameters": parameters},
        )
        answer.raise_for_status()
        return answer.json()["id"]

    def until_adopted(self, run: str) -> str:
        """The task that a run started in Prefect has made for itself."""
        found: list[str] = []

        def there() -> bool:
            tasks = self.api.get("/tasks", params={"take": 100}).json()["data"]
            found[:] = [task["id"] for task in tasks if run in str(task["links"]["prefect"])]
            return bool(found)

        wait_until(there, TURN_SECONDS, lambda: f"run {run} made no task")
        return found[0]

    def run_state(self, task_id: str) -> tuple[str, str]:
        state = self.run(task_id)["state"]
        return state["type"], state["name"]

    def until_run(self, task_id: str, *names: str, seconds: float = TURN_SECONDS) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def reached() -> bool:
            with contextlib.suppress(httpx.TransportError, KeyError, AttributeError):
                seen.update(self.run(task_id))
            return bool(seen) and seen["state"]["name"] in names

        wait_until(reached, seconds, lambda: f"the run of {task_id} is {seen.get('state')}")
        return seen

    def resume_in_prefect(self, run_id: str, **answer: str) -> dict[str, Any]:
        """What the form of the Prefect UI sends."""
        return self.prefect.post(f"/flow_runs/{run_id}/resume", json={"run_input": answer}).json()

    def force_state(self, run_id: str, kind: str, name: str) -> None:
        """What a button of the Prefect UI sends."""
        self.prefect.post(
            f"/flow_runs/{run_id}/set_state",
            json={"state": {"type": kind, "name": name}, "force": True},
        ).raise_for_status()


def wait_until(
    reached: Callable[[], bool],
    seconds: float,
    otherwise: Callable[[], str],
    *,
    every_seconds: float = 0.1,
) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, otherwise()
        time.sleep(every_seconds)


def patiently(
    call: Callable[[], httpx.Response],
    seconds: float = RECOVERY_SECONDS,
    *,
    until: Callable[[httpx.Response], bool] = lambda _: True,
) -> httpx.Response:
    """Make a call, as a client that tries again while the API is away.

    Args:
        call: makes it.
        seconds: how long it is tried.
        until: whether an answer is one to stay with.
    """
    answers: list[httpx.Response] = []

    def answered() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answers.append(call())
        return bool(answers) and until(answers[-1])

    wait_until(answered, seconds, lambda: f"no such answer comes: {answers[-1:]}")
    return answers[-1]
