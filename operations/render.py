"""Make images of the pages of a PDF."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from operations.pdf_params import PdfParams, admitted
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.child import in_child, spread
from operations.tools.page_images import check_sizes, write_page_images
from operations.tools.page_range import Pages, pages_of
from operations.tools.pdf import PAGES_AT_ONCE
from operations.tools.reading import file_stem
from operations.tools.scratch import scratch_folder


class RenderParams(PdfParams):
    """Which pages, and how large."""

    dpi: int = Field(default=300, ge=72, le=600)
    """Dots per inch."""
    pages: Pages = ""
    """Which pages, like `2-7` or `2,3,7`; all when empty."""


class RenderResult(MadeFiles):
    """The images: PNG files."""

    page_numbers: list[int]
    """Of which page each is, 1-based."""


@operation(timeout_seconds=6 * 3600, accepts=("pdf",))
async def render(source: Path, params: RenderParams, *, folder: Path) -> RenderResult:
    """Make a PNG image of each page of a PDF, as it is seen on a screen or on paper."""
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        numbers = pages_of(params.pages, len(facts.sizes))
        check_sizes(facts.sizes, numbers, params.dpi)
        pages = [(number, f"{file_stem(number)}.png") for number in numbers]
        one_more = page_counter(len(pages))

        async def write(some: Sequence[tuple[int, str]]) -> None:
            work = (facts.path, some, params.dpi, folder)
            await in_child(write_page_images, *work, each_page=one_more)

        chunks = range(0, len(pages), PAGES_AT_ONCE)
        await spread(write, [pages[n : n + PAGES_AT_ONCE] for n in chunks])
    return RenderResult(files=[name for _, name in pages], page_numbers=numbers)
