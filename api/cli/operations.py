"""`papertray op`: each operation on local files, in this process, without a server."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.progress import Progress

import operations
from api.cli.output import DEFAULTS, Answer, Options, console, table
from operations.registry import OPERATIONS, Operation, progress_to
from store.errors import InputError

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
        for path in files:
            if not path.is_file():
                raise InputError(f"There is no file {path}.", file=str(path))
        folder = output or Path(f"{files[0].stem}-{operation.name}")
        work: list[tuple[Any, Path]]
        if operation.takes_many:
            work = [(list(files), folder)]
        elif len(files) == 1:
            work = [(files[0], folder)]
        else:
            work = [(path, folder / path.name) for path in files]
        results = [await _do(operation, source, params, into, options) for source, into in work]
        made = [path for _, into in work for path in sorted(into.rglob("*")) if path.is_file()]
        facts = {"results": results, "files": [str(path) for path in made]}
        return Answer(facts, table(("file", "bytes"), ((p, p.stat().st_size) for p in made)))

    # cyclopts reads the flags from the annotation: one for each field of the operation's params.
    run.__annotations__["params"] = Annotated[operation.params, Parameter(name="*")]
    if not any(one.is_required() for one in operation.params.model_fields.values()):
        run.__kwdefaults__ = {**(run.__kwdefaults__ or {}), "params": operation.params()}
    run.__doc__ = operation.summary
    return run


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
            result = await operation.task.fn(source, params, folder=folder)
    return result.model_dump(mode="json")


_ = operations  # its import fills OPERATIONS
for _name, _operation in OPERATIONS.items():
    app.command(_command(_operation), name=_name)
