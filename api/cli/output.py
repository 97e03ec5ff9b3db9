"""What every command has in common: its options, its answer, its errors."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.validators import Number
from rich.console import Console, RenderableType
from rich.table import Table

from store.errors import PapertrayError

_COMMON = Group("Options of every command", sort_key=1000)


@Parameter(name="*", group=_COMMON)
@dataclass(frozen=True)
class Options:
    """What can be said to every command."""

    home: Annotated[
        Path | None, Parameter(help="Folder of everything Papertray keeps [PAPERTRAY_HOME].")
    ] = None
    org: Annotated[str, Parameter(help="Name of the organization to act for.")] = "default"
    json: Annotated[bool, Parameter(negative="", help="Print JSON, for programs.")] = False

    def apply(self) -> None:
        """Let the settings of this process say what was said on the command line."""
        if self.home is not None:
            os.environ["PAPERTRAY_HOME"] = str(self.home.expanduser().resolve())

    def tell(self, line: str) -> None:
        """Say to a person what goes on; a program that reads JSON hears nothing of it."""
        if not self.json:
            console().print(line, markup=False, highlight=False)

    def busy(self, line: str) -> AbstractContextManager[object]:
        """Show on a terminal that something takes a while."""
        terminal = console()
        if self.json or not terminal.is_terminal:
            return nullcontext()
        return terminal.status(line)


DEFAULTS = Options()

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report a program that SIGINT ended."""

AtMost = Annotated[int, Parameter(validator=Number(gte=1))]
"""How many of a list are shown."""

PIPE_WIDTH = 200
"""Characters in a line where there is no terminal that would say."""


@dataclass(frozen=True)
class Answer:
    """What a command answers."""

    data: Any
    """For programs: printed as JSON."""
    view: RenderableType = ""
    """For people."""
    exit_code: int = 0


def console() -> Console:
    """Standard output, with colours where it is a terminal; made anew since tests replace it."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, emoji=False)  # `:id:` in a name is no picture


def show(answer: Answer, options: Options) -> None:
    """Print an answer."""
    if options.json:
        sys.stdout.write(json.dumps(answer.data, indent=2, default=_plain) + "\n")
    elif isinstance(answer.view, str):
        # As it is, in whole lines: it may hold brackets, and be read by a program.
        if answer.view:
            console().print(answer.view, markup=False, highlight=False, soft_wrap=True)
    else:
        console().print(answer.view)


def show_error(error: PapertrayError, options: Options) -> None:
    """Print an error with its code and its remedy to standard error."""
    if options.json:
        sys.stderr.write(json.dumps({"error": facts_of_error(error)}, default=_plain) + "\n")
        return
    errors = Console(stderr=True, soft_wrap=True, emoji=False)
    errors.print(f"error: {error.message}", style="bold red", markup=False, highlight=False)
    for name, value in error.details.items():
        if _is_for_programs(value):
            continue
        errors.print(f"  {name}: {_detail(value)}", markup=False, highlight=False)
    errors.print(f"  code: {error.code}", markup=False, highlight=False)


def facts_of_error(error: PapertrayError) -> dict[str, Any]:
    """An error, for programs."""
    return {"code": error.code, "message": error.message, "details": error.details}


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Rows for people."""
    cells = [[cell(value) for value in row] for row in rows]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        # The first is what other commands take: it must be there whole.
        width = max((len(row[0]) for row in cells), default=0) if index == 0 else None
        drawn.add_column(heading, min_width=width, overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    return drawn


def cell(value: Any) -> str:
    """One value for people."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    # Names of files and values of fields may hold what rich takes for markup.
    return str(value).replace("[", r"\[")


def _is_for_programs(value: Any) -> bool:
    """Whether it is a list of what the message says in words."""
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _detail(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"\n    {name}: {reason}" for name, reason in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(one) for one in value)
    return str(value)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
