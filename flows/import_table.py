"""A table becomes tasks of data: one for each of its rows."""

import json
from itertools import islice
from pathlib import Path

from flows.verbs import must_take, safe_name, submit_rows
from operations.tools.child import in_child
from operations.tools.scratch import scratch_folder
from operations.tools.table_rows import TableFacts, read_table
from store.access import Caller
from store.database import database
from store.finding import find_project
from store.project_file import parse_project_file

ROWS_AT_ONCE = 500
"""In one transaction: others who write wait for no longer than a part of a second."""

_JSON_LINES = (".jsonl", ".ndjson", ".json")


async def import_table(
    caller: Caller, project: str, path: Path, *, source: str, ignore_unknown: bool = False
) -> TableFacts:
    """Take in a task for each good row of a table.

    Args:
        caller: whose tasks they are.
        project: name of a project of data; its blocks are the columns.
        path: of the table.
        source: its name, which the tasks keep; by its ending it is JSON Lines, else CSV.
        ignore_unknown: leave out columns that are no blocks, which else make the table refused.

    Returns:
        How many became tasks, and which did not and why.

    Raises:
        NotFoundError: there is no such project.
        InputError: it is one of files, or the head of the table does not fit its blocks.
        LimitExceededError: it has too many rows.
    """
    async with database().reading() as session:
        _, version = await find_project(session, caller, project)
    content = parse_project_file(version.source)
    must_take(content, "data")
    source = safe_name(source)
    is_json = source.lower().endswith(_JSON_LINES)
    with scratch_folder() as folder:
        good = folder / "rows.jsonl"
        facts = await in_child(read_table, path, content.blocks, good, is_json, ignore_unknown)
        with good.open(encoding="utf-8") as file:
            while lines := list(islice(file, ROWS_AT_ONCE)):
                rows = [json.loads(line) for line in lines]
                await submit_rows(caller, project=project, rows=rows, source=source)
    return facts
