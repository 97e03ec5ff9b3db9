"""What Human Lambdas calls the blocks of a queue, their values, and a task (wire/human-lambdas.md).

Here and not with the surface, since its webhooks are sent where there is no server. The shapes of
values are those of its public code (https://github.com/Human-Lambdas/human-lambdas,
`data_handler/data_transformation.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flows.verbs import field_key
from store.blocks import BlockPart, ListBlock, TextBlock
from store.fields import ROWS
from store.finding import field_values
from store.models import Document, Project, ProjectVersion, Task
from store.project_file import ProjectFile, parse_project_file


@dataclass(frozen=True)
class Queue:
    """A project as Human Lambdas has it."""

    project: Project
    file: ProjectFile
    """In force."""

    @classmethod
    def of(cls, project: Project, version: ProjectVersion) -> "Queue":
        """The queue of a project."""
        return cls(project, parse_project_file(version.source))

    @property
    def title(self) -> str:
        """What people read."""
        return self.file.title or self.project.name


_MARKS: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "named_entity_recognition": ("entities", "entities", {"label": "category"}),
    "bounding_boxes": (
        *("boxes", "objects"),
        {"left": "x", "top": "y", "width": "w", "height": "h", "label": "category"},
    ),
}
"""Of blocks that mark things: where the marks are here and there, and members that are called
otherwise there."""


def outward(block: BlockPart, value: Any) -> Any:
    """A value of ours as Human Lambdas has it."""
    kind = _type_of(block)
    if kind == "form_sequence" and isinstance(value, list) and len(value) == 1:  # pyright: ignore[reportUnknownArgumentType]  # of JSON
        return value[0]  # pyright: ignore[reportUnknownVariableType]  # as above
    if kind in _MARKS and isinstance(value, dict):
        ours, theirs, names = _MARKS[kind]
        return _renamed(value, ours, theirs, names)
    return value


def inward(block: BlockPart, value: Any) -> Any:
    """The same the other way round; what is in neither form stays, and does not fit."""
    kind = _type_of(block)
    if kind == "form_sequence" and isinstance(value, dict):
        return [value]
    if kind == "named_entity_recognition" and isinstance(value, str):
        return {"text": value, "entities": []}
    if kind in _MARKS and isinstance(value, dict):
        ours, theirs, names = _MARKS[kind]
        return _renamed(value, theirs, ours, {there: here for here, there in names.items()})
    if isinstance(block, ListBlock) and block.of == "number" and isinstance(value, list):
        return [_number(one) for one in value]  # pyright: ignore[reportUnknownVariableType]  # of JSON
    return value


def _number(entry: Any) -> Any:
    """What a text says that is sent for a number; itself where it says none."""
    try:
        number = float(entry) if isinstance(entry, str) else entry
    except ValueError:
        return entry
    return number if not isinstance(number, float) or math.isfinite(number) else entry


def _type_of(block: BlockPart) -> str:
    return getattr(block, "type", "")


def _renamed(
    value: dict[str, Any], marks: str, called: str, names: Mapping[str, str]
) -> dict[str, Any]:
    found = value.get(marks)
    if not isinstance(found, list):
        return value
    rest = {name: member for name, member in value.items() if name != marks}
    return {**rest, called: [_mark(one, names) for one in found]}


def _mark(mark: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(mark, dict):
        return mark
    return {names.get(name, name): member for name, member in mark.items()}


def blocks_of(project: ProjectFile) -> Sequence[BlockPart]:
    """The blocks of a project; of one of documents its fields, as if they were blocks."""
    if project.blocks:
        return project.blocks
    fields = {field.name: field for kind in project.types for field in kind.fields}
    return [
        ListBlock(type="list", name=field.name, label=field.title, required=field.required)
        if field.type in ROWS
        else TextBlock(type="text", name=field.name, label=field.title, required=field.required)
        for field in fields.values()
    ]


def data_of(project: ProjectFile, task: Task, documents: Sequence[Document]) -> dict[str, Any]:
    """The data of a task: a value for each block, or for each field of its documents.

    Args:
        project: the file that the task was made with.
        task: any.
        documents: what was found in its input.
    """
    if project.blocks:
        values = task.task_data or {}
        return {block.name: outward(block, values.get(block.name)) for block in project.blocks}
    data: dict[str, Any] = dict.fromkeys(block.name for block in blocks_of(project))
    for document in documents:
        for name, field in field_values(document).items():
            data[field_key(documents, document.number, name)] = field.value
    return data


def task_members(
    task: Task,
    queue: Queue,
    file: ProjectFile,
    documents: Sequence[Document],
    *,
    status: str,
    holder: str | None,
) -> dict[str, Any]:
    """A task as Human Lambdas shows it.

    Args:
        task: any of the queue.
        queue: that one.
        file: the project file that the task was made with, which may be an older one.
        documents: what was found in its input.
        status: Human Lambdas' word for where it is.
        holder: who holds it now.
    """
    return {
        "id": task.number,
        "status": status,
        "completed_at": _time(task.settled_at),
        "created_at": _time(task.created_at),
        "completed_by": task.decided_by if task.settled_at else None,
        "queue": queue.title,
        "queue_id": queue.project.number,
        "data": data_of(file, task, documents),
        "source": None if task.erased_at else task.source or "api",
        "assigned_to": holder,
        "correct": task.is_correct,
        "state": task.state.value,
    }


def _time(at: datetime | None) -> str | None:
    """ISO 8601 with Z."""
    return at.isoformat().replace("+00:00", "Z") if at else None
