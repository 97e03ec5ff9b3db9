"""`papertray projects install`."""

from pathlib import Path

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options
from api.cli.projects import read_project_file
from flows.verbs import install_project
from store.errors import ProjectFileError
from store.project_file import parse_project_file


async def install(file: Path, *, options: Options = DEFAULTS) -> Answer:
    """Install a project file, or a new version of it. Tasks keep the version they began with.

    Args:
        file: The project file (YAML).
        options: Common options.
    """
    source = read_project_file(file)
    async with operator(options, make=True) as caller:
        try:
            project, version = await install_project(caller, source)
        except ProjectFileError as error:
            told = f"{file}: {error.message}"
            raise ProjectFileError(told, file=str(file), **error.details) from None
    sending = "import TABLE" if parse_project_file(source).blocks else "submit FILE"
    return Answer(
        {"name": project.name, "id": project.id, "version": version.number},
        f"Installed the project {project.name}, version {version.number}.\n"
        f"Next: papertray {sending} --project {project.name}",
    )
