"""`papertray tasks`: what there is and what became of it."""

from collections.abc import Sequence
from typing import Any

from cyclopts import App
from rich.console import Group
from sqlalchemy import select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, AtMost, Options, cell, table
from store.access import Caller, visible
from store.database import database
from store.finding import find_project, find_task
from store.models import Activity, Document, File, Task
from store.states import State

app = App(name="tasks", help="See tasks, decide on them, end them.")

# These import Prefect, which takes seconds; `list` and `show` do without.
for _name, _purpose in {
    "claim": "Take a task that waits for a person, so that nobody else does.",
    "release": "Give back a task that was claimed.",
    "complete": "Decide a review: the fields are right, with these changes.",
    "discard": "Throw out tasks that wait for a person.",
    "cancel": "End tasks, wherever they are.",
    "unlock": "Open an ended task for a person again.",
    "retry": "Try failed, timed-out or cancelled tasks again.",
    "delete": "Erase all of tasks, wherever they are.",
    "report": "Report that a task's data is wrong.",
    "start-export": "Take a task whose files a client fetches.",
    "complete-export": "Say that the files of a task are fetched.",
    "cancel-export": "Give a task back without its files.",
    "fail-export": "Say that the files of a task cannot be used.",
}.items():
    app.command(f"api.cli.decisions:{_name.replace('-', '_')}", name=_name, help=_purpose)


@app.command(name="list")
async def list_tasks(
    *,
    state: State | None = None,
    project: str = "",
    limit: AtMost = 50,
    options: Options = DEFAULTS,
) -> Answer:
    """List tasks, the newest first.

    Args:
        state: Only those in this state.
        project: Only those of this project.
        limit: How many at most.
        options: Common options.

    Raises:
        NotFoundError: there is no such project.
    """
    async with operator(options) as caller, database().reading() as session:
        query = visible(Task, caller).order_by(col(Task.created_at).desc()).limit(limit)
        if state:
            query = query.where(col(Task.state) == state)
        if project:
            wanted, _ = await find_project(session, caller, project)
            query = query.where(col(Task.project_id) == wanted.id)
        tasks = (await session.execute(query)).scalars().all()
    headings = ("task", "state", "step", "name", "claimed by", "created")
    rows = ((t.public_id, t.state, t.step, t.name, t.claimed_by, t.created_at) for t in tasks)
    return Answer([facts_of(task) for task in tasks], table(headings, rows))


@app.command
async def show(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Show one task: its fields, its files, and what happened to it.

    Args:
        task_id: The task.
        options: Common options.
    """
    async with operator(options) as caller:
        whole = await read_whole(caller, task_id)
    return Answer(whole, view_of(whole))


def facts_of(task: Task) -> dict[str, Any]:
    """What a task is, for programs."""
    return {
        "id": task.public_id,
        "name": task.name,
        "operation": task.operation,
        "project": task.parameters.get("project"),
        "state": task.state,
        "step": task.step,
        "progress": {"current": task.progress_current, "total": task.progress_total},
        "review_reason": task.review_reason,
        "claimed_by": task.claimed_by,
        "result": task.result,
        "metadata": task.task_metadata,
        "attempt": task.attempt,
        "flow_run_id": task.flow_run_id,
        "created_at": task.created_at,
        "updated_at": task.updated_at,
        "finished_at": task.finished_at,
    }


async def read_whole(caller: Caller, task_id: str) -> dict[str, Any]:
    """A task with its documents, files and activity, for programs.

    Raises:
        NotFoundError: there is none.
    """
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)

        async def rows(kind: Any, order: Any) -> Sequence[Any]:
            query = select(kind).where(kind.task_id == task.id).order_by(order)
            return (await session.execute(query)).scalars().all()

        documents = await rows(Document, col(Document.number))
        files = await rows(File, col(File.created_at))
        activity = await rows(Activity, col(Activity.number))
    return {
        **facts_of(task),
        "documents": [
            {
                "number": document.number,
                "type": document.document_type,
                "page_numbers": document.page_numbers,
                "fields": document.fields,
            }
            for document in documents
        ],
        "files": [
            {"id": f.id, "name": f.name, "type": f.type, "role": f.role, "size": f.size_bytes}
            for f in files
        ],
        "events": [
            {"type": a.type, "at": a.at, "actor": a.actor, "surface": a.surface, "reason": a.reason}
            for a in activity
        ],
    }


def view_of(whole: dict[str, Any]) -> Group:
    """The same for people."""
    parts: list[Any] = [
        f"[bold]{whole['id']}[/bold]  {cell(whole['name'])}",
        f"state    [bold]{whole['state']}[/bold]  {cell(whole['review_reason'])}",
        f"step     {cell(whole['step'])}",
        f"claimed  {cell(whole['claimed_by']) or 'by nobody'}",
    ]
    if error := whole["result"].get("error"):
        code = whole["result"].get("details", {}).get("code", "")
        parts.append(f"[red]error    {cell(error)}  ({cell(code)})[/red]")
    for document in whole["documents"]:
        parts += ["", f"document {document['number']}: {cell(document['type'])}"]
        parts.append(fields_table(document["fields"]))
    if whole["files"]:
        parts += ["", table(("file", "type", "size"), _files(whole["files"]))]
    parts += ["", table(("event", "when", "by", "reason"), _events(whole["events"]))]
    return Group(*parts)


def fields_table(fields: dict[str, dict[str, Any]]) -> Any:
    """The fields of a document, for people."""
    return table(
        ("field", "value", "confidence", ""),
        (
            (name, _short(f.get("value")), _percent(f.get("confidence")), _note(f))
            for name, f in fields.items()
        ),
    )


def _note(field: dict[str, Any]) -> str:
    if not field.get("valid", True):
        return field.get("message", "")
    return "to be confirmed" if field.get("needs_confirmation") else ""


def _files(files: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(f"{file['id']}  {file['name']}", file["type"], file["size"]) for file in files]


def _events(events: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(e["type"], e["at"], f"{e['actor']} ({e['surface']})", e["reason"]) for e in events]


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} rows"  # pyright: ignore[reportUnknownArgumentType]  # of JSON
    return "" if value is None else str(value)


def _percent(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.0%}"
