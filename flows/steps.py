"""The steps of a task, in the words of its life: read, extract, review, export."""

import hashlib
import json
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from prefect.input import RunInput
from sqlalchemy import delete, select
from sqlmodel import col

from flows.artifacts import show_fields, show_review_link
from flows.form import Decision, corrections_of, review_form
from flows.review import wait_for_person
from flows.task_run import PREFECT_UI, TaskRun
from flows.verbs import (
    complete,
    discard,
    documents_of,
    field_values,
    find_task,
    project_file_of,
    remember_file,
    report,
)
from operations import (
    export_data,
    extract_fields,
    make_searchable_pdf,
    read_pages,
)
from operations.export_data import ExportDataParams
from operations.extract_fields import ExtractFieldsParams
from operations.extract_text import ExtractTextResult
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams, ReadPagesResult
from operations.registry import OPERATIONS, Blob, Operation, Result
from operations.tools.file_type import UNKNOWN
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
from store.ids import now
from store.lifecycle import amend
from store.models import Document, File, Page, Task
from store.project_file import ProjectFile, WhenReview
from store.settings import settings
from store.states import Event, State


async def _project(run: TaskRun) -> ProjectFile:
    async with database().reading() as session:
        return await project_file_of(session, run.task)


async def read(run: TaskRun) -> ReadPagesResult:
    """Read the pages: words with their places, and an image of each."""
    await run.reload()
    project = await _project(run)
    file = await run.input_file(run.task.input_file_id or "")
    async with run.step("read"):
        pages: ReadPagesResult = await read_pages(
            Blob(file.blob),
            ReadPagesParams(
                mode=project.read.mode, languages=project.read.languages, dpi=project.read.dpi
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
    if project.review.when is WhenReview.NEVER:
        if invalid:
            raise FieldsInvalidError(fields=invalid)
        return ""
    if invalid:
        return f"not valid: {', '.join(invalid)}"
    if unsure:
        return f"to be confirmed: {', '.join(unsure)}"
    return "the project asks for it" if project.review.when is WhenReview.ALWAYS else ""


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
    made: list[tuple[str, str]] = []
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
            made += [("data", name) for name in exported.files]
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
            made.append(("searchable_pdf", searchable.file))
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
            "generated_files": [file.id for file in files],
        },
        finished_at=now(),
    )


async def _write_json(key: Blob, content: Any) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield json.dumps(content, ensure_ascii=False).encode()

    await blobs().write_stream(key, chunks())


async def _keep_files(run: TaskRun, folder: str, made: Sequence[tuple[str, str]]) -> list[File]:
    """Remember files that the task made; those of an earlier round of the task are replaced.

    Args:
        run: of the task.
        folder: below the task's blobs.
        made: role and name of each.
    """
    files = [
        File(
            organization_id=run.task.organization_id,
            name=name,
            blob=key,
            type=mimetypes.guess_type(name)[0] or UNKNOWN,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            task_id=run.task.id,
            role=role,
        )
        for role, name in made
        for key in [run.blob(f"{folder}/{name}")]
        for content in [await blobs().read(key)]
    ]
    async with database().writing() as session:
        await session.execute(delete(File).where(col(File.task_id) == run.task.id))
        for file in files:
            remember_file(session, run.caller, file)
    return files


async def operate(run: TaskRun) -> None:
    """Do the one operation that the task is."""
    await run.reload()
    row = OPERATIONS[run.task.operation]
    given = {k: v for k, v in run.task.parameters.items() if k not in {"input", "name"}}
    sources = await _sources(run, row)
    folder = f"{row.name}-{run.task.attempt}"
    async with run.step(row.name):
        result = await row.task(
            sources if row.takes_many else sources[0],
            row.params.model_validate(given),
            folder=run.blob(folder),
        )
    await run.happen(Event.FINISH, result=await _outcome(run, folder, result), finished_at=now())


async def _sources(run: TaskRun, row: Operation) -> list[Blob]:
    """The files that the operation works on, each of the kind that was announced."""
    given = run.task.parameters.get("input", "")
    ids: list[str] = [given] if isinstance(given, str) else list(given)
    if not ids or (len(ids) > 1 and not row.takes_many):
        raise InputError(f"{row.name} takes one file.", input=given)
    kind = run.task.task_metadata.get("kind")
    files = [file for one in ids for file in await _files_of(run, one)]
    for file in files:
        found = "pdf" if file.type == "application/pdf" else file.type.split("/")[0]
        if found not in ({kind} if kind else row.accepts):
            raise UnsupportedFileError(
                f"{row.name} was asked for a file of another kind: {file.type}.",
                file_id=file.id,
                type=file.type,
            )
    return [Blob(file.blob) for file in files]


async def _files_of(run: TaskRun, input_id: str) -> list[File]:
    """The file of that id, or what the task of that id made."""
    if not input_id.startswith("task_"):
        return [await run.input_file(input_id)]
    async with database().reading() as session:
        task = await find_task(session, run.caller, input_id)
        query = select(File).where(col(File.task_id) == task.id).order_by(col(File.created_at))
        made = list((await session.execute(query)).scalars().all())
    if not made:
        raise NotFoundError(
            "The task that is to be the input has made no file.",
            task_id=input_id,
            state=task.state.value,
        )
    return made


async def _outcome(run: TaskRun, folder: str, result: Result) -> dict[str, Any]:
    """The result of the task, as its callers read it (wire/v1.md)."""
    if isinstance(result, ExtractTextResult):
        content = await blobs().read(run.blob(f"{folder}/{result.file}"))
        return {"format": result.format, "content": content.decode()}
    return result.model_dump(mode="json")
