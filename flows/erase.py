"""Erases what tasks hold, in every place where it is, and later their records.

Erasing is no state in the life of a task: it happens to tasks that have ended. Each step can be
done again; `erased_at` is set after the last, so that what a crash interrupts is begun anew.
"""

import asyncio
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows import engine
from flows.engine import Run
from flows.heartbeat import BEATS_UNTIL_DEAD
from flows.outbox import changing
from flows.pauses import pause
from flows.prefect_server import database_file
from flows.verbs import end_task
from operations.tools.scratch import remove_left
from store.access import Caller, require_owner, visible
from store.activity import TRIED_FOR, record
from store.blobs import blobs
from store.database import TROUBLE, database
from store.erasing import (
    file_ids_of,
    forget_task,
    scrub_answers,
    scrub_deliveries,
    scrub_task,
    take_files,
    take_test_files,
)
from store.errors import PapertrayError, PrefectUnreachableError
from store.finding import find_project, find_task
from store.ids import now
from store.lifecycle import FINAL
from store.models import Activity, Delivery, File, Outbox, Project, Task
from store.retention import record_period
from store.settings import settings
from store.sqlite import empty_log
from store.states import Actor, Event
from store.uploads import find_upload

log = logging.getLogger("papertray.erase")

ERASER: Final = Actor("retain", "system")

BATCH: Final = 50
"""How many tasks are erased before the logs of the databases are emptied."""

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether the time of a task has come."""

ABANDONED_SECONDS: Final = 3600.0
"""What was coming into the storage and did not go on for so long is of a process that died."""

KEYS_AT_ONCE: Final = 500
"""How many blobs one query names."""

_looked_at = float("-inf")
"""When this process last looked for bytes without a row: it lists all that are there."""


async def delete_task(caller: Caller, public_id: str) -> None:
    """Cancel a task if it has not ended, and have all of it erased; nobody sees it any more.

    The content is gone a moment later: as soon as the run of the task has let go of it.

    Raises:
        NotFoundError: there is no such task.
        ForbiddenError: it is private, and another's.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        require_owner(caller, task)
        await _delete(session, caller, task)


async def delete_upload(caller: Caller, project: Project, public_id: str) -> None:
    """Delete all tasks of an upload, as `delete_task` does, and the upload.

    Raises:
        NotFoundError: there is no such upload.
    """
    async with changing() as session:
        upload = await find_upload(session, caller, project, public_id)
        query = visible(Task, caller).where(col(Task.upload_id) == upload.id)
        # The tasks first, as everybody does who changes one and then its upload.
        tasks = (await session.execute(query.with_for_update())).scalars().all()
        of_upload = update(Task).where(
            col(Task.organization_id) == upload.organization_id, col(Task.upload_id) == upload.id
        )
        await session.execute(of_upload.values(upload_id=None))
        await session.delete(upload)
        await scrub_answers(session, upload.organization_id, [public_id], since=upload.created_at)
        for task in tasks:
            await _delete(session, caller, task)


async def _delete(session: AsyncSession, caller: Caller, task: Task) -> None:
    if task.state not in FINAL:
        task = await end_task(session, task, Event.CANCEL, caller, reason="deleted")
    record(session, "task.deleted", caller.actor, task=task, data={"state": task.state.value})
    await session.execute(
        update(Task)
        .where(col(Task.id) == task.id)
        .values(deleted_at=now(), erase_after=now(), erased_at=None, forget_after=None)
    )


async def flush(caller: Caller, project: str) -> int:
    """Delete all tasks of a project that are not done; answers how many.

    Those that only wait for a client to fetch them are done. Private ones of others stay.

    Raises:
        NotFoundError: there is no such project.
    """
    flushed = 0
    while True:
        async with changing() as session:
            found, _ = await find_project(session, caller, project)
            query = visible(Task, caller).where(
                col(Task.project_id) == found.id,
                col(Task.settled_at).is_(None),
                or_(~col(Task.is_private), col(Task.owner_id) == caller.owner_id),
            )
            tasks = (await session.execute(query.limit(BATCH).with_for_update())).scalars().all()
            for task in tasks:
                await _delete(session, caller, task)
        if not tasks:
            return flushed
        flushed += len(tasks)
        await database().commit_so_far()  # thousands of tasks do not keep others from writing


async def run_eraser(stop: asyncio.Event) -> None:
    """Erase and forget when the time of a task has come, until told to stop."""
    while not stop.is_set():
        done, seconds = 0, LOOK_SECONDS
        try:
            done = await erase_due() + await forget_due()
        except PrefectUnreachableError:
            seconds = engine.LONGEST_PAUSE_SECONDS
        except TROUBLE as error:
            log.warning("erasing waits: %s", error.code)
        if not done:
            await pause(stop, seconds)


async def retain_once() -> int:
    """Erase and forget all whose time has come, and what dead processes left; answers how many.

    Raises:
        PrefectUnreachableError: Prefect does not answer; the tasks wait for it.
    """
    done = 0
    while some := await erase_due() + await forget_due():
        done += some
    async with database().writing() as session:
        # What is told of a task goes from the log by itself in the end, sent again or not.
        logged = timedelta(seconds=settings().webhook_log_seconds) + TRIED_FOR
        erased = select(col(Task.id)).where(col(Task.erased_at) > now() - logged)
        await scrub_deliveries(session, col(Activity.task_id).in_(erased))
        # The bytes first: after a crash in between the row says what is still to be deleted.
        for blob in await take_test_files(session):
            await blobs().delete(blob)
    await blobs().delete_abandoned(ABANDONED_SECONDS)
    await _delete_unnamed()
    await asyncio.to_thread(remove_left, settings().scratch_folder)
    await empty_logs()
    return done


async def _delete_unnamed() -> None:
    """Delete the bytes of files whose process died, or lost the database, before their row."""
    global _looked_at
    if monotonic() - _looked_at < ABANDONED_SECONDS:
        return
    keys = await blobs().written_before("files/", ABANDONED_SECONDS)
    for start in range(0, len(keys), KEYS_AT_ONCE):
        part = keys[start : start + KEYS_AT_ONCE]
        for key in set(part) - await _named(part):
            await blobs().delete(key)
    _looked_at = monotonic()


async def _named(keys: Sequence[str]) -> set[str]:
    """Those of some keys of sent files that a row names."""
    async with database().reading() as session:
        # Nearly each has the id of its file, which is indexed; but one whose bytes were replaced.
        ids = [key.removeprefix("files/") for key in keys]
        query = select(col(File.blob)).where(col(File.id).in_(ids))
        named = set((await session.execute(query)).scalars())
        if others := set(keys) - named:
            query = select(col(File.blob)).where(col(File.blob).in_(others))
            named |= set((await session.execute(query)).scalars())
    return named


async def erase_due() -> int:
    """Erase the content of tasks whose time has come and whose run is over; answers how many.

    Raises:
        PrefectUnreachableError: Prefect does not answer; the tasks wait for it.
    """
    erased: list[Task] = []
    for task in await _ready(await _due()):
        try:
            if await _erase(task):
                erased.append(task)
        except PrefectUnreachableError:
            raise
        except (PapertrayError, OSError) as error:
            log.warning("%s is not erased yet: %s", task.public_id, type(error).__name__)
    if not erased or not await empty_logs():
        return 0
    async with database().writing() as session:
        for task in erased:
            await _write_down(session, task)
    return len(erased)


async def _write_down(session: AsyncSession, task: Task) -> None:
    at = now()
    written = await session.execute(
        update(Task)
        # Of one that was deleted meanwhile the run must go, too: it stays due.
        .where(col(Task.id) == task.id, col(Task.deleted_at).is_not_distinct_from(task.deleted_at))
        .values(
            erase_after=None,
            erased_at=at,
            forget_after=at + await record_period(session, task),
        )
        .returning(col(Task.id))
    )
    if written.first() is not None:
        record(session, "task.erased", ERASER, task=task)


async def _due() -> Sequence[Task]:
    query = select(Task).where(col(Task.erase_after) <= now(), col(Task.state).in_(FINAL))
    async with database().reading() as session:
        # By chance, so that one that cannot be erased yet is in nobody's way.
        return (await session.execute(query.order_by(func.random()).limit(BATCH))).scalars().all()


async def _ready(tasks: Sequence[Task]) -> list[Task]:
    """Those on which nobody works any more: what is erased must not be written again."""
    if not tasks:
        return []
    async with database().reading() as session:
        query = select(col(Outbox.task_id)).where(col(Outbox.task_id).in_([t.id for t in tasks]))
        calling = set((await session.execute(query)).scalars())
    runs = await engine.read_runs([task.flow_run_id for task in tasks if task.flow_run_id])
    return [
        task
        for task in tasks
        if task.id not in calling
        and (task.flow_run_id is None or _is_over(runs.get(task.flow_run_id)))
    ]


def _is_over(run: Run | None) -> bool:
    if run is None:
        return True
    # A run that was made to fail from outside (a deadline) is let go by its worker a little later.
    grace = BEATS_UNTIL_DEAD * settings().heartbeat_seconds if run.type == "FAILED" else 0.0
    return run.is_final and run.at + timedelta(seconds=grace) <= now()


async def _erase(task: Task) -> bool:
    """Erase a task wherever it is; answers whether it was still to be erased.

    The bytes go before the rows that name them, so that a crash leaves none that nobody names.
    """
    if not await _is_due(task):
        return False
    if task.flow_run_id is not None:
        if task.deleted_at is not None:
            await engine.delete_run(task.flow_run_id)
        else:
            await engine.empty(task.flow_run_id, task_id=task.id, name=task.public_id)
        results = settings().results_folder / str(task.flow_run_id)
        with suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, results)
    await blobs().delete(f"tasks/{task.id}/")
    async with database().writing() as session:
        current = await session.get_one(Task, task.id, with_for_update=True)
        file_ids = file_ids_of(current)
        await scrub_task(session, current)
        for blob in await take_files(session, current, file_ids):
            await blobs().delete(blob)
    return True


async def _is_due(task: Task) -> bool:
    """Whether the time of a task has come; from now on nobody can change it.

    Who opened it again in the last moment holds its row until that is committed, and is waited
    for; who comes later finds that it is past (`store/lifecycle.py`).
    """
    async with database().writing() as session:
        query = select(col(Task.erase_after)).where(col(Task.id) == task.id).with_for_update()
        due = (await session.execute(query)).scalar_one_or_none()
    return due is not None and due <= now()


async def empty_logs() -> bool:
    """Empty the logs of the databases on this machine, where what was deleted still is.

    Returns:
        Whether they are empty; not while somebody reads from one.
    """
    files = [database_file(settings().home)]
    if database().is_sqlite:
        files.append(Path(make_url(database().url).database or ""))
    emptied = [await asyncio.to_thread(empty_log, file) for file in files]
    return all(emptied)


async def forget_due() -> int:
    """Remove records whose time is over, each with its run; answers how many.

    Raises:
        PrefectUnreachableError: Prefect does not answer; the records wait for it.
    """
    still_told = exists().where(
        col(Activity.task_id) == col(Task.id),
        col(Delivery.activity_number) == col(Activity.number),
        col(Delivery.due_at).is_not(None),
    )
    query = select(Task).where(col(Task.forget_after) <= now(), ~still_told)
    async with database().reading() as session:
        over = (await session.execute(query.limit(BATCH))).scalars().all()
    for task in over:
        if task.flow_run_id is not None:
            await engine.delete_run(task.flow_run_id)
        async with database().writing() as session:
            await forget_task(session, task)
    return len(over)
