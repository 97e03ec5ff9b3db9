"""What holds for the tasks that came in by one surface, where their project does not say."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from store.project_file import ProjectFile, parse_project_file

ALUMA: Final = "aluma"

_DEFAULTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    # Only PDF and TIFF are processed, each task is queued for export by a client, and nothing is
    # left when it ends (Aluma's page "Create a task").
    ALUMA: {
        "limits": {"file_types": ["pdf", "tiff"]},
        "export": {"pickup": True},
        "retention": {"data": timedelta(0)},
    },
}
"""Surface -> part of the project file -> what holds there."""

_INSTEAD: Final[Mapping[str, str]] = {"pickup": "to"}
"""What a project says in the place of a key: then the default of that key holds no more."""

FAILS_LATER: Final = frozenset({ALUMA})
"""Surfaces whose callers expect that a file which a project does not take is accepted, and that
its task fails."""


@lru_cache(maxsize=256)
def project_file_by(source: str, surface: str) -> ProjectFile:
    """A project file, as it holds for tasks that came in by this surface.

    Args:
        source: of a project file that is valid.
        surface: the way in, as activities name it.
    """
    project = parse_project_file(source)
    changed = {
        name: _completed(getattr(project, name), defaults)
        for name, defaults in _DEFAULTS.get(surface, {}).items()
    }
    if not changed:
        return project
    completed = project.model_copy(update=changed)
    if completed.retention.data == timedelta(0):
        # Prefect keeps names for longer than that; see `ProjectFile`.
        return completed.model_copy(update={"names_outside": False})
    return completed


def _completed(part: BaseModel, defaults: Mapping[str, Any]) -> BaseModel:
    said = part.model_fields_set
    return part.model_copy(
        update={
            key: value
            for key, value in defaults.items()
            if key not in said and _INSTEAD.get(key) not in said
        }
    )
