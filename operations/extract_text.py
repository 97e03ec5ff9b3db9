"""The text of a document, in the order it is read, or the data in it that a schema asks for."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from operations.read_pages import HowRead, ReadPagesParams, how_read, read
from operations.registry import Result, operation
from operations.tools.child import in_child
from operations.tools.fill_schema import Filled, Found, Problem, write_data
from operations.tools.schema import read_schema
from operations.tools.scratch import scratch_folder
from operations.tools.text_formats import write_text


class ExtractTextParams(ReadPagesParams):
    """Which text, and how."""

    # A model of Pydantic has a `schema` of its own, so the field has another name in Python.
    model_config = ConfigDict(
        serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )

    format: Literal["plain", "markdown", "html", "json"]
    """plain: lines as on the page; markdown and html: headings, paragraphs, lists and tables;
    json: the data that `schema` asks for."""
    json_schema: dict[str, Any] | None = Field(default=None, alias="schema")
    """For json: a JSON Schema (draft 2020-12) of an object. Each property is looked for by its
    name, title, description, examples, pattern and type; arrays of objects are tables."""

    @field_validator("json_schema")
    @classmethod
    def _can_be_looked_for(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            read_schema(schema)
        return schema

    @model_validator(mode="after")
    def _schema_goes_with_json(self) -> "ExtractTextParams":
        if (self.format == "json") != (self.json_schema is not None):
            raise ValueError(
                "`schema` is required for the format json, and has no effect on others"
            )
        return self


class ExtractTextResult(Result):
    """Where the text is, and how it came about."""

    format: str
    """As asked for."""
    file: str
    """Name of the file with the text, in UTF-8."""
    page_count: int
    """How many pages were read."""
    read: HowRead
    """How they were read."""
    found: list[Found] = Field(default=[])
    """Of json: where the values were found."""
    problems: list[Problem] = Field(default=[])
    """Of json: what is not as the schema asks for. The data is there all the same."""


_ENDS = {"plain": "txt", "markdown": "md", "html": "html", "json": "json"}


@operation(timeout_seconds=6 * 3600)
async def extract_text(
    source: Path, params: ExtractTextParams, *, folder: Path
) -> ExtractTextResult:
    """Extract the text of a PDF or an image, or the data in it that a JSON Schema asks for."""
    own = {"format", "json_schema"}
    with scratch_folder() as pages_folder:
        read_params = ReadPagesParams.model_validate(
            params.model_dump(exclude=own, exclude_unset=True)
        )
        done = await read(source, read_params, pages_folder, with_images=False)
        pages = [pages_folder / page.words_file for page in done.pages]
        target = folder / f"text.{_ENDS[params.format]}"
        if params.json_schema is None:
            filled = Filled()
            await in_child(write_text, pages, params.format, target)
        else:
            filled = await in_child(write_data, pages, params.json_schema, target)
    return ExtractTextResult(
        format=params.format,
        file=target.name,
        page_count=len(done.pages),
        read=how_read(read_params, done),
        found=filled.found,
        problems=filled.problems,
    )
