"""`papertray demo`: the sample documents, from nothing to results, through the API alone."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
from cyclopts import Parameter
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from api.cli.local import store_open
from api.cli.output import DEFAULTS, INTERRUPTED, Answer, Options, cell, console, table
from api.cli.servers import announce, running_here
from api.cli.tasks import fields_table
from api.supervisor import Plan, free_port
from store.errors import InputError, PapertrayError, UnavailableError
from store.keys import create_key

SAMPLES = Path(__file__).parent.parent.parent / "samples"

LOOK_SECONDS = 0.2

KEEP_LOGS = "Run `papertray demo --home FOLDER` to have the logs in FOLDER/logs."

PATIENCE_SECONDS = 600.0
"""How long nothing may move before it is taken for stuck; how long all may take is not bounded, as
nobody knows how busy the machine is. Nor how long one answer of the API takes."""

NOT_FOR_THE_DEMO = (
    # It runs on embedded defaults, whatever the person who tries it has set up for work.
    "PAPERTRAY_DATABASE_URL",
    "PAPERTRAY_INBOX",
    "PAPERTRAY_PUBLIC_URL",
    "PAPERTRAY_STORAGE",
    "PAPERTRAY_WORK_POOL",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_API_URL",
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
)

FINAL = frozenset({"completed", "filtered", "discarded", "failed", "timed_out", "canceled"})

SETTLED = FINAL | {"in_review"}
"""Nothing happens any more until somebody does something."""

COLOURS = {
    "queued": "dim",
    "running": "cyan",
    "in_review": "yellow",
    "completed": "green",
    "failed": "red",
    "timed_out": "red",
}


@dataclass
class Sample:
    """A document of samples/, what is right for it, and what became of it."""

    path: Path
    expected: Mapping[str, Any]
    """`fields` as they are found, and what a person corrects of them in `review`."""
    task: dict[str, Any] = field(default_factory=dict[str, Any])
    documents: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    files: list[Path] = field(default_factory=list[Path])
    moves: list[str] = field(default_factory=list[str])
    sent_at: float = 0.0
    moved_at: float = 0.0

    @property
    def state(self) -> str:
        """The task's state now."""
        return self.task.get("state", "")


Look = Callable[[Sample], None]
"""Called for each move of a task."""


async def demo(
    *,
    keep: Annotated[bool, Parameter(negative="")] = False,
    output: Path = Path("demo-output"),
    options: Options = DEFAULTS,
) -> Answer:
    """Take the sample documents through Papertray, from start to results, and stop.

    Args:
        keep: Keep Papertray running afterwards, until Ctrl-C.
        output: Folder for the files that are made.
        options: Common options. Without --home everything but the output is thrown away.
    """
    samples = read_samples(SAMPLES)
    for name in NOT_FOR_THE_DEMO:
        os.environ.pop(name, None)
    with _home(options) as home:
        plan = Plan(home=home, host="127.0.0.1", port=free_port(), prefect_port=free_port())
        options.tell("Starting Papertray: a Prefect server, the API, a worker ...")
        began = time.monotonic()
        async with running_here(plan, options) as (supervisor, stop):
            if supervisor is None:
                return Answer({"interrupted": True}, exit_code=INTERRUPTED)
            options.tell(f"Ready after {time.monotonic() - began:.0f} s.")
            work = asyncio.create_task(_take_through(plan, samples, output, options))
            asked = asyncio.create_task(stop.wait())
            await asyncio.wait([work, asked], return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not work.done():
                options.tell("Interrupted; stopping ...")
                work.cancel()
                await asyncio.wait([work])
                return Answer({"interrupted": True}, exit_code=INTERRUPTED)
            wrong = await work
            if keep:
                await announce(plan, options)
                await stop.wait()
            options.tell("Stopping ...")
    facts = {
        "right": not wrong,
        "wrong": wrong,
        "tasks": [
            {
                "file": sample.path.name,
                "id": sample.task.get("id"),
                "states": sample.moves,
                "documents": sample.documents,
                "files": [str(path) for path in sample.files],
            }
            for sample in samples
        ],
    }
    verdict = (
        Text("\n".join(["Not right:", *(f"  {line}" for line in wrong)]), "red")
        if wrong
        else Text("All results are right.", "bold green")
    )
    return Answer(facts, verdict, PapertrayError.exit_code if wrong else 0)


@contextlib.contextmanager
def _home(options: Options) -> Iterator[Path]:
    if options.home is not None:
        yield options.home.expanduser().resolve()
        return
    # Whatever a child still writes while it ends must not keep the folder from going.
    with tempfile.TemporaryDirectory(prefix="papertray-demo-", ignore_cleanup_errors=True) as made:
        os.environ["PAPERTRAY_HOME"] = made
        yield Path(made)


def read_samples(folder: Path) -> list[Sample]:
    """The samples, as `expected.json` lists them.

    Raises:
        InputError: they are not there.
    """
    try:
        expected = json.loads((folder / "expected.json").read_text())
    except OSError as error:
        raise InputError(
            f"The samples are not at {folder}. They are part of a checkout of the project:"
            " run `make demo` there.",
            folder=str(folder),
        ) from error
    return [Sample(folder / name, right) for name, right in expected.items()]


async def _take_through(
    plan: Plan, samples: Sequence[Sample], output: Path, options: Options
) -> list[str]:
    """All of the demo between start and stop; answers what is not right, in words."""
    async with store_open():
        key = (await create_key(["admin"], user="demo@example.org")).key
    headers = {"x-api-key": key}
    async with httpx.AsyncClient(
        base_url=plan.url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False
    ) as http:
        project = await _call(http, "POST", "/v1/projects", content=_project(), headers=_YAML)
        options.tell(f"Installed the project {project['name']}.\n")
        _show_places(plan, key, options)
        async with _shown(samples, options) as look:
            for sample in samples:
                sample.task = await _send(http, sample, project["name"])
                sample.sent_at = time.monotonic()
            await _follow(http, samples, look, SETTLED)
        for sample in samples:
            if sample.state == "in_review":
                await _review(http, sample, options)
        async with _shown(samples, options) as look:
            await _follow(http, samples, look, FINAL)
        for sample in samples:
            await _collect(http, sample, output)
    _show_results(samples, options)
    return [line for sample in samples for line in differences(sample)]


_YAML = {"content-type": "application/yaml"}


def _project() -> bytes:
    return (SAMPLES / "invoices.yaml").read_bytes()


async def _call(http: httpx.AsyncClient, method: str, path: str, **rest: Any) -> Any:
    try:
        answer = await http.request(method, path, **rest)
    except httpx.TransportError as error:
        raise UnavailableError(
            f"{method} {path} was not answered ({type(error).__name__}). {KEEP_LOGS}"
        ) from error
    if answer.is_error:
        raise UnavailableError(
            f"{method} {path} was answered {answer.status_code}.", answer=answer.text[:500]
        )
    return answer.json()


async def _send(http: httpx.AsyncClient, sample: Sample, project: str) -> dict[str, Any]:
    file = (sample.path.name, sample.path.read_bytes())
    return await _call(http, "POST", "/v1/tasks", files={"file": file}, data={"project": project})


async def _follow(
    http: httpx.AsyncClient, samples: Sequence[Sample], look: Look, settled: frozenset[str]
) -> None:
    """Look at all until each is settled.

    Raises:
        UnavailableError: nothing moves any more.
    """
    moved_at = time.monotonic()
    while True:
        for sample in samples:
            if sample.moves and sample.state in FINAL:
                continue
            before = sample.task
            sample.task = await _call(http, "GET", f"/v1/tasks/{before['id']}")
            if any(sample.task[what] != before[what] for what in ("state", "progress")):
                moved_at = time.monotonic()
            if sample.moves[-1:] != [sample.state]:
                sample.moves.append(sample.state)
                sample.moved_at = time.monotonic()
                look(sample)
        if all(sample.state in settled for sample in samples):
            return
        if time.monotonic() - moved_at > PATIENCE_SECONDS:
            stuck = [
                f"{one.path.name} is {one.state}" for one in samples if one.state not in settled
            ]
            raise UnavailableError(
                f"Nothing has moved for {PATIENCE_SECONDS:.0f} s: {', '.join(stuck)}. {KEEP_LOGS}"
            )
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _shown(samples: Sequence[Sample], options: Options) -> AsyncIterator[Look]:
    """Each task's moves: drawn anew on a terminal, a line each elsewhere."""
    if options.json or not sys.stdout.isatty():
        width = max(len(sample.path.name) for sample in samples)

        def tell(sample: Sample) -> None:
            options.tell(f"{_seconds(sample):>8} {sample.path.name:<{width}}  {sample.state}")

        yield tell
        return
    with Live(console=console(), refresh_per_second=8, get_renderable=lambda: _moves(samples)):
        yield _say_nothing
    options.tell("")


def _moves(samples: Sequence[Sample]) -> Table:
    drawn = Table("document", "", "moves", "", "step", box=None, pad_edge=False)
    for sample in samples:
        colour = COLOURS.get(sample.state, "white")
        moves = " → ".join(sample.moves)
        progress = sample.task.get("progress", {})
        step = progress.get("step", "")
        if progress.get("total"):
            step += f" {progress['current']}/{progress['total']}"
        mark: Any = "" if sample.state in SETTLED else _SPINNER
        drawn.add_row(cell(sample.path.name), mark, f"[{colour}]{moves}", _seconds(sample), step)
    return drawn


def _seconds(sample: Sample) -> str:
    """From when it was sent to its last move, or to now while it is on its way."""
    if not sample.sent_at:
        return ""
    until = sample.moved_at if sample.state in SETTLED else time.monotonic()
    return f"{until - sample.sent_at:.1f} s"


def _say_nothing(sample: Sample) -> None:
    """The display is drawn anew all the time."""


_SPINNER = Spinner("dots")


async def _review(http: httpx.AsyncClient, sample: Sample, options: Options) -> None:
    """What a person does on the review page: claim, correct, complete."""
    task = sample.task
    values = sample.expected["review"]
    options.tell(f"{sample.path.name} waits for a person: {task['review']['reason']}")
    options.tell(f"  its page:    {task['links']['review']}")
    await _call(http, "POST", f"/v1/tasks/{task['id']}/claim", json={})
    options.tell(f"  claimed:     POST /v1/tasks/{task['id']}/claim")
    await _call(http, "POST", f"/v1/tasks/{task['id']}/complete", json={"values": values})
    sent = json.dumps({"values": values}, ensure_ascii=False)
    options.tell(f"  completed:   POST /v1/tasks/{task['id']}/complete  {sent}\n")


async def _collect(http: httpx.AsyncClient, sample: Sample, output: Path) -> None:
    found = await _call(http, "GET", f"/v1/tasks/{sample.task['id']}/documents")
    sample.documents = found["documents"]
    folder = output / sample.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    made = await _call(http, "GET", f"/v1/tasks/{sample.task['id']}/outputs?take=100")
    for file in made["data"]:
        answer = await http.get(f"/v1/files/{file['id']}/download")
        answer.raise_for_status()
        target = folder / Path(file["name"]).name
        target.write_bytes(answer.content)
        sample.files.append(target)


def _show_results(samples: Sequence[Sample], options: Options) -> None:
    if options.json:
        return
    shown = console()
    for sample in samples:
        shown.print(f"[bold]{cell(sample.path.name)}[/bold]: {sample.state}")
        if error := sample.task["result"].get("error"):
            shown.print(f"  {cell(error)}")
        for document in sample.documents:
            shown.print(fields_table(document["fields"]))
        for path in sample.files:
            shown.print(f"  made: {path} ({path.stat().st_size:,} bytes)", highlight=False)
        shown.print()


def _show_places(plan: Plan, key: str, options: Options) -> None:
    """Before the work: whoever wants to watch it has to be there while it lasts."""
    if options.json:
        return
    shown = console()
    places = (
        ("review pages", f"{plan.url}/review"),
        ("API, described", f"{plan.url}/docs"),
        ("Prefect UI", plan.prefect_ui_url),
        ("key to sign in", key),
    )
    shown.print(table(("page", "address, while the demo runs (--keep: until Ctrl-C)"), places))
    shown.print()


def differences(sample: Sample) -> list[str]:
    """Where a task is not what `expected.json` says, in words."""
    name, review = sample.path.name, sample.expected["review"]
    wrong: list[str] = []
    if sample.state != "completed":
        wrong.append(f"{name}: {sample.state}, not completed")
    if ("in_review" in sample.moves) != bool(review):
        wrong.append(f"{name}: {'waited' if not review else 'did not wait'} for a person")
    found: dict[str, Any] = sample.documents[0]["fields"] if sample.documents else {}
    for field_name, value in {**sample.expected["fields"], **review}.items():
        got = found.get(field_name, {}).get("value")
        if got != value:
            wrong.append(f"{name}: {field_name} is {got!r}, not {value!r}")
    if not sample.files:
        wrong.append(f"{name}: made no files")
    return wrong
