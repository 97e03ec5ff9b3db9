"""The supervisor, with children that take no time to start."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from api import supervisor as supervising
from api.supervisor import (
    Child,
    Plan,
    Supervisor,
    free_port,
    reachable,
    require_free,
    running,
    take_home,
)
from store.errors import UnavailableError

TOY = """
import http.server, os, pathlib, signal, subprocess, sys, time

name, port, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])

def end(*_):
    with (folder / "ended").open("a") as ended:
        ended.write(name + "\\n")
    if name != "deaf":
        sys.exit(0)

signal.signal(signal.SIGTERM, end)
written = folder / f"{name}.{os.getpid()}"
written.write_text(str(os.getpid()))
written.replace(folder / f"{name}.pid")  # whole at once: the test reads it at any moment
if name == "broken":
    sys.exit("it cannot start: the moon is full")
if name == "parent":
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "grandchild.pid").write_text(str(grandchild.pid))

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever() if port else time.sleep(600)
"""


class Toy:
    """A supervisor whose three children are toys."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.folder = folder
        (folder / "toy_child.py").write_text(TOY)
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{Path.cwd()}")
        monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
        self.said: list[str] = []
        self.plan = Plan(folder / "home", "127.0.0.1", free_port(), free_port())
        self.supervisor = Supervisor(self.plan, self.said.append)
        self.play(self.supervisor.prefect, "prefect", self.plan.prefect_port)
        self.play(self.supervisor.serve, "serve", self.plan.port)
        self.play(self.supervisor.worker, "worker", 0)

    def play(self, child: Child, name: str, port: int) -> None:
        child.module, child.arguments = "toy_child", (name, str(port), str(self.folder))

    async def start(self) -> None:
        async def nothing_to_prepare() -> None: ...

        await self.supervisor.start(nothing_to_prepare)

    def pid(self, name: str) -> int:
        return int((self.folder / f"{name}.pid").read_text())

    def is_running(self, name: str) -> bool:
        try:
            return psutil.Process(self.pid(name)).status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False

    def ended(self) -> list[str]:
        file = self.folder / "ended"
        return file.read_text().split() if file.exists() else []


@pytest.fixture
async def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Toy]:
    one = Toy(tmp_path, monkeypatch)
    yield one
    # A test that failed leaves its children, which would then fail others.
    await one.supervisor.stop()


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        await asyncio.sleep(0.05)


NAMES = ("prefect", "serve", "worker")


async def test_all_children_run_and_are_written_down_while_they_do(toy: Toy):
    await toy.start()
    facts = running(toy.plan.home)
    assert facts["pid"] == os.getpid()
    assert facts["url"] == toy.plan.url
    assert facts["prefect_api_url"] == toy.plan.prefect_url
    await until(lambda: toy.is_running("worker"))
    assert facts["children"] == {name: toy.pid(name) for name in NAMES}
    await toy.supervisor.stop()
    assert running(toy.plan.home) == {}
    assert not any(toy.is_running(name) for name in NAMES)


async def test_the_api_goes_before_the_work_on_documents(toy: Toy):
    await toy.start()
    await until(lambda: toy.is_running("worker"))
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    niceness = {name: os.getpriority(os.PRIO_PROCESS, toy.pid(name)) - ours for name in NAMES}
    assert niceness == {
        "serve": 0,
        "prefect": supervising.WORK_NICENESS,
        "worker": supervising.WORK_NICENESS,
    }
    for name in NAMES if Path("/proc/self/autogroup").exists() else ():
        # Each has a session of its own, and Linux compares those.
        said = Path("/proc", str(toy.pid(name)), "autogroup").read_text()
        of_session = niceness[name] and min(niceness[name] + ours, 19)
        assert said.endswith(f" nice {of_session}\n")


async def test_the_prefect_server_ends_last(toy: Toy):
    await toy.start()
    await until(lambda: toy.is_running("worker"))
    await toy.supervisor.stop()
    assert sorted(toy.ended()) == sorted(NAMES)
    assert toy.ended()[-1] == "prefect"


async def test_a_child_that_dies_is_started_again_and_it_is_said(toy: Toy):
    await toy.start()
    await until(lambda: toy.is_running("worker"))
    for name in NAMES:
        before = toy.pid(name)
        os.kill(before, signal.SIGKILL)
        await until(lambda name=name, before=before: toy.pid(name) != before)
        assert any(line.startswith(f"{name} ended by signal SIGKILL") for line in toy.said)
        assert running(toy.plan.home)["children"][name] == toy.pid(name)
    await toy.supervisor.stop()


async def test_a_child_that_dies_again_and_again_is_started_later_each_time(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
):
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds >= 1:
            waits.append(seconds)
        await sleep(min(seconds, 0.01))

    monkeypatch.setattr(supervising.asyncio, "sleep", note)
    monkeypatch.setattr(supervising, "LONGEST_BACKOFF_SECONDS", 7.0)
    toy.play(toy.supervisor.worker, "broken", 0)
    await toy.start()
    await until(lambda: waits.count(7) > 1, 60)
    await toy.supervisor.stop()
    assert [wait for wait in waits if wait < 10][:5] == [1, 2, 4, 7, 7]


async def test_a_child_that_does_not_listen_is_killed_after_its_time(toy: Toy):
    toy.play(toy.supervisor.serve, "deaf", toy.plan.port)
    toy.supervisor.serve.stop_seconds = 0.5
    await toy.start()
    await toy.supervisor.stop()
    assert not toy.is_running("deaf")
    assert "serve did not end within 0.5 s: killed." in toy.said


async def test_what_a_child_started_ends_with_it(toy: Toy):
    toy.play(toy.supervisor.serve, "parent", toy.plan.port)
    await toy.start()
    assert toy.is_running("grandchild")
    await toy.supervisor.stop()
    await until(lambda: not toy.is_running("grandchild"))


async def test_a_child_that_cannot_start_ends_the_start_with_its_last_words(toy: Toy):
    toy.play(toy.supervisor.serve, "broken", toy.plan.port)
    with pytest.raises(UnavailableError) as told:
        await toy.start()
    assert "serve ended with status 1 while starting" in told.value.message
    assert "the moon is full" in told.value.message
    assert str(toy.supervisor.log_path(toy.supervisor.serve)) in told.value.message
    assert not toy.is_running("prefect")
    assert running(toy.plan.home) == {}


async def test_the_home_can_be_taken_again_after_a_stop(toy: Toy):
    for _ in range(2):
        await toy.start()
        await toy.supervisor.stop()
        toy.supervisor.serve.stopping = False


async def test_of_two_starts_in_one_home_the_second_is_refused(toy: Toy):
    await toy.start()
    with pytest.raises(UnavailableError, match="already"):
        await take_home(toy.plan.home)
    await toy.supervisor.stop()
    os.close(await take_home(toy.plan.home))


async def test_a_server_that_is_named_is_used_and_none_is_started(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
):
    plan = Plan(toy.plan.home, "127.0.0.1", toy.plan.port, 1, "http://prefect.example:4200/api/")
    second = Supervisor(plan, toy.said.append)
    toy.play(second.serve, "serve", plan.port)
    toy.play(second.worker, "worker", 0)
    toy.supervisor = second
    await toy.start()
    assert set(running(plan.home)["children"]) == {"serve", "worker"}
    assert running(plan.home)["prefect_api_url"] == "http://prefect.example:4200/api"
    assert plan.environment()["PREFECT_API_URL"] == "http://prefect.example:4200/api"
    await second.stop()


def test_children_of_a_killed_supervisor_end_and_leave_the_home_free(toy: Toy):
    """`kill -9` of `up`: nothing is left behind, and the next start need not wait long."""
    program = f"""
import asyncio, pathlib
from api.supervisor import Plan, Supervisor

async def main():
    plan = Plan(pathlib.Path({str(toy.plan.home)!r}), "127.0.0.1", {toy.plan.port},
                {toy.plan.prefect_port})
    one = Supervisor(plan, print)
    for child, port in ((one.prefect, plan.prefect_port), (one.serve, plan.port), (one.worker, 0)):
        child.module = "toy_child"
        child.arguments = (child.name, str(port), {str(toy.folder)!r})
    async def nothing(): ...
    await one.start(nothing)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    up = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    assert up.stdout.readline() == "ready\n"
    up.kill()
    up.wait()
    up.stdout.close()

    async def take() -> int:
        return await take_home(toy.plan.home)

    os.close(asyncio.run(take()))  # waits for them, and raises when they stay
    assert not any(toy.is_running(name) for name in NAMES)


async def test_a_log_that_grew_is_put_aside_and_goes_on(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervising, "LOG_BYTES", 10)
    log = toy.supervisor.log_path(toy.supervisor.worker)
    log.parent.mkdir(parents=True)
    log.write_text("something of yesterday")
    await toy.start()
    await until(lambda: log.with_suffix(".log.1").exists())
    assert log.with_suffix(".log.1").read_text() == "something of yesterday"
    await toy.supervisor.stop()
    assert "something of yesterday" not in log.read_text()


def test_a_port_in_use_is_refused_with_the_option_that_chooses_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError) as told:
            require_free("prefect-port", "127.0.0.1", port)
    assert str(port) in told.value.message
    assert "--prefect-port" in told.value.message


def test_an_address_that_is_not_of_this_machine_is_refused():
    with pytest.raises(UnavailableError, match=r"192\.0\.2\.1"):
        require_free("port", "192.0.2.1", free_port())


def test_a_home_that_cannot_be_made_is_refused_with_the_option(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="--home"):
        asyncio.run(take_home(tmp_path / "file" / "home"))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"pid": 2**22 + 7})])
def test_what_a_killed_supervisor_wrote_down_does_not_count(tmp_path: Path, text: str):
    (tmp_path / "run.json").write_text(text)
    assert running(tmp_path) == {}


@pytest.mark.parametrize("guarded", [False, True])
def test_the_prefect_server_leaves_this_machine_only_behind_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, guarded: bool
):
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    if guarded:
        monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "ann:sesame")
    plan = Plan(tmp_path, "0.0.0.0", 1, 2)
    assert plan.prefect_host == ("0.0.0.0" if guarded else "127.0.0.1")
    assert plan.prefect_url == "http://127.0.0.1:2/api"
    assert plan.environment().get("PREFECT_API_AUTH_STRING") == (
        "ann:sesame" if guarded else os.environ.get("PREFECT_API_AUTH_STRING")
    )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("fe80::1", "[fe80::1]"),
        ("localhost", "localhost"),
        ("10.0.0.7", "10.0.0.7"),
    ],
)
def test_an_address_to_listen_on_is_not_always_one_to_call(host: str, expected: str):
    assert reachable(host) == expected
