"""`@operation`: declared once, seen as Prefect task, HTTP endpoint, command and docs page."""

import inspect
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from pydantic import BaseModel, ConfigDict

from store.blobs import blobs
from store.errors import PapertrayError
from store.settings import settings


class Params(BaseModel):
    """What can be said to an operation. An unknown name is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


class Result(BaseModel):
    """What an operation tells of its work: facts and names of files, never content.

    It is what Prefect persists, and what a run that is started again goes on with.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)


class Blob(str):
    """The key of a blob in the storage, where an operation also takes a path."""

    __slots__ = ()


P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)
Body = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Operation:
    """One row of OPERATIONS."""

    name: str
    """`extract-text`: in URLs, on the command line, in Prefect."""
    task: Task[..., Any]
    params: type[Params]
    result: type[Result]
    accepts: frozenset[str]
    """`pdf`, `image`: the kinds of file it takes, and so the endpoints it has."""
    takes_many: bool
    """Whether its source is a list of files."""
    summary: str


OPERATIONS: dict[str, Operation] = {}

_report: ContextVar[Callable[[int, int], Awaitable[None]] | None] = ContextVar(
    "report", default=None
)


async def report_progress(current: int, total: int) -> None:
    """Say how far an operation is, to whoever listens."""
    report = _report.get()
    if report is not None:
        await report(current, total)


@asynccontextmanager
async def progress_to(report: Callable[[int, int], Awaitable[None]]) -> AsyncIterator[None]:
    """Listen to the progress of the operations that are awaited inside."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def _is_worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001  # Prefect's signature
    result = state.result(raise_on_failure=False)
    return result.retryable if isinstance(result, PapertrayError) else False


def operation(
    *, timeout_seconds: float, retries: int = 0, accepts: Sequence[str] = ("pdf", "image")
) -> Callable[[Body], Task[..., Any]]:
    """Declare an operation.

    The function takes `source` (a path, or a list of paths), `params` (its own model) and the
    keyword `folder`, into which it writes its files; it answers with a Result that names them.
    What is declared is a Prefect task that takes the same, each location a `Path` of this
    machine or a `Blob` of the storage. Writing to the same folder twice replaces the files, so
    that an interrupted operation can be done again.

    Args:
        timeout_seconds: on the clock, for one call.
        retries: for errors that are worth another try.
        accepts: kinds of file it takes.
    """

    def declare(function: Body) -> Task[..., Any]:
        name = function.__name__.replace("_", "-")
        if name in OPERATIONS:
            raise ValueError(f"operation {name} is declared twice")
        hints = get_type_hints(function)
        takes_many = "source" in hints and hints["source"] is not Path

        @wraps(function)
        async def run(source: Any, params: Any, *, folder: Path | Blob | None = None) -> Any:
            async with AsyncExitStack() as stack:
                if takes_many:
                    local: Any = [await stack.enter_async_context(_input(one)) for one in source]
                else:
                    local = await stack.enter_async_context(_input(source))
                target = await stack.enter_async_context(_output(folder))
                return await function(local, params, folder=target)

        # Prefect reads the parameters from the signature; locations are wider than declared.
        run.__annotations__ = {**hints, "source": Any, "folder": Any}
        run.__signature__ = inspect.signature(run, follow_wrapped=False)  # pyright: ignore[reportAttributeAccessIssue]  # PEP 362
        declared = task(
            name=name,
            timeout_seconds=timeout_seconds,
            retries=retries,
            retry_delay_seconds=[2**n for n in range(retries)] or None,
            retry_condition_fn=_is_worth_another_try,
            persist_result=True,
        )(run)
        OPERATIONS[name] = Operation(
            name=name,
            task=declared,
            params=hints["params"],
            result=hints["return"],
            accepts=frozenset(accepts),
            takes_many=takes_many,
            summary=(inspect.getdoc(function) or "").split("\n\n")[0],
        )
        return declared

    return declare


@asynccontextmanager
async def _input(location: Path | Blob) -> AsyncIterator[Path]:
    if isinstance(location, Blob):
        async with blobs().as_local(location) as path:
            yield path
    else:
        yield Path(location)


@asynccontextmanager
async def _output(location: Path | Blob | None) -> AsyncIterator[Path]:
    """A folder of this machine to write to; for a blob, what is in it at the end is stored."""
    if location is None:
        yield Path(tempfile.mkdtemp(prefix="papertray-"))
        return
    if not isinstance(location, Blob):
        Path(location).mkdir(parents=True, exist_ok=True)
        yield Path(location)
        return
    scratch = settings().scratch_folder
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder)
        for path in sorted(Path(folder).iterdir()):
            await blobs().write_file(f"{location.rstrip('/')}/{path.name}", path)
