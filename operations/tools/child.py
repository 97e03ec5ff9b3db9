"""Where every program is spawned and every document is opened: in a child that can be killed.

Libraries that parse documents have no limits of their own, and a hostile document can make each
of them run for ever, take all memory, or crash. So a worker never opens one itself. A child is
forked from a small server process that has everything loaded (`fork_server.py`), in about ten
milliseconds; it has limits of memory, processor time and file size, a clock, and a folder for
temporary files that is removed after it, however it ends. It is a session of its own: what it
starts (tesseract) ends with it, and it ends with its worker.

Works on Linux and macOS, in a daemonic process too, and with any event loop. On macOS the
kernel has no limit of memory to set; the others hold.
"""

import asyncio
import atexit
import contextlib
import itertools
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from operations.tools.job import (
    LENGTH,
    PAGE_DONE,
    STATUS,
    Answer,
    Job,
    Limits,
    returned_type,
)
from operations.tools.scratch import scratch_folder
from store.disk_errors import disk_errors_are_ours
from store.errors import PapertrayError, ToolError, ToolKilledError, ToolTimeoutError
from store.settings import settings

T = TypeVar("T")
Item = TypeVar("Item")
Arguments = TypeVarTuple("Arguments")

log = logging.getLogger("papertray.operations")

KILL_SECONDS = 5.0
"""How long the end of a killed child is waited for."""


async def in_child(
    function: Callable[[*Arguments], T],
    *arguments: *Arguments,
    each_page: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Call a plain function in a child process.

    Args:
        function: at the top of a module, which the child imports; what it returns goes through
            JSON as its annotation says.
        arguments: picklable.
        each_page: called whenever the function says `page_done()`.

    Returns:
        What the function returned.

    Raises:
        PapertrayError: as the function raised it.
        ToolTimeoutError: it took longer than `operation_timeout_seconds`.
        ToolKilledError: it used more memory or processor time than allowed, or crashed.
    """
    async with _SLOTS:
        with scratch_folder() as folder:
            limits = Limits(
                cpu_seconds=settings().operation_cpu_seconds,
                memory_bytes=settings().operation_memory_bytes,
                # What is written: raw page images, and documents in another form.
                file_bytes=max(4 * settings().max_file_bytes, 2 * settings().max_page_pixels),
            )
            job = Job(function, arguments, limits, dict(os.environ), folder)
            answer = await _converse(job, each_page)
    return _outcome(answer, function)


async def in_thread(function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Call a function in a thread of this process, where a child would cost more than the work.

    Args:
        function: that works on nothing but data which Papertray wrote itself.
        arguments: of it.

    Raises:
        StorageFullError: there is no room for a file that it writes.
    """
    with disk_errors_are_ours():
        return await asyncio.to_thread(function, *arguments)


def is_isolated() -> bool:
    """Whether children have no network, which not every system allows. Blocking, half a second."""
    code = "import operations.tools.fork_server as f; sys.exit(not f.leave_the_network())"
    return subprocess.run([sys.executable, "-c", _alone(code)], check=False).returncode == 0


def _alone(code: str) -> str:
    """A program that enters the package `operations` without its list of operations.

    That one would load Prefect into every child, and numpy, whose threads forbid leaving the
    network (unshare(2)).
    """
    # sys.path as it is here, whatever it was made of.
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return (
        f"import sys, types; sys.path[:] = {path!r}; "
        "package = sys.modules['operations'] = types.ModuleType('operations'); "
        f"package.__path__ = {[str(Path(__file__).parents[1])]!r}; {code}"
    )


async def spread(work: Callable[[Item], Awaitable[None]], items: Sequence[Item]) -> None:
    """Do the work for each item, as many at once as there are slots.

    Not more, so that a long document does not keep others from their turn.
    """
    left = iter(items)

    async def go_on() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(settings().operation_slots, len(items))):
                group.create_task(go_on())
    except ExceptionGroup as errors:
        # The first item that fails ends the work on the others.
        raise errors.exceptions[0] from None


def _outcome(answer: Answer, function: Callable[..., T]) -> T:
    if answer.crash:
        log.error("%s failed inside\n%s", function.__qualname__, answer.crash)
        raise PapertrayError
    if answer.error is not None:
        raise _error_classes()[answer.error](answer.message, **answer.details)
    return returned_type(function).validate_python(answer.value)


def _error_classes(root: type[PapertrayError] = PapertrayError) -> dict[str, type[PapertrayError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _error_classes(child)
    return found


async def _converse(job: Job, each_page: Callable[[], Awaitable[None]] | None) -> Answer:
    """Start a child, give it the job, take its answer and see its end."""
    loop = asyncio.get_running_loop()
    seconds = settings().operation_timeout_seconds
    with _SERVER.new_child() as (connection, status):
        try:
            async with asyncio.timeout(seconds):
                pickled = pickle.dumps(job)
                with contextlib.suppress(ConnectionError):  # it has died; how, the status says
                    await loop.sock_sendall(connection, LENGTH.pack(len(pickled)) + pickled)
                said = await _read_answer(connection, each_page)
                ended = await _read_all(status)
        except TimeoutError:
            raise ToolTimeoutError(limit_seconds=seconds) from None
        finally:
            await _killed(status)
    if said and ended == STATUS.pack(0):
        return Answer.model_validate_json(said)
    raise _cause_of_death(ended, job.limits)


async def _killed(status: socket.socket) -> None:
    """The child and its programs are killed, if they have not ended, and it is waited for."""
    with contextlib.suppress(OSError):
        status.shutdown(socket.SHUT_WR)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KILL_SECONDS):
            await _read_all(status)


async def _read_answer(
    connection: socket.socket, each_page: Callable[[], Awaitable[None]] | None
) -> bytes:
    """What a child says at its end; until then it says how many pages are done."""
    loop = asyncio.get_running_loop()
    read = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await loop.sock_recv(connection, 1 << 16):
            read.extend(chunk.replace(PAGE_DONE, b""))
            if each_page:
                for _ in range(chunk.count(PAGE_DONE)):
                    await each_page()
    return bytes(read)


async def _read_all(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    read = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await loop.sock_recv(connection, 1 << 16):
            read.extend(chunk)
    return bytes(read)


def _cause_of_death(ended: bytes, limits: Limits) -> ToolError:
    code = os.waitstatus_to_exitcode(STATUS.unpack(ended)[0]) if ended else -signal.SIGKILL
    if code == -signal.SIGXCPU:
        return ToolKilledError(limit="processor time", limit_seconds=limits.cpu_seconds)
    if code == -signal.SIGKILL:
        return ToolKilledError("The work on this file was stopped by the system.", signal="SIGKILL")
    if code < 0:
        name = signal.Signals(-code).name
        return ToolKilledError(
            "The work on this file crashed, as some libraries do when memory runs out. Send a"
            " simpler file, or raise `operation_memory_bytes`.",
            signal=name,
            limit_bytes=limits.memory_bytes,
        )
    return ToolError(exit_code=code)


class _Slots:
    """A semaphore for the coroutines of all event loops of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._taken < settings().operation_slots:
                self._taken += 1
                return
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, turn))
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock, contextlib.suppress(ValueError):
                self._waiting.remove((loop, turn))
            if turn.done() and not turn.cancelled():
                self._release()  # the turn came in the moment of the cancel
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        with self._lock:
            self._taken -= 1
            while self._waiting and self._taken < settings().operation_slots:
                loop, turn = self._waiting.popleft()
                try:
                    loop.call_soon_threadsafe(self._give, turn)
                except RuntimeError:
                    continue  # its loop is closed
                self._taken += 1

    def _give(self, turn: "asyncio.Future[None]") -> None:
        if turn.done():
            self._release()
        else:
            turn.set_result(None)


_SLOTS = _Slots()


class _ForkServer:
    """The worker's end of its fork server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        atexit.register(self._stop)

    @contextmanager
    def new_child(self) -> Iterator[tuple[socket.socket, socket.socket]]:
        """A child, by its job and its status socket."""
        pairs = [socket.socketpair() for _ in range(2)]
        (connection, job), (status, told) = pairs
        try:
            connection.settimeout(0)
            status.settimeout(0)
            self._send([job.fileno(), told.fileno()])
            job.close()
            told.close()
            yield connection, status
        finally:
            for end in itertools.chain(*pairs):
                end.close()

    def _send(self, descriptors: list[int]) -> None:
        with self._lock:
            try:
                socket.send_fds(self._running(), [b"+"], descriptors)
            except ConnectionError:
                # Somebody has killed it: take a new one.
                self._stop()
                socket.send_fds(self._running(), [b"+"], descriptors)

    def _running(self) -> socket.socket:
        if self._control is not None:
            return self._control
        control, served = socket.socketpair()
        code = f"from operations.tools.fork_server import main; main({served.fileno()})"
        with served:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _alone(code)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[served.fileno()],
                start_new_session=True,
            )
        self._control = control
        return control

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def forget(self) -> None:
        """In a fork of this process: it must not keep its parent's server alive."""
        if self._control is not None:
            self._control.close()
        self._lock = threading.Lock()
        self._control = self._process = None


_SERVER = _ForkServer()
os.register_at_fork(after_in_child=_SERVER.forget)
