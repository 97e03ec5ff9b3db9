"""Folders for files that live only as long as something works on them."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from store.settings import settings


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, gone at the end; where the process is killed, gone at the next start."""
    folder = Path(tempfile.mkdtemp(dir=_folder_of(os.getpid(), settings().scratch_folder)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _folder_of(process_id: int, root: Path) -> Path:
    """The folder in which this process has its scratch folders.

    A lock that the kernel drops with the process tells it from what killed processes left.
    A process id would not do: in containers that share a disk all are number 1.
    """
    root.mkdir(parents=True, exist_ok=True)
    remove_left(root)
    own = Path(tempfile.mkdtemp(prefix=f"{process_id}-", dir=root))
    # Under its name only once it is locked, so that nobody takes it for one that was left. It
    # stays open, and so locked, for as long as this process lives.
    try:
        lock = os.open(own / ".new", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (own / ".new").rename(own / ".lock")
    except OSError:
        shutil.rmtree(own, ignore_errors=True)  # without a lock nobody would ever remove it
        raise
    atexit.register(_remove_at_end, process_id, own)
    return own


def remove_left(root: Path) -> None:
    """Remove what killed processes left below the folder of all scratch folders."""
    for left in root.iterdir() if root.is_dir() else ():
        _remove_if_left(left)


def _remove_at_end(process_id: int, own: Path) -> None:
    if os.getpid() == process_id:  # not in a fork of it
        shutil.rmtree(own, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / ".lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        # Locked by a living process, or just being made or removed by one.
        return
