"""The command line: `papertray`. Each command is imported when it is called, not before."""

import asyncio
import inspect
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Any

import pydantic
from cyclopts import App, CycloptsError, CycloptsPanel, Parameter, ValidationError
from rich.console import RenderableType

from api.cli.output import INTERRUPTED, Answer, Options, show, show_error
from store.errors import PapertrayError

COMMANDS = {
    # name: (where it is, what it is for)
    "up": ("api.cli.servers:up", "Run all of Papertray on this machine, until Ctrl-C."),
    "demo": ("api.cli.demo:demo", "Take the sample documents through, from start to results."),
    "submit": ("api.cli.submit:submit", "Send files to a project."),
    "watch": ("api.cli.watch:watch", "Make tasks of the files that come into a folder."),
    "import": ("api.cli.import_rows:import_rows", "Make tasks of the rows of a table."),
    "tasks": ("api.cli.tasks:app", "See tasks, decide on them, end them."),
    "projects": ("api.cli.projects:app", "See and install projects."),
    "purge": ("api.cli.purge:purge", "Erase what is not to be kept any longer."),
    "webhooks": ("api.cli.webhooks:app", "See and set who is told of events."),
    "users": ("api.cli.people:users", "See, add and remove people."),
    "teams": ("api.cli.people:teams", "See, make and fill teams; give projects to them."),
    "key": ("api.cli.keys:app", "Make, see and revoke API keys."),
    "op": ("api.cli.operations:app", "Do one operation on local files, without a server."),
    "doctor": ("api.cli.doctor:doctor", "Tell what does not work, or why a task waits."),
    "serve": ("api.cli.servers:serve", "Serve the API and the pages alone."),
    "worker": ("api.cli.servers:worker", "Run a worker alone."),
    "deploy": ("api.cli.servers:deploy", "Register the flows with the Prefect server."),
}


def make_app() -> App:
    """The tree of commands, none of them imported yet."""
    app = App(
        name="papertray",
        help="A self-hosted tray for documents, on your own Prefect.",
        default_parameter=Parameter(negative_iterable=()),
        version=lambda: version("papertray"),
        error_formatter=_wrong_call,
    )
    for name, (path, purpose) in COMMANDS.items():
        app.command(path, name=name, help=purpose)
    return app


def _wrong_call(error: CycloptsError) -> RenderableType:
    """What is wrong with a call; where pydantic says it, by the names of the options."""
    if isinstance(error, ValidationError) and isinstance(error.__cause__, pydantic.ValidationError):
        error.exception_message = "\n".join(
            " ".join(
                (
                    *(f"--{part}:".replace("_", "-") for part in one["loc"][:1]),
                    one["msg"].removeprefix("Value error, "),
                )
            )
            for one in error.__cause__.errors()
        )
    return CycloptsPanel(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    if isinstance(sys.stdout, TextIOWrapper):  # names of files may be spelled in no encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        Its exit status: 0, what the error tree says, 2 for a wrong call, 130 after Ctrl-C.
    """
    options = Options()
    try:
        command, bound, _ = make_app().parse_args(list(arguments))
        options = bound.arguments.get("options", options)
        options.apply()
        answer: Any = command(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(answer):
            answer = asyncio.run(answer)
    except PapertrayError as error:
        show_error(error, options)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    if isinstance(answer, Answer):
        show(answer, options)
        return answer.exit_code
    return 0
