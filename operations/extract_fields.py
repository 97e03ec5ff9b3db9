"""Find the fields of a project on the pages of a document."""

from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation
from operations.tools.child import in_child
from operations.tools.find_fields import find_documents
from store.project_fields import FieldPart
from store.templates import Templates


class ExtractFieldsParams(Params):
    """What to find."""

    fields: list[FieldPart] = Field(min_length=1)
    """The fields, as the project file has them."""
    document_type: str = "document"
    """What the document is called in the data."""
    templates: Templates = Field(default=[])
    """Templates of invoice2data; what one finds goes before what is found otherwise."""


class ExtractFieldsResult(Result):
    """Where the fields are."""

    file: str
    """Name of the JSON file: a list of documents with `number`, `document_type`, `page_numbers`
    and `fields`, for each field its value, where it stands, and how sure it is."""
    document_count: int
    """How many documents are in it."""


@operation(timeout_seconds=3600, accepts=())
async def extract_fields(
    source: list[Path], params: ExtractFieldsParams, *, folder: Path
) -> ExtractFieldsResult:
    """Find the fields of a document: at their labels, by patterns, in regions, tables, templates.

    The sources are the files of words that `read-pages` wrote, in the order of the pages.
    """
    target = folder / "documents.json"
    count = await in_child(
        find_documents,
        source,
        params.fields,
        params.document_type,
        target,
        params.templates,
    )
    return ExtractFieldsResult(file=target.name, document_count=count)
