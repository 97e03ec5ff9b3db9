"""/projects: what is to be done with files."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.aluma import examples, words
from api.aluma.route import AlumaRoute, ProjectEditor, ProjectId, ProjectReader, failures
from api.bodies import read_text
from api.v1.examples import answer
from flows import verbs
from store.database import database
from store.errors import ConflictError, ProjectFileError
from store.finding import find_project_by_short_id, projects_of
from store.project_file import parse_project_file

router = APIRouter(prefix="/projects", tags=["aluma"], route_class=AlumaRoute)

FORMS: Final = (
    "application/yaml",
    "application/x-yaml",
    "text/yaml",
    "text/x-yaml",
    "text/plain",
    "application/octet-stream",
)
"""How clients call YAML (RFC 9512 has the first), or send any file."""


@router.post(
    "",
    status_code=201,
    summary="Upload a project",
    responses={
        201: answer("The project.", examples.PROJECT),
        **failures(ConflictError, ProjectFileError, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                form: {
                    "schema": {"type": "string", "description": "The project file."},
                    "example": examples.PROJECT_FILE,
                }
                for form in FORMS
            },
        }
    },
)
async def upload_project(request: Request, caller: ProjectEditor) -> words.AlumaProject:
    """Make a project from a project file, or give the one of that name a new version.

    What is wrong with a file is said with its line and its key.
    """
    project, version = await verbs.install_project(caller, await read_text(request))
    return words.project_of(project.id, parse_project_file(version.source))


@router.get(
    "",
    summary="List projects",
    responses={
        200: answer("The projects.", {"projects": [examples.PROJECT]}),
        **failures(),
    },
)
async def list_projects(caller: ProjectReader) -> words.Projects:
    """List all projects, the oldest first."""
    async with database().reading() as session:
        rows = await projects_of(session, caller)
    return words.Projects(
        projects=[
            words.project_of(project.id, parse_project_file(version.source))
            for project, version in rows
        ]
    )


@router.get(
    "/{project_id}",
    summary="Get a project",
    responses={200: answer("The project.", examples.PROJECT), **failures()},
)
async def get_project(project_id: ProjectId, caller: ProjectReader) -> words.AlumaProject:
    """Show a project."""
    async with database().reading() as session:
        project, version = await find_project_by_short_id(session, caller, project_id)
    return words.project_of(project.id, parse_project_file(version.source))


@router.delete(
    "/{project_id}",
    status_code=204,
    response_class=Response,
    summary="Delete a project",
    responses={204: {"description": "The project is gone."}, **failures()},
)
async def delete_project(project_id: ProjectId, caller: ProjectEditor) -> Response:
    """Take a project away: no task is made of it any more. Those there are go on with it."""
    async with database().reading() as session:
        project, _ = await find_project_by_short_id(session, caller, project_id)
    await verbs.delete_project(caller, project.name)
    return Response(status_code=204)
