"""Cut a file into the documents that are in it."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation, page_counter
from operations.tools.child import in_child, spread
from operations.tools.find_segments import Segment, marks_on, segments_of
from operations.tools.step_files import must_number
from store.project_sorting import SegmentBy, SegmentPart

_PAGES_AT_ONCE = 16

NEEDS_IMAGES = frozenset({SegmentBy.BARCODE, SegmentBy.BLANK_PAGE})
"""Ways for which the images of the pages are looked at."""


class SegmentParams(Params):
    """Which pages, and how documents are told apart."""

    page_numbers: list[int] = Field(min_length=1)
    """The pages, 1-based, ascending."""
    how: SegmentPart
    """As the project file has it."""


class SegmentResult(Result):
    """The documents."""

    segments: list[Segment]
    """In order; none where every page is a separator."""


@operation(timeout_seconds=3600, accepts=())
async def segment(source: list[Path], params: SegmentParams, *, folder: Path) -> SegmentResult:  # noqa: ARG001  # it writes no file
    """Tell the documents of a file apart, by separator pages, first pages, or their length.

    The sources are the files of words that `read-pages` wrote, in the order of the pages, and
    where barcodes or blank pages separate, the images of the pages after them.
    """
    numbers = params.page_numbers
    words, images = source[: len(numbers)], source[len(numbers) :]
    must_number(len(words), len(numbers), "files of words")
    if params.how.by in NEEDS_IMAGES:
        must_number(len(images), len(numbers), "images")
    marks: dict[int, float] = {}
    one_more = page_counter(len(numbers))

    async def look(some: Sequence[int]) -> None:
        marks.update(
            await in_child(
                marks_on,
                [numbers[n] for n in some],
                [words[n] for n in some],
                [images[n] for n in some] if images else [],
                params.how,
                each_page=one_more,
            )
        )

    if params.how.by is not SegmentBy.PAGE_COUNT:
        starts = range(0, len(numbers), _PAGES_AT_ONCE)
        await spread(look, [range(n, min(n + _PAGES_AT_ONCE, len(numbers))) for n in starts])
    return SegmentResult(segments=segments_of(numbers, marks, params.how))
