"""Files that are sent together, the folders in which they are, and their tasks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.outbox import changing
from flows.verbs.duplicates import first_beside, first_of_project
from flows.verbs.ends import open_again
from flows.verbs.files import remember_file
from flows.verbs.projects import must_not_exceed, must_take
from flows.verbs.submit import add_tasks, give_file, task_of
from store.access import Caller, visible
from store.activity import record
from store.database import database
from store.errors import (
    ConflictError,
    EmptyFileError,
    FileTooLargeError,
    IllegalTransitionError,
    InputError,
    LimitExceededError,
    PapertrayError,
)
from store.finding import find_project, find_task
from store.ids import now
from store.models import INBOX, File, Folder, Project, Task, Team, Upload
from store.project_file import parse_project_file
from store.states import State
from store.uploads import (
    FOLDERS,
    find_folder,
    find_own_folder,
    find_upload,
    is_processed_beside,
)

MOST_FILES: Final = 100
"""Of one upload."""

MAX_FILE_BYTES: Final = 40 * 2**20
MAX_PAGE_BYTES: Final = 20 * 2**20
"""What a page of a file may have on average (wire/send-ai.md)."""

MOST_FOLDERS: Final = 200
"""Of one project, beside those that every project has."""

MAX_FOLDER_NAME_CHARACTERS: Final = 100

_UNLOCKED_FROM: Final = (State.COMPLETED, State.DISCARDED, State.FILTERED)


async def submit_upload(
    caller: Caller,
    *,
    team: Team,
    project: Project,
    files: Sequence[File],
    name: str = "",
    meta: Sequence[Mapping[str, Any]] = (),
) -> tuple[Upload, Sequence[Task]]:
    """Take in files that were sent together, a task for each, all of them or none.

    Args:
        caller: whose tasks they are.
        team: at whose address they were sent.
        project: of files.
        files: whose bytes were stored just now; `page_count` is known of those that are larger
            than a page may be.
        name: what the upload is called; like its first file when omitted.
        meta: what to keep with it, `{name, value}` each; its tasks have it as metadata.

    Raises:
        InputError: there is no file, or the project takes data.
        LimitExceededError: there are too many, or one has too many pages.
        FileTooLargeError: one is too large, or its pages are.
        UnsupportedFileError: the project does not take files of the type of one.
        DuplicateFileError: the bytes of one came before, and the project takes them once.
    """
    must_fit_upload([(file.name, file.size_bytes) for file in files])
    async with changing() as session:
        found, version = await find_project(session, caller, project.name)
        content = parse_project_file(version.source)
        must_take(content, "file")
        at = now()
        upload = Upload(
            organization_id=caller.organization_id,
            project_id=found.id,
            team_id=team.id,
            name=name,
            meta=[dict(one) for one in meta],
            created_at=at,
            updated_at=at,
        )
        session.add(upload)
        await session.flush()  # the tasks point to it
        tasks: list[Task] = []
        by_bytes: dict[str, Task] = {}
        for file in files:
            task = task_of(caller, found, version, name="")
            task.upload_id = upload.id
            task.task_metadata = {one["name"]: one["value"] for one in meta}
            with _naming(file.name):
                _pages_must_fit(file)
                must_not_exceed(content, file)
                # Each file gets a task here all the same, also where the first one is meant.
                first = await first_of_project(session, caller, found, content, file)
                first = first or first_beside(caller, content, file, by_bytes)
            remember_file(session, caller, file)
            task.duplicate_of = first.code if first else None
            give_file(task, file)
            tasks.append(task)
            by_bytes.setdefault(file.sha256, task)
        await add_tasks(session, caller, tasks)
        await _note(session, caller, upload, "upload.created", {"count": len(tasks)})
    return upload, tasks


def must_fit_upload(files: Sequence[tuple[str, int]]) -> None:
    """Refuse files that cannot be one upload, as far as that is seen without looking into them.

    Args:
        files: names and sizes in bytes.

    Raises:
        InputError: there is none.
        EmptyFileError: one is empty.
        LimitExceededError: there are too many.
        FileTooLargeError: one is too large.
    """
    if not files:
        raise InputError("Send at least one file, each as a part named `file`.")
    if len(files) > MOST_FILES:
        raise LimitExceededError(
            f"An upload has at most {MOST_FILES} files. Send {files[MOST_FILES][0]} and those after"
            " it as another.",
            limit=MOST_FILES,
        )
    for name, size_bytes in files:
        with _naming(name):
            if not size_bytes:
                raise EmptyFileError
            if size_bytes > MAX_FILE_BYTES:
                raise FileTooLargeError(
                    f"It has {size_bytes} bytes, more than the {MAX_FILE_BYTES} that a file of an"
                    " upload may have. Send a smaller one.",
                    limit_bytes=MAX_FILE_BYTES,
                )


def _pages_must_fit(file: File) -> None:
    if file.size_bytes > MAX_PAGE_BYTES * file.properties.get("page_count", 1):
        raise FileTooLargeError(
            f"Its pages have more than {MAX_PAGE_BYTES} bytes each. Send it at a lower resolution.",
            limit_bytes=MAX_PAGE_BYTES,
        )


@contextmanager
def _naming(file_name: str) -> Iterator[None]:
    """Say of which file among several something is wrong."""
    try:
        yield
    except PapertrayError as error:
        details = {**error.details, "file": file_name}
        raise type(error)(f"{file_name}: {error.message}", **details) from None


async def move_upload(caller: Caller, project: Project, public_id: str, folder_id: str) -> Upload:
    """Put an upload into a folder, where it stays until it is moved again.

    Raises:
        NotFoundError: there is no such upload or folder.
    """
    async with database().writing() as session:
        upload = await find_upload(session, caller, project, public_id, lock=True)
        upload.folder = await find_folder(session, caller, project, folder_id)
        upload.updated_at = now()
        await _note(session, caller, upload, "upload.moved", {"folder_id": folder_id})
    return upload


async def _note(
    session: AsyncSession, caller: Caller, upload: Upload, activity: str, data: Mapping[str, Any]
) -> None:
    """Write down what happened to an upload: seen by whoever sees its tasks."""
    first = select(Task).where(
        col(Task.organization_id) == upload.organization_id, col(Task.upload_id) == upload.id
    )
    task = (await session.execute(first.order_by(col(Task.number)).limit(1))).scalar_one_or_none()
    record(
        session,
        activity,
        caller.actor,
        task=task,
        organization_id=upload.organization_id,
        subject=upload.public_id,
        data=data,
    )


async def create_folder(caller: Caller, project: Project, name: str) -> Folder:
    """Add a folder to those of a project.

    Raises:
        InputError: the name is empty, or too long.
        ConflictError: there is one of that name.
        LimitExceededError: there are MOST_FOLDERS already.
    """
    if not 0 < len(name.strip()) <= MAX_FOLDER_NAME_CHARACTERS:
        raise InputError(f"A folder has a name of 1 to {MAX_FOLDER_NAME_CHARACTERS} characters.")
    async with database().writing() as session:
        # Locked, so that of two folders of one name that are made at once one is refused.
        await session.get_one(Project, project.id, with_for_update=True)
        of_project = visible(Folder, caller).where(col(Folder.project_id) == project.id)
        same = of_project.where(func.lower(col(Folder.name)) == name.lower())
        if name.lower() in map(str.lower, FOLDERS.values()) or (
            (await session.execute(same.limit(1))).first() is not None
        ):
            raise ConflictError("There is a folder of that name. Take another.", name=name)
        count = of_project.with_only_columns(func.count())
        if (await session.execute(count)).scalar_one() >= MOST_FOLDERS:
            raise LimitExceededError(
                f"The project has {MOST_FOLDERS} folders already. Delete one that is not needed.",
                limit=MOST_FOLDERS,
            )
        folder = Folder(organization_id=caller.organization_id, project_id=project.id, name=name)
        session.add(folder)
    return folder


async def delete_folder(caller: Caller, project: Project, folder_id: str) -> None:
    """Remove a folder; what is in it goes back to the inbox.

    Raises:
        NotFoundError: there is no such folder.
        ConflictError: every project has it.
    """
    async with database().writing() as session:
        if await find_folder(session, caller, project, folder_id) in FOLDERS:
            raise ConflictError("Every project has this folder; it cannot be deleted.")
        folder = await find_own_folder(session, caller, project, folder_id)
        await session.execute(
            update(Upload)
            .where(col(Upload.project_id) == project.id, col(Upload.folder) == folder.code)
            .values(folder=INBOX, updated_at=now())
        )
        await session.delete(folder)


async def unlock_in_upload(caller: Caller, public_id: str, reason: str = "") -> Task:
    """Open a task for correction, as long as nobody counts on its data yet.

    Raises:
        IllegalTransitionError: it has another state, or was exported, or all tasks of its upload
            are done with; the message says which.
        ForbiddenError: it is private, and another's.
    """
    async with changing() as session:
        task = await find_task(session, caller, public_id, lock=True)
        if task.state not in _UNLOCKED_FROM:
            raise IllegalTransitionError(
                f"The task is {task.state.value}. Only one that is completed, discarded or filtered"
                " can be unlocked.",
                state=task.state.value,
            )
        if task.exported_at is not None:
            raise IllegalTransitionError(
                "The task was exported; it cannot be unlocked any more.", state=task.state.value
            )
        if task.upload_id is not None and await is_processed_beside(session, task):
            raise IllegalTransitionError(
                "The upload of the task is fully processed; it cannot be unlocked any more.",
                state=task.state.value,
            )
        return await open_again(session, caller, task, reason)
