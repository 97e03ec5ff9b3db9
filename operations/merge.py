"""Put PDFs and images together into one PDF."""

from pathlib import Path

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.assembly import merge_files
from operations.tools.child import in_child, spread
from operations.tools.file_type import PDF, readable_type
from operations.tools.image_pages import image_as_pdf
from operations.tools.pdf import PdfFacts
from operations.tools.scratch import scratch_folder
from store.errors import EncryptedFileError, InputError, LimitExceededError
from store.settings import settings


class MergeParams(RewritingParams):
    """How the PDFs are opened; the password is that of all that are encrypted."""


class MergeResult(MadeFiles):
    """All pages in one PDF."""

    page_count: int
    """How many it has."""


@operation(timeout_seconds=3600, accepts=("pdf",), also_takes=("image",))
async def merge(source: list[Path], params: MergeParams, *, folder: Path) -> MergeResult:
    """Put PDFs and images together into one PDF, in their order.

    Bookmarks, page labels, links, layers and form fields are kept; of fields that have the same
    name the later are renamed, so that all stay. Images are not encoded anew where a PDF can have
    them as they are.
    """
    with scratch_folder() as needed:
        found: dict[int, PdfFacts] = {}
        unlocked: list[int] = []

        async def admit(position: int) -> None:
            own = needed / str(position)
            own.mkdir()
            path = source[position]
            if await in_child(readable_type, path) != PDF:
                found[position] = await in_child(image_as_pdf, path, own)
                return
            try:
                open_params = params.model_copy(update={"password": None})
                found[position] = await admitted(path, open_params, own)
            except EncryptedFileError:
                if params.password is None:
                    raise
                found[position] = await admitted(path, params, own)
                unlocked.append(position)

        await spread(admit, range(len(source)))
        if params.password is not None and not unlocked:
            raise InputError(
                "None of the files needs a password. Leave `password` out.", parameter="password"
            )
        count = sum(len(facts.sizes) for facts in found.values())
        if count > settings().max_pages:
            raise LimitExceededError(
                f"The files have {count} pages, more than the {settings().max_pages} that this"
                " server takes. Merge fewer, or raise the limit.",
                page_count=count,
                limit_pages=settings().max_pages,
            )
        target = folder / "merged.pdf"
        paths = [found[position].path for position in range(len(source))]
        await in_child(merge_files, paths, target, each_page=page_counter(count))
    return MergeResult(files=[target.name], page_count=count)
