"""Straighten the pages of a scanned PDF."""

from pathlib import Path

from pydantic import Field

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, report_progress
from operations.tools.child import in_child, spread
from operations.tools.page_range import Pages, pages_of
from operations.tools.scratch import scratch_folder
from operations.tools.tesseract import check_languages
from operations.tools.upright import PageTurn, find_turn_and_skew, write_turned


class DeskewParams(RewritingParams):
    """Which pages."""

    pages: Pages = ""
    """Which pages, like `2-7` or `2,3,7`; all when empty. The others stay as they are."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages, by which it is found out which way is up
    where the text layer does not tell."""


class DeskewResult(MadeFiles):
    """The straightened PDF."""

    page_count: int
    """How many pages it has."""
    turned: list[PageTurn]
    """The pages that were turned or straightened."""


@operation(timeout_seconds=6 * 3600, accepts=("pdf",))
async def deskew(source: Path, params: DeskewParams, *, folder: Path) -> DeskewResult:
    """Turn each page of a PDF upright, and straighten those that were scanned askew.

    The images are turned as they are shown, not encoded anew; the size of a page stays.
    """
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        numbers = pages_of(params.pages, len(facts.sizes))
        await in_child(check_languages, params.languages)
        found: list[PageTurn] = []

        async def find(number: int) -> None:
            work = (facts.path, number, params.languages, needed)
            found.append(await in_child(find_turn_and_skew, *work))
            await report_progress(len(found), len(numbers))

        await spread(find, numbers)
        turned = [one for one in found if one.turned_degrees or one.skew_degrees]
        turned.sort(key=lambda one: one.number)
        target = folder / "straightened.pdf"
        count = await in_child(write_turned, facts.path, turned, target)
    return DeskewResult(files=[target.name], page_count=count, turned=turned)
