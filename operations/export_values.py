"""Write the values of a task of data as the files that other programs take."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from operations.registry import MadeFiles, Params, operation
from operations.tools.child import in_thread
from operations.tools.data_files import write_values


class ExportValuesParams(Params):
    """Which files to write, with which columns."""

    names: list[str] = Field(min_length=1)
    """Names of the values, in the order of the columns."""
    formats: list[Literal["json", "csv"]] = Field(default=["json"])
    """json: an object of values; csv: a head and one row."""


class ExportValuesResult(MadeFiles):
    """Where the values are: a file for each format, in their order."""


@operation(timeout_seconds=600, accepts=())
async def export_values(
    source: Path, params: ExportValuesParams, *, folder: Path
) -> ExportValuesResult:
    """Write the values of a task that has data and no file, as JSON and CSV files.

    The source is a JSON object: each value by its name.
    """
    files: list[str] = []
    for form in dict.fromkeys(params.formats):
        target = folder / f"data.{form}"
        await in_thread(write_values, source, params.names, target)
        files.append(target.name)
    return ExportValuesResult(files=files)
