"""`papertray projects`: how documents are treated."""

from pathlib import Path

from cyclopts import App
from sqlalchemy import func, select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from store.access import visible
from store.database import database
from store.errors import InputError
from store.finding import find_project
from store.models import Project, ProjectVersion, Task
from store.project_file import parse_project_file
from store.templates import project_for, read_templates, with_templates

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
    return Answer(facts, version.source.rstrip())


@app.command(name="from-invoice2data")
def from_invoice2data(
    folder: Path, *, name: str = "invoices", options: Options = DEFAULTS
) -> Answer:
    """Write the project file for a folder of invoice2data's templates.

    Args:
        folder: The templates (YAML or JSON), with all folders below.
        name: Of the project.
        options: Common options.
    """
    del options  # how it is shown is not this command's to say
    try:
        templates = read_templates(folder)
        source = project_for(templates, name, str(folder))
    except ValueError as error:
        raise InputError(f"No project can be made of these templates: {error}.") from error
    parse_project_file(with_templates(source, Path()))
    return Answer({"name": name, "templates": len(templates), "source": source}, source.rstrip())


def read_project_file(path: Path) -> str:
    """The text of a project file, with the templates of the folder that it names.

    Raises:
        InputError: it cannot be read, or its templates cannot.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.", file=str(path)) from error
    try:
        return with_templates(source, path.parent)
    except ValueError as error:
        raise InputError(f"The templates of {path}: {error}.", file=str(path)) from error


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error.strerror)
