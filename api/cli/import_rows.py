"""`papertray import`: the rows of a table become tasks of a project of data."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from api.cli.files import must_be_files
from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from flows.import_table import import_table
from store.errors import InputError


async def import_rows(
    file: Path,
    *,
    project: str,
    ignore_unknown: Annotated[bool, Parameter(negative="")] = False,
    options: Options = DEFAULTS,
) -> Answer:
    """Make a task of each row of a table. Rows that do not fit are told of and left out.

    Args:
        file: CSV with a head, or JSON Lines (.jsonl, .ndjson); columns are named like blocks.
        project: Name of a project of data.
        ignore_unknown: Leave out columns that are no blocks of the project.
        options: Common options.
    """
    must_be_files([file])
    async with operator(options) as caller:
        facts = await import_table(
            caller, project, file, source=file.name, ignore_unknown=ignore_unknown
        )
    told = f"{facts.count} rows became tasks of {project}; {facts.refused_count} did not."
    if not facts.refused:
        return Answer(facts.model_dump(), told)
    options.tell(told)
    rows = ((one.line, one.column, one.reason) for one in facts.refused)
    return Answer(
        facts.model_dump(), table(("line", "column", "reason"), rows), InputError.exit_code
    )
