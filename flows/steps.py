"""The steps of a task that find something: read, extract, and a single operation."""

import asyncio
import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.artifacts import show_output
from flows.made_files import Made, keep_files, told_of
from flows.project_steps import step_named, validated
from flows.sorting import group
from flows.task_run import TaskRun, source_not_found
from flows.verbs import MAX_NAME_CHARACTERS, UNSEEN, must_not_exceed
from operations import (
    extract_fields,
    read_pages,
)
from operations.detect_documents import DetectDocumentsResult
from operations.extract_fields import ExtractFieldsParams
from operations.extract_text import ExtractTextResult
from operations.read_pages import ReadPagesParams, ReadPagesResult
from operations.registry import (
    OPERATIONS,
    Blob,
    FieldsChanged,
    MadeFiles,
    Operation,
    Params,
    Result,
)
from operations.tools.child import in_child, spread
from operations.tools.file_type import PDF
from operations.tools.properties import properties
from operations.validate_fields import check
from store.blobs import blobs
from store.database import database
from store.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    UnsupportedFileError,
)
from store.fields import FieldValue
from store.finding import documents_of, find_task
from store.lifecycle import FINAL
from store.models import Document, File, Page, Task
from store.project_file import DocumentTypePart, ProjectFile, StepPart
from store.project_sorting import Automation
from store.states import Event, State


async def has_data(run: TaskRun) -> bool:
    """Whether the task has data and no file."""
    return bool((await run.project()).blocks)


_OF_OCR = {"languages", "dpi"}


async def read(run: TaskRun) -> ReadPagesResult:
    """Read the pages: words with their places, and an image of each.

    Raises:
        InputError: the file cannot be read, or is beyond the limits of the project.
    """
    await run.reload()
    project = await run.project()
    file = await run.input_file(run.task.input_file_id or "")
    if project.limits.max_pages is not None and not file.properties:
        file = await _with_properties(file)
    must_not_exceed(project, file)
    async with run.step("read"):
        pages: ReadPagesResult = await read_pages(
            Blob(file.blob),
            ReadPagesParams.model_validate(
                project.read.model_dump(exclude=_OF_OCR if project.read.mode == "skip" else None)
            ),
            folder=run.blob("read"),
        )
    async with database().writing() as session:
        await session.execute(delete(Page).where(col(Page.task_id) == run.task.id))
        session.add_all(
            Page(
                task_id=run.task.id,
                number=page.number,
                width_pixels=page.width_pixels,
                height_pixels=page.height_pixels,
                method=page.method,
                confidence=page.confidence,
                image_blob=run.blob(f"read/{page.image_file}"),
                detail_blob=run.blob(f"read/{page.detail_file}") if page.detail_file else "",
                words_blob=run.blob(f"read/{page.words_file}"),
            )
            for page in pages.pages
        )
    return pages


async def _with_properties(file: File) -> File:
    """A file, and how many pages it has: counting them costs little, reading them much.

    Raises:
        InputError: it cannot be worked on.
    """
    async with blobs().as_local(file.blob) as path:
        found = await in_child(properties, path)
    async with database().writing() as session:
        file = await session.get_one(File, file.id, with_for_update=True)
        file.properties = found
    return file


async def extract(run: TaskRun) -> None:
    """Find the fields of the documents; what people corrected since is kept."""
    project = await run.project()
    async with database().reading() as session:
        documents = [one for one in await documents_of(session, run.task) if not one.is_extracted]
        pages = await _words_of(session, run.task)
    if not documents:
        return
    found: dict[UUID, dict[str, FieldValue]] = {}

    async def find(document: Document) -> None:
        part = project.type_named(document.document_type)
        values = await _fields_of(run, project, part, document, pages)
        for number, step in enumerate(project.steps, start=1):
            values = await _after(run, step, number, document, values)
        found[document.id] = check(part, values)

    async with run.step("extract"):
        await spread(find, documents)
    async with database().writing() as session:
        for document in await documents_of(session, run.task):
            if not document.is_extracted and document.id in found:
                values = found[document.id].items()
                document.fields = {name: value.model_dump(mode="json") for name, value in values}
                document.is_extracted = True
    await group(run, "extract")


async def _words_of(session: AsyncSession, task: Task) -> dict[int, Blob]:
    query = select(col(Page.number), col(Page.words_blob)).where(col(Page.task_id) == task.id)
    return {number: Blob(blob) for number, blob in (await session.execute(query)).tuples()}


async def _fields_of(
    run: TaskRun,
    project: ProjectFile,
    part: DocumentTypePart,
    document: Document,
    pages: Mapping[int, Blob],
) -> dict[str, FieldValue]:
    """What stands in a document, by the names of its fields."""
    if not part.fields or project.extract.automation is Automation.NONE:
        return {}
    folder = f"extract-{document.id.hex}"
    found = await extract_fields(
        [pages[number] for number in document.page_numbers],
        ExtractFieldsParams(
            document_type=part.name,
            fields=part.fields,
            templates=project.extract.templates,
        ),
        folder=run.blob(folder),
    )
    content = json.loads(await blobs().read(run.blob(f"{folder}/{found.file}")))
    return {n: FieldValue.model_validate(value) for n, value in content[0]["fields"].items()}


async def _after(
    run: TaskRun,
    step: StepPart,
    number: int,
    document: Document,
    values: Mapping[str, FieldValue],
) -> dict[str, FieldValue]:
    """The fields of a document after a step of the project's own.

    Raises:
        InputError: the step is not installed, or refuses its parameters, or what it wrote is none
            of the fields.
    """
    row = step_named(step.use)
    folder = f"step-{number}-{document.id.hex}"
    fields = {name: value.model_dump(mode="json") for name, value in values.items()}
    given = {
        "document_type": document.document_type,
        "page_numbers": document.page_numbers,
        "fields": fields,
    }
    result: FieldsChanged = await row.task(
        await run.write_json(f"{folder}/document.json", given),
        validated(row, step.params),
        folder=run.blob(folder),
    )
    written = await blobs().read(run.blob(f"{folder}/{result.file}"))
    try:
        changes: dict[str, Any] = json.loads(written)["fields"]
        changed = {
            name: FieldValue.model_validate(
                {**fields[name], "method": row.name, **change, "name": name}
            )
            for name, change in changes.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"The step {row.name} of the project wrote what are no fields of the document. Correct"
            " the package that it is from.",
            step=row.name,
        ) from None
    return {**values, **changed}


async def operate(run: TaskRun) -> None:
    """Do the one operation that the task is."""
    await run.reload()
    row = OPERATIONS[run.task.operation]
    params = _params(run, row)
    folder = f"{row.name}-{run.task.attempt}"
    async with run.step(row.name):
        sources = await _sources(run, row)
        locations = [Blob(file.blob) for file in sources]
        result = await row.task(
            locations if row.takes_many else locations[0], params, folder=run.blob(folder)
        )
    outcome = await _outcome(run, folder, result, sources)
    await run.happen(Event.FINISH, result=outcome)
    made = {one["id"]: one["name"] for one in outcome.get("generated_files", ())}
    await show_output(run.task.public_id, made)


_OF_THE_TASK = {"input", "name", "callback_url"}
"""What is sent beside the parameters of the operation."""


def _params(run: TaskRun, row: Operation) -> Params:
    """The parameters of the operation.

    Raises:
        InputError: they do not fit, as can only be where the run was started in Prefect; or a
            secret is wanted again, after the end of the task for which it was given.
    """
    given = {k: v for k, v in run.task.parameters.items() if k not in _OF_THE_TASK}
    forgotten = sorted(row.secrets & given.keys() - run.task.secrets.keys())
    if forgotten:
        raise InputError(
            f"{', '.join(forgotten)} was kept only until the task ended. Send a new task with it.",
            parameters=forgotten,
        )
    return validated(row, given | run.task.secrets)


async def _sources(run: TaskRun, row: Operation) -> list[File]:
    """The files that the operation works on, each of the kind that was announced."""
    given = run.task.parameters.get("input", "")
    ids: list[str] = [given] if isinstance(given, str) else list(given)
    files = [file for one in ids for file in await _files_of(run, one)]
    if not files or (len(files) > 1 and not row.takes_many):
        raise InputError(
            f"{row.name} takes one file, and these are {len(files)}. Send one task for each.",
            input=given,
            file_ids=[file.id for file in files],
        )
    kind = run.task.task_metadata.get("kind")
    taken = ({kind} if kind else row.accepts) | row.also_takes
    for file in files:
        found = "pdf" if file.type == PDF else file.type.split("/")[0]
        if found not in taken:
            raise UnsupportedFileError(
                f"{row.name} was asked for a file of another kind: {file.type}.",
                file_id=file.id,
                type=file.type,
            )
    return files


async def _files_of(run: TaskRun, input_id: str) -> list[File]:
    """The file of that id, or what the task of that id made; one at work is waited for.

    Raises:
        NotFoundError: there is no such file or task, or the task made none.
        ConflictError: the task waits for a person, or works for longer than one should wait.
    """
    if input_id in run.task.task_metadata.get(UNSEEN, ()):
        raise source_not_found(input_id)
    if not input_id.startswith("task_"):
        return [await run.input_file(input_id)]
    task = await _ended(run, input_id)
    async with database().reading() as session:
        query = select(File).where(col(File.task_id) == task.id).order_by(col(File.created_at))
        made = list((await session.execute(query)).scalars().all())
    if not made:
        raise NotFoundError(
            "The task that is to be the input has made no file.",
            task_id=input_id,
            state=task.state.value,
        )
    return made


_AT_WORK = {State.QUEUED, State.RUNNING, State.EXPORTING}
"""States that end without anybody's doing."""

_WAIT_SECONDS = 3600.0
_LOOK_SECONDS = 1.0


async def _ended(run: TaskRun, public_id: str) -> Task:
    """The task whose output is the input, once it has ended."""
    until = monotonic() + _WAIT_SECONDS
    while True:
        async with database().reading() as session:
            task = await find_task(session, run.caller, public_id)
        if task.state in FINAL:
            return task
        if task.state not in _AT_WORK or monotonic() > until:
            raise ConflictError(
                "The task that is to be the input has not ended. Send this one again when it has.",
                task_id=public_id,
                state=task.state.value,
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _outcome(
    run: TaskRun, folder: str, result: Result, sources: Sequence[File]
) -> dict[str, Any]:
    """The result of the task, as its callers read it (wire/v1.md)."""
    if isinstance(result, ExtractTextResult):
        content = (await blobs().read(run.blob(f"{folder}/{result.file}"))).decode()
        told = result.model_dump(mode="json", exclude={"file", "page_count"})
        if result.format != "json":
            return {"format": result.format, "content": content, "read": told["read"]}
        return {**told, "content": json.loads(content)}
    facts = result.model_dump(mode="json", exclude={"files"})
    if isinstance(result, DetectDocumentsResult):
        (source,) = sources  # in whose pixels the vertices are
        return {"documents": [{**one, "file_id": source.id} for one in facts["documents"]]}
    if isinstance(result, MadeFiles):
        given = run.task.parameters.get("name", "")
        names = names_of_made(result.files, given, sources[0].name)
        made = [Made("generated", *one) for one in zip(result.files, names, strict=True)]
        files = await keep_files(run, folder, made)
        return {"generated_files": told_of(run, files), **facts}
    return facts


def names_of_made(files: Sequence[str], given: str, source: str) -> list[str]:
    """What files are called that an operation made.

    A single one is called exactly as was asked for; several have their own names behind that.
    Where nothing was asked for, they are named after what they were made from.

    Args:
        files: as the operation named them: `page-3.png`.
        given: what was asked for; may be empty.
        source: name of the file they were made from.
    """
    if len(files) == 1:
        return [given or f"{_stem(source)}{PurePath(files[0]).suffix}"]
    stem = _stem(given or source)
    return [f"{stem[: MAX_NAME_CHARACTERS - len(name) - 1]}-{name}" for name in files]


def _stem(name: str) -> str:
    """A file name without its ending; a dot in the middle of a sentence begins none."""
    ending = PurePath(name).suffix
    return name.removesuffix(ending) if mimetypes.guess_type(name)[0] else name
