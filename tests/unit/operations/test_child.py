"""Children: what comes back, what they may use, and how they end."""

import asyncio
import contextlib
import json
import math
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from operations import tools
from operations.tools.child import in_child, is_isolated
from operations.tools.file_type import readable_type
from operations.tools.fork_server import NICENESS
from operations.tools.job import page_done
from store.errors import (
    PapertrayError,
    ToolKilledError,
    ToolTimeoutError,
    UnsupportedFileError,
)
from store.settings import settings

AUTOGROUP = Path("/proc/self/autogroup")


def set_limits(monkeypatch: pytest.MonkeyPatch, **limits: str) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(f"PAPERTRAY_{name.upper()}", value)
    settings.cache_clear()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def sleepers(seconds: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cmdline() == ["sleep", seconds]:
                found.append(process)
    return found


async def test_a_function_is_called_in_another_process() -> None:
    assert await in_child(os.getpid) != os.getpid()


def tools_that_are_loaded() -> list[str]:
    return [name for name in sys.modules if name.startswith(f"{tools.__name__}.")]


async def test_a_child_has_every_tool_loaded() -> None:
    """What it would have to load itself takes longer than most of what it is asked to do."""
    there = {f"{tools.__name__}.{one.name}" for one in pkgutil.iter_modules(tools.__path__)}
    assert set(await in_child(tools_that_are_loaded)) == there


def three_pages() -> int:
    for _ in range(3):
        page_done()
    return 3


async def test_each_page_that_is_done_is_told_before_the_answer() -> None:
    told: list[int] = []

    async def one_more() -> None:
        told.append(len(told) + 1)

    assert await in_child(three_pages, each_page=one_more) == 3
    assert told == [1, 2, 3]
    assert await in_child(three_pages) == 3


async def test_an_error_of_ours_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_text("/etc/passwd\n")
    with pytest.raises(UnsupportedFileError) as caught:
        await in_child(readable_type, path)
    assert caught.value.code == "file_type_unsupported"
    assert caught.value.details["detected"] == "application/octet-stream"
    assert "application/pdf" in caught.value.details["accepted"]


async def test_any_other_error_is_internal_and_its_text_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(PapertrayError) as caught:
        await in_child(json.loads, "{secret text of a document")
    assert caught.value.code == "internal"
    assert "JSONDecodeError" in caplog.text
    assert "secret" not in caplog.text


async def test_a_child_that_wants_too_much_memory_is_refused_it() -> None:
    with pytest.raises(ToolKilledError) as caught:
        await in_child(bytes, settings().operation_memory_bytes + 1)
    assert caught.value.details["limit"] == "memory"


async def test_a_child_that_computes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, operation_cpu_seconds="1")
    with pytest.raises(ToolKilledError) as caught:
        await in_child(sum, range(10**12))
    assert caught.value.details == {"limit": "processor time", "limit_seconds": 1}


async def test_a_child_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, operation_timeout_seconds="0.3")
    begun = time.monotonic()
    with pytest.raises(ToolTimeoutError) as caught:
        await in_child(subprocess.call, ["sleep", "61.1"])
    assert time.monotonic() - begun < 30  # not the minute that the program sleeps
    assert caught.value.details == {"limit_seconds": 0.3}
    await until(lambda: not sleepers("61.1"))


async def test_a_child_that_crashes_says_by_which_signal() -> None:
    with pytest.raises(ToolKilledError) as caught:
        await in_child(os.abort)
    assert caught.value.details["signal"] == "SIGABRT"


async def test_a_cancel_ends_the_child_and_its_programs_within_five_seconds() -> None:
    work = asyncio.create_task(in_child(subprocess.call, ["sleep", "62.2"]))
    await until(lambda: bool(sleepers("62.2")))
    begun = time.monotonic()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: not sleepers("62.2"), seconds=5)
    assert time.monotonic() - begun < 5


async def test_programs_that_outlive_their_child_are_ended() -> None:
    await in_child(_leave_a_sleeper)
    await until(lambda: not sleepers("63.3"))


async def test_its_temporary_folder_is_gone_also_when_it_is_killed(own_home: Path) -> None:
    folder = await in_child(_temporary_folder)
    assert Path(folder).is_relative_to(own_home)
    assert not Path(folder).exists()
    with pytest.raises(ToolKilledError):
        await in_child(_die_with_a_file)


async def test_two_hundred_calls_leave_no_process_and_no_open_file() -> None:
    await in_child(os.getpid)
    this = psutil.Process()
    files = this.num_fds()
    children = await asyncio.gather(*(in_child(os.getpid) for _ in range(200)))
    assert len(set(children)) == 200
    assert this.num_fds() == files
    for server in this.children():
        assert [child for child in server.children() if child.pid in children] == []


async def test_no_more_run_at_once_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, operation_slots="2")
    begun = time.monotonic()
    await asyncio.gather(*(in_child(time.sleep, 0.3) for _ in range(4)))
    assert time.monotonic() - begun >= 0.6


async def test_a_cancelled_wait_for_a_slot_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, operation_slots="1")
    first = asyncio.create_task(in_child(time.sleep, 0.3))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(in_child(os.getpid)) for _ in range(5)]
    await asyncio.sleep(0.05)
    for task in waiting[:4]:
        task.cancel()
    await first
    async with asyncio.timeout(5):
        assert await waiting[4]
        assert await in_child(os.getpid)


def test_several_event_loops_share_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch, operation_slots="1")
    seen: list[int] = []

    def run() -> None:
        seen.append(asyncio.run(in_child(os.getpid)))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(set(seen)) == 6


async def test_the_next_call_works_after_the_server_was_killed() -> None:
    await in_child(os.getpid)
    server = await in_child(os.getppid)
    os.kill(server, signal.SIGKILL)
    await until(lambda: _is_gone(server))
    assert await in_child(os.getppid) != server


_ONE_ROUND = """
import os, select, selectors, socket
from operations.tools.fork_server import _Server, wake_on_child_end

server = _Server(socket.socketpair()[0])
waker = wake_on_child_end()
worker, status = socket.socketpair()
process_id = os.fork() or os._exit(0)
server.children[process_id] = status
server.selector.register(status, selectors.EVENT_READ)
worker.shutdown(socket.SHUT_WR)
select.select([waker], [], [], 30)
server.reap(waker)
server.end_child(process_id)
print(server.children, len(worker.recv(64)))
"""


def test_a_child_that_ends_as_it_is_given_up_ends_nothing_else() -> None:
    # Both came while the server forked another one; it ended, and all of its children with it.
    ended = subprocess.run(
        [sys.executable, "-c", _ONE_ROUND], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.stdout, ended.returncode) == ("{} 4\n", 0), ended.stderr


_IN_A_FORK = """
import asyncio, multiprocessing, os, sys
from operations.tools.child import in_child

server = asyncio.run(in_child(os.getppid))

def ask():
    assert asyncio.run(in_child(os.getppid)) != server

fork = multiprocessing.get_context("fork").Process(target=ask, daemon=True)
fork.start()
fork.join()
sys.exit(fork.exitcode)
"""


def test_a_daemonic_fork_has_a_server_of_its_own() -> None:
    # From a process of one thread: a fork of this one could wait for a lock of another thread.
    ended = subprocess.run(
        [sys.executable, "-c", _IN_A_FORK], capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 0, ended.stderr


async def test_children_load_nothing_of_prefect() -> None:
    assert await in_child(_loaded, "prefect") is False
    assert await in_child(_loaded, "pypdfium2") is True


def connects(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


async def test_children_reach_nobody_by_the_network_where_the_system_allows_that() -> None:
    # util-linux asks the same of the kernel: as root, else by way of a user namespace.
    is_allowed = any(
        subprocess.run([*unshare, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
        for unshare in (["unshare", "-n"], ["unshare", "-Un"])
        if shutil.which("unshare")
    )
    assert is_isolated() is is_allowed
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert connects(port)
        assert await in_child(connects, port) is not is_allowed
    assert await in_child(_has_network) is not is_allowed


async def test_children_stand_back_behind_who_waits_for_an_answer() -> None:
    assert await in_child(os.nice, 0) == min(os.nice(0) + NICENESS, 19)
    if AUTOGROUP.exists():  # then it is that of their session which counts
        said = await in_child(AUTOGROUP.read_text)
        assert said.endswith(f" nice {min(os.nice(0) + NICENESS, 19)}\n")


async def test_nothing_is_left_when_the_worker_is_killed() -> None:
    program = (
        "import asyncio, subprocess\n"
        "from operations.tools.child import in_child\n"
        "asyncio.run(in_child(subprocess.call, ['sleep', '64.4']))\n"
    )
    root = Path(__file__).parents[3]
    worker = subprocess.Popen([sys.executable, "-c", program], cwd=root)
    try:
        await until(lambda: bool(sleepers("64.4")), seconds=120)
    finally:
        worker.kill()
        worker.wait()
    await until(lambda: not sleepers("64.4"), seconds=20)


async def test_scratch_folders_of_a_killed_worker_are_removed_by_the_next(own_home: Path) -> None:
    program = (
        "import os, signal\n"
        "from operations.tools.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'page.pgm').write_bytes(b'text of a document')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    assert list(own_home.rglob("page.pgm"))
    await in_child(os.getpid)
    assert not list(own_home.rglob("page.pgm"))


def test_what_is_no_return_type_goes_through_json() -> None:
    assert asyncio.run(in_child(math.sqrt, 16)) == 4


def _loaded(name: str) -> bool:
    return name in sys.modules


def _temporary_folder() -> str:
    import tempfile

    path = Path(tempfile.mkdtemp())
    (path / "file").write_text("text")
    return str(path)


def _die_with_a_file() -> None:
    _temporary_folder()
    os.kill(os.getpid(), signal.SIGKILL)


def _leave_a_sleeper() -> None:
    subprocess.Popen(["sleep", "63.3"])


def _has_network() -> bool:
    """Whether there is a network interface here, beside the one of a machine to itself."""
    return len(socket.if_nameindex()) > 1


def _is_gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
