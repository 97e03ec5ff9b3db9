"""What a person decides about a task that waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.outbox import changing, enqueue
from flows.verbs.claims import find_task_to_review, handled_seconds
from flows.verbs.values import by_document, field_key, fill_in, write_values
from flows.waits import review_key
from operations.validate_fields import check
from store.access import Caller
from store.blocks import faults_of, normal
from store.errors import (
    ConflictError,
    FieldsInvalidError,
    IllegalTransitionError,
)
from store.finding import (
    changes_of,
    documents_of,
    field_values,
    project_file_of,
)
from store.ids import now
from store.lifecycle import advance
from store.models import Document, OutboxKind, Page, Task, ValueChange
from store.project_file import ProjectFile
from store.project_sorting import UNKNOWN
from store.states import Event


async def complete(
    caller: Caller,
    public_id: str,
    values: Mapping[str, Any] | None = None,
    note: str = "",
    document_number: int = 1,
    *,
    documents: Mapping[int, Mapping[str, Any]] | None = None,
    must_hold: bool = False,
) -> Task:
    """Decide that the data is right, of all documents; the task goes on.

    Args:
        caller: who decides.
        public_id: of the task.
        values: last corrections, as `save` takes them.
        note: kept with the task.
        document_number: which document they are of, 1-based.
        documents: last corrections of further documents, by their numbers.
        must_hold: refuse while nobody holds the task, too.

    Raises:
        FieldsInvalidError: it is not; `fields` in the details has each field's reason, and
            the task stays in review, nothing changed.
        IllegalTransitionError: the task does not wait for a person.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
        NotClaimedError: nobody holds it, and the caller must.
        NotFoundError: there is no document of that number.
        ConflictError: it was opened again and is still being read.
    """
    async with changing() as session:
        task = await find_task_to_review(session, caller, public_id, must_hold=must_hold)
        project = await project_file_of(session, task)
        if project.blocks:
            data = fill_in(session, caller, task, project, values or {})
            if faults := faults_of(project.blocks, data, is_final=True):
                raise FieldsInvalidError(fields=faults)
            return await _decide(
                session,
                caller,
                task,
                Event.ANSWER,
                "complete",
                note,
                task_data=normal(data),
                settled_at=now(),
            )
        for number, typed_in in by_document(values, document_number, documents).items():
            await write_values(session, caller, task, project, typed_in, number)
        found = await documents_of(session, task)
        if not found or (task.review_step == "extract" and not all(d.is_extracted for d in found)):
            raise ConflictError("The documents of the task are not read yet. Try again shortly.")
        problems: dict[str, str] = {}
        for document in found:
            document.pages_confidence = document.type_confidence = 1.0
            if not document.is_extracted:
                continue
            # What a person let stand is confirmed: only what is wrong is left to say.
            part = project.type_named(document.document_type)
            checked = check(part, field_values(document))
            problems |= {
                field_key(found, document.number, n): v.message
                for n, v in checked.items()
                if not v.valid
            }
            confirmed = {
                n: v.model_copy(update={"needs_confirmation": False}) for n, v in checked.items()
            }
            document.fields = {n: v.model_dump(mode="json") for n, v in confirmed.items()}
        if problems:
            raise FieldsInvalidError(fields=problems)
        return await _decide(session, caller, task, Event.ANSWER, "complete", note)


@dataclass(frozen=True)
class Arranged:
    """A document as a person says that it is."""

    page_numbers: Sequence[int]
    """1-based."""
    document_type: str


ARRANGE = "arrange"
"""The decision that a file has other documents than were found."""


async def arrange(
    caller: Caller, public_id: str, documents: Sequence[Arranged], note: str = ""
) -> Task:
    """Decide which documents a file has; their fields are then looked for, and checked.

    A document that has the pages and the type of one that was found keeps its values.

    Args:
        caller: who decides.
        public_id: of the task.
        documents: in order; pages that are in none are dropped.
        note: kept with the task.

    Raises:
        FieldsInvalidError: a page is not there, or in two documents, or a type is none of the
            project's; `fields` in the details has the reason for each document.
        IllegalTransitionError: the task does not wait for a person, or has no documents.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
    """
    async with changing() as session:
        task = await find_task_to_review(session, caller, public_id)
        project = await project_file_of(session, task)
        if project.blocks:
            raise IllegalTransitionError("A task of data has no documents.")
        if task.review_step == "export":
            raise IllegalTransitionError(
                "The documents of the task are decided; only its export failed. Complete the task"
                " to try that again, or discard it."
            )
        pages = select(col(Page.number)).where(col(Page.task_id) == task.id)
        numbers = set((await session.execute(pages)).scalars())
        if faults := _faults_of_arrangement(project, documents, numbers):
            raise FieldsInvalidError(fields=faults)
        before = {
            (tuple(old.page_numbers), old.document_type): old
            for old in await documents_of(session, task)
        }
        changes = await changes_of(session, task)
        await session.execute(delete(Document).where(col(Document.task_id) == task.id))
        await session.execute(delete(ValueChange).where(col(ValueChange.task_id) == task.id))
        for number, one in enumerate(documents, 1):
            old = before.get((tuple(one.page_numbers), one.document_type))
            # What became of its values stays with a document that is kept, under its new number.
            session.add_all(
                ValueChange(
                    **change.model_dump(exclude={"id", "document_number"}), document_number=number
                )
                for change in changes
                if old is not None and change.document_number == old.number
            )
            session.add(
                Document(
                    task_id=task.id,
                    number=number,
                    document_type=one.document_type,
                    page_numbers=list(one.page_numbers),
                    is_extracted=old is not None and old.is_extracted,
                    fields=old.fields if old else {},
                )
            )
        return await _decide(session, caller, task, Event.ANSWER, ARRANGE, note)


def _faults_of_arrangement(
    project: ProjectFile, documents: Sequence[Arranged], page_numbers: set[int]
) -> dict[str, str]:
    if not documents:
        return {"documents": "are none; discard the task if nothing in it is wanted"}
    types = {one.name for one in project.types} | ({UNKNOWN} if project.sorts else set())
    taken: set[int] = set()
    faults: dict[str, str] = {}
    for index, one in enumerate(documents, 1):
        if not one.page_numbers or not set(one.page_numbers) <= page_numbers:
            faults[f"documents.{index}"] = "has pages that the file does not have, or none"
        elif len(set(one.page_numbers)) < len(one.page_numbers) or taken & set(one.page_numbers):
            faults[f"documents.{index}"] = "has a page that is in a document already"
        elif one.document_type not in types:
            faults[f"documents.{index}"] = f"must be one of {', '.join(sorted(types))}"
        taken |= set(one.page_numbers)
    return faults


async def discard(caller: Caller, public_id: str, reason: str = "") -> Task:
    """Decide that the document is not wanted; the task ends.

    Raises:
        IllegalTransitionError: the task does not wait for a person.
        AlreadyDecidedError: another decided first.
        AlreadyClaimedError: another holds it.
    """
    async with changing() as session:
        task = await find_task_to_review(session, caller, public_id)
        return await _decide(session, caller, task, Event.DISCARD, "discard", reason)


async def _decide(
    session: AsyncSession,
    caller: Caller,
    task: Task,
    event: Event,
    decision: str,
    note: str,
    **changes: Any,
) -> Task:
    enqueue(session, OutboxKind.RESUME, task, key=review_key(task), decision=decision)
    return await advance(
        session,
        task,
        event,
        caller.actor,
        reason=note,
        data={"round": task.review_round},
        decision={
            "round": task.review_round,
            "decision": decision,
            "actor": caller.actor.name,
            "note": note,
        },
        decided_by=caller.actor.name,
        handling_seconds=handled_seconds(task),
        is_correct=None,
        wrong_fields=None,
        **changes,
    )
