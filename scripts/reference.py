"""The reference pages, printed from the tables they describe; called by cog inside docs/*.md."""

import inspect
import re

from flows.engine import DEPLOYMENTS
from flows.task_run import RUN_STATE_OF
from operations import registry
from store import errors, lifecycle
from store.errors import PapertrayError
from store.lifecycle import FINAL, LIFECYCLE
from store.settings import Settings
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
        print(f"| `PAPERTRAY_{name.upper()}` | {shown} | {field.description} |")


_FACTORIES = {"home": "~/.papertray", "operation_slots": "number of cores"}


def operations_pages() -> None:
    """Every operation: what it does and its parameters."""
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
            print(f"| `{name}` | {default} | {field.description or ''} |")
        print()


def operation_deployments() -> None:
    """A deployment for each operation, as prefect.yaml has them."""
    for one in DEPLOYMENTS:
        if one.entrypoint.startswith("flows.operation_flows."):
            print(f"  - name: {one.name}\n    entrypoint: {one.entrypoint}")
            print(f"    work_pool: {{name: papertray, work_queue_name: {one.queue}}}")
