"""What a worker tells its child to do, and how the child does it and answers."""

import errno
import logging
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, TypeAdapter

from store.disk_errors import is_full
from store.errors import PapertrayError, StorageFullError, ToolKilledError

STATUS = struct.Struct("!i")
"""How the end of a child is told: as waitpid() has it."""

LENGTH = struct.Struct("!Q")
"""Before a job."""

PAGE_DONE = b"\n"
"""What a child says after each page, before its answer: JSON of one line without this byte."""

log = logging.getLogger("papertray.operations")


@dataclass(frozen=True)
class Limits:
    """What a child, and each program it starts, may use."""

    cpu_seconds: int
    memory_bytes: int
    file_bytes: int


@dataclass(frozen=True)
class Job:
    """A function to call, and where. It is pickled: only workers write it."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    limits: Limits
    environment: dict[str, str]
    folder: Path
    """For temporary files; the worker removes it."""


class Answer(BaseModel):
    """What a child says. It is JSON: a document might have taken over who writes it."""

    value: Any = None
    error: str | None = None
    """Code of one of our errors."""
    message: str = ""
    details: dict[str, Any] = {}
    crash: str = ""
    """Where an error that is none of ours was raised; never its text, which may be a document's."""


def returned_type(function: Callable[..., Any]) -> TypeAdapter[Any]:
    """How the value of a function goes through JSON: as what it is annotated with."""
    try:
        return TypeAdapter(get_type_hints(function).get("return", Any))
    except TypeError:  # a builtin
        return TypeAdapter(Any)


_worker: list[socket.socket] = []
"""Who listens to this child; nobody where a function is called outside of one."""


def page_done() -> None:
    """Say that work on one more page is done, to the worker that waits for this child."""
    for connection in _worker:
        connection.sendall(PAGE_DONE)


def do_job(connection: socket.socket) -> None:
    """Be told what to do, do it, answer."""
    (length,) = LENGTH.unpack(_read(connection, LENGTH.size))
    job: Job = pickle.loads(_read(connection, length))  # noqa: S301  # from the worker alone
    os.environ.clear()
    os.environ.update(job.environment)
    os.environ.update(OMP_THREAD_LIMIT="1", TMPDIR=str(job.folder))
    tempfile.tempdir = str(job.folder)
    _limit(job.limits)
    _worker.append(connection)
    connection.sendall(_answer(job).model_dump_json().encode())


def _answer(job: Job) -> Answer:
    try:
        value = job.function(*job.arguments)
        return Answer(value=returned_type(job.function).dump_python(value, mode="json"))
    except PapertrayError as error:
        return Answer(error=error.code, message=error.message, details=error.details)
    except MemoryError:
        error = ToolKilledError(limit="memory", limit_bytes=job.limits.memory_bytes)
        return Answer(error=error.code, message=error.message, details=error.details)
    except Exception as error:  # the worker raises it again
        full = _no_room(error, job.limits)
        if full is not None:
            return Answer(error=full.code, message=full.message, details=full.details)
        return Answer(crash=_where(error))


def _no_room(error: Exception, limits: Limits) -> PapertrayError | None:
    """What it means that a file could not be written to its end."""
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return ToolKilledError(limit="file size", limit_bytes=limits.file_bytes)
    if is_full(error):
        return StorageFullError()
    return None


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    cause = error.__cause__ or error.__context__
    above = [_where(cause), "which led to"] if cause else []
    return "\n".join([*above, *lines, type(error).__name__])


def _limit(limits: Limits) -> None:
    table = {
        resource.RLIMIT_CORE: (0, 0),
        # The soft limit ends a program by SIGXCPU, which says why; the hard one by SIGKILL.
        resource.RLIMIT_CPU: (limits.cpu_seconds, limits.cpu_seconds + 2),
        resource.RLIMIT_FSIZE: (limits.file_bytes, limits.file_bytes),
        resource.RLIMIT_NOFILE: (2048, 2048),
        resource.RLIMIT_AS: (limits.memory_bytes, limits.memory_bytes),
    }
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    for what, (soft, hard) in table.items():
        _, allowed = resource.getrlimit(what)
        if allowed != resource.RLIM_INFINITY:
            soft, hard = min(soft, allowed), min(hard, allowed)
        try:
            resource.setrlimit(what, (soft, hard))
        except (ValueError, OSError):
            # macOS has the name RLIMIT_AS but not the limit: there memory is bounded by the
            # checks of sizes alone.
            if sys.platform == "linux":
                raise
    with suppress(OSError):  # Linux only: when memory is short, the child goes, not the worker
        Path("/proc/self/oom_score_adj").write_text("500")


def _read(connection: socket.socket, length: int) -> bytes:
    read = bytearray()
    while len(read) < length:
        chunk = connection.recv(length - len(read))
        if not chunk:
            raise EOFError("the worker has ended")
        read.extend(chunk)
    return bytes(read)
