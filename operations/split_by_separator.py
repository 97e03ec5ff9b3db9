"""Cut a PDF where a separator page is between two documents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from operations.pdf_params import RewritingParams, admitted
from operations.registry import MadeFiles, operation, page_counter
from operations.tools.assembly import write_parts
from operations.tools.child import in_child, spread
from operations.tools.pdf import PAGES_AT_ONCE
from operations.tools.scratch import scratch_folder
from operations.tools.separators import (
    Separator,
    documents_between,
    find_separators,
    parts_of,
)
from store.errors import InputError

_OF_ONE_KIND = {"barcode_text": "barcode", "max_ink_ratio": "blank"}
"""Parameters that only tell of separators of one kind."""


class SplitBySeparatorParams(RewritingParams):
    """What a separator is, and what becomes of it."""

    separator: Literal["blank", "barcode"]
    """blank: a page without anything on it; barcode: one with a barcode of any common kind."""
    barcode_text: str = Field(default="", max_length=1000)
    """What the barcode says, the whole of it; any will do when empty."""
    max_ink_ratio: float = Field(default=0.0002, ge=0, le=1)
    """How much of a blank page may be dark, for specks of dust; its edges do not count."""
    separator_page: Literal["drop", "first", "last"] = "drop"
    """drop: leave it out; first: it begins the document behind it, as where the barcode is on the
    first page of each; last: it ends the one before."""

    @model_validator(mode="after")
    def _each_has_an_effect(self) -> "SplitBySeparatorParams":
        for name, kind in _OF_ONE_KIND.items():
            if name in self.model_fields_set and self.separator != kind:
                raise ValueError(f"{name}: without effect where separator is not {kind}; leave out")
        return self


class SplitBySeparatorResult(MadeFiles):
    """The documents, each a PDF."""

    page_numbers: list[list[int]]
    """Of which pages each is made, 1-based."""
    separator_page_numbers: list[int]
    """Which pages were taken for separators, 1-based."""


@operation(timeout_seconds=6 * 3600, accepts=("pdf",))
async def split_by_separator(
    source: Path, params: SplitBySeparatorParams, *, folder: Path
) -> SplitBySeparatorResult:
    """Cut a PDF into documents where a blank page or one with a barcode is between them.

    Without such a page all of it is one document. Each has its bookmarks, labels, links and fields.
    Embedded files belong to none of them and are left out, but where all pages get into one; tags
    for screen readers and XMP metadata are left out, and an XFA form becomes an ordinary one.
    """
    separator = Separator(params.separator, params.barcode_text, params.max_ink_ratio)
    with scratch_folder() as needed:
        facts = await admitted(source, params, needed)
        count = len(facts.sizes)
        one_more = page_counter(count)
        found: list[int] = []

        async def look(some: Sequence[int]) -> None:
            work = (facts.path, some, separator)
            found.extend(await in_child(find_separators, *work, each_page=one_more))

        starts = range(1, count + 1, PAGES_AT_ONCE)
        await spread(look, [range(n, min(n + PAGES_AT_ONCE, count + 1)) for n in starts])
        documents = documents_between(count, found, params.separator_page)
        if not documents:
            raise InputError(
                "Every page is a separator, so that nothing is left. Say what a separator is by"
                " the other parameters, or keep it by `separator_page`.",
                page_count=count,
            )
        parts = parts_of(documents)
        await in_child(write_parts, facts.path, parts, folder)
    return SplitBySeparatorResult(
        files=[part.file for part in parts],
        page_numbers=documents,
        separator_page_numbers=sorted(found),
    )
