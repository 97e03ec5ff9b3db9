"""The shapes of Send AI's objects."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.v1.lists import Links
from api.vocabulary import SendAiWord

T = TypeVar("T")

StepType = Literal["SEGMENT", "CLASSIFY", "EXTRACT", "GROUP"]
UploadWord = Literal["PROCESSING", "IN_REVIEW", "COMPLETED", "PARTIAL", "FAILED"]


class _Shape(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Payload(_Shape, Generic[T]):
    """What almost every answer of Send AI comes in."""

    payload: T


class PayloadPage(_Shape, Generic[T]):
    """A page of a list."""

    payload: list[T]
    links: Links


class Meta(_Shape):
    """Something that a caller wants to keep with an upload and its tasks."""

    name: str
    value: Any


class CreatedUpload(_Shape):
    """An upload that was taken in; the one object whose members are not written like_this."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    id: str
    name: str
    project_id: str
    status: Literal["processing"]
    file_type: str
    """`pdf`, `tiff`, `png`, `jpeg` or `webp`, found in the content; `mixed` of several."""
    file_size: int
    """In bytes, of all files together."""
    created_at: datetime
    updated_at: datetime


class Upload(_Shape):
    """Files that were sent together."""

    id: str
    name: str
    status: UploadWord
    """PROCESSING while a task is worked on; else IN_REVIEW while one waits for a person; else
    PARTIAL where some failed, FAILED where all did, COMPLETED where none did."""
    files: dict[str, str]
    """Names of the files, by the ids of the tasks on them."""
    meta: list[Meta]
    folder_id: str
    created_at: datetime


class Folder(_Shape):
    """A place for uploads."""

    id: str
    name: str
    is_default: bool
    """Every project has it; it cannot be deleted."""


class Annotation(_Shape):
    """A value on a page."""

    id: str
    entity_id: str
    """Name of the field; `2.total` where the task has several documents: the number of its
    document before it. A cell of a table has `items.amount`, the column behind it."""
    confidence: float
    """0..1"""
    content: str
    """As it stands on the page, or as a person typed it."""
    top: float | None
    """In pixels of the page from its top; null where a person typed it."""
    left_of_line: float | None
    """In pixels of the page from its left; null where a person typed it."""


class Segment(_Shape):
    """A document that the page belongs to."""

    id: str
    confidence: float
    """0..1: how sure it is that its pages are one document."""
    coordinates: list[tuple[float, float]]
    """Corners, x and y in pixels, from the top left clockwise."""


class Checkbox(_Shape):
    """A yes or no on a page."""

    id: str
    confidence: float
    checked: bool
    coordinates: list[tuple[float, float]]
    """As of a segment."""


class TaskPage(_Shape):
    """A page of the file of a task."""

    id: str
    width: int
    height: int
    """In pixels, in which all places on it are given."""
    annotations: list[Annotation]
    checkboxes: list[Checkbox]
    segments: list[Segment]
    signatures: list[Segment] = Field(default=[], max_length=0)
    """Always empty: nobody looks for signatures."""


class UploadTask(_Shape):
    """One piece of work on one file."""

    id: str
    name: str
    created_at: datetime
    meta: list[Meta]
    status: SendAiWord
    step_type: StepType
    """The step that the task is at, of those that its project has."""
    upload_id: str | None
    """Null for a task that came in by another way than an upload."""
    project_id: str
    approved: bool
    """Whether its data is decided."""
    exported_at: datetime | None
    export_failed_at: datetime | None
    last_opened_at: datetime | None
    """When a person last took it."""
    pages: list[TaskPage]


class StartedTask(Payload[UploadTask]):
    """A task that goes on."""

    message: str


class HalfReportedTask(Payload[UploadTask]):
    """A task whose report is kept, and got no further."""

    message: str
    """What failed."""
    errors: dict[str, list[str]]
    """The same, by what it is that failed."""
