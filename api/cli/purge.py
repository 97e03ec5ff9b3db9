"""`papertray purge`: what is not to be kept any longer."""

from datetime import timedelta
from typing import Any

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from api.cli.servers import use_known_prefect
from store.errors import InputError, PrefectUnreachableError
from store.project_file import parse_duration


async def purge(
    *,
    project: str = "",
    older_than: str = "",
    dry_run: bool = False,
    options: Options = DEFAULTS,
) -> Answer:
    """Erase what is not to be kept any longer: content of tasks, and records of erased ones.

    A running Papertray does this by itself, each second; `--older-than` also erases what projects
    keep for longer, or for ever.

    Args:
        project: Only tasks of this project.
        older_than: Also tasks that ended longer ago than this: 12h, 30d.
        dry_run: Only show what would go.
        options: Common options.
    """
    use_known_prefect()
    # They import Prefect, which takes seconds and reads where its server is.
    from flows.erase import retain_once
    from flows.purge import make_due, to_go

    period = _period(older_than)
    async with operator(options) as caller:
        found = await to_go(caller, project=project, older_than=period)
        outcome = "would go" if dry_run else "gone"
        if not dry_run:
            if period is not None:
                await make_due(caller, project=project, older_than=period)
            try:
                await retain_once()
            except PrefectUnreachableError:
                # Their runs may still be at work on them, and hold some of their content.
                outcome = "go once Prefect answers"
    rows = [(p.project or "(operations)", p.tasks, p.size_bytes, p.records) for p in found]
    view: Any = table((f"{outcome}: project", "tasks", "bytes", "records"), rows)
    return Answer(
        {
            "outcome": outcome,
            "projects": [
                {
                    "project": one.project,
                    "tasks": one.tasks,
                    "bytes": one.size_bytes,
                    "records": one.records,
                }
                for one in found
            ],
        },
        view if found else "There is nothing to go.",
    )


def _period(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        raise InputError(f"{text!r} is no time. Write it like 12h or 30d.") from None
