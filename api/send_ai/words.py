"""The words of Send AI: its objects, made from our rows."""

from collections.abc import Iterator, Sequence
from typing import Final

from api.send_ai.shapes import (
    Annotation,
    Checkbox,
    CreatedUpload,
    Folder,
    Meta,
    Segment,
    StepType,
    TaskPage,
    Upload,
    UploadTask,
)
from api.vocabulary import words_of
from flows.reviewing import SORT, asks_for_pages
from flows.upload_words import name_of, upload_members
from flows.verbs import field_key
from store import models
from store.fields import ROWS, Box, FieldType, FieldValue
from store.finding import field_values
from store.project_file import ProjectFile
from store.project_limits import FILE_TYPES
from store.states import State
from store.uploads import FOLDERS, folder_id_of

_STEPS: Final[tuple[StepType, ...]] = ("SEGMENT", "CLASSIFY", "EXTRACT", "GROUP")
"""In their order."""

_STEP_TYPES: Final[dict[str, StepType]] = {
    "": "SEGMENT",
    "read": "SEGMENT",
    "segment": "SEGMENT",
    "classify": "CLASSIFY",
    "filter": "CLASSIFY",
    "extract": "EXTRACT",
    "group": "GROUP",
    "export": "GROUP",
}
"""Our steps, by the nearest of Send AI's; which a project has is another matter."""


# Uploads


def created(
    upload: models.Upload, tasks: Sequence[models.Task], files: Sequence[models.File]
) -> CreatedUpload:
    """An upload that was just taken in."""
    kinds = {media_type: name for name, media_type in FILE_TYPES.items()}
    found = {kinds.get(file.type, file.type.rpartition("/")[2]) for file in files}
    return CreatedUpload(
        id=upload.public_id,
        name=name_of(upload, tasks),
        project_id=str(upload.project_id),
        status="processing",
        file_type=found.pop() if len(found) == 1 else "mixed",
        file_size=sum(file.size_bytes for file in files),
        created_at=upload.created_at,
        updated_at=upload.updated_at,
    )


def upload_of(upload: models.Upload, tasks: Sequence[models.Task]) -> Upload:
    """An upload."""
    return Upload(**upload_members(upload, tasks))


def default_folders() -> list[Folder]:
    """The folders that every project has."""
    return [
        Folder(id=folder_id_of(code), name=name, is_default=True) for code, name in FOLDERS.items()
    ]


def folder_of(folder: models.Folder) -> Folder:
    """A folder that was made."""
    return Folder(id=folder_id_of(folder.code), name=folder.name, is_default=False)


# Tasks


def task_of(
    task: models.Task,
    upload: models.Upload | None,
    project: ProjectFile,
    documents: Sequence[models.Document],
    pages: Sequence[models.Page],
) -> UploadTask:
    """A task.

    Args:
        task: of a project.
        upload: what its file was sent with.
        project: the file of the project that it was made with.
        documents: what was found in its file.
        pages: of the file.
    """
    status = words_of(task).send_ai
    return UploadTask(
        id=task.public_id,
        name=task.name,
        created_at=task.created_at,
        meta=_meta_of(task, upload),
        status=status,
        step_type=_step_type(task, project, documents),
        upload_id=upload.public_id if upload else None,
        project_id=str(task.project_id),
        approved=status == "COMPLETED",
        exported_at=task.exported_at,
        export_failed_at=task.export_failed_at,
        last_opened_at=task.claimed_at,
        pages=[_page_of(page, documents) for page in pages],
    )


def _meta_of(task: models.Task, upload: models.Upload | None) -> list[Meta]:
    """What is kept with a task: as it was sent with its upload, unless it was changed since.

    A name may have been sent twice, which the metadata of a task has once.
    """
    pairs = [(one["name"], one["value"]) for one in upload.meta] if upload else []
    kept = pairs if dict(pairs) == task.task_metadata else task.task_metadata.items()
    return [Meta(name=name, value=value) for name, value in kept]


def _step_type(
    task: models.Task, project: ProjectFile, documents: Sequence[models.Document]
) -> StepType:
    has: dict[StepType, bool] = {
        "SEGMENT": project.segment is not None,
        "CLASSIFY": project.sorts,
        "EXTRACT": True,
        "GROUP": project.group is not None,
    }
    is_asked = task.state is State.IN_REVIEW or task.step == "review"
    step = task.review_step if is_asked else task.step
    if step == SORT:
        at: StepType = "SEGMENT" if asks_for_pages(project, documents) else "CLASSIFY"
    else:
        at = _STEP_TYPES.get(step, "EXTRACT")
    its: list[StepType] = [one for one in _STEPS if has[one]]
    behind: list[StepType] = [one for one in its if _STEPS.index(one) >= _STEPS.index(at)]
    return behind[0] if behind else its[-1]


def _page_of(page: models.Page, documents: Sequence[models.Document]) -> TaskPage:
    shown = [one for one in documents if page.number in one.page_numbers]
    values = [one for document in shown for one in _values_on(page, document, documents)]
    whole = (0.0, 0.0, float(page.width_pixels), float(page.height_pixels))
    return TaskPage(
        id=f"page_{page.number}",
        width=page.width_pixels,
        height=page.height_pixels,
        annotations=[_annotation(*one) for one in values],
        checkboxes=[
            Checkbox(
                id=f"cb_{key}",
                confidence=value.confidence,
                checked=value.value,
                coordinates=_corners(value.box),
            )
            for key, _, value in values
            if value.type is FieldType.BOOLEAN and value.box and value.value is not None
        ],
        segments=[
            Segment(
                id=f"seg_{document.number}",
                confidence=document.pages_confidence,
                coordinates=_corners(whole),
            )
            for document in shown
        ],
    )


def _values_on(
    page: models.Page, document: models.Document, documents: Sequence[models.Document]
) -> Iterator[tuple[str, str, FieldValue]]:
    """The values of a document on one of its pages: id, entity, value.

    What a person typed has no place; it is shown on the first page of the document.
    """
    first = document.page_numbers[0]
    for name, value in field_values(document).items():
        key = field_key(documents, document.number, name)
        cells = [
            (f"{key}.{row}.{column}", f"{key}.{column}", cell)
            for row, found in enumerate(value.rows, 1)
            for column, cell in found.items()
        ]
        for one in cells if value.type in ROWS and cells else [(key, key, value)]:
            if (one[2].page_number or first) == page.number and one[2].shown:
                yield one


def _annotation(key: str, entity: str, value: FieldValue) -> Annotation:
    return Annotation(
        id=f"ann_{key}",
        entity_id=entity,
        confidence=value.confidence,
        content=value.text or value.shown,
        top=value.box[1] if value.box else None,
        left_of_line=value.box[0] if value.box else None,
    )


def _corners(box: Box) -> list[tuple[float, float]]:
    left, top, right, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
