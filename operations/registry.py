"""`@operation`: declared once, seen as Prefect task, HTTP endpoint, command and docs page."""

import inspect
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import DEFAULT, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr

from operations.tools.scratch import scratch_folder
from store.blobs import blobs
from store.errors import PapertrayError


class Params(BaseModel):
    """What can be said to an operation. An unknown name is refused, never dropped."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)


MASK = "***"
"""What is shown in the place of a secret."""

Secret = Annotated[SecretStr, PlainSerializer(lambda _: MASK, return_type=str, when_used="json")]
"""A parameter that is used, and neither shown, logged nor kept."""


class Result(BaseModel):
    """What an operation tells of its work: facts and names of files, never content.

    It is what Prefect persists, and what a run that is started again goes on with.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)


class MadeFiles(Result):
    """The result of an operation that makes files for whoever asked for it.

    A task whose operation answers with this has the files among its outputs, in this order, and
    its other members beside them. Where several are made, their names begin with what tells them
    apart (`page-3.png`); a task puts its own name before that.
    """

    files: list[str]
    """Names of the files that were made, in order."""


class FieldsChanged(Result):
    """The result of an operation that a project can have as one of its `steps`.

    Its source is a JSON file `{document_type, page_numbers, fields}`, each field as the API tells
    of it. It writes another, `{fields}`, with the members that change of the fields that change:
    `{"fields": {"supplier": {"value": "4711", "confidence": 0.9}}}`.
    """

    file: str
    """Name of the file it wrote."""


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
    """`pdf`, `image`: the kinds of file it takes, and so the endpoints it has; none for a step
    that only flows take, on files of other steps."""
    also_takes: frozenset[str]
    """Kinds of file it takes at any of its endpoints, beside the one the endpoint names."""
    takes_many: bool
    """Whether its source is a list of files."""
    summary: str

    @property
    def secrets(self) -> frozenset[str]:
        """Names of the parameters that must not be shown."""
        fields = self.params.model_fields.items()
        return frozenset(name for name, field in fields if "SecretStr" in repr(field.annotation))


OPERATIONS: dict[str, Operation] = {}


class _InFolderOfRun(CachePolicy):
    """Prefect's own key of a result, below a folder for each run.

    Results of a run can so be found, and erased, without Prefect: it forgets task runs.
    """

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        key = DEFAULT.compute_key(task_ctx, inputs, flow_parameters, **kwargs)
        run = task_ctx.task_run.flow_run_id
        return f"{run}/{key}" if key and run else key


_report: ContextVar[Callable[[int, int], Awaitable[None]] | None] = ContextVar(
    "report", default=None
)


async def report_progress(current: int, total: int) -> None:
    """Say how far an operation is, to whoever listens."""
    report = _report.get()
    if report is not None:
        await report(current, total)


def page_counter(total: int) -> Callable[[], Awaitable[None]]:
    """What is to be called after each page, for `report_progress` to tell of all that are done."""
    done = 0

    async def one_more() -> None:
        nonlocal done
        done += 1
        await report_progress(done, total)

    return one_more


@asynccontextmanager
async def progress_to(report: Callable[[int, int], Awaitable[None]]) -> AsyncIterator[None]:
    """Listen to the progress of the operations that are awaited inside."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def is_worth_another_try(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001  # Prefect's signature
    """Whether what went wrong may go well later: the condition of a Prefect task's retries."""
    result = state.result(raise_on_failure=False)
    return result.retryable if isinstance(result, PapertrayError) else False


def operation(
    *,
    timeout_seconds: float,
    retries: int = 0,
    accepts: Sequence[str] = ("pdf", "image"),
    also_takes: Sequence[str] = (),
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
        accepts: kinds of file it takes from outside; none for what is only a step of a flow.
        also_takes: kinds of file among its sources, beside the kind that was announced.
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
            retry_condition_fn=is_worth_another_try,
            persist_result=True,
            cache_policy=_InFolderOfRun(),
        )(run)
        OPERATIONS[name] = Operation(
            name=name,
            task=declared,
            params=hints["params"],
            result=hints["return"],
            accepts=frozenset(accepts),
            also_takes=frozenset(also_takes),
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
        # Children have a working folder of their own.
        with _named_in_utf8(Path(location).absolute()) as path:
            yield path


@asynccontextmanager
async def _output(location: Path | Blob | None) -> AsyncIterator[Path]:
    """A folder of this machine to write to, whose files get to their place when all went well.

    Without a place nobody wants the files.
    """
    if location is None:
        with scratch_folder() as folder:
            yield folder
    elif isinstance(location, Blob):
        with scratch_folder() as folder:
            yield folder
            for path in sorted(folder.iterdir()):
                await blobs().write_file(f"{location.rstrip('/')}/{path.name}", path)
    else:
        with (
            _replaced_at_the_end(Path(location).absolute()) as made,
            _named_in_utf8(made) as folder,
        ):
            yield folder


@contextmanager
def _named_in_utf8(path: Path) -> Iterator[Path]:
    """The path, or another one to the same place where libraries cannot spell its name."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with scratch_folder() as folder:
            link = folder / "named"
            link.symlink_to(path)
            yield link
    else:
        yield path


@contextmanager
def _replaced_at_the_end(target: Path) -> Iterator[Path]:
    was_there = target.exists()
    target.mkdir(parents=True, exist_ok=True)
    # Inside of the target, so that it is on the same disk and the files can be moved there.
    folder = Path(tempfile.mkdtemp(prefix=".making-", dir=target))
    try:
        yield folder
        for path in sorted(folder.iterdir()):
            path.replace(target / path.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not was_there and not any(target.iterdir()):
            target.rmdir()
