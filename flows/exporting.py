"""The last step of a task: its files are made and get to where its project wants them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

from sqlalchemy import select
from sqlmodel import col

from flows.delivering import deliver
from flows.made_files import Made, keep_files, told_of
from flows.pickup import have_it_fetched
from flows.reviewing import have_export_reviewed
from flows.sorting import group
from flows.task_run import TaskRun
from operations import export_data, export_values, make_searchable_pdf
from operations.export_data import ExportDataParams
from operations.export_values import ExportValuesParams, ExportValuesResult
from operations.make_searchable_pdf import MakeSearchablePdfParams, MakeSearchablePdfResult
from operations.read_pages import ReadPagesResult
from operations.registry import Blob
from store.database import database
from store.export_names import filled, told_apart
from store.finding import documents_of
from store.ids import now
from store.models import Document, ExportedFile, File
from store.project_file import ProjectFile
from store.states import Event, State


async def is_handed_over(run: TaskRun) -> bool:
    """Whether all is made that the task leaves with, and is offered or got to its place."""
    task = await run.reload()
    return task.state in {State.AWAITING_EXPORT, State.EXPORTING} or task.exported_at is not None


async def export_documents(run: TaskRun, pages: ReadPagesResult) -> None:
    """Make the files of a task that has documents, and let them get to their place."""
    await group(run, "export")
    await _export(run, lambda: _make_of_documents(run, pages))


async def export_the_data(run: TaskRun) -> None:
    """Make the files of a task that has data, and let them get to their place."""
    await _export(run, lambda: _make_of_data(run))


async def end(run: TaskRun) -> None:
    """Have the files fetched where a client does that, and end the task."""
    project = await run.project()
    if project.export.pickup:
        await have_it_fetched(run)
    await run.happen(Event.FINISH, result=await _result(run, project))


async def _export(run: TaskRun, make: Callable[[], Awaitable[None]]) -> None:
    project = await run.project()

    async def leave() -> None:
        async with run.step("export"):
            await make()
            if project.export.to and not run.task.is_test:  # what is tried out gets to nobody
                await deliver(run.task.id)
                await run.amend("task.exported", exported_at=now(), export_failed_at=None)

    await have_export_reviewed(run, leave)


# The files


async def _make_of_documents(run: TaskRun, pages: ReadPagesResult) -> None:
    project = await run.project()
    folder = _folder(run)
    async with database().reading() as session:
        documents = await documents_of(session, run.task)
        source = await session.get_one(File, run.task.input_file_id)
    facts = [_facts(run, project, source.name, document) for document in documents]
    made: list[Made] = []
    named_by: list[Mapping[str, Any]] = []
    if formats := _data_formats(project):
        exported = await export_data(
            await run.write_json(f"{folder}/documents.json", [_whole(one) for one in documents]),
            ExportDataParams(formats=formats, csv_rows=project.export.csv_rows),
            folder=run.blob(folder),
        )
        made += [Made("data", name, name) for name in exported.files]
        named_by += facts[:1] * len(made)  # data is of all documents: the first names it
    if "pdf" in project.export.formats:
        parts = _parts_of(documents, pages)
        searchable: MakeSearchablePdfResult = await make_searchable_pdf(
            [Blob(source.blob), *(run.blob(f"read/{name}") for name in pages.text_layer_files)],
            MakeSearchablePdfParams(documents=parts),
            folder=run.blob(folder),
        )
        counts = [len(part) for part in parts] or [searchable.page_count]
        made += [
            Made("searchable_pdf", name, name, {"page_count": count})
            for name, count in zip(searchable.files, counts, strict=True)
        ]
        named_by += facts
    await keep_files(run, folder, _named(project, made, named_by))


async def _make_of_data(run: TaskRun) -> None:
    project = await run.project()
    folder = _folder(run)
    values = _values(run, project)
    exported: ExportValuesResult = await export_values(
        await run.write_json(f"{folder}/values.json", values),
        ExportValuesParams(
            names=[block.name for block in project.blocks], formats=_data_formats(project)
        ),
        folder=run.blob(folder),
    )
    made = [Made("data", name, name) for name in exported.files]
    facts = {**values, **_facts(run, project, run.task.source)}
    await keep_files(run, folder, _named(project, made, [facts] * len(made)))


def _folder(run: TaskRun) -> str:
    # A later round of review makes its own files: an operation is done once for one folder.
    return f"export-{run.task.review_round}"


def _data_formats(project: ProjectFile) -> list[Literal["json", "csv"]]:
    return [form for form in project.export.formats if form != "pdf"]


def _parts_of(documents: Sequence[Document], pages: ReadPagesResult) -> list[list[int]]:
    """The pages of each document; none where the file is a single document."""
    parts = [document.page_numbers for document in documents]
    return [] if parts == [[page.number for page in pages.pages]] else parts


def _facts(
    run: TaskRun, project: ProjectFile, source: str, document: Document | None = None
) -> Mapping[str, Any]:
    """What a file can be named after."""
    values = _plain(document) if document else {}
    return {
        **values,
        "task": run.task.public_id,
        "project": project.name,
        "document_type": document.document_type if document else project.document_type,
        "document": document.number if document else 1,
        "input": PurePath(source).stem,
    }


def _named(
    project: ProjectFile, made: Sequence[Made], named_by: Sequence[Mapping[str, Any]]
) -> list[Made]:
    """Files under the names that the project wants; under their own where it wants none."""
    if not project.export.name:
        return list(made)
    names = [
        f"{filled(project.export.name, facts)}{PurePath(one.name).suffix}"
        for one, facts in zip(made, named_by, strict=True)
    ]
    return [one._replace(name=name) for one, name in zip(made, told_apart(names), strict=True)]


# The outcome


async def _result(run: TaskRun, project: ProjectFile) -> dict[str, Any]:
    """The outcome of the task, as its callers read it."""
    async with database().reading() as session:
        documents = await documents_of(session, run.task)
        made = select(File).where(col(File.task_id) == run.task.id)
        files = (await session.execute(made.order_by(col(File.created_at)))).scalars().all()
        there = select(col(ExportedFile.blob), col(ExportedFile.name)).where(
            col(ExportedFile.task_id) == run.task.id
        )
        names = dict((await session.execute(there)).tuples().all())
    outcome: dict[str, Any] = (
        {"data": _values(run, project)}
        if project.blocks
        else {"documents": [{**_members(one), "fields": _plain(one)} for one in documents]}
    )
    outcome["generated_files"] = told_of(run, files)
    if project.export.to:
        outcome["exported_files"] = [names[file.blob] for file in files if file.blob in names]
    return outcome


def _values(run: TaskRun, project: ProjectFile) -> dict[str, Any]:
    """The values of a task of data, in the order of the blocks."""
    data = run.task.task_data or {}
    return {block.name: data[block.name] for block in project.blocks if block.name in data}


def _whole(document: Document) -> dict[str, Any]:
    """All that is known of a document."""
    return {"number": document.number, **_members(document), "fields": document.fields}


def _members(document: Document) -> dict[str, Any]:
    return {
        "document_type": document.document_type,
        "page_numbers": document.page_numbers,
        "group_number": document.group_number,
    }


def _plain(document: Document) -> dict[str, Any]:
    """The values of a document by the names of their fields."""
    return {name: value["value"] for name, value in document.fields.items()}
