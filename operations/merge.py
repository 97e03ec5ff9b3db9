"""Put PDFs and images together into one PDF."""

from collections.abc import Sequence
from pathlib import Path

from operations.pdf_params import RewritingParams, how_opened
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.admission import Admitted, admit_to_merge
from operations.tools.assembly import merge_files
from operations.tools.child import in_child, spread
from operations.tools.scratch import scratch_folder
from store.errors import InputError, LimitExceededError
from store.settings import settings

_FILES_AT_ONCE = 32
"""A child looks at several: most take some milliseconds."""


class MergeParams(RewritingParams):
    """How the PDFs are opened; the password is that of all that are encrypted."""


class MergeResult(MadeFiles):
    """All pages in one PDF."""

    page_count: int
    """How many it has."""


@operation(timeout_seconds=3600, accepts=("pdf",), also_takes=("image",))
async def merge(source: list[Path], params: MergeParams, *, folder: Path) -> MergeResult:
    """Put PDFs and images together into one PDF, in their order.

    Bookmarks, page labels, links, layers, embedded files and form fields are kept; of fields and
    files that have the same name the later are renamed, so that all stay. Images are not encoded
    anew where a PDF can have them as they are. Titles, tags for screen readers and XMP metadata are
    of one document each, and left out; an XFA form becomes an ordinary one.
    """
    with scratch_folder() as needed:
        found: dict[int, Admitted] = {}

        async def admit(some: Sequence[tuple[int, Path]]) -> None:
            done = await in_child(admit_to_merge, some, needed, *how_opened(params))
            found.update(zip((position for position, _ in some), done, strict=True))

        files = list(enumerate(source))
        chunks = range(0, len(files), _FILES_AT_ONCE)
        await spread(admit, [files[n : n + _FILES_AT_ONCE] for n in chunks])
        if params.password is not None and not any(one.was_locked for one in found.values()):
            raise InputError(
                "None of the files needs a password. Leave `password` out.", parameter="password"
            )
        count = sum(len(one.facts.sizes) for one in found.values())
        if count > settings().max_pages:
            raise LimitExceededError(
                f"The files have {count} pages, more than the {settings().max_pages} that this"
                " server takes. Merge fewer, or raise PAPERTRAY_MAX_PAGES.",
                page_count=count,
                limit_pages=settings().max_pages,
            )
        target = folder / "merged.pdf"
        paths = [found[position].facts.path for position in range(len(source))]
        await in_child(merge_files, paths, target, each_page=page_counter(count))
    return MergeResult(files=[target.name], page_count=count)
