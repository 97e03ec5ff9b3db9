"""What a folder agent has taken out of its folder, and what became of it: all of it on the disk.

An intake is a folder below `.papertray` of the watched folder, named like the task that it becomes.
In it are the document, its sidecar and a record. Each step is a rename or a link, or written beside
its place and renamed: whoever is killed between two finds the next one still to be done.
"""

import contextlib
import errno
import fcntl
import filecmp
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from store.errors import ConflictError, InputError
from store.export_names import numbered

KEPT_IN: Final = ".papertray"
"""Below the watched folder: a rename gets there on every file system."""

SIDECAR: Final = ".json"

MAX_SIDECAR_BYTES: Final = 1 << 16

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RECORD: Final = "intake.json"
_DOCUMENT: Final = "document"
_SIDECAR_TAKEN: Final = "sidecar.json"

_UNFINISHED: Final = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".swp")
"""Endings under which programs write what they rename when it is whole."""

_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK}
)
"""What file systems without hard links answer."""

_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


def signature(path: Path) -> list[int]:
    """What tells whether a file is still the same, with the same content; of a link, itself.

    Returns:
        Its inode, its size in bytes, and when it was last written to, in nanoseconds.
    """
    found = path.lstat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def is_candidate(name: str) -> bool:
    """Whether a file of that name is to be taken: no sidecar, nothing hidden, nothing half done."""
    lower = name.lower()
    return not (name.startswith((".", "~")) or lower.endswith((SIDECAR, *_UNFINISHED)))


def sidecar_of(name: str, names: set[str]) -> str | None:
    """Which of the names is the sidecar of a file: `a.pdf.json`, or `a.json`."""
    stem = Path(name).stem
    for candidate in (f"{name}{SIDECAR}", f"{stem}{SIDECAR}"):
        if candidate in names:
            return candidate
    return None


def read_sidecar(path: Path) -> dict[str, Any]:
    """The metadata in a sidecar.

    Raises:
        InputError: it is no JSON object, or too large.
    """
    try:
        if path.stat(follow_symlinks=False).st_size > MAX_SIDECAR_BYTES:
            raise InputError(f"The sidecar is larger than {MAX_SIDECAR_BYTES} bytes. Shorten it.")
        metadata: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputError("The sidecar is no JSON. Correct it and send both again.") from None
    if not isinstance(metadata, dict):
        raise InputError("The sidecar is no JSON object. Make it one: {...}.")
    return metadata


@dataclass
class Intake:
    """A file that was taken out of the watched folder."""

    place: Path
    """Its folder, named by the id of its task."""
    name: str
    """What the document was called."""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    fault: str = ""
    """Why it cannot become a task, as far as that is known when it is taken."""
    sidecar: str | None = None
    """What the sidecar was called."""
    sidecar_signature: list[int] | None = None
    read_signature: list[int] | None = None
    """Of the document, when its bytes were read."""
    is_submitted: bool = False
    """Its task is there; set after the commit."""
    is_exported: bool = False
    """What its task made is where it is wanted."""
    placed: dict[str, str] = field(default_factory=dict[str, str])
    """Where something was put, or is just being put: what it is -> its path."""

    @property
    def task_id(self) -> UUID:
        """Of the task that it becomes, or is."""
        return UUID(self.place.name)

    @property
    def document(self) -> Path:
        """The bytes."""
        return self.place / _DOCUMENT

    def write(self) -> None:
        """Write the record down."""
        record = {name: value for name, value in asdict(self).items() if name != "place"}
        part = self.place / f"{_RECORD}.part"
        part.write_text(json.dumps(record))
        part.replace(self.place / _RECORD)

    def take_sidecar(self, folder: Path) -> None:
        """Take the sidecar, too, if it is still the one that was read."""
        if self.sidecar is None or (self.place / _SIDECAR_TAKEN).exists():
            return
        with contextlib.suppress(FileNotFoundError):
            if signature(folder / self.sidecar) == self.sidecar_signature:
                (folder / self.sidecar).rename(self.place / _SIDECAR_TAKEN)

    @property
    def was_written_to(self) -> bool:
        """Whether somebody wrote to the document after its bytes were read."""
        return self.document.exists() and signature(self.document) != self.read_signature

    def submitted(self) -> None:
        """Write down that the task is there."""
        self.is_submitted = True
        self.write()

    def put(
        self, what: str, source: Path, folder: Path, wanted: str, *, is_copied: bool = True
    ) -> Path:
        """Put something into a folder, whole as soon as it is seen, over nothing.

        Done again after a crash it finds what it had put there.

        Args:
            what: what it is, once for an intake.
            source: a file of this machine.
            folder: which is there.
            wanted: its name, which gets a number where there is another file of that name.
            is_copied: so that who writes to it there does not write to the source.

        Returns:
            Where it is now.
        """
        part = folder / f".{self.place.name}.part"
        part.unlink(missing_ok=True)  # of an agent that was killed
        earlier = self.placed.get(what)
        if earlier and Path(earlier).is_file() and filecmp.cmp(source, earlier, shallow=False):
            return Path(earlier)
        for number in count(1):
            target = folder / numbered(wanted, number)
            if target.exists():
                continue
            self.placed[what] = str(target)
            self.write()
            if _is_put(source, part, target, is_copied=is_copied):
                break
        return Path(self.placed[what])

    def leave(self, folder: Path, reason: dict[str, Any] | None = None) -> None:
        """Put document and sidecar where they stay, and be done with it.

        Args:
            folder: where they stay.
            reason: why it was not taken, or came to nothing; it lies beside them.
        """
        at = self.put("document", self.document, folder, self.name, is_copied=False)
        if reason is not None:
            told = self.place / "reason"
            told.write_text(json.dumps(reason, indent=2) + "\n")
            self.put("reason", told, folder, f"{at.name}.error{SIDECAR}")
        if (self.place / _SIDECAR_TAKEN).exists():
            self.put("sidecar", self.place / _SIDECAR_TAKEN, folder, f"{at.name}{SIDECAR}")
        # The record goes first: an intake without one is nobody's, and only to be removed.
        (self.place / _RECORD).unlink()
        shutil.rmtree(self.place)


def _is_put(source: Path, part: Path, target: Path, *, is_copied: bool) -> bool:
    """Put a file at a place where none is; answers whether there was none."""
    if is_copied or source.stat().st_dev != target.parent.stat().st_dev:
        _copy(source, part)
        source = part
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if source != part:
            _copy(source, part)
        if target.exists():
            return False
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as origin, target.open("wb") as copy:
        shutil.copyfileobj(origin, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def take(folder: Path, name: str, sidecar: str | None) -> Intake | None:
    """Take a file out of a folder, by rename.

    Args:
        folder: the watched one.
        name: of the file.
        sidecar: name of its sidecar.

    Returns:
        What was taken; nothing where the file is gone.
    """
    intake = Intake(folder / KEPT_IN / str(uuid4()), name)
    if sidecar is not None:
        try:
            intake.sidecar_signature = signature(folder / sidecar)
            intake.metadata = read_sidecar(folder / sidecar)
        except FileNotFoundError:
            return None  # the next look sees what there is
        except InputError as error:
            intake.fault = error.message
        intake.sidecar = sidecar
    intake.place.mkdir()
    intake.write()
    try:
        (folder / name).rename(intake.document)
    except OSError as error:
        shutil.rmtree(intake.place)
        if isinstance(error, FileNotFoundError):
            return None
        raise  # a share on which another program has it open, for one
    intake.take_sidecar(folder)
    return intake


def intakes_in(folder: Path) -> Iterator[Intake]:
    """What was taken before and is not done with; what was only begun is undone."""
    for place in sorted((folder / KEPT_IN).iterdir()):
        if not _ID.fullmatch(place.name):
            continue
        try:
            intake = Intake(place, **json.loads((place / _RECORD).read_text()))
        except FileNotFoundError:
            shutil.rmtree(place)
            continue
        if not intake.document.exists() and not intake.placed:
            shutil.rmtree(place)  # killed before the rename: the file is where it was
            continue
        intake.take_sidecar(folder)
        yield intake


@contextmanager
def alone_on(folder: Path) -> Iterator[None]:
    """Be the only agent of a folder; a lock that goes with the process.

    On a share that has no locks it goes on: two agents make each task once, since its id is
    known before.

    Raises:
        ConflictError: another one has it.
    """
    (folder / KEPT_IN).mkdir(exist_ok=True)
    with (folder / KEPT_IN / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                "Another agent watches this folder. End it first, or leave it to it.",
                folder=str(folder),
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
