"""Take some pages of a PDF into a new one."""

from pathlib import Path

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.assembly import Part, write_pages
from operations.tools.child import in_child
from operations.tools.page_range import SomePages, pages_of
from operations.tools.scratch import scratch_folder


class ExtractPagesParams(RewritingParams):
    """Which pages."""

    pages: SomePages
    """Pages to take, like `2-7`, `2,3,7` or `5-`; they stay in the order of the document."""


class ExtractPagesResult(MadeFiles):
    """The pages."""

    page_count: int
    """How many the new file has."""


@operation(timeout_seconds=3600, accepts=("pdf",))
async def extract_pages(
    source: Path, params: ExtractPagesParams, *, folder: Path
) -> ExtractPagesResult:
    """Take pages of a PDF into a new one, with their bookmarks, labels, links and fields.

    Nothing of the other pages is left in it: bookmarks and links that lead to them are gone. Title,
    language, colour profiles and embedded files are of the whole document, and stay. Tags for
    screen readers and XMP metadata are left out; an XFA form becomes an ordinary one.
    """
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        part = Part("pages.pdf", pages_of(params.pages, len(facts.sizes)))
        count = len(part.page_numbers)
        await in_child(write_pages, facts.path, part, folder, each_page=page_counter(count))
    return ExtractPagesResult(files=[part.file], page_count=count)
