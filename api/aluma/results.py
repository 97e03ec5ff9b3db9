"""Validation Results: what a client found right, in the terms of our verbs."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from api.bodies import JsonObject, Text
from flows import verbs
from store.access import Caller
from store.database import database
from store.errors import FieldsInvalidError
from store.finding import documents_of
from store.ids import short_of
from store.models import Document, Task


class _Body(BaseModel):
    """A name that is not known is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class DocumentResults(_Body):
    """A document, as it is right."""

    id: Text
    """As the specification has it."""
    document_type: Text | None = None
    """The one it has when omitted."""
    fields: JsonObject = {}
    """Values by the names of the fields; those that are left out stay as they are."""


class ValidationResults(_Body):
    """The documents of a task, as they are right; those that are left out stay as they are."""

    documents: Annotated[list[DocumentResults], Field(max_length=2000)] = []


async def take_results(caller: Caller, task: Task, results: ValidationResults) -> Task:
    """Decide as the client says, who holds the task.

    Raises:
        FieldsInvalidError: a document is none of the task, or a value is not valid.
        ConflictError: the task is in a state in which it cannot be decided.
    """
    if task.task_data is not None:
        values = {name: v for one in results.documents for name, v in one.fields.items()}
        return await verbs.complete(caller, task.public_id, values, must_hold=True)
    async with database().reading() as session:
        documents = await documents_of(session, task)
    given = _by_number(documents, results)
    types = {
        one.number: (given[one.number].document_type if one.number in given else None)
        or one.document_type
        for one in documents
    }
    same = {one.number for one in documents if types[one.number] == one.document_type}
    values_of = {n: one.fields for n, one in given.items() if n in same and one.fields}
    if len(same) == len(documents):
        return await verbs.complete(caller, task.public_id, documents=values_of, must_hold=True)
    if values_of:
        await verbs.save(caller, task.public_id, documents=values_of, must_hold=True)
    arranged = [verbs.Arranged(one.page_numbers, types[one.number]) for one in documents]
    return await verbs.arrange(caller, task.public_id, arranged)


def _by_number(
    documents: Sequence[Document], results: ValidationResults
) -> dict[int, DocumentResults]:
    """What is said of each document, by its number."""
    known = {short_of(one.id): one for one in documents}
    faults: dict[str, str] = {}
    found: dict[int, DocumentResults] = {}
    for index, one in enumerate(results.documents, 1):
        document = known.get(one.id)
        if document is None:
            faults[f"documents.{index}.id"] = "is no document of the task"
        elif document.number in found:
            faults[f"documents.{index}.id"] = "is there twice"
        elif one.fields and not document.is_extracted:
            faults[f"documents.{index}.fields"] = "are looked for once the type is decided"
        else:
            found[document.number] = one
    if faults:
        raise FieldsInvalidError(fields=faults)
    return found
