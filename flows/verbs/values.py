"""Values that a person types."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from flows.verbs.claims import find_task_to_review
from operations.validate_fields import Picked, check, typed
from store.access import Caller
from store.database import database
from store.errors import (
    FieldsInvalidError,
    NotFoundError,
)
from store.finding import (
    documents_of,
    field_values,
    pages_of,
    project_file_of,
)
from store.lifecycle import amend
from store.models import Document, Task, ValueChange
from store.project_file import ProjectFile


async def save(
    caller: Caller,
    public_id: str,
    values: Mapping[str, Any] | None = None,
    document_number: int = 1,
    *,
    documents: Mapping[int, Mapping[str, Any]] | None = None,
    must_hold: bool = False,
) -> Task:
    """Keep values that a person typed, valid or not, without deciding.

    Args:
        caller: who typed them.
        public_id: of the task.
        values: of the fields of one document, or of the blocks of a task of data.
        document_number: which document, 1-based.
        documents: values of further documents, by their numbers.
        must_hold: refuse while nobody holds the task, too.

    Raises:
        IllegalTransitionError: the task does not wait for a person.
        AlreadyClaimedError: another holds it.
        NotClaimedError: nobody holds it, and the caller must.
        FieldsInvalidError: a name is no field of the document, or no block that may be changed.
        NotFoundError: there is no document of that number.
    """
    async with database().writing() as session:
        task = await find_task_to_review(session, caller, public_id, must_hold=must_hold)
        project = await project_file_of(session, task)
        told: list[str] = []
        data = task.task_data
        if project.blocks:
            data = fill_in(session, caller, task, project, values or {})
            told = sorted(values or {})
        else:
            for number, typed_in in by_document(values, document_number, documents).items():
                changed = await write_values(session, caller, task, project, typed_in, number)
                told += sorted(changed)
        return await amend(
            session, task, "task.saved", caller.actor, data={"fields": told}, task_data=data
        )


def by_document(
    values: Mapping[str, Any] | None,
    document_number: int,
    documents: Mapping[int, Mapping[str, Any]] | None,
) -> Mapping[int, Mapping[str, Any]]:
    """Values by the numbers of their documents, those of the one document among them."""
    together = {number: dict(some) for number, some in (documents or {}).items()}
    if values:
        together.setdefault(document_number, {}).update(values)
    return dict(sorted(together.items()))


def field_key(documents: Sequence[Document], number: int, name: str) -> str:
    """A field among those of all documents of a task: `total`, or `2.total` of several."""
    return name if len(documents) == 1 else f"{number}.{name}"


def by_field_key(
    documents: Sequence[Document], values: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    """Values by the numbers of their documents and the names of their fields; see `field_key`.

    Args:
        documents: all of a task.
        values: by what `field_key` makes of them.

    Raises:
        FieldsInvalidError: a key names no document.
    """
    if len(documents) == 1:
        return {documents[0].number: dict(values)}
    found: dict[int, dict[str, Any]] = {one.number: {} for one in documents}
    numbers = {str(number): number for number in found}
    unknown: list[str] = []
    for key, value in values.items():
        number, dot, name = key.partition(".")
        if dot and number in numbers:
            found[numbers[number]][name] = value
        else:
            unknown.append(key)
    if unknown:
        reason = "The task has several documents: put the number of one and a dot before the name."
        raise FieldsInvalidError(fields=dict.fromkeys(unknown, reason))
    return {number: some for number, some in found.items() if some}


def fill_in(
    session: AsyncSession,
    caller: Caller,
    task: Task,
    project: ProjectFile,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """The data of a task with what a person filled in, whose changes are remembered.

    Raises:
        FieldsInvalidError: a name is no block, or one of a block that is only read.
    """
    before = task.task_data or {}
    faults: dict[str, str] = {}
    for name, value in values.items():
        block = project.block(name)
        if block is None:
            faults[name] = "is no block of the project"
        elif block.read_only and value != before.get(name):
            faults[name] = "is only to be read"
    if faults:
        raise FieldsInvalidError(fields=faults)
    for block in project.blocks:
        old, new = before.get(block.name), values.get(block.name)
        if block.name in values and new != old:
            texts = block.to_text(old), block.to_text(new)
            session.add(_change_of(caller, task, 0, block.name, *texts))
    return {**before, **values}


async def write_values(
    session: AsyncSession,
    caller: Caller,
    task: Task,
    project: ProjectFile,
    values: Mapping[str, Any],
    document_number: int,
) -> set[str]:
    """Put typed values into a document; answers the names of the fields that changed.

    Raises:
        FieldsInvalidError: a name is no field of it, or a value was picked where no page is.
        NotFoundError: there is no document of that number.
    """
    documents = {document.number: document for document in await documents_of(session, task)}
    document = documents.get(document_number)
    if document is None:
        raise NotFoundError("The task has no document of that number.", document=document_number)
    part = project.type_named(document.document_type)
    unknown = sorted(name for name in values if part.field(name) is None)
    if unknown:
        raise FieldsInvalidError(fields=dict.fromkeys(unknown, "The project has no such field."))
    await _must_be_on_pages(session, task, values)
    before = field_values(document)
    after = dict(before)
    for name, value in values.items():
        if (field := part.field(name)) is not None:
            after[name] = typed(field, value, before.get(name))
    document.fields = {n: v.model_dump(mode="json") for n, v in check(part, after).items()}
    for name in values:
        if (old := before.get(name)) is None or old.shown != after[name].shown:
            texts = old.shown if old else "", after[name].shown
            change = _change_of(caller, task, document_number, name, *texts)
            change.method = old.method if old else ""
            session.add(change)
    return {name for name in after if after[name] != before.get(name)}


def _change_of(
    caller: Caller, task: Task, document_number: int, name: str, before: str, after: str
) -> ValueChange:
    return ValueChange(
        task_id=task.id,
        document_number=document_number,
        name=name,
        before=before,
        after=after,
        actor=caller.actor.name,
        surface=caller.actor.surface,
    )


async def _must_be_on_pages(session: AsyncSession, task: Task, values: Mapping[str, Any]) -> None:
    """Go on only if all that was picked lies on a page of the task."""
    picked = {name: found for name, value in values.items() if (found := list(_picked(value)))}
    if not picked:
        return
    sizes = {
        one.number: (one.width_pixels, one.height_pixels) for one in await pages_of(session, task)
    }
    wrong = [
        name
        for name, found in picked.items()
        if not all(_lies_on(one, sizes.get(one.page_number, (0, 0))) for one in found)
    ]
    if wrong:
        reason = "was taken from a place that is on no page of the task; take it again, or type it"
        raise FieldsInvalidError(fields=dict.fromkeys(wrong, reason))


def _picked(value: Any) -> Iterator[Picked]:
    """What was picked of a value, in the cells of a table too."""
    if isinstance(value, Picked):
        yield value
    elif isinstance(value, list):
        for row in cast("list[Any]", value):
            cells = cast("dict[str, Any]", row).values() if isinstance(row, dict) else ()
            yield from (cell for cell in cells if isinstance(cell, Picked))


def _lies_on(picked: Picked, size: tuple[int, int]) -> bool:
    left, top, right, bottom = picked.box
    return 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
