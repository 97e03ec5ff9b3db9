"""A task as its page shows it."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from api.review_pages.block_view import block_view
from api.review_pages.field_view import CellView, Change, FieldView, as_text, field_view
from api.review_pages.history import Comment, HistoryRow, read_history
from api.review_pages.live import last_number
from api.review_pages.page_images import detail_address, image_address, words_address
from api.review_pages.sent_form import DATA, Typed
from api.review_pages.sessions import Visitor
from api.review_pages.words import STEPS, Mark, actor_words, sentence, spoken, state_mark
from flows import verbs
from flows.form import page_ranges, written_arrangement
from flows.verbs import field_key
from store.access import visible, visible_among
from store.database import database
from store.finding import (
    changes_of,
    documents_of,
    field_values,
    find_task,
    pages_of,
    project_file_of,
)
from store.lifecycle import FINAL, LIFECYCLE, WAITING, is_past
from store.models import Document, File, Page, Project, Task, User, ValueChange
from store.project_file import ProjectFile
from store.project_sorting import UNKNOWN
from store.states import Event, State

MOST_PEOPLE = 200
"""How many are proposed of those to whom a task can be handed over."""

Changes = Mapping[tuple[int, str], Sequence[Change]]
"""document number and field name -> what people made of it."""


@dataclass(frozen=True)
class PageView:
    """A page image and the boxes on it."""

    number: int
    width: int
    height: int
    address: str
    """Of its image."""
    detail: str
    """Where it is in more pixels, for who zooms in; empty: nowhere."""
    words: str
    """Where the words on it are."""
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
class DocumentView:
    """A document and its fields, or data and its blocks, in the order of the project file."""

    number: int
    """1-based; 0 for data without a document."""
    title: str
    fields: Sequence[FieldView]
    type: str = ""
    """Its type, as the project file names it."""
    pages: str = ""
    """Its pages, where the task has several documents: `1-3, 5`."""
    first_page: int = 0
    group_number: int | None = None


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
    comments: Sequence[Comment]
    people: Sequence[str]
    """To whom it can be handed over."""
    judged_fields: Sequence[tuple[str, str]]
    """What an audit can find wrong: names and labels; none where there is nothing to judge."""
    last_event: int
    """Number of the last thing that happened to it."""
    next_image: str
    """Address of what the next task shows first, to be fetched ahead; empty: none waits."""
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
    def can_retype(self) -> bool:
        """Whether a document can be said to be of another type, here and not in the arrangement."""
        several = len(self.document_types) > 1
        return several and self.can_edit and not self.is_sorting and bool(self.arrangement_now)

    @property
    def can_judge(self) -> bool:
        """Whether somebody has decided on it, so that the decision can be right or wrong."""
        task = self.task
        return self.may_edit and task.state in FINAL and bool(task.decided_by) and not is_past(task)

    @property
    def can_comment(self) -> bool:
        """Whether there is a task left to write about."""
        return self.may_edit and not is_past(self.task)

    @property
    def verdict(self) -> str:
        """What an audit found, as its form sends it."""
        return {True: "correct", False: "wrong", None: ""}[self.task.is_correct]

    @property
    def can_unlock(self) -> bool:
        """Whether it can be opened again; only what has fields can be corrected."""
        return self.can("unlock") and self.task.operation == verbs.PROCESS


async def view_task(
    visitor: Visitor, public_id: str, typed: Typed | None = None, next_of: str = ""
) -> TaskView:
    """Read a task and all that belongs to it, at one moment.

    Args:
        visitor: who looks.
        public_id: `task_<code>`.
        typed: shown in place of the values that are stored.
        next_of: the project of which the visitor takes one task after another; empty: of all.

    Raises:
        NotFoundError: there is none, or the visitor may not see it.
    """
    caller = visitor.caller
    caller.require("task.read")
    may_edit = caller.may("task.edit")
    async with database().reading() as session:
        task = await find_task(session, caller, public_id)
        holder = verbs.holder(task) or ""
        can_edit = may_edit and task.state is State.IN_REVIEW and holder in {"", caller.actor.name}
        has_project = task.project_version_id is not None
        project = await project_file_of(session, task) if has_project else None
        found = await documents_of(session, task)
        typed = typed or Typed()
        shown = typed if can_edit else Typed()
        changes = _by_field(await changes_of(session, task))
        documents = [_document_view(one, found, project, shown, changes) for one in found]
        if project is not None and project.blocks:
            documents = [_data_view(project, task, shown, changes)]
        # Of a task whose export failed the documents are decided.
        stored = "" if task.review_step == "export" else written_arrangement(found)
        files = await _files(session, visitor, task)
        history, comments = await read_history(session, visitor, task)
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
            history=history,
            comments=comments,
            last_event=await last_number(session, task.id),
            people=await _people(session, visitor) if can_edit else [],
            judged_fields=await _judged_fields(session, task, documents),
            next_image=await _next_image(session, visitor, task, next_of) if can_edit else "",
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
        and (text := as_text(entered)) != shown.text
    ]


async def _project_name(session: AsyncSession, visitor: Visitor, task: Task) -> str:
    query = visible(Project, visitor.caller).where(col(Project.id) == task.project_id)
    project = (await session.execute(query)).scalar_one_or_none()
    return project.name if project else ""


async def _files(session: AsyncSession, visitor: Visitor, task: Task) -> Sequence[File]:
    of_task = [col(File.task_id) == task.id]
    if task.input_file_id is not None:
        of_task.append(col(File.id) == task.input_file_id)
    query = visible_among(File, visitor.caller, or_(*of_task))
    # Sorted here: SQLite would go through all files in that order, in search of these.
    found = (await session.execute(query)).scalars()
    return sorted(found, key=lambda file: (file.created_at, file.id))


async def _people(session: AsyncSession, visitor: Visitor) -> Sequence[str]:
    query = visible(User, visitor.caller).order_by(col(User.email)).limit(MOST_PEOPLE)
    found = (await session.execute(query.with_only_columns(col(User.email)))).scalars()
    return [email for email in found if email != visitor.name]


async def _judged_fields(
    session: AsyncSession, task: Task, documents: Sequence[DocumentView]
) -> Sequence[tuple[str, str]]:
    if task.decided_by is None or task.state not in FINAL:
        return []
    labels = {shown.name: shown.label for one in documents for shown in one.fields}
    names = await verbs.judged_fields(session, task)
    return [(name, labels.get(name, spoken(name))) for name in names]


async def _next_image(session: AsyncSession, visitor: Visitor, task: Task, project: str) -> str:
    following = await verbs.peek_next(session, visitor.caller, project or None, task)
    if following is None:
        return ""
    query = select(Page).where(col(Page.task_id) == following.id).order_by(col(Page.number))
    first = (await session.execute(query.limit(1))).scalar_one_or_none()
    return image_address(following, first) if first else ""


async def _pages(
    session: AsyncSession, task: Task, documents: Sequence[DocumentView]
) -> Sequence[PageView]:
    fields = [f for document in documents for f in document.fields]
    cells = [cell for f in fields if f.table for row in f.table.rows for cell in row]
    shown = [*(f for f in fields if not f.table), *cells]
    return [
        PageView(
            number=page.number,
            width=page.width_pixels,
            height=page.height_pixels,
            address=image_address(task, page),
            detail=detail_address(task, page),
            words=words_address(task, page),
            boxes=[_box_view(f, f.box) for f in shown if f.box and f.page_number == page.number],
        )
        for page in await pages_of(session, task)
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


def _by_field(changes: Sequence[ValueChange]) -> Changes:
    """What people made of each field, the newest first, and at the end what was found."""
    found: defaultdict[tuple[int, str], list[Change]] = defaultdict(list)
    for one in changes:
        who = actor_words(one.actor, one.surface)
        found[one.document_number, one.name].append(Change(one.at, who, one.before, one.after))
    return found


def _document_view(
    document: Document,
    all_: Sequence[Document],
    project: ProjectFile | None,
    typed: Typed,
    changes: Changes,
) -> DocumentView:
    values = field_values(document)
    kind = project.type_named(document.document_type) if project else None
    parts = {part.name: part for part in kind.fields} if kind else {}
    # The database may give the fields in any order (PostgreSQL's JSONB does): the project's
    # is the one people chose. What the project does not know (any more) comes last.
    names = [name for name in parts if name in values]
    names += sorted(set(values) - set(names))
    entered = typed.values.get(document.number, {})
    picked = {rest: place for (of, rest), place in typed.places.items() if of == document.number}
    reasons = {
        name: typed.reasons[key]
        for name in names
        if (key := field_key(all_, document.number, name)) in typed.reasons
    }
    return DocumentView(
        number=document.number,
        title=kind.title or spoken(document.document_type) if kind else "Document",
        fields=[
            field_view(
                document.number,
                values[name],
                parts.get(name),
                entered,
                reasons,
                changes.get((document.number, name), []),
                picked,
            )
            for name in names
        ],
        type=typed.types.get(document.number, document.document_type),
        pages=page_ranges(document.page_numbers) if len(all_) > 1 else "",
        first_page=min(document.page_numbers, default=0),
        group_number=document.group_number,
    )


def _data_view(project: ProjectFile, task: Task, typed: Typed, changes: Changes) -> DocumentView:
    data = task.task_data or {}
    entered = typed.values.get(DATA, {})
    return DocumentView(
        number=DATA,
        title=project.title or spoken(project.name),
        fields=[
            block_view(
                block,
                index,
                data.get(block.name),
                entered=entered.get(block.name),
                reason=typed.reasons.get(block.name, ""),
                changes=changes.get((DATA, block.name), []),
                address=f"/review/{task.public_id}",
            )
            for index, block in enumerate(project.blocks)
        ],
    )
