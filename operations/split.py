"""Cut a PDF into its pages."""

import math
from collections.abc import Sequence
from pathlib import Path

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.assembly import Part, write_parts
from operations.tools.child import in_child, spread
from operations.tools.reading import file_stem
from operations.tools.scratch import scratch_folder
from store.settings import settings

_PAGES_AT_ONCE = 500
_LEAST_PAGES = 50
"""A page takes a millisecond, opening a document up to a second: a child writes many."""


class SplitParams(RewritingParams):
    """How the PDF is opened."""


class SplitResult(MadeFiles):
    """The pages, each a PDF."""

    page_count: int
    """How many there are."""


@operation(timeout_seconds=3600, accepts=("pdf",))
async def split(source: Path, params: SplitParams, *, folder: Path) -> SplitResult:
    """Make of each page of a PDF a file of its own, with its bookmarks, label and fields.

    Title, language and colour profiles stay. Embedded files, which belong to all pages, tags for
    screen readers and XMP metadata are left out; an XFA form becomes an ordinary one.
    """
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        count = len(facts.sizes)
        parts = [Part(f"{file_stem(number)}.pdf", [number]) for number in range(1, count + 1)]
        one_more = page_counter(count)

        async def write(some: Sequence[Part]) -> None:
            await in_child(write_parts, facts.path, some, folder, each_page=one_more)

        share = math.ceil(count / settings().operation_slots)
        size = min(max(share, _LEAST_PAGES), _PAGES_AT_ONCE)
        await spread(write, [parts[n : n + size] for n in range(0, count, size)])
    return SplitResult(files=[part.file for part in parts], page_count=count)
