"""The objects of Innodata's API, made from our rows."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.vocabulary import InnodataWord, Standing, standing_of, words_of
from flows.taxonomies import TAXONOMY_TYPES
from store import models
from store.project_file import ProjectFile, parse_project_file
from store.states import State

INPUT: Final = "input"
OUTPUT: Final = "output"
DATA_POINTS: Final = "data-points"
"""The values as they are now: what a person checks, and gives back."""

_NO_ROLE: Final = re.compile(r"[^a-z0-9]+")


class _Shape(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Owner(_Shape):
    """Whoever made a job or a document."""

    id: UUID | None
    """Of the user, or of the key where no user has it; null: somebody at the server."""
    email: str | None
    name: str


class Document(_Shape):
    """A document that was sent."""

    id: str
    name: str
    type: str
    """Media type: what its sender said, else what its bytes are."""
    size: int
    """Bytes."""
    owner: Owner
    contents_uri: str
    """Where its bytes are."""


class Content(_Shape):
    """Something that belongs to a job."""

    role: str
    """`input`, `output`, `data-points` ..."""
    type: str
    """Media type."""
    uri: str
    """Where it is to be had, with the same key."""


class Progress(_Shape):
    """How far a job is; an estimate."""

    current: int
    total: int


class TeamAtWork(_Shape):
    """A team that works on a job."""

    id: UUID
    name: str
    steps: list[str]


class UserAtWork(_Shape):
    """A user who works on a job."""

    id: UUID
    email: str
    steps: list[str]


class Collaboration(_Shape):
    """Who works on a job beside its owner, and on which steps; `*` is all."""

    teams: list[TeamAtWork]
    users: list[UserAtWork]


class Job(_Shape):
    """Work on a document."""

    id: UUID
    owner: Owner
    type: str
    """Id of its type."""
    status: InnodataWord
    """In Innodata's words; `state` is exact."""
    progress: Progress
    input_content: Content | None
    """Null once it is erased."""
    output_content: Content | None
    """Null until the job is completed."""
    contents: list[Content]
    collaboration: Collaboration
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    error: str | None
    """Why it failed."""
    state: State
    """Where the task is, exactly."""


class Jobs(_Shape):
    """A page of jobs."""

    count: int
    """How many there are on all pages."""
    limit: int
    offset: int
    jobs: list[Job]


class Documents(_Shape):
    """A page of documents."""

    count: int
    limit: int
    offset: int
    documents: list[Document]


class JobType(_Shape):
    """What a job can be."""

    id: str
    title: str
    description: str
    steps: list[str]
    """In their order; collaborators may be named for some of them."""
    metadata: dict[str, Any]
    """What the metadata of a job must have, as JSON Schema."""


_PROGRESS: Final[Mapping[str, int]] = {"read": 1, "extract": 2, "review": 3, "export": 4}
"""How far a job is in each of its steps."""

_LAST: Final = max(_PROGRESS.values())
STEPS: Final = [*_PROGRESS]

_DONE: Final = {Standing.COMPLETED, Standing.FILTERED}


def _progress_of(task: models.Task) -> Progress:
    standing = standing_of(task)
    if standing in _DONE:
        return Progress(current=_LAST, total=_LAST)
    if standing in {Standing.WAITING, Standing.RELEASED, Standing.CLAIMED}:
        return Progress(current=_PROGRESS["review"], total=_LAST)
    return Progress(current=_PROGRESS.get(task.step, 0), total=_LAST)


def role_of(file: models.File, earlier: Sequence[str] = ()) -> str:
    """What a file that a job made is called among its contents.

    Args:
        file: it.
        earlier: the roles of those before it; of two of a kind the second gets a number.
    """
    ending = file.name.rpartition(".")[2] if file.role == "data" else ""
    if ending == "json":
        role = OUTPUT
    else:
        role = _NO_ROLE.sub("-", f"{file.role} {ending}".casefold()).strip("-")
    count = Counter(one.rpartition("_")[0] or one for one in earlier)[role]
    return f"{role}_{count + 1}" if count else role


def content_of(base: str, task: models.Task, role: str, media_type: str) -> Content:
    """A content of a job, by its role."""
    return Content(role=role, type=media_type, uri=f"{base}/jobs/{task.id}/contents/{role}")


def document_of(base: str, file: models.File, owner: Owner) -> Document:
    """A document that was sent."""
    return Document(
        id=file.id,
        name=file.name,
        type=file.properties.get("declared_type") or file.type,
        size=file.size_bytes,
        owner=owner,
        contents_uri=f"{base}/documents/{file.id}/contents",
    )


async def owners_of(
    session: AsyncSession, rows: Sequence[models.Task | models.File]
) -> dict[UUID | None, Owner]:
    """Who made some rows, by `owner_id`."""
    ids = {row.owner_id for row in rows if row.owner_id}
    owners: dict[UUID | None, Owner] = {None: Owner(id=None, email=None, name="")}
    if not ids:
        return owners
    users = select(models.User).where(col(models.User.id).in_(ids))
    for user in (await session.execute(users)).scalars():
        owners[user.id] = Owner(id=user.id, email=user.email, name=user.name or user.email)
    if programs := ids - set(owners):
        keys = select(models.ApiKey).where(col(models.ApiKey.id).in_(programs))
        for key in (await session.execute(keys)).scalars():
            owners[key.id] = Owner(id=key.id, email=None, name=key.name or key.prefix)
    for gone in ids - set(owners):
        owners[gone] = Owner(id=gone, email=None, name="")
    return owners


async def jobs_of(session: AsyncSession, rows: Sequence[models.Task], base: str) -> list[Job]:
    """Jobs, with all that belongs to them.

    Args:
        session: any.
        rows: tasks that the caller sees.
        base: the address of this server.
    """
    ids = [row.id for row in rows]
    owners = await owners_of(session, rows)
    projects = select(col(models.Project.id), col(models.Project.name)).where(
        col(models.Project.id).in_({row.project_id for row in rows})
    )
    types = dict(iter((await session.execute(projects)).tuples()))
    made: defaultdict[UUID | None, list[models.File]] = defaultdict(list)
    inputs: dict[str, models.File] = {}
    given = {row.input_file_id for row in rows if row.input_file_id}
    files = select(models.File).where(
        or_(col(models.File.task_id).in_(ids), col(models.File.id).in_(given))
    )
    ordered = files.order_by(col(models.File.created_at), col(models.File.id))
    for file in (await session.execute(ordered)).scalars():
        if file.task_id in ids:
            made[file.task_id].append(file)
        if file.id in given:  # it may be what another job made
            inputs[file.id] = file
    together = await _collaborations(session, ids)
    return [
        _job(
            base,
            row,
            types.get(row.project_id or row.id, ""),
            owners[row.owner_id],
            inputs.get(row.input_file_id or ""),
            made[row.id],
            together[row.id],
        )
        for row in rows
    ]


def _job(
    base: str,
    task: models.Task,
    type_: str,
    owner: Owner,
    given: models.File | None,
    made: Sequence[models.File],
    collaboration: Collaboration,
) -> Job:
    contents = [content_of(base, task, INPUT, given.type)] if given else []
    kind = TAXONOMY_TYPES.get(type_)
    if kind and kind.taxonomy_in(task.task_metadata) is not None:
        contents.append(content_of(base, task, kind.content_role, "application/json"))
    if has_data_points(task):
        contents.append(content_of(base, task, DATA_POINTS, "application/json"))
    roles: list[str] = []
    for file in made:
        roles.append(role_of(file, roles))
        contents.append(content_of(base, task, roles[-1], file.type))
    by_role = {content.role: content for content in contents}
    is_done = standing_of(task) is Standing.COMPLETED
    return Job(
        id=task.id,
        owner=owner,
        type=type_,
        status=words_of(task).innodata,
        progress=_progress_of(task),
        input_content=by_role.get(INPUT),
        output_content=by_role.get(OUTPUT) if is_done else None,
        contents=contents,
        collaboration=collaboration,
        metadata=task.task_metadata,
        created_at=task.created_at,
        updated_at=task.updated_at,
        error=task.result.get("error"),
        state=task.state,
    )


def has_data_points(task: models.Task) -> bool:
    """Whether there are values of a job to be looked at."""
    return task.review_round > 0 and task.erased_at is None


async def _collaborations(
    session: AsyncSession, ids: Sequence[UUID]
) -> Mapping[UUID, Collaboration]:
    found = {id_: Collaboration(teams=[], users=[]) for id_ in ids}
    query = (
        select(models.Collaboration, models.Team, models.User)
        .outerjoin(models.Team, col(models.Team.id) == col(models.Collaboration.team_id))
        .outerjoin(models.User, col(models.User.id) == col(models.Collaboration.user_id))
        .where(col(models.Collaboration.task_id).in_(ids))
    )
    team: models.Team | None
    user: models.User | None
    for row, team, user in await session.execute(query):
        if team is not None:
            found[row.task_id].teams.append(TeamAtWork(id=team.id, name=team.name, steps=row.steps))
        if user is not None:
            found[row.task_id].users.append(
                UserAtWork(id=user.id, email=user.email, steps=row.steps)
            )
    return found


def job_types(
    projects: Sequence[tuple[models.Project, models.ProjectVersion]],
) -> list[JobType]:
    """What jobs there can be: those whose taxonomy comes with them, and one a project of files."""
    found = [
        JobType(
            id=kind.name,
            title=kind.title,
            description=kind.description,
            steps=STEPS,
            metadata=kind.schema,
        )
        for kind in TAXONOMY_TYPES.values()
    ]
    for project, version in projects:
        content = parse_project_file(version.source)
        if project.name not in TAXONOMY_TYPES and not content.blocks:
            found.append(_type_of_project(project, content))
    return found


def _type_of_project(project: models.Project, content: ProjectFile) -> JobType:
    return JobType(
        id=project.name,
        title=content.title or project.name,
        description=content.description,
        steps=STEPS,
        metadata={"type": "object", "properties": {}, "required": []},
    )
