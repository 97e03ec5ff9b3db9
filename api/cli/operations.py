"""`papertray op`: each operation on local files, in this process, without a server."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import App, Parameter
from rich.console import Group, RenderableType
from rich.progress import Progress

import operations
from api.cli.files import must_be_files
from api.cli.output import DEFAULTS, Answer, Options, cell, console, table
from operations.registry import OPERATIONS, Operation, progress_to
from store.errors import InputError, PapertrayError

app = App(name="op", help="Do one operation on local files, without a server.")


def _command(operation: Operation) -> Callable[..., Awaitable[Answer]]:
    async def run(
        files: Annotated[tuple[Path, ...], Parameter(help="The files.")],
        *,
        params: Any,
        output: Annotated[
            Path | None,
            Parameter(help="Folder for what is made; named after the first file when omitted."),
        ] = None,
        options: Options = DEFAULTS,
    ) -> Answer:
        must_be_files(files)
        folder = output or Path(f"{files[0].stem}-{operation.name}")
        work: list[tuple[Any, Path]]
        if operation.takes_many:
            work = [(list(files), folder)]
        elif len(files) == 1:
            work = [(files[0], folder)]
        else:
            work = [(path, folder / path.name) for path in files]
        results: list[dict[str, Any]] = []
        for source, into in work:
            try:
                results.append(await _do(operation, source, params, into, options))
            except PapertrayError as error:
                if len(work) > 1:
                    error.details.setdefault("file", str(source))
                raise
        made = [path for _, into in work for path in sorted(into.rglob("*")) if path.is_file()]
        facts = {"results": results, "files": [str(path) for path in made]}
        return Answer(facts, Group(*_facts(results), _sizes(made)))

    # cyclopts reads the flags from the annotation: one for each field of the operation's params.
    run.__annotations__["params"] = Annotated[operation.params, Parameter(name="*")]
    if not any(one.is_required() for one in operation.params.model_fields.values()):
        run.__kwdefaults__ = {**(run.__kwdefaults__ or {}), "params": operation.params()}
    run.__doc__ = operation.summary
    return run


def _facts(results: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """What an operation tells beside the names of its files, as YAML is written."""
    told = [{name: fact for name, fact in one.items() if name not in _NAMES} for one in results]
    return [cell(line) for one in told for line in _lines(one)]


_NAMES = {"file", "files"}
"""Facts that are names of files, which the table has."""


def _lines(fact: Any, indent: str = "") -> list[str]:
    if isinstance(fact, Mapping):
        pairs = [(f"{name}:", value) for name, value in cast(Mapping[str, Any], fact).items()]
    else:
        pairs = [("-", value) for value in cast(list[Any], fact)]
    lines: list[str] = []
    for label, value in pairs:
        if isinstance(value, Mapping | list) and _is_long(cast(Any, value)):
            lines += [f"{indent}{label}", *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}{label} {json.dumps(value)}")
    return lines


def _is_long(value: Any) -> bool:
    return len(json.dumps(value)) > _SHORT_CHARACTERS


_SHORT_CHARACTERS = 100


def _sizes(made: Sequence[Path]) -> RenderableType:
    return table(("file", "bytes"), ((p, p.stat().st_size) for p in made)) if made else ""


async def _do(
    operation: Operation, source: Any, params: Any, folder: Path, options: Options
) -> dict[str, Any]:
    terminal = console()
    hidden = options.json or not terminal.is_terminal
    with Progress(console=terminal, transient=True, disable=hidden) as shown:
        bar = shown.add_task(operation.name, total=None)

        async def report(current: int, total: int) -> None:
            shown.update(bar, completed=current, total=total)

        async with progress_to(report):
            try:
                result = await operation.task.fn(source, params, folder=folder)
            except OSError as error:  # a file that may not be read, a folder that cannot be made
                if error.errno is None:
                    raise
                place = error.filename or folder
                raise InputError(f"{place} cannot be used: {error.strerror}.") from error
    return result.model_dump(mode="json")


_ = operations  # its import fills OPERATIONS
for _name, _operation in OPERATIONS.items():
    app.command(_command(_operation), name=_name)
