"""What `papertray doctor` finds out, and how it is told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum, auto
from typing import Any

from api.cli.output import Answer, cell, table
from store.errors import UnavailableError


class Health(StrEnum):
    """How something is."""

    OK = auto()
    OFF = auto()  #: not running; nothing is wrong with that
    PROBLEM = auto()  #: Papertray cannot do its work


@dataclass(frozen=True)
class Finding:
    """What was found out about one thing."""

    name: str
    health: Health
    detail: str
    remedy: str = ""


START_A_WORKER = (
    "Tasks wait until papertray up or papertray worker runs. (On a process pool of Prefect a worker"
    " is heard of only while it has a run.)"
)
"""What to do where no worker is alive."""

_MARKS = {
    Health.OK: "[green]ok[/green]",
    Health.OFF: "[yellow]off[/yellow]",
    Health.PROBLEM: "[bold red]problem[/bold red]",
}


def told(findings: Sequence[Finding], **facts: Any) -> Answer:
    """Findings as a table, and as JSON with some facts beside them."""
    healthy = all(finding.health is not Health.PROBLEM for finding in findings)
    view = table(("what", "", "found"), ())
    for finding in findings:
        remedy = f"\n[bold]→ {cell(finding.remedy)}[/bold]" if finding.remedy else ""
        view.add_row(finding.name, _MARKS[finding.health], f"{cell(finding.detail)}{remedy}")
    return Answer(
        {"healthy": healthy, **facts, "checks": [asdict(finding) for finding in findings]},
        view,
        0 if healthy else UnavailableError.exit_code,
    )
