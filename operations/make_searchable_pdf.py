"""Make a PDF whose text can be searched and copied, from what OCR read."""

from pathlib import Path

from operations.registry import Params, Result, operation
from operations.tools.child import in_child
from operations.tools.scratch import scratch_folder
from operations.tools.searchable import make_searchable


class MakeSearchablePdfParams(Params):
    """Nothing can be chosen."""


class MakeSearchablePdfResult(Result):
    """Where the PDF is."""

    file: str
    """Name of the PDF."""
    page_count: int
    """How many pages it has."""


@operation(timeout_seconds=3600, accepts=())
async def make_searchable_pdf(
    source: list[Path],
    params: MakeSearchablePdfParams,  # noqa: ARG001  # every operation takes them
    *,
    folder: Path,
) -> MakeSearchablePdfResult:
    """Lay the text that OCR read under the pages of a document, which stay as they are.

    The sources are the document, a PDF or an image, and the text layers that `read-pages` wrote.
    """
    document, *layers = source
    target = folder / "searchable.pdf"
    with scratch_folder() as needed:
        count = await in_child(make_searchable, document, layers, needed, target)
    return MakeSearchablePdfResult(file=target.name, page_count=count)
