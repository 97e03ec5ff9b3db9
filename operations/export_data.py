"""Write the fields of documents as the files that other programs take."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from operations.registry import MadeFiles, Params, operation
from operations.tools.child import in_child
from operations.tools.data_files import write_csv, write_json

_WRITERS = {"json": write_json, "csv": write_csv}


class ExportDataParams(Params):
    """Which files to write."""

    formats: list[Literal["json", "csv"]] = Field(default=["json"], min_length=1)
    """json: all that is known of each value; csv: a row for each document, a column a field."""


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
        await in_child(_WRITERS[form], source, target)
        files.append(target.name)
    return ExportDataResult(files=files)
