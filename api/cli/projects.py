"""`papertray projects`: how documents are treated."""

from pathlib import Path

from cyclopts import App
from sqlalchemy import func, select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, cell, table
from store.access import visible
from store.database import database
from store.errors import InputError
from store.finding import find_project
from store.models import Project, ProjectVersion, Task

app = App(name="projects", help="See and install projects.")
# It imports Prefect, which takes seconds.
app.command(
    "api.cli.install:install", name="install", help="Install a project file, or a new version."
)


@app.command(name="list")
async def list_projects(*, options: Options = DEFAULTS) -> Answer:
    """List the projects.

    Args:
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        query = visible(Project, caller).order_by(col(Project.name))
        found = [
            {
                "name": project.name,
                "id": project.id,
                "version": version.number,
                "tasks": await session.scalar(
                    select(func.count()).where(col(Task.project_id) == project.id)
                ),
                "installed_at": version.created_at,
            }
            for project in (await session.execute(query)).scalars()
            if (version := await session.get(ProjectVersion, project.current_version_id))
        ]
    rows = ((p["name"], p["version"], p["tasks"], p["installed_at"]) for p in found)
    return Answer(found, table(("project", "version", "tasks", "installed"), rows))


@app.command
async def show(name: str, *, options: Options = DEFAULTS) -> Answer:
    """Show the project file in force.

    Args:
        name: The project.
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        project, version = await find_project(session, caller, name)
    facts = {
        "name": project.name,
        "id": project.id,
        "version": version.number,
        "installed_at": version.created_at,
        "source": version.source,
    }
    return Answer(facts, cell(version.source.rstrip()))


def read_project_file(path: Path) -> str:
    """The text of a project file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.", file=str(path)) from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
