"""A task as its page shows it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from api.review_pages.history import HistoryRow, read_history
from api.review_pages.sessions import Visitor
from api.review_pages.words import (
    STEPS,
    Mark,
    confidence_words,
    fault,
    field_mark,
    sentence,
    spoken,
    state_mark,
)
from flows import verbs
from flows.form import page_ranges, written_arrangement
from flows.verbs import field_key
from operations.tools.rows import CELL_MARK
from operations.validate_fields import how_to_type
from store.access import visible
from store.blocks import BlockPart
from store.database import database
from store.fields import FieldType, FieldValue
from store.finding import documents_of, field_values, find_task, project_file_of
from store.lifecycle import FINAL, LIFECYCLE, WAITING
from store.models import Document, File, Page, Project, Task
from store.project_fields import FieldPart
from store.project_file import ProjectFile
from store.project_sorting import UNKNOWN
from store.states import Event, State

LONG_TEXT_CHARACTERS = 60
"""A value longer than this, or of several lines, gets a field of several lines."""


Entered = str | Sequence[Mapping[str, str]]
"""The text of a field; of a table its rows, each column name -> text."""

EMPTY_ROWS = 3
"""At the end of a table, for what was not found."""


@dataclass(frozen=True)
class PageView:
    """A page image and the boxes on it."""

    number: int
    width: int
    height: int
    address: str
    boxes: Sequence["BoxView"]


@dataclass(frozen=True)
class BoxView:
    """Where a field stands on a page, in pixels of the page image."""

    field_id: str
    tone: str
    label: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class FieldView:
    """A field as the form shows it."""

    id: str
    """Of its input, in the page."""
    input_name: str
    name: str
    label: str
    text: str
    mark: Mark
    message: str
    confidence: str
    page_number: int | None
    box: tuple[float, float, float, float] | None
    is_long: bool
    is_required: bool
    is_read_only: bool = False
    link: str = ""
    """Address of what it names."""
    options: Sequence[tuple[str, str]] = ()
    """Of what is chosen: what is sent, and what people read."""
    hint: str = ""
    """How it is typed, where that needs a word."""
    table: "TableView | None" = None

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody must look at it."""
        return self.mark.tone in {"invalid", "confirm"}


@dataclass(frozen=True)
class CellView:
    """A cell of a table as the form shows it."""

    id: str
    input_name: str
    label: str
    text: str
    message: str
    """Why it is not valid; empty when it is."""
    is_number: bool
    page_number: int | None
    box: tuple[float, float, float, float] | None

    @property
    def mark(self) -> Mark:
        """Whether a person must look at it."""
        return Mark("Invalid", "invalid") if self.message else Mark("Sure", "sure")


@dataclass(frozen=True)
class TableView:
    """The cells of a table, with empty rows for what is missing; a row left empty is no row."""

    titles: Sequence[str]
    rows: Sequence[Sequence[CellView]]


@dataclass(frozen=True)
class DocumentView:
    """A document and its fields, or data and its blocks, in the order of the project file."""

    number: int
    """1-based; 0 for data without a document."""
    title: str
    fields: Sequence[FieldView]
    pages: str = ""
    """Its pages, where the task has several documents: `1-3, 5`."""
    first_page: int = 0
    group_number: int | None = None


@dataclass(frozen=True)
class Typed:
    """What a person sent that was not taken: it is shown again, with the reasons."""

    values: Mapping[int, Mapping[str, Entered]] = field(
        default_factory=dict[int, dict[str, Entered]]
    )
    """document number -> field name -> what was entered; 0 -> block name -> what was entered."""
    arrangement: str | None = None
    """The documents, as they were written down."""
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """field or block name, of several documents with its number (`2.total`) -> why it was not
    taken."""


@dataclass(frozen=True)
class TaskView:
    """All that the page of a task shows."""

    task: Task
    name: str
    mark: Mark
    project: str
    documents: Sequence[DocumentView]
    arrangement: str
    """The documents, one a line, to be changed; empty where there are none to arrange."""
    arrangement_now: str
    """The same, as they are stored."""
    arrangement_reasons: Sequence[str]
    """Why it was not taken."""
    document_types: Sequence[str]
    """What a document can be."""
    pages: Sequence[PageView]
    history: Sequence[HistoryRow]
    input_file: File | None
    output_files: Sequence[File]
    holder: str
    """Who holds it; empty when nobody does."""
    is_mine: bool
    can_edit: bool
    """It waits for a person, and nobody else holds it."""
    may_edit: bool
    """The caller's key allows changes."""
    is_refused: bool
    """What was sent was not valid."""
    lost: Sequence[tuple[str, str]]
    """What was typed and can be taken no more: label and text, to be read and copied."""

    @property
    def is_live(self) -> bool:
        """Whether it moves on by itself, so that the page must follow it."""
        return self.task.state not in FINAL and self.task.state is not State.IN_REVIEW

    @property
    def poll_seconds(self) -> int:
        """How often the page asks: a client's export may take days, a worker seconds."""
        return 15 if self.task.state in WAITING else 2

    @property
    def is_in_review(self) -> bool:
        """Whether it waits for a person."""
        return self.task.state is State.IN_REVIEW

    @property
    def is_sorting(self) -> bool:
        """Whether a person is to say which documents there are, before there are values."""
        return self.is_in_review and self.task.review_step == "sort"

    @property
    def reason(self) -> str:
        """Why a person must look."""
        return sentence(self.task.review_reason) if self.is_in_review else ""

    @property
    def due_at(self) -> datetime | None:
        """When the time for it is over."""
        return self.task.review_due_at or (
            None if self.task.state in FINAL else self.task.deadline_at
        )

    @property
    def doing(self) -> str:
        """What is being done now; empty before anything is."""
        return STEPS.get(self.task.step, spoken(self.task.step))

    @property
    def fingerprint(self) -> str:
        """Changes with everything the live status shows."""
        task = self.task
        return f"{task.version}.{task.step}.{task.progress_current}.{task.progress_total}"

    @property
    def result_text(self) -> str:
        """What an operation answered, where it answered text."""
        content = self.task.result.get("content", "")
        return content if isinstance(content, str) else json.dumps(content, indent=2)

    @property
    def error(self) -> str:
        """Why it failed."""
        return str(self.task.result.get("error", ""))

    @property
    def error_details(self) -> Mapping[str, str]:
        """The facts that go with the error."""
        details = self.task.result.get("details") or {}
        return {
            spoken(name): value if isinstance(value, str) else json.dumps(value)
            for name, value in details.items()
        }

    @property
    def doubtful(self) -> Sequence[FieldView]:
        """The fields that somebody must look at."""
        return [f for document in self.documents for f in document.fields if f.needs_a_person]

    @property
    def invalid(self) -> Sequence[FieldView]:
        """The fields that are not valid."""
        return [shown for shown in self.doubtful if shown.mark.tone == "invalid"]

    @property
    def doubts(self) -> str:
        """How many fields somebody must look at, in words."""
        tones = [f.mark.tone for f in self.doubtful]
        counts = {
            "not valid": tones.count("invalid"),
            "to be confirmed": tones.count("confirm"),
        }
        parts = [
            f"{number} {'field is' if number == 1 else 'fields are'} {what}"
            for what, number in counts.items()
            if number
        ]
        return f"{', '.join(parts)}." if parts else ""

    @property
    def doubts_tone(self) -> str:
        """The worst of them."""
        return "invalid" if self.invalid else "confirm"

    def can(self, event: str) -> bool:
        """Whether this can happen to it now, and the caller may let it happen."""
        return self.may_edit and (self.task.state, Event(event)) in LIFECYCLE

    @property
    def can_unlock(self) -> bool:
        """Whether it can be opened again; only what has fields can be corrected."""
        return self.can("unlock") and self.task.operation == verbs.PROCESS


async def view_task(visitor: Visitor, public_id: str, typed: Typed | None = None) -> TaskView:
    """Read a task and all that belongs to it, at one moment.

    Args:
        visitor: who looks.
        public_id: `task_<code>`.
        typed: shown in place of the values that are stored.

    Raises:
        NotFoundError: there is none, or the visitor may not see it.
    """
    caller = visitor.caller
    caller.require("task.read")
    may_edit = bool({"task.edit", "admin"} & caller.scopes)
    async with database().reading() as session:
        task = await find_task(session, caller, public_id)
        holder = verbs.holder(task) or ""
        can_edit = may_edit and task.state is State.IN_REVIEW and holder in {"", caller.actor.name}
        has_project = task.project_version_id is not None
        project = await project_file_of(session, task) if has_project else None
        found = await documents_of(session, task)
        typed = typed or Typed()
        shown = typed if can_edit else Typed()
        documents = [_document_view(document, found, project, shown) for document in found]
        if project is not None and project.blocks:
            documents = [_data_view(project, task, shown)]
        # Of a task whose export failed the documents are decided.
        stored = "" if task.review_step == "export" else written_arrangement(found)
        files = await _files(session, visitor, task)
        return TaskView(
            task=task,
            name=task.name or spoken(task.operation),
            mark=state_mark(task.state),
            project=await _project_name(session, visitor, task),
            documents=documents,
            arrangement=stored if shown.arrangement is None else shown.arrangement,
            arrangement_now=stored,
            arrangement_reasons=_reasons_of_arrangement(shown),
            document_types=_possible_types(project),
            pages=await _pages(session, task, documents),
            history=await read_history(session, visitor, task),
            input_file=next((f for f in files if f.id == task.input_file_id), None),
            output_files=[f for f in files if f.id != task.input_file_id],
            holder=holder,
            is_mine=bool(holder) and holder == caller.actor.name,
            can_edit=can_edit,
            may_edit=may_edit,
            is_refused=bool(shown.reasons),
            lost=[] if can_edit else _lost(documents, typed),
        )


def _lost(documents: Sequence[DocumentView], typed: Typed) -> Sequence[tuple[str, str]]:
    return [
        (shown.label, text)
        for document in documents
        for shown in document.fields
        if (entered := typed.values.get(document.number, {}).get(shown.name)) is not None
        and (text := _as_text(entered)) != shown.text
    ]


def _as_text(entered: Entered) -> str:
    """What was entered, as it is read and copied."""
    if isinstance(entered, str):
        return entered
    return "\n".join(f" {CELL_MARK} ".join(row.values()) for row in entered if any(row.values()))


async def _project_name(session: AsyncSession, visitor: Visitor, task: Task) -> str:
    query = visible(Project, visitor.caller).where(col(Project.id) == task.project_id)
    project = (await session.execute(query)).scalar_one_or_none()
    return project.name if project else ""


async def _files(session: AsyncSession, visitor: Visitor, task: Task) -> Sequence[File]:
    query = visible(File, visitor.caller).where(
        or_(col(File.task_id) == task.id, col(File.id) == task.input_file_id)
    )
    query = query.order_by(col(File.created_at), col(File.id))
    return (await session.execute(query)).scalars().all()


async def _pages(
    session: AsyncSession, task: Task, documents: Sequence[DocumentView]
) -> Sequence[PageView]:
    query = select(Page).where(col(Page.task_id) == task.id).order_by(col(Page.number))
    fields = [f for document in documents for f in document.fields]
    cells = [cell for f in fields if f.table for row in f.table.rows for cell in row]
    shown = [*(f for f in fields if not f.table), *cells]
    return [
        PageView(
            number=page.number,
            width=page.width_pixels,
            height=page.height_pixels,
            address=f"/review/{task.public_id}/pages/{page.number}.png",
            boxes=[_box_view(f, f.box) for f in shown if f.box and f.page_number == page.number],
        )
        for page in (await session.execute(query)).scalars()
    ]


def _box_view(shown: FieldView | CellView, box: tuple[float, float, float, float]) -> BoxView:
    left, top, right, bottom = box
    # A frame that touches the letters hides them: it stands off by a sixth of their height.
    margin = (bottom - top) / 6
    return BoxView(
        field_id=shown.id,
        tone=shown.mark.tone,
        label=shown.label,
        left=round(left - margin, 1),
        top=round(top - margin, 1),
        width=round(right - left + 2 * margin, 1),
        height=round(bottom - top + 2 * margin, 1),
    )


def _reasons_of_arrangement(typed: Typed) -> Sequence[str]:
    if typed.arrangement is None:
        return []
    return [
        f"Document {key.removeprefix('documents.')} {reason}." if "." in key else reason
        for key, reason in typed.reasons.items()
    ]


def _possible_types(project: ProjectFile | None) -> Sequence[str]:
    if project is None or project.blocks:
        return []
    return [one.name for one in project.types] + ([UNKNOWN] if project.sorts else [])


def _document_view(
    document: Document, all_: Sequence[Document], project: ProjectFile | None, typed: Typed
) -> DocumentView:
    values = field_values(document)
    kind = project.type_named(document.document_type) if project else None
    parts = {part.name: part for part in kind.fields} if kind else {}
    # The database may give the fields in any order (PostgreSQL's JSONB does): the project's
    # is the one people chose. What the project does not know (any more) comes last.
    names = [name for name in parts if name in values]
    names += sorted(set(values) - set(names))
    entered = typed.values.get(document.number, {})
    reasons = {
        name: typed.reasons[key]
        for name in names
        if (key := field_key(all_, document.number, name)) in typed.reasons
    }
    return DocumentView(
        number=document.number,
        title=kind.title or spoken(document.document_type) if kind else "Document",
        fields=[
            _field_view(document.number, values[name], parts.get(name), entered, reasons)
            for name in names
        ],
        pages=page_ranges(document.page_numbers) if len(all_) > 1 else "",
        first_page=min(document.page_numbers, default=0),
        group_number=document.group_number,
    )


def _data_view(project: ProjectFile, task: Task, typed: Typed) -> DocumentView:
    data = task.task_data or {}
    entered = typed.values.get(_DATA, {})
    return DocumentView(
        number=_DATA,
        title=project.title or spoken(project.name),
        fields=[
            _block_view(block, data.get(block.name), entered, typed) for block in project.blocks
        ],
    )


def _choices(block: BlockPart, text: str) -> Sequence[tuple[str, str]]:
    """What can be chosen; what stands there and is none of it can be kept, and is told as wrong."""
    if not block.choices:
        return ()
    known = {value for value, _ in block.choices}
    others = [(text, text)] if text and text not in known else []
    return [("", ""), *block.choices, *others]


_DATA = 0
"""The number of the document that is none, but the data of a task."""

BLOCK_PREFIX = "block."
"""Before the name of a block, in the name of its input."""


def _block_view(
    block: BlockPart, value: object, entered: Mapping[str, Entered], typed: Typed
) -> FieldView:
    stored = block.to_text(value)
    text = _as_text(entered.get(block.name, stored))
    fault = block.fault(value) if value is not None else ""
    reason = typed.reasons.get(block.name) or (f"must be {fault}" if fault else "")
    if reason:
        mark = Mark("Invalid", "invalid")
    elif text != stored:
        mark = Mark("Changed, not saved", "quiet")
    elif block.read_only:
        mark = Mark("To be read", "quiet")
    else:
        mark = Mark("Filled in", "sure") if stored else Mark("Empty", "quiet")
    index = re.sub(r"[^A-Za-z0-9_-]", "-", block.name)
    return FieldView(
        id=f"field-0-{index}",
        input_name=f"{BLOCK_PREFIX}{block.name}",
        name=block.name,
        label=block.title,
        text=text,
        mark=mark,
        message=f"{block.title} {reason}." if reason else "",
        confidence="",
        page_number=None,
        box=None,
        is_long=len(text) > LONG_TEXT_CHARACTERS or "\n" in text or not block.is_plain,
        is_required=block.required and not block.read_only,
        options=_choices(block, text),
        hint=block.hint,
        is_read_only=block.read_only,
        link=stored if stored.startswith(("http://", "https://")) and "\n" not in stored else "",
    )


def _field_view(
    document_number: int,
    value: FieldValue,
    part: FieldPart | None,
    entered: Mapping[str, Entered],
    reasons: Mapping[str, str],
) -> FieldView:
    stored = value.shown
    sent = entered.get(value.name, stored)
    text = _as_text(sent)
    label = value.label or spoken(value.name)
    mark, message = field_mark(value), value.message
    if value.name in reasons:
        mark, message = Mark("Invalid", "invalid"), reasons[value.name]
    elif text != stored or (reasons and not value.valid):
        mark, message = Mark("Changed, not saved", "quiet"), ""
    return FieldView(
        id=f"field-{document_number}-{value.name}",
        input_name=input_name(document_number, value.name),
        name=value.name,
        label=label,
        text=text,
        mark=mark,
        message=fault(label, message),
        confidence=confidence_words(value, part),
        page_number=value.page_number,
        box=value.box,
        is_long=len(text) > LONG_TEXT_CHARACTERS or "\n" in text,
        is_required=part is not None and part.required,
        options=_options(part, text) if part else (),
        hint=how_to_type(part) if part and part.type is FieldType.LIST else "",
        table=_table_view(document_number, part, value, sent)
        if part and part.type is FieldType.TABLE
        else None,
    )


def _options(part: FieldPart, text: str) -> Sequence[tuple[str, str]]:
    """What can be chosen; what stands there and is none of it can be kept, and is told as wrong."""
    if part.type is FieldType.BOOLEAN:
        values = ["yes", "no"]
    elif part.type is FieldType.CHOICE:
        values = [option.value for option in part.options]
    else:
        return ()
    others = [text] if text and text not in values else []
    return [("", ""), *((value, value) for value in [*values, *others])]


_NUMBERS = frozenset({FieldType.NUMBER, FieldType.MONEY})


def _table_view(
    document_number: int, part: FieldPart, value: FieldValue, sent: Entered
) -> TableView:
    if isinstance(sent, str):
        texts = [{name: cell.shown for name, cell in row.items()} for row in value.rows]
        messages = [
            {name: cell.message for name, cell in row.items() if not cell.valid}
            for row in value.rows
        ]
    else:
        texts, messages = [dict(row) for row in sent if any(row.values())], []
    rows: list[list[CellView]] = []
    for index in range(len(texts) + EMPTY_ROWS):
        cells = texts[index] if index < len(texts) else {}
        faults = messages[index] if index < len(messages) else {}
        found = value.rows[index] if index < len(value.rows) else {}
        rows.append(
            [
                CellView(
                    id=f"field-{document_number}-{part.name}-{index}-{column.name}",
                    input_name=f"{input_name(document_number, part.name)}.{index}.{column.name}",
                    label=f"{column.title}, row {index + 1}",
                    text=cells.get(column.name, ""),
                    message=faults.get(column.name, ""),
                    is_number=column.type in _NUMBERS,
                    page_number=found[column.name].page_number if column.name in found else None,
                    box=found[column.name].box if column.name in found else None,
                )
                for column in part.columns
            ]
        )
    return TableView([column.title for column in part.columns], rows)


def input_name(document_number: int, name: str) -> str:
    """The name of the input of a field; `decisions.py` reads it back.

    Behind the name of a table stand the index of a row and the name of a column.
    """
    return f"field.{document_number}.{name}"
