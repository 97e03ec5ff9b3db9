"""The specifications of client actions: what is to be validated, and what to be exported."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.aluma.words import AlumaTask, Shape
from flows import verbs
from store import models
from store.fields import Box, FieldType
from store.finding import field_values
from store.ids import short_of
from store.project_file import DocumentTypePart, ProjectFile
from store.project_sorting import UNKNOWN


class SpecifiedPage(Shape):
    """A page of a document."""

    number: int
    """In the file, 1-based."""
    width: int
    height: int
    """Of its image, in pixels."""
    image_uri: str
    """To be fetched with the same token."""


class Field(Shape):
    """A field of a document."""

    name: str
    label: str
    type: str
    value: Any
    """Null where it was not found."""
    confidence: float
    """0..1."""
    valid: bool
    needs_confirmation: bool
    """Found, but less sure than the project asks for."""
    message: str
    """Why it is not valid; empty when it is."""
    page: int | None
    """The number of its page; null where it was typed or not found."""
    box: Box | None
    """left, top, right, bottom in pixels of the page image, from the top left."""


class SpecifiedDocument(Shape):
    """A document that is to be validated."""

    id: str
    document_type: str
    pages: list[SpecifiedPage]
    fields: list[Field]
    """None while only its type is to be validated."""


class FieldDefinition(Shape):
    """A field that documents of a type have."""

    name: str
    label: str
    type: str
    required: bool
    options: list[str]
    """What a choice is made of."""


class DocumentType(Shape):
    """A type that a document can be of."""

    name: str
    label: str
    fields: list[FieldDefinition]


class ValidationSpecification(Shape):
    """What is to be validated."""

    task: AlumaTask
    documents: list[SpecifiedDocument]
    document_types: list[DocumentType]


class ExportedFile(Shape):
    """A file that a task leaves with."""

    name: str
    media_type: str
    uri: str
    """To be fetched with the same token."""


class ExportedDocument(Shape):
    """The data of a document."""

    document_type: str
    fields: dict[str, Any]
    """Values by the names of the fields."""


class ExportSpecification(Shape):
    """What is to be exported."""

    task: AlumaTask
    files: list[ExportedFile]
    documents: list[ExportedDocument]


def validation_of(
    task: AlumaTask,
    row: models.Task,
    project: ProjectFile,
    documents: Sequence[models.Document],
    pages: Sequence[models.Page],
    address: str,
) -> ValidationSpecification:
    """What is to be validated; `address` is the one of the task, below which its images are."""
    if project.blocks:
        return ValidationSpecification(
            task=task, documents=[_document_of_data(row, project)], document_types=[]
        )
    by_number = {page.number: page for page in pages}
    types = [_type_of(one) for one in project.types]
    if project.sorts:
        types.append(DocumentType(name=UNKNOWN, label="Unknown", fields=[]))
    return ValidationSpecification(
        task=task,
        documents=[
            SpecifiedDocument(
                id=short_of(one.id),
                document_type=one.document_type,
                pages=[_page_of(by_number[number], address) for number in one.page_numbers],
                fields=_fields_of(one) if one.is_extracted else [],
            )
            for one in documents
        ],
        document_types=types,
    )


def _document_of_data(row: models.Task, project: ProjectFile) -> SpecifiedDocument:
    """The data of a task that has no file, which another API made, as one document."""
    data = row.task_data or {}
    fields: list[Field] = []
    for block in project.blocks:
        value = data.get(block.name)
        fault = block.fault(value) if value is not None else ""
        fields.append(
            Field(
                name=block.name,
                label=block.title,
                type=block.type,
                value=value,
                confidence=1.0,
                valid=not fault,
                needs_confirmation=False,
                message=fault,
                page=None,
                box=None,
            )
        )
    return SpecifiedDocument(id=row.short_id, document_type=project.name, pages=[], fields=fields)


def _page_of(row: models.Page, address: str) -> SpecifiedPage:
    return SpecifiedPage(
        number=row.number,
        width=row.width_pixels,
        height=row.height_pixels,
        image_uri=f"{address}/pages/{row.number}/image",
    )


def _fields_of(row: models.Document) -> list[Field]:
    return [
        Field(
            name=one.name,
            label=one.label,
            type=one.type.value,
            value=one.value,
            confidence=one.confidence,
            valid=one.valid,
            needs_confirmation=one.needs_confirmation,
            message=one.message,
            page=one.page_number,
            box=one.box,
        )
        for one in field_values(row).values()
    ]


def _type_of(part: DocumentTypePart) -> DocumentType:
    return DocumentType(
        name=part.name,
        label=part.spoken,
        fields=[
            FieldDefinition(
                name=field.name,
                label=field.title,
                type=field.type.value,
                required=field.required,
                options=[option.value for option in field.options]
                if field.type is FieldType.CHOICE
                else [],
            )
            for field in part.fields
        ],
    )


def export_of(
    task: AlumaTask, offer: verbs.Offer, project: ProjectFile, address: str
) -> ExportSpecification:
    """What is to be exported; `address` is the one of the task, below which its files are."""
    data: Mapping[str, Any] | None = offer.task.task_data
    return ExportSpecification(
        task=task,
        files=[
            ExportedFile(name=one.name, media_type=one.type, uri=f"{address}/files/{one.id}")
            for one in offer.files
        ],
        documents=[ExportedDocument(document_type=project.name, fields=dict(data))]
        if data is not None
        else [
            ExportedDocument(
                document_type=one.document_type,
                fields={name: value.value for name, value in field_values(one).items()},
            )
            for one in offer.documents
        ],
    )
