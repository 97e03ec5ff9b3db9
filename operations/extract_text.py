"""The text of a document, in the order it is read, with its headings, lists and tables."""

from pathlib import Path
from typing import Literal

from operations.read_pages import ReadPagesParams, read
from operations.registry import Result, operation
from operations.tools.child import in_child
from operations.tools.scratch import scratch_folder
from operations.tools.text_formats import write_text


class ExtractTextParams(ReadPagesParams):
    """Which text, and how."""

    format: Literal["plain", "markdown", "html"]
    """plain: lines as on the page; markdown and html: headings, paragraphs, lists and tables."""


class ExtractTextResult(Result):
    """Where the text is."""

    format: str
    """As asked for."""
    file: str
    """Name of the file with the text, in UTF-8."""
    page_count: int
    """How many pages were read."""


_ENDS = {"plain": "txt", "markdown": "md", "html": "html"}


@operation(timeout_seconds=6 * 3600)
async def extract_text(
    source: Path, params: ExtractTextParams, *, folder: Path
) -> ExtractTextResult:
    """Extract the text of a PDF or an image, with its headings, lists and tables."""
    with scratch_folder() as pages_folder:
        read_params = ReadPagesParams.model_validate(params.model_dump(exclude={"format"}))
        found = await read(source, read_params, pages_folder, with_images=False)
        pages = [pages_folder / page.words_file for page in found.pages]
        target = folder / f"text.{_ENDS[params.format]}"
        await in_child(write_text, pages, params.format, target)
    return ExtractTextResult(format=params.format, file=target.name, page_count=len(found.pages))
