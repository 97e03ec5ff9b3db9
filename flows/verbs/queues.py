"""Queues: projects of data that are made and changed piece by piece, without a project file."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from flows.verbs.projects import install_project
from store.access import Caller
from store.database import database
from store.errors import ConflictError
from store.finding import find_project, projects_of
from store.models import Project, ProjectVersion
from store.project_file import parse_project_file
from store.yaml_source import YamlSource

MAX_TITLE_CHARACTERS: Final = 140
_MOST_ALIKE: Final = 1000
"""Names that differ in their number only."""


async def create_queue(
    caller: Caller, *, title: str, description: str, blocks: Sequence[Mapping[str, Any]]
) -> tuple[Project, ProjectVersion]:
    """Make a project of data.

    Args:
        caller: whose project it is.
        title: what people read; its name is made of it.
        description: what people who decide on its tasks should know.
        blocks: as in a project file.

    Raises:
        ConflictError: there is one of that title.
        ProjectFileError: a block is not valid.
    """
    for number in range(1, _MOST_ALIKE):
        # Again each time: who took the name just now may have taken it for the same title.
        await _must_be_free(caller, title)
        content = {"name": _name_of(title, number), "title": title, "description": description}
        try:
            source = _written({**content, "blocks": blocks})
            return await install_project(caller, source, must_be_new=True)
        except ConflictError:
            continue
    raise ConflictError("There are too many queues of a name like that. Take another.")


async def change_queue(
    caller: Caller,
    name: str,
    *,
    title: str | None = None,
    description: str | None = None,
    blocks: Sequence[Mapping[str, Any]] | None = None,
) -> tuple[Project, ProjectVersion]:
    """Give a project a new version in which what is given is changed, and all else is kept.

    Tasks under way keep the version they were made with.

    Args:
        caller: whose project it is.
        name: of the project.
        title: what people read.
        description: what people who decide on its tasks should know.
        blocks: in the place of those before.

    Raises:
        NotFoundError: there is no such project.
        ConflictError: there is another of that title.
        ProjectFileError: a block is not valid, or the project is one of files.
    """
    async with database().reading() as session:
        project, version = await find_project(session, caller, name)
    given = {"title": title, "description": description, "blocks": blocks}
    changes = {key: value for key, value in given.items() if value is not None}
    if title is not None:
        await _must_be_free(caller, title, but_for=project)
    content = YamlSource(version.source).content
    if {**content, **changes} == content:
        return project, version
    return await install_project(caller, _written({**content, **changes}))


async def _must_be_free(caller: Caller, title: str, *, but_for: Project | None = None) -> None:
    async with database().reading() as session:
        for project, version in await projects_of(session, caller):
            taken = parse_project_file(version.source).title or project.name
            if taken == title and (but_for is None or project.id != but_for.id):
                raise ConflictError("There is a queue of that name. Take another.", name=title)


def _name_of(title: str, number: int) -> str:
    """A name that a project file may have; of a title without a letter of ASCII, `queue`."""
    word = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
    name = word if word[:1].isalpha() else f"queue-{word}".strip("-")
    return f"{name[:40].strip('-')}-{number}" if number > 1 else name[:40].strip("-")


def _written(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False)
