"""Turn pages of a PDF."""

from pathlib import Path

from pydantic import Field, model_validator

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, page_counter, report_progress
from operations.tools.child import in_child, spread
from operations.tools.page_range import Pages, pages_of
from operations.tools.scratch import scratch_folder
from operations.tools.tesseract import check_languages
from operations.tools.upright import PageTurn, find_turn, write_turned


class RotateParams(RewritingParams):
    """Which pages, and by how much."""

    degrees: int | None = Field(default=None, ge=90, le=270, multiple_of=90)
    """Clockwise: 90, 180 or 270. When omitted, each page is turned so that it is upright."""
    pages: Pages = ""
    """Which pages, like `2-7` or `2,3,7`; all when empty. The others stay as they are."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages, by which it is found out which way is up
    where the text layer does not tell."""

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "RotateParams":
        if self.degrees is not None and "languages" in self.model_fields_set:
            raise ValueError("languages: without effect where degrees are given; leave out")
        return self


class RotateResult(MadeFiles):
    """The turned PDF."""

    page_count: int
    """How many pages it has."""
    turned: list[PageTurn]
    """The pages that were turned."""


@operation(timeout_seconds=6 * 3600, accepts=("pdf",))
async def rotate(source: Path, params: RotateParams, *, folder: Path) -> RotateResult:
    """Turn pages of a PDF by quarters of a turn, or each so that it is upright.

    What is on them is neither decoded nor changed.
    """
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        numbers = pages_of(params.pages, len(facts.sizes))
        turns: list[PageTurn] = []

        async def find(number: int) -> None:
            turns.append(await in_child(find_turn, facts.path, number, params.languages, needed))
            await report_progress(len(turns), len(numbers))

        if params.degrees is not None:
            turns = [PageTurn(number=n, turned_degrees=params.degrees) for n in numbers]
        else:
            await in_child(check_languages, params.languages)
            await spread(find, numbers)
        turned = sorted((one for one in turns if one.turned_degrees), key=lambda one: one.number)
        target = folder / "rotated.pdf"
        told = page_counter(len(numbers)) if params.degrees is not None else None
        count = await in_child(write_turned, facts.path, turned, target, each_page=told)
    return RotateResult(files=[target.name], page_count=count, turned=turned)
