"""Write the fields of documents as the files that other programs take."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from operations.registry import MadeFiles, Params, operation
from operations.tools.child import in_thread
from operations.tools.data_files import write_csv, write_json


class ExportDataParams(Params):
    """Which files to write."""

    formats: list[Literal["json", "csv"]] = Field(default=["json"], min_length=1)
    """json: all that is known of each value; csv: a table, a column a field."""
    csv_rows: Literal["line_item", "document"] = "line_item"
    """What has a row in the table: line_item: each row of a table of a document, with its other
    values again in each; document: each document, with a table in one cell, as JSON."""


class ExportDataResult(MadeFiles):
    """Where the data is: a file for each format, in their order."""


@operation(timeout_seconds=600, accepts=())
async def export_data(source: Path, params: ExportDataParams, *, folder: Path) -> ExportDataResult:
    """Write the fields of documents as JSON and CSV files.

    The source is a list of documents, as `extract-fields` writes it.
    """
    files: list[str] = []
    for form in dict.fromkeys(params.formats):
        target = folder / f"data.{form}"
        if form == "json":
            await in_thread(write_json, source, target)
        else:
            await in_thread(write_csv, source, target, params.csv_rows)
        files.append(target.name)
    return ExportDataResult(files=files)
