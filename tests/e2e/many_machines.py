"""As on many machines: PostgreSQL, Redis, S3, two Prefect servers, two APIs and three workers.

All of it is real, and on this one; each process has a home of its own, as on a machine of its own.
It takes minutes: `make many-machines` runs it, the test suite does not.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.documents import invoice, project, scan
from tests.e2e.installation import free_port, patiently, wait_until
from tests.postgres import create_database, running_postgres

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.timeout(1200)]

TASKS = 24
LOAD = 100
TURN_SECONDS = 300
WRONG_TOTAL = "120.00"
VALUES = {"total": "119.00"}
PREFECT = str(Path(sys.executable).with_name("prefect"))


class Machines:
    """Processes, each with its own home; what they share is in `shared`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.shared: dict[str, str] = {"DO_NOT_TRACK": "1", "COLUMNS": "200"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.prefect_ports: list[str] = []
        self.of_prefect: dict[str, str] = {}

    def prefect_url(self, number: int) -> str:
        """Of one of the Prefect servers: half of the machines know the one, half the other."""
        return f"http://127.0.0.1:{self.prefect_ports[number % 2]}/api"

    def start_prefect(self, number: int) -> None:
        name, port = f"prefect-{number}", self.prefect_ports[number]
        command = (sys.executable, "-m", "flows.prefect_server")
        home = str(self.folder / name)
        self.start(name, *command, "--home", home, "--port", port, **self.of_prefect)
        self.answers(name, f"{self.prefect_url(number)}/health")

    def start(self, name: str, *command: str, **environment: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PREFECT_", "PAPERTRAY_", "AWS_"))
        }
        with (home / "log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[2],
                env={
                    **inherited,
                    **self.shared,
                    "PAPERTRAY_HOME": str(home),
                    "PREFECT_HOME": str(home / "prefect"),
                    **environment,
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def papertray(self, name: str, *arguments: str, **environment: str) -> None:
        self.start(name, sys.executable, "-m", "api.cli", *arguments, **environment)

    def ask(self, *arguments: str, **environment: str) -> Any:
        """What a command answers; `ask-log` has what it said."""
        self.papertray("ask", *arguments, "--json", **environment)
        status = self.processes.pop("ask").wait(120)
        said = self.log("ask")
        assert status == 0, said
        (self.folder / "ask" / "log").unlink()
        return json.loads(said[said.index("{" if said.lstrip().startswith("{") else "[") :])

    def log(self, name: str) -> str:
        return (self.folder / name / "log").read_text()

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        process.wait(60)

    def answers(self, name: str, url: str) -> None:
        def there() -> bool:
            assert self.processes[name].poll() is None, self.log(name)[-3000:]
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url, timeout=5).status_code < 500
            return False

        wait_until(there, TURN_SECONDS, lambda: f"{name}: {self.log(name)[-3000:]}")


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with running_postgres(folder / "postgres") as postgres:
        some = Machines(folder)
        try:
            start_what_is_shared(some, postgres)
            yield some
        finally:
            for name in reversed(list(some.processes)):
                some.end(name, signal.SIGKILL if name in {"redis", "s3"} else signal.SIGTERM)


def start_what_is_shared(machines: Machines, postgres: str) -> None:
    redis, s3, *machines.prefect_ports = (str(free_port()) for _ in range(4))
    command = ("redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "")
    machines.start("redis", *command, "--dir", str(machines.folder))
    machines.start("s3", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", s3)
    machines.shared |= {
        "PAPERTRAY_DATABASE_URL": create_database(postgres, "store"),
        "PAPERTRAY_STORAGE": "s3://papertray/blobs",
        "PAPERTRAY_HEARTBEAT_SECONDS": "2",
        "PAPERTRAY_REVIEW_ATTENDED_SECONDS": "4",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "PREFECT_API_URL": machines.prefect_url(0),
    }
    machines.of_prefect = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": create_database(postgres, "prefect"),
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_SERVER_DOCKET_URL": f"redis://127.0.0.1:{redis}/1",
        "PREFECT_REDIS_MESSAGING_URL": f"redis://127.0.0.1:{redis}/0",
    }
    machines.answers("s3", machines.shared["AWS_ENDPOINT_URL"])
    bucket(machines).create()
    for number in range(2):  # one after the other: the first makes the tables
        machines.start_prefect(number)


def bucket(machines: Machines) -> Any:
    s3: Any = boto3.resource(  # its classes are made when it runs
        "s3",
        endpoint_url=machines.shared["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    return s3.Bucket("papertray")


@pytest.fixture(scope="module")
def apis(machines: Machines) -> Iterator[list[httpx.Client]]:
    key = machines.ask("key", "create", "--scope", "admin")["key"]
    ports = [str(free_port()) for _ in range(2)]
    for number, port in enumerate(ports):
        known = {"PAPERTRAY_PORT": port, "PREFECT_API_URL": machines.prefect_url(number)}
        machines.papertray(f"api-{number}", "serve", **known)
    for number, port in enumerate(ports):
        machines.answers(f"api-{number}", f"http://127.0.0.1:{port}/healthz")
    clients = [
        httpx.Client(base_url=f"http://127.0.0.1:{port}/v1", headers={"x-api-key": key}, timeout=60)
        for port in ports
    ]
    for number in range(3):
        start_worker(machines, number)
    answer = clients[0].post(
        "/projects", content=project(), headers={"content-type": "application/yaml"}
    )
    answer.raise_for_status()
    yield clients
    for client in clients:
        client.close()


def start_worker(machines: Machines, number: int) -> None:
    name = f"worker-{number}"
    url = machines.prefect_url(number)
    machines.papertray(name, "worker", "--name", name, PREFECT_API_URL=url)


def submit(api: httpx.Client, content: bytes) -> str:
    answer = api.post("/tasks", files={"file": ("invoice.pdf", content)}, data={"project": "bills"})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def state(api: httpx.Client, task: str) -> str:
    answer = patiently(
        lambda: api.get(f"/tasks/{task}"), until=lambda answer: answer.status_code == 200
    )
    return answer.json()["state"]


def decide_what_waits(api: httpx.Client, tasks: list[str]) -> bool:
    """Complete what is in review; answers whether all have ended. Asked for once a second."""
    time.sleep(1)
    states = {task: state(api, task) for task in tasks}
    for task, found in states.items():
        if found == "in_review":
            patiently(
                lambda task=task: api.post(f"/tasks/{task}/complete", json={"values": VALUES}),
                until=lambda answer: answer.status_code in (200, 409),
            )
    return set(states.values()) <= {"completed", "failed"}


def are_as_they_should_be(machines: Machines, apis: list[httpx.Client], tasks: list[str]) -> None:
    kept = {one.key for one in bucket(machines).objects.all()}
    assert kept, "nothing is in the bucket"
    for number, task in enumerate(tasks):
        api = apis[number % 2]  # the other one than it was sent to, or the same: no difference
        done = api.get(f"/tasks/{task}").json()
        assert done["state"] == "completed", done
        assert done["result"]["documents"][0]["fields"]["total"] == "119.00"
        outputs = api.get(f"/tasks/{task}/outputs").json()["data"]
        assert sorted(one["name"] for one in outputs) == ["data.csv", "data.json", "searchable.pdf"]
        for one in outputs:
            assert api.get(f"/files/{one['id']}/download").status_code == 200
        events = [one["type"] for one in api.get(f"/tasks/{task}/events").json()["data"]]
        for once in ("task.created", "task.completed"):
            assert events.count(once) == 1, events


def test_of_three_workers_one_is_killed_and_nothing_is_lost(
    machines: Machines, apis: list[httpx.Client]
) -> None:
    contents = [invoice(), invoice(total=WRONG_TOTAL), scan(invoice())]
    tasks = [submit(apis[n % 2], contents[n % 3]) for n in range(TASKS)]
    wait_until(
        lambda: any(state(apis[0], task) == "completed" for task in tasks),
        TURN_SECONDS,
        lambda: machines.log("worker-0")[-3000:],
    )
    machines.end("worker-1", signal.SIGKILL)
    wait_until(
        lambda: decide_what_waits(apis[1], tasks),
        TURN_SECONDS,
        lambda: str([state(apis[0], task) for task in tasks]),
    )
    are_as_they_should_be(machines, apis, tasks)


def test_under_load_a_prefect_server_dies_and_no_run_is_lost_or_done_twice(
    machines: Machines, apis: list[httpx.Client]
) -> None:
    if "worker-1" not in machines.processes:  # killed above
        start_worker(machines, 1)
    runs = f"{machines.prefect_url(0)}/flow_runs"
    flows = {"flows": {"name": {"any_": ["process-task"]}}}

    def count(**narrow: Any) -> int:
        answer = httpx.post(f"{runs}/count", json={**flows, **narrow}, timeout=60)
        return answer.raise_for_status().json()

    before, began = count(), time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        senders = [apis[number % 2] for number in range(LOAD)]
        tasks = list(clients.map(submit, senders, [invoice()] * LOAD))
    sent = time.monotonic()

    def so_many(least: int) -> bool:
        time.sleep(1)
        return sum(state(apis[0], task) == "completed" for task in tasks[:: LOAD // 10]) >= least

    wait_until(lambda: so_many(2), TURN_SECONDS, lambda: machines.log("worker-0")[-3000:])
    machines.end("prefect-1", signal.SIGKILL)
    time.sleep(5)
    machines.start_prefect(1)
    wait_until(
        lambda: decide_what_waits(apis[1], tasks),
        2 * TURN_SECONDS,
        lambda: str([state(apis[0], task) for task in tasks]),
    )
    print(
        f"{LOAD} taken in within {sent - began:.1f} s, done after {time.monotonic() - began:.1f} s"
    )
    assert count() == before + LOAD
    for number, task in enumerate(tasks):
        events = apis[number % 2].get(f"/tasks/{task}/events", params={"take": 100}).json()["data"]
        types = [one["type"] for one in events]
        for once in ("task.created", "task.started", "task.completed"):
            assert types.count(once) == 1, types
    for name in ("api-0", "api-1", "worker-0", "worker-1", "worker-2"):
        assert "deadlock" not in machines.log(name), name


def test_an_api_that_is_killed_leaves_all_to_the_other(
    machines: Machines, apis: list[httpx.Client]
) -> None:
    tasks = [submit(apis[0], invoice()) for _ in range(3)]
    machines.end("api-0", signal.SIGKILL)
    tasks += [submit(apis[1], invoice(total=WRONG_TOTAL)) for _ in range(2)]
    wait_until(
        lambda: decide_what_waits(apis[1], tasks),
        TURN_SECONDS,
        lambda: str([state(apis[1], task) for task in tasks]),
    )
    are_as_they_should_be(machines, [apis[1], apis[1]], tasks)


def test_the_same_flows_run_on_a_stock_process_pool(
    machines: Machines, apis: list[httpx.Client]
) -> None:
    """The road to Docker and Kubernetes: Prefect's own worker, a process for each run."""
    for name in [one for one in machines.processes if one.startswith("worker-")]:
        machines.end(name)
    pool = {"name": "stock", "type": "process"}
    prefect = machines.shared["PREFECT_API_URL"]
    httpx.post(f"{prefect}/work_pools/", json=pool, timeout=60).raise_for_status()
    machines.shared["PAPERTRAY_WORK_POOL"] = "stock"
    machines.ask("deploy")
    # Of its own for housekeeping, whose runs else take the places of tasks.
    command = (PREFECT, "worker", "start", "--pool", "stock", "--type", "process")
    machines.start("stock", *command, "--limit", "2", "--work-queue", "default")
    machines.start("stock-housekeeping", *command, "--limit", "1", "--work-queue", "interactive")
    queue = httpx.get(f"{prefect}/deployments/name/process-task/process-task", timeout=60).json()
    assert queue["work_pool_name"] == "stock"
    tasks = [submit(apis[1], invoice()), submit(apis[1], invoice(total=WRONG_TOTAL))]
    wait_until(
        lambda: decide_what_waits(apis[1], tasks),
        2 * TURN_SECONDS,
        lambda: machines.log("stock")[-3000:],
    )
    are_as_they_should_be(machines, [apis[1], apis[1]], tasks)
