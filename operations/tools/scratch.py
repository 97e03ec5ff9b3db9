"""Folders for files that live only as long as something works on them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from store.settings import settings


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, gone at the end; where the process is killed, gone at the next start."""
    folder = Path(tempfile.mkdtemp(dir=_folder_of(os.getpid(), settings().scratch_folder)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_locks: list[IO[str]] = []
"""Open for as long as this process lives: the locks on its folders."""


@cache
def _folder_of(process_id: int, root: Path) -> Path:
    """The folder in which this process has its scratch folders.

    A lock that the kernel drops with the process tells it from what killed processes left.
    A process id would not do: in containers that share a disk all are number 1.
    """
    root.mkdir(parents=True, exist_ok=True)
    for left in root.iterdir():
        _remove_if_left(left)
    own = Path(tempfile.mkdtemp(prefix=f"{process_id}-", dir=root))
    # Under its name only once it is locked, so that nobody takes it for one that was left.
    lock = (own / ".new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (own / ".new").rename(own / ".lock")
    _locks.append(lock)
    return own


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        # Locked by a living process, or just being made or removed by one.
        return
