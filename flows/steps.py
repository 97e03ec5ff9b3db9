"""The steps of a task, in the words of its life: read, extract, review, export."""

import asyncio
import hashlib
import json
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path, PurePath
from time import monotonic
from typing import Any, Literal, NamedTuple

from prefect.input import RunInput
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select
from sqlmodel import col

from flows.artifacts import show_fields, show_review_link
from flows.form import Decision, corrections_of, review_form
from flows.review import wait_for_person
from flows.task_run import PREFECT_UI, TaskRun
from flows.verbs import (
    MAX_NAME_CHARACTERS,
    complete,
    discard,
    file_members,
    remember_file,
    report,
    safe_name,
)
from operations import (
    export_data,
    extract_fields,
    make_searchable_pdf,
    read_pages,
)
from operations.detect_documents import DetectDocumentsResult
from operations.export_data import ExportDataParams
from operations.extract_fields import ExtractFieldsParams
from operations.extract_text import ExtractTextResult
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams, ReadPagesResult
from operations.registry import OPERATIONS, Blob, MadeFiles, Operation, Params, Result
from operations.tools.child import in_child
from operations.tools.file_type import PDF, READABLE, UNKNOWN
from operations.tools.properties import properties_of_each
from operations.validate_fields import check
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import (
    ConflictError,
    FieldsInvalidError,
    InputError,
    NotFoundError,
    UnsupportedFileError,
)
from store.finding import documents_of, field_values, find_task, project_file_of
from store.ids import now
from store.lifecycle import FINAL, amend
from store.models import Document, File, Page, Task
from store.project_file import ProjectFile, WhenReview
from store.settings import settings
from store.states import Event, State


async def _project(run: TaskRun) -> ProjectFile:
    async with database().reading() as session:
        return await project_file_of(session, run.task)


_OF_OCR = {"languages", "dpi"}


async def read(run: TaskRun) -> ReadPagesResult:
    """Read the pages: words with their places, and an image of each."""
    await run.reload()
    project = await _project(run)
    file = await run.input_file(run.task.input_file_id or "")
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
                words_blob=run.blob(f"read/{page.words_file}"),
            )
            for page in pages.pages
        )
    return pages


async def extract(run: TaskRun, pages: ReadPagesResult) -> None:
    """Find the fields; what people corrected since is kept."""
    project = await _project(run)
    async with run.step("extract"):
        found = await extract_fields(
            [run.blob(f"read/{page.words_file}") for page in pages.pages],
            ExtractFieldsParams(document_type=project.document_type, fields=project.fields),
            folder=run.blob("extract"),
        )
    content = json.loads(await blobs().read(run.blob(f"extract/{found.file}")))
    async with database().writing() as session:
        if await documents_of(session, run.task):
            return
        for document in content:
            row = Document(
                task_id=run.task.id,
                number=document["number"],
                document_type=document["document_type"],
                page_numbers=document["page_numbers"],
                fields=document["fields"],
            )
            checked = check(project, field_values(row))
            row.fields = {name: value.model_dump(mode="json") for name, value in checked.items()}
            session.add(row)


async def have_it_reviewed(run: TaskRun) -> None:
    """Wait for a person where one is needed, until the decision stands."""
    project = await _project(run)
    task = await run.reload()
    if task.state is State.RUNNING and not _is_decided(task):
        reason = await _reason_for_review(run, project)
        if not reason:
            return
        await _ask(run, project, reason)
    while run.task.state is State.IN_REVIEW:
        round_ = run.task.review_round
        answer = await wait_for_person(
            review_form(project).with_initial_data(description=_what_to_do(run.task)),
            key=f"review-{round_}",
        )
        await run.reload()
        if run.task.state is State.IN_REVIEW and run.task.review_round == round_:
            # Nobody decided in the store: the run was resumed in Prefect.
            await _take_answer(run, project, answer)


def _what_to_do(task: Task) -> str:
    """What stands above the form in the Prefect UI; names of fields, never their values."""
    page = f"{settings().effective_public_url}/review/{task.public_id}"
    return f"**Why:** {task.review_reason}\n\n[Look at the page and its fields]({page})"


def _is_decided(task: Task) -> bool:
    return bool(task.decision) and task.decision["round"] == task.review_round


async def _reason_for_review(run: TaskRun, project: ProjectFile) -> str:
    """Why a person must look; empty when nobody must.

    Raises:
        FieldsInvalidError: the data is not valid and the project has nobody look.
    """
    values = await _show_values(run)
    invalid = {
        name: v.message for fields in values.values() for name, v in fields.items() if not v.valid
    }
    unsure = [n for fields in values.values() for n, v in fields.items() if v.needs_confirmation]
    if project.when_review is WhenReview.NEVER:
        if invalid:
            raise FieldsInvalidError(fields=invalid)
        return ""
    if invalid:
        return f"not valid: {', '.join(invalid)}"
    if unsure:
        return f"to be confirmed: {', '.join(unsure)}"
    return "the project asks for it" if project.when_review is WhenReview.ALWAYS else ""


async def _show_values(run: TaskRun) -> dict[int, dict[str, Any]]:
    async with database().reading() as session:
        documents = await documents_of(session, run.task)
    values = {document.number: field_values(document) for document in documents}
    await show_fields(list(values.items()))
    await show_review_link(run.task.public_id)
    return values


async def _ask(run: TaskRun, project: ProjectFile, reason: str) -> None:
    await run.happen(
        Event.ASK,
        reason=reason,
        review_round=run.task.review_round + 1,
        review_reason=reason,
        review_since=now(),
        review_due_at=now() + project.review.timeout,
        step="review",
    )


async def _take_answer(run: TaskRun, project: ProjectFile, answer: RunInput) -> None:
    """Do what the form says; where that is not possible, ask again and say why."""
    caller = Caller(run.task.organization_id, PREFECT_UI)
    public_id = run.task.public_id
    try:
        choice = _CHOICES[Decision(answer.decision)]  # pyright: ignore[reportAttributeAccessIssue]  # a field of the form
        reason = await choice(caller, public_id, project, answer)
    except FieldsInvalidError as error:
        reason = f"not valid: {', '.join(error.details['fields'])}"
    except ConflictError as error:
        reason = error.message
    await run.reload()
    if run.task.state is State.IN_REVIEW:
        await _ask_again(run, project, reason)


async def _complete(caller: Caller, public_id: str, project: ProjectFile, answer: Any) -> str:
    await complete(caller, public_id, corrections_of(project, answer), answer.note)
    return ""


async def _discard(caller: Caller, public_id: str, project: ProjectFile, answer: Any) -> str:  # noqa: ARG001  # one signature
    await discard(caller, public_id, answer.note)
    return ""


async def _report(caller: Caller, public_id: str, project: ProjectFile, answer: Any) -> str:  # noqa: ARG001  # one signature
    await report(caller, public_id, [{"label": "prefect-ui", "value": answer.note}])
    return "an issue was reported"


_CHOICES: Mapping[Decision, Any] = {
    Decision.COMPLETE: _complete,
    Decision.DISCARD: _discard,
    Decision.REPORT: _report,
}


async def _ask_again(run: TaskRun, project: ProjectFile, reason: str) -> None:
    """Begin the next round of the same wait: each pause of a run has its own key."""
    async with database().writing() as session:
        task = await session.get_one(Task, run.task.id, with_for_update=True)
        run.task = await amend(
            session,
            task,
            "task.in_review",
            run.caller.actor,
            reason=reason,
            data={"state": task.state.value},
            review_round=task.review_round + 1,
            review_reason=reason,
            review_due_at=now() + project.review.timeout,
        )


async def export(run: TaskRun, pages: ReadPagesResult) -> None:
    """Make the files that the task leaves with, and end it."""
    project = await _project(run)
    # A later round of review makes its own files: an operation is done once for one folder.
    folder = f"export-{run.task.review_round}"
    async with database().reading() as session:
        documents = await documents_of(session, run.task)
        source = await session.get_one(File, run.task.input_file_id)
    content = [
        {
            "number": document.number,
            "document_type": document.document_type,
            "page_numbers": document.page_numbers,
            "fields": document.fields,
        }
        for document in documents
    ]
    await _write_json(run.blob(f"{folder}/documents.json"), content)
    made: list[Made] = []
    async with run.step("export"):
        data_formats: list[Literal["json", "csv"]] = [
            form for form in project.export.formats if form != "pdf"
        ]
        if data_formats:
            exported = await export_data(
                run.blob(f"{folder}/documents.json"),
                ExportDataParams(formats=data_formats),
                folder=run.blob(folder),
            )
            made += [Made("data", name, name) for name in exported.files]
        if "pdf" in project.export.formats:
            searchable = await make_searchable_pdf(
                [
                    Blob(source.blob),
                    *(
                        run.blob(f"read/{page.text_layer_file}")
                        for page in pages.pages
                        if page.text_layer_file
                    ),
                ],
                MakeSearchablePdfParams(),
                folder=run.blob(folder),
            )
            made.append(Made("searchable_pdf", searchable.file, searchable.file))
    files = await _keep_files(run, folder, made)
    await run.happen(
        Event.FINISH,
        result={
            "documents": [
                {
                    "document_type": document.document_type,
                    "page_numbers": document.page_numbers,
                    "fields": {name: value["value"] for name, value in document.fields.items()},
                }
                for document in documents
            ],
            "generated_files": _told(run, files),
        },
        finished_at=now(),
    )


async def _write_json(key: Blob, content: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(content, ensure_ascii=False).encode()

    await blobs().write_stream(key, chunks())


class Made(NamedTuple):
    """A file that a step made, among the blobs of its task."""

    role: str
    blob: str
    """Its name there."""
    name: str
    """What it is called from now on."""


async def _keep_files(run: TaskRun, folder: str, made: Sequence[Made]) -> list[File]:
    """Remember files that the task made; those of an earlier round of the task are replaced.

    Args:
        run: of the task.
        folder: below the task's blobs.
        made: in order.
    """
    began = now()
    async with AsyncExitStack() as stack:
        paths = [
            await stack.enter_async_context(blobs().as_local(run.blob(f"{folder}/{one.blob}")))
            for one in made
        ]
        digests = await asyncio.to_thread(lambda: [_sha256(path) for path in paths])
        types = [mimetypes.guess_type(one.blob)[0] or UNKNOWN for one in made]
        readable = [n for n, media_type in enumerate(types) if media_type in READABLE]
        told = await in_child(properties_of_each, [paths[n] for n in readable]) if readable else []
        properties = dict(zip(readable, told, strict=True))
        files = [
            File(
                organization_id=run.task.organization_id,
                name=safe_name(one.name),
                blob=run.blob(f"{folder}/{one.blob}"),
                type=types[n],
                size_bytes=path.stat().st_size,
                sha256=digests[n],
                properties=properties.get(n, {}),
                task_id=run.task.id,
                role=one.role,
                # In order, for whoever lists them or takes them as an input.
                created_at=began + timedelta(microseconds=n),
            )
            for n, (one, path) in enumerate(zip(made, paths, strict=True))
        ]
    async with database().writing() as session:
        await session.execute(delete(File).where(col(File.task_id) == run.task.id))
        for file in files:
            remember_file(session, run.caller, file)
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _told(run: TaskRun, files: Sequence[File]) -> list[dict[str, Any]]:
    """Files as the result of their task tells of them."""
    told = [file_members(file, run.task.public_id) for file in files]
    return TypeAdapter(list[dict[str, Any]]).dump_python(told, mode="json")


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
    await run.happen(
        Event.FINISH, result=await _outcome(run, folder, result, sources), finished_at=now()
    )


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
    given |= run.task.secrets
    try:
        return row.params.model_validate(given)
    except ValidationError as error:
        wrong = {".".join(map(str, one["loc"])): one["msg"] for one in error.errors()}
        raise InputError(
            f"These parameters are not right for {row.name}; the details say what is wrong.",
            fields=wrong,
        ) from None


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
        files = await _keep_files(run, folder, made)
        return {"generated_files": _told(run, files), **facts}
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
