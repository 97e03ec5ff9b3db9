"""Read the pages of a document: words with places, images, and invisible text layers."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from operations.registry import Params, Result, operation, report_progress
from operations.tools.child import in_child, spread
from operations.tools.page_range import pages_of
from operations.tools.reading import (
    OCR,
    TEXT_LAYER,
    Orders,
    ReadPage,
    begin,
    read_as_they_are,
    read_by_ocr,
)
from operations.tools.scratch import scratch_folder
from store.settings import settings

_PAGES_AT_ONCE = 32
"""Pages with a text layer take a hundredth of a second each, a tenth with their image: a child,
which takes as long to get going, reads several."""

_PAGES_TO_BEGIN_WITH = 4
"""Documents that have no more pages are read by the child that looks whether they can be."""

_OCR_PAGES_AT_ONCE = 4
"""Starting tesseract takes a twentieth of the time of a page. Not more than these, so that a long
document leaves its slot to others every few seconds."""

_LARGE_DPI = 300
"""Pages beyond this are read one by one: the limits of a child are meant for one of these."""


class ReadPagesParams(Params):
    """How pages are read."""

    mode: Literal["auto", "force", "skip"] = "auto"
    """auto: the text layer where it is good, else OCR; force: OCR always; skip: never OCR."""
    languages: list[str] = Field(default=["eng"], min_length=1)
    """Tesseract's names of the languages on the pages."""
    dpi: int = Field(default=300, ge=72, le=600)
    """Dots per inch at which PDF pages are rendered for OCR, and the most for images."""
    pages: str = ""
    """Which pages, like `2-7` or `2,3,7`; all when empty."""

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "ReadPagesParams":
        idle = sorted({"languages", "dpi"} & self.model_fields_set)
        if self.mode == "skip" and idle:
            raise ValueError(f"{' and '.join(idle)}: without effect where mode is skip; leave out")
        return self


class ReadPagesResult(Result):
    """What was read."""

    page_count: int
    """Of the document, also where fewer were asked for."""
    pages: list[ReadPage]
    """Each page that was read, in order."""

    @property
    def text_layer_files(self) -> list[str]:
        """The names of the PDFs with invisible text, of the pages that have one."""
        return [page.text_layer_file for page in self.pages if page.text_layer_file]


class HowRead(BaseModel):
    """The parameters that were in effect."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    mode: str
    """As asked for, or by default."""
    languages: list[str] | None
    """By which OCR read; null where it read nothing."""
    dpi: int | None
    """At which OCR read, at most; null where it read nothing."""
    text_layer_pages: list[int]
    """Numbers of the pages whose text layer was taken, 1-based."""
    ocr_pages: list[int]
    """Numbers of the pages that OCR read, 1-based."""


def how_read(params: ReadPagesParams, result: ReadPagesResult) -> HowRead:
    """Which parameters were in effect, and on which pages."""
    numbers = {
        method: [page.number for page in result.pages if page.method == method]
        for method in (TEXT_LAYER, OCR)
    }
    return HowRead(
        mode=params.mode,
        languages=params.languages if numbers[OCR] else None,
        dpi=params.dpi if numbers[OCR] else None,
        text_layer_pages=numbers[TEXT_LAYER],
        ocr_pages=numbers[OCR],
    )


@operation(timeout_seconds=6 * 3600, accepts=())
async def read_pages(source: Path, params: ReadPagesParams, *, folder: Path) -> ReadPagesResult:
    """Read every word of a PDF or an image, with its place and how sure it is.

    For each page there are its words (JSON), its image (JPEG, upright and straight), and where
    OCR read it a PDF with its words as invisible text.
    """
    return await read(source, params, folder)


async def read(
    source: Path,
    params: ReadPagesParams,
    folder: Path,
    *,
    with_images: bool = True,
    keep_any_text: bool = False,
) -> ReadPagesResult:
    """Read pages, as a part of any operation.

    Args:
        source: a PDF or an image.
        params: how.
        folder: for the files that come of it.
        with_images: write the page images too.
        keep_any_text: take a text layer of any worth, where there is one.
    """
    languages = [] if params.mode == "skip" else params.languages
    with scratch_folder() as repairs:
        orders = Orders(
            params.languages,
            params.dpi,
            folder,
            never_ocr=params.mode == "skip",
            with_images=with_images,
            keep_any_text=keep_any_text,
        )
        most = 0 if params.mode == "force" else _PAGES_TO_BEGIN_WITH
        begun = await in_child(begin, source, repairs, languages, params.pages, orders, most)
        document, done = begun.source, begun.pages
        numbers = pages_of(params.pages, document.page_count)
        count = 0

        async def one_more() -> None:
            nonlocal count
            count += 1
            await report_progress(count, len(numbers))

        async def as_they_are(some: Sequence[int]) -> None:
            read = in_child(read_as_they_are, document, some, orders, each_page=one_more)
            done.extend(await read)

        async def by_ocr(some: Sequence[int]) -> None:
            done.extend(await in_child(read_by_ocr, document, some, orders, each_page=one_more))

        for _ in done:
            await one_more()
        if params.mode != "force" and len(numbers) > most:
            await spread(
                as_they_are,
                [numbers[n : n + _PAGES_AT_ONCE] for n in range(0, len(numbers), _PAGES_AT_ONCE)],
            )
        left = sorted(set(numbers) - {page.number for page in done})
        at_once = _OCR_PAGES_AT_ONCE if params.dpi <= _LARGE_DPI else 1
        await spread(by_ocr, _batches(left, at_once))
    return ReadPagesResult(
        page_count=document.page_count, pages=sorted(done, key=lambda page: page.number)
    )


def _batches(numbers: Sequence[int], most: int) -> list[Sequence[int]]:
    """Pages for children to read, fewer at a time towards the end, for all to end together."""
    batches: list[Sequence[int]] = []
    at = 0
    while at < len(numbers):
        share = math.ceil((len(numbers) - at) / (2 * settings().operation_slots))
        batches.append(numbers[at : at + min(share, most)])
        at += len(batches[-1])
    return batches
