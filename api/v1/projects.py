"""/v1/projects: named ways of treating documents."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select

from api.auth import Admin, ProjectEditor, ProjectReader, TaskCreator
from api.bodies import Body, Text, media_type, read_form, read_json, read_text
from api.problems import UPLOAD_PROBLEMS, described
from api.v1 import examples, words
from api.v1.lists import PROJECTS, From, Listed, Take
from api.v1.route import V1Route
from flows import verbs
from flows.import_table import import_table
from operations.tools.scratch import scratch_folder
from store import people
from store.database import database
from store.errors import (
    ForbiddenError,
    NotFoundError,
    ProjectFileError,
    UnauthenticatedError,
)
from store.finding import find_project
from store.models import ProjectVersion

router = APIRouter(prefix="/v1/projects", tags=["projects"], route_class=V1Route)

ProjectName = Annotated[str, Path(description="Name of a project.", examples=["invoices"])]


class ProjectBody(BaseModel):
    """A project file, wrapped into JSON."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    source: Text
    """The project file: YAML."""


@router.post(
    "",
    status_code=201,
    summary="Install a project",
    responses={
        201: examples.answer("The project.", {**examples.PROJECT, "source": examples.PROJECT_FILE}),
        **described(UnauthenticatedError, ForbiddenError, 413, 415, 422, ProjectFileError),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/yaml": {
                    "schema": {"type": "string", "description": "The project file."},
                    "example": examples.PROJECT_FILE,
                },
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/ProjectBody"},
                    "example": {"source": examples.PROJECT_FILE},
                },
            },
        }
    },
)
async def install_project(request: Request, caller: ProjectEditor) -> words.ProjectWithSource:
    """Make a project from a project file, or give the one of that name a new version.

    Tasks that are under way keep the version they were made with. The same text again changes
    nothing.
    """
    if media_type(request) == "application/json":
        source = (await read_json(request, ProjectBody)).source
    else:
        source = await read_text(request)
    return words.project_with_source(*await verbs.install_project(caller, source))


class ImportForm(BaseModel):
    """What is sent beside a table."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    ignore_unknown: bool = False


@router.post(
    "/{name}/import",
    status_code=201,
    summary="Import a table",
    responses={
        201: examples.answer("What became of its rows.", examples.IMPORTED),
        **described(
            UnauthenticatedError,
            ForbiddenError,
            NotFoundError,
            *UPLOAD_PROBLEMS,
        ),
    },
    openapi_extra=examples.form(
        {
            "file": {
                "type": "string",
                "format": "binary",
                "description": "CSV, or JSON Lines where its name ends in .jsonl or .ndjson.",
            },
            "ignore_unknown": {
                "type": "boolean",
                "description": "Leave out columns that are no blocks of the project, which else"
                " make the table refused.",
            },
        },
        required=["file"],
        example={},
    ),
)
async def import_rows(name: ProjectName, request: Request, caller: TaskCreator) -> words.Imported:
    """Make a task of each row of a table; the columns are named like the blocks of the project.

    Rows that do not fit are told of, with line, column and reason; all others become tasks.
    """
    upload, form = await read_form(request, ImportForm)
    with scratch_folder() as folder:
        path = folder / "table"
        with path.open("wb") as file:
            async for chunk in upload.chunks():
                file.write(chunk)
        facts = await import_table(
            caller, name, path, source=upload.name, ignore_unknown=form.ignore_unknown
        )
    return words.Imported.model_validate(facts.model_dump())


@router.get(
    "",
    summary="List projects",
    responses={
        200: examples.answer("A page of projects.", examples.listed(examples.PROJECT, "projects")),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def list_projects(
    request: Request, caller: ProjectReader, take: Take = 20, start: From = None
) -> Listed[words.Project]:
    """List the projects, the newest first. `from` takes the name of a project."""
    async with database().reading() as session:
        rows, links = await PROJECTS.page(session, caller, request, take, start)
        current = [row.current_version_id for row in rows]
        query = select(ProjectVersion).where(col(ProjectVersion.id).in_(current))
        versions = {one.project_id: one for one in (await session.execute(query)).scalars()}
    return Listed(
        data=[words.project_of(row, versions[row.id]) for row in rows],
        links=links,
    )


@router.get(
    "/{name}",
    summary="Show a project",
    responses={
        200: examples.answer("The project.", {**examples.PROJECT, "source": examples.PROJECT_FILE}),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 422),
    },
)
async def show_project(name: ProjectName, caller: ProjectReader) -> words.ProjectWithSource:
    """Show a project and the text of its file."""
    async with database().reading() as session:
        row, version = await find_project(session, caller, name)
    return words.project_with_source(row, version)


class ProjectTeamBody(Body):
    """Whose a project is to be."""

    team: Text | None
    """Id or name of a team; null: the whole organization's."""


@router.put(
    "/{name}/team",
    summary="Give a project to a team",
    responses={
        200: examples.answer("The project.", examples.PROJECT),
        **described(UnauthenticatedError, ForbiddenError, NotFoundError, 413, 415, 422),
    },
)
async def give_project(
    name: ProjectName,
    caller: Admin,
    body: Annotated[ProjectTeamBody, examples.body({"team": "claims"})],
) -> words.Project:
    """Give a project to a team, which alone sees it and its tasks then, or to everybody."""
    await people.give_project(caller, name, body.team)
    async with database().reading() as session:
        row, version = await find_project(session, caller, name)
    return words.project_of(row, version)
