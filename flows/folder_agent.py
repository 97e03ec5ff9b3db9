"""The folder agent: files of a folder become tasks, and what the tasks make gets to another."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from flows.intakes import (
    KEPT_IN,
    Intake,
    alone_on,
    intakes_in,
    is_candidate,
    sidecar_of,
    signature,
    take,
)
from flows.verbs import (
    complete_export,
    must_take,
    start_export,
    store_bytes,
    submit_process,
    unless_refused,
)
from store.access import Caller
from store.blobs import blobs, chunks_of
from store.database import database
from store.errors import (
    ConflictError,
    ExportFailedError,
    InputError,
    NotFoundError,
    PapertrayError,
    UnavailableError,
)
from store.finding import find_project, project_file_of
from store.lifecycle import FINAL
from store.models import File, Task
from store.project_file import parse_project_file
from store.states import State

TAKEN_AT_ONCE: Final = 500
"""In one sweep: the tasks of those that were taken first are looked after meanwhile."""

SUBMITTED_AT_ONCE: Final = 8
"""In one process: they share a commit (docs/decisions/0006-group-commit.md)."""

IDS_AT_ONCE: Final = 500
"""How many ids one query names."""

ENDED_WELL: Final = frozenset({State.COMPLETED, State.FILTERED})

_OFFERED: Final = frozenset({State.AWAITING_EXPORT, State.EXPORTING})

_TROUBLE: Final = (PapertrayError, OSError)
"""What may be over the next time: the file stays taken, and is tried again."""


@dataclass(frozen=True)
class Watch:
    """Which folder is watched, and where what was in it gets to."""

    folder: Path
    project: str
    """Name of the project of which each file becomes a task."""
    done: Path
    """Where files get to whose tasks have ended well."""
    failed: Path
    """Where the others get to, each with the reason beside it."""
    export: Path | None = None
    """Where the files get to that the tasks make; none: they stay in the storage."""
    settle_seconds: float = 2.0
    """A file is whole when it has stayed the same for so long."""
    empty_seconds: float = 60.0
    """The same for one without content: its writer may only just have made it."""

    def make_folders(self) -> None:
        """See that all folders are there; makes those into which files get.

        Raises:
            InputError: one is missing and cannot be made, or is in the way of another.
        """
        targets = [one for one in (self.done, self.failed, self.export) if one is not None]
        if not self.folder.is_dir():
            raise InputError(
                f"There is no folder {self.folder}. Make it, or mount what it is on.",
                folder=str(self.folder),
            )
        kept = (self.folder / KEPT_IN).resolve()
        for target in targets:
            whole = target.resolve()
            if whole == self.folder.resolve() or whole == kept or kept in whole.parents:
                raise InputError(
                    f"{target} is the watched folder itself: what gets there would come in again."
                    " Name another.",
                    folder=str(target),
                )
            try:
                # Without its parents: made by us they would hide that a drive is not mounted.
                target.mkdir(exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"{target} cannot be made: {error.strerror}. Make it by hand.",
                    folder=str(target),
                ) from None


@dataclass
class Swept:
    """What one sweep did."""

    unsettled: int = 0
    """Files that are there and perhaps still being written."""
    taken: int = 0
    submitted: int = 0
    done: int = 0
    failed: int = 0
    under_way: int = 0
    """Files that were taken and whose tasks have not ended."""
    troubles: Counter[str] = field(default_factory=Counter[str])
    """Why something has to be tried again, and of how many files."""

    @property
    def has_changed_something(self) -> bool:
        """Whether anything moved on."""
        return bool(self.taken or self.submitted or self.done or self.failed)

    @property
    def told(self) -> str:
        """How many files moved on, in words."""
        return (
            f"{self.submitted} taken in, {self.done} done, {self.failed} failed,"
            f" {self.under_way} under way"
        )

    @property
    def told_trouble(self) -> str:
        """What has to be tried again, in sentences; empty: nothing."""
        return " ".join(f"{count} files: {why}" for why, count in self.troubles.items())

    def then(self, later: "Swept") -> "Swept":
        """This and a later sweep, as one."""
        return replace(
            later,
            taken=self.taken + later.taken,
            submitted=self.submitted + later.submitted,
            done=self.done + later.done,
            failed=self.failed + later.failed,
        )


class FolderAgent:
    """Takes the files of one folder in; what it knows is on the disk and in the store."""

    def __init__(self, caller: Caller, watch: Watch):
        """Begin with what an earlier one has left; see `watching`."""
        self._caller = caller
        self._watch = watch
        self._seen: dict[str, tuple[list[int], float]] = {}
        """Files that may still be written -> their signature, and since when they have it."""
        self._open = {intake.task_id: intake for intake in intakes_in(watch.folder)}
        self._turn = asyncio.Semaphore(SUBMITTED_AT_ONCE)

    async def sweep(self) -> Swept:
        """Take in what is whole, and bring to their places the files whose tasks have ended.

        Raises:
            NotFoundError: the project is gone.
            UnavailableError: the folder cannot be read now, or the store does not answer.
        """
        swept = Swept()
        for intake in await asyncio.to_thread(self._take, swept):
            self._open[intake.task_id] = intake
        await self._submit(swept)
        await self._follow(swept)
        swept.under_way = len(self._open)
        return swept

    # In

    def _take(self, swept: Swept) -> list[Intake]:
        try:
            with os.scandir(self._watch.folder) as entries:
                files = {one.name: one for one in entries if one.is_file(follow_symlinks=False)}
        except OSError as error:
            raise UnavailableError(
                f"{self._watch.folder} cannot be read: {error.strerror}. Mount it again.",
                folder=str(self._watch.folder),
            ) from None
        names = set(files)
        seen, at = self._seen, time.monotonic()
        self._seen = {}
        taken: list[Intake] = []
        for name in sorted(name for name in names if is_candidate(name)):
            try:
                now = signature(Path(files[name].path))
                before, since = seen.get(name, (None, at))
                wait = self._watch.settle_seconds if now[1] else self._watch.empty_seconds
                if before != now:
                    self._seen[name] = (now, at)
                elif at - since < wait or len(taken) == TAKEN_AT_ONCE:
                    self._seen[name] = (now, since)
                elif intake := take(self._watch.folder, name, sidecar_of(name, names)):
                    taken.append(intake)
            except OSError as error:
                swept.troubles[f"A file cannot be taken: {error.strerror}."] += 1
        swept.taken, swept.unsettled = len(taken), len(self._seen)
        return taken

    async def _submit(self, swept: Swept) -> None:
        waiting = [intake for intake in self._open.values() if not intake.is_submitted]
        if not waiting:
            return
        async with database().reading() as session:
            await find_project(session, self._caller, self._watch.project)
            known: set[UUID] = set()
            for some in _in_parts(waiting):
                ids = [intake.task_id for intake in some]
                query = select(col(Task.id)).where(col(Task.id).in_(ids))
                known |= set((await session.execute(query)).scalars())
        await asyncio.gather(*(self._submit_one(one, known, swept) for one in waiting))

    async def _submit_one(self, intake: Intake, known: set[UUID], swept: Swept) -> None:
        async with self._turn:
            try:
                if intake.task_id in known:  # whoever took it was killed after the commit
                    intake.read_signature = signature(intake.document)
                    intake.submitted()
                elif await self._make_task(intake):
                    swept.submitted += 1
            except InputError as error:
                await self._reject(intake, swept, _of_error(error))
            except _TROUBLE as error:
                swept.troubles[_told(error)] += 1

    async def _make_task(self, intake: Intake) -> bool:
        """Make the task of an intake; answers whether it was whole, and so is made.

        Raises:
            InputError: it cannot become one.
        """
        if intake.fault:
            raise InputError(intake.fault)
        before = signature(intake.document)
        file = await store_bytes(self._caller, name=intake.name, chunks=_bytes_of(intake))
        try:
            async with unless_refused(file):
                if signature(intake.document) != before:
                    await blobs().delete(file.blob)
                    return False
                await submit_process(
                    self._caller,
                    task_id=intake.task_id,
                    project=self._watch.project,
                    file=file,
                    metadata=intake.metadata,
                )
        except IntegrityError as error:
            raise ConflictError("What a task refers to has changed meanwhile.") from error
        intake.read_signature = before
        intake.submitted()
        return True

    # Out

    async def _follow(self, swept: Swept) -> None:
        """Finish what has ended."""
        submitted = [intake for intake in self._open.values() if intake.is_submitted]
        for some in _in_parts(submitted):
            async with database().reading() as session:
                query = select(Task).where(
                    col(Task.id).in_([intake.task_id for intake in some]),
                )
                tasks = {task.id: task for task in (await session.execute(query)).scalars()}
            for intake in some:
                try:
                    await self._go_on(intake, tasks.get(intake.task_id), swept)
                except ConflictError:
                    continue  # another client has it; it comes back, or ends
                except _TROUBLE as error:
                    swept.troubles[_told(error)] += 1

    async def _go_on(self, intake: Intake, task: Task | None, swept: Swept) -> None:
        if task is None:
            error = NotFoundError("The record of the task is gone; nobody saw here how it ended.")
            await self._reject(intake, swept, _of_error(error))
        elif task.state in FINAL or task.deleted_at is not None:
            await self._finish(intake, task, swept)
        elif task.state in _OFFERED and self._watch.export is not None:
            await self._fetch(intake, task)

    async def _finish(self, intake: Intake, task: Task, swept: Swept) -> None:
        reason = {"task": task.public_id, "state": task.state.value}
        if intake.was_written_to:
            await self._reject(
                intake,
                swept,
                {
                    **reason,
                    "code": InputError.code,
                    "message": "The file was still being written when it was taken. Have its"
                    " writer rename it when it is whole, or settle for longer; send it again.",
                },
            )
        elif task.deleted_at is not None or task.state not in ENDED_WELL:
            await self._reject(intake, swept, {**reason, **_why(task)})
        elif task.erased_at is not None and self._watch.export and not intake.is_exported:
            error = ExportFailedError(
                "The task was erased before its files were fetched. Let the project keep them for"
                " longer (`retention`), or have them fetched (`export: {pickup: true}`)."
            )
            await self._reject(intake, swept, {**reason, **_of_error(error)})
        else:
            await self._export(intake, task)
            await asyncio.to_thread(intake.leave, self._watch.done)
            self._open.pop(intake.task_id)
            swept.done += 1

    async def _fetch(self, intake: Intake, task: Task) -> None:
        """Be the client that fetches the files of a task."""
        if task.state is State.AWAITING_EXPORT:
            await start_export(self._caller, task.public_id)
        elif task.claimed_by != self._caller.actor.name:
            return
        await self._export(intake, task)
        await complete_export(self._caller, task.public_id)

    async def _export(self, intake: Intake, task: Task) -> None:
        if self._watch.export is None or intake.is_exported:
            return
        async with database().reading() as session:
            project = await project_file_of(session, task)
            made = select(File).where(col(File.task_id) == task.id).order_by(col(File.created_at))
            files = (await session.execute(made)).scalars().all()
        names = [file.name for file in files]
        if not project.export.name:
            names = _named_like(intake.name, names)
        for file, name in zip(files, names, strict=True):
            async with blobs().as_local(file.blob) as path:
                await asyncio.to_thread(
                    intake.put, f"export {name}", path, self._watch.export, name
                )
        intake.is_exported = True
        await asyncio.to_thread(intake.write)

    async def _reject(self, intake: Intake, swept: Swept, reason: dict[str, Any]) -> None:
        await asyncio.to_thread(intake.leave, self._watch.failed, reason)
        self._open.pop(intake.task_id)
        swept.failed += 1


@asynccontextmanager
async def watching(caller: Caller, watch: Watch) -> AsyncIterator[FolderAgent]:
    """The agent of a folder, and the only one.

    Raises:
        InputError: a folder is missing, or the project takes no files, or it erases what its
            tasks make before anybody can fetch it.
        NotFoundError: there is no such project.
        ConflictError: another agent has the folder.
    """
    async with database().reading() as session:
        _, version = await find_project(session, caller, watch.project)
    content = parse_project_file(version.source)
    must_take(content, "file")
    if watch.export and content.retention.data == timedelta(0) and not content.export.pickup:
        raise InputError(
            f"The project {watch.project} erases what its tasks make as soon as they end. Have it"
            " wait for the agent with `export: {pickup: true}`, or export nothing.",
            project=watch.project,
        )
    watch.make_folders()
    with alone_on(watch.folder):
        yield FolderAgent(caller, watch)


async def _bytes_of(intake: Intake) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks_of(intake.document):
            yield chunk
    except OSError as error:  # else it would be told of as one of the storage
        raise UnavailableError(
            f"A file that was taken cannot be read: {error.strerror}. Let this program read it."
        ) from None


def _in_parts(intakes: Sequence[Intake]) -> Iterator[Sequence[Intake]]:
    for start in range(0, len(intakes), IDS_AT_ONCE):
        yield intakes[start : start + IDS_AT_ONCE]


def _named_like(name: str, names: Sequence[str]) -> list[str]:
    """Names of files that were made of a file: its own, with their endings."""
    stem = PurePath(name).stem
    endings = [PurePath(one).suffix for one in names]
    return [
        f"{stem}{ending}" if endings.count(ending) == 1 else f"{stem}-{one}"
        for one, ending in zip(names, endings, strict=True)
    ]


def _why(task: Task) -> dict[str, str]:
    """Why a task came to nothing."""
    if task.deleted_at is not None:
        return {"code": NotFoundError.code, "message": "The task was deleted."}
    details: dict[str, Any] = task.result.get("details", {})
    message = task.result.get("error") or f"The task is {task.state.value}."
    return {"code": str(details.get("code", task.state.value)), "message": str(message)}


def _of_error(error: PapertrayError) -> dict[str, str]:
    return {"code": error.code, "message": error.message}


def _told(error: PapertrayError | OSError) -> str:
    """What went wrong, without names of files and values."""
    if isinstance(error, PapertrayError):
        return error.message
    return f"{error.strerror or type(error).__name__}."
