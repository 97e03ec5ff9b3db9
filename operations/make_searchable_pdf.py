"""Make a PDF whose text can be searched and copied, from what OCR read."""

from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation
from operations.tools.assembly import write_parts
from operations.tools.child import in_child
from operations.tools.scratch import scratch_folder
from operations.tools.searchable import make_searchable
from operations.tools.separators import parts_of


class MakeSearchablePdfParams(Params):
    """Which pages get into a PDF together."""

    documents: list[list[int]] = Field(default=[])
    """The pages of each document, 1-based: a PDF each; all pages in one when empty."""


class MakeSearchablePdfResult(Result):
    """Where the PDFs are."""

    files: list[str]
    """Names of the PDFs, in the order of the documents."""
    page_count: int
    """How many pages the file has."""


@operation(timeout_seconds=3600, accepts=())
async def make_searchable_pdf(
    source: list[Path],
    params: MakeSearchablePdfParams,
    *,
    folder: Path,
) -> MakeSearchablePdfResult:
    """Lay the text that OCR read under the pages of a document, which stay as they are.

    The sources are the document, a PDF or an image, and the text layers that `read-pages` wrote.
    """
    document, *layers = source
    with scratch_folder() as needed:
        whole = (needed if params.documents else folder) / "searchable.pdf"
        count = await in_child(make_searchable, document, layers, needed, whole)
        if not params.documents:
            return MakeSearchablePdfResult(files=[whole.name], page_count=count)
        parts = parts_of(params.documents)
        await in_child(write_parts, whole, parts, folder)
    return MakeSearchablePdfResult(files=[part.file for part in parts], page_count=count)
