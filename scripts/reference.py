"""The reference pages, printed from the tables they describe; called by cog inside docs/*.md."""

import contextlib
import inspect
import io
import json
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from api.cli import run
from flows.engine import DEPLOYMENTS, VERSION
from flows.task_run import RUN_STATE_OF
from operations import registry
from store import errors, lifecycle
from store.errors import PapertrayError
from store.lifecycle import FINAL, LIFECYCLE
from store.settings import Settings, settings
from store.states import State


def lifecycle_diagram() -> None:
    """The states and what leads from one to the other, as a mermaid diagram."""
    print("```mermaid\nstateDiagram-v2\n    [*] --> queued")
    for (source, event), target in LIFECYCLE.items():
        print(f"    {source.value} --> {target.value}: {event.value}")
    for state in State:
        if state in FINAL:
            print(f"    {state.value} --> [*]")
    print("```")


def lifecycle_table() -> None:
    """The same as a table, with the reasons that stand beside the rows in the source."""
    reasons = dict(
        re.findall(
            r"\((State\.\w+, +Event\.\w+)\): +State\.\w+, +# (.+)",
            inspect.getsource(lifecycle),
        )
    )
    because = {re.sub(r"\s+", " ", key): value for key, value in reasons.items()}
    print("| while it is | this happens | it becomes | because |\n| --- | --- | --- | --- |")
    for (source, event), target in LIFECYCLE.items():
        reason = because[f"State.{source.name}, Event.{event.name}"]
        print(f"| {source.value} | {event.value} | {target.value} | {reason} |")


def run_states_table() -> None:
    """How the run of an ended task ends in Prefect."""
    print("| the task | its run in Prefect |\n| --- | --- |")
    for state, (kind, name) in RUN_STATE_OF.items():
        print(f"| {state.value} | {kind.value} / {name} |")


def errors_table() -> None:
    """Every error: code, HTTP status, exit code, what it says."""

    def rows(kind: type[PapertrayError], depth: int) -> None:
        text = " ".join((kind.__doc__ or "").split())
        indent = "&nbsp;&nbsp;" * depth
        print(f"| {indent}`{kind.code}` | {kind.http_status} | {kind.exit_code} | {text} |")
        for below in kind.__subclasses__():
            if below.__module__ == errors.__name__:
                rows(below, depth + 1)

    print("| code | HTTP | exit code | what it says |\n| --- | --- | --- | --- |")
    rows(PapertrayError, 0)


def settings_table() -> None:
    """Every setting: variable, default, meaning."""
    print("| variable | default | meaning |\n| --- | --- | --- |")
    for name, field in Settings.model_fields.items():
        default = field.default if field.default_factory is None else _FACTORIES[name]
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        shown = "" if default in (None, "") else f"`{default}`"
        meaning = " ".join((field.description or "").split())
        print(f"| `PAPERTRAY_{name.upper()}` | {shown} | {meaning} |")


_FACTORIES = {"home": "~/.papertray", "operation_slots": "number of cores"}


def operations_pages() -> None:
    """Every operation: what it does, its parameters, and what it did a moment ago."""
    import operations  # noqa: F401  # fills OPERATIONS

    for row in registry.OPERATIONS.values():
        doc = inspect.getdoc(row.task.fn) or ""
        print(f"## {row.name}\n\n{doc}\n")
        if row.params.model_fields:
            print("| parameter | default | meaning |\n| --- | --- | --- |")
        for name, field in row.params.model_fields.items():
            default = (
                "required"
                if field.is_required()
                else f"`{field.get_default(call_default_factory=True)!r}`"
            )
            meaning = " ".join((field.description or "").split())
            print(f"| `{field.alias or name}` | {default} | {meaning} |")
        print()
        if row.accepts:
            live_example(row.name, LIVE_EXAMPLES[row.name])


def deployments() -> None:
    """Every deployment, as prefect.yaml has it."""
    for one in DEPLOYMENTS:
        print(f"  - name: {one.name}\n    entrypoint: {one.entrypoint}\n    version: {VERSION}")
        print(f"    tags: [{', '.join(one.tags)}]")
        print(f"    work_pool: {{name: papertray, work_queue_name: {one.queue}}}")
        schedules = [
            f"{{{', '.join(f'{name}: {json.dumps(value)}' for name, value in schedule.items())}}}"
            for schedule in one.schedules
        ]
        # Where the key is missing, Prefect asks whoever sits at a terminal.
        print(f"    schedules: [{', '.join(schedules)}]")


TESTS = "tests/samples"

LIVE_EXAMPLES: dict[str, tuple[str, str]] = {
    "apply-effect": (f"{TESTS}/photo_of_letter.jpg", "--effect scanner"),
    "convert": (f"{TESTS}/phototest.tif", "--target-format image/webp --quality 80"),
    "deskew": (f"{TESTS}/rotated_skew.pdf", ""),
    "detect-documents": (f"{TESTS}/photo_of_letter.jpg", ""),
    "extract-form": (f"{TESTS}/acroform.pdf", ""),
    "extract-pages": (f"{TESTS}/form_dd0293.pdf", "--pages 2-3"),
    "extract-text": (f"{TESTS}/form_dd0293.pdf", "--format markdown --pages 1"),
    "merge": (f"{TESTS}/form_dd0293.pdf", ""),
    "ocr": (f"{TESTS}/linn.pdf", ""),
    "render": (f"{TESTS}/form_dd0293.pdf", "--dpi 72 --pages 1"),
    "rotate": (f"{TESTS}/form_dd0293.pdf", "--degrees 90"),
    "scan": (f"{TESTS}/photo_of_letter.jpg", "--effect scanner --scan-mode standard"),
    "split": (f"{TESTS}/form_dd0293.pdf", ""),
    "split-by-separator": (f"{TESTS}/form_dd0293.pdf", "--separator blank"),
    "warp": (
        f"{TESTS}/photo_of_letter.jpg",
        """--vertices '{"x": 206, "y": 183}' --vertices '{"x": 964, "y": 194}'"""
        """ --vertices '{"x": 1145, "y": 1357}' --vertices '{"x": 57, "y": 1377}'""",
    ),
}
"""What is shown of each operation that takes files: a sample, and what is asked for."""


def live_example(name: str, example: tuple[str, str]) -> None:
    """Run an operation by its command and print what one sees.

    Numbers of pixels are rounded and sizes of files left out: they are not the same to the last
    digit on every processor and with every version of zlib.

    Raises:
        RuntimeError: the command failed.
    """
    sample, options = example
    root = Path(__file__).parents[1]
    output = io.StringIO()
    home = os.environ.get("PAPERTRAY_HOME")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["PAPERTRAY_HOME"] = f"{folder}/home"
        settings.cache_clear()
        shutil.copy(root / sample, Path(sample).name)
        line = " ".join(f"papertray op {name} {Path(sample).name} {options}".split())
        try:
            with contextlib.redirect_stdout(output):
                status = run(shlex.split(line)[1:])
        finally:
            os.environ.pop("PAPERTRAY_HOME")
            if home is not None:
                os.environ["PAPERTRAY_HOME"] = home
            settings.cache_clear()
    if status != 0:
        raise RuntimeError(f"{line} ended with {status}: {output.getvalue()}")
    print(f"```console\n$ {line}\n{_steady(output.getvalue())}\n```\n")


def _steady(printed: str) -> str:
    """What a command printed, without what differs between machines."""
    rounded = re.sub(r"\d+\.\d+", lambda found: str(round(float(found[0]))), printed)
    lines = [
        re.sub(r"^(file|\S+/\S+) +(bytes|\d+)$", r"\1", line.rstrip())
        for line in rounded.splitlines()
    ]
    return "\n".join(line for line in lines if line)
