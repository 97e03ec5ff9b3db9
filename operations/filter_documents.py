"""Take out documents that a project does not want."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from operations.registry import Params, Result, operation
from operations.tools.child import in_child, spread
from operations.tools.find_segments import are_blank
from operations.tools.step_files import must_number
from store.project_sorting import FilterPart

_DOCUMENTS_AT_ONCE = 16


class Candidate(BaseModel):
    """A document that may be taken out."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    document_type: str
    """What it was found to be."""
    page_count: int = Field(ge=1)
    """How many pages it has."""


class FilterDocumentsParams(Params):
    """Which documents, and what is not wanted."""

    documents: list[Candidate] = Field(min_length=1)
    """In the order of the sources."""
    rules: FilterPart
    """As the project file has them."""


class FilterDocumentsResult(Result):
    """Which are taken out."""

    reasons: list[str]
    """For each document why it is taken out; empty where it stays."""


@operation(timeout_seconds=3600, accepts=())
async def filter_documents(
    source: list[Path],
    params: FilterDocumentsParams,
    *,
    folder: Path,  # noqa: ARG001  # it writes no file
) -> FilterDocumentsResult:
    """Take out documents that are blank, of the wrong type, too short or too long.

    The sources are the files of words that `read-pages` wrote, of all pages of the first
    document, then of the second, and so on; and where blank ones are taken out, the images of
    the pages after them, in the same order.
    """
    ends = list(accumulate(document.page_count for document in params.documents))
    words, images = source[: ends[-1]], source[ends[-1] :]
    must_number(len(words), ends[-1], "files of words")
    if params.rules.blank:
        must_number(len(images), ends[-1], "images")
    reasons = [_unwanted(document, params.rules) for document in params.documents]

    async def look(some: Sequence[int]) -> None:
        parts = [slice(ends[n] - params.documents[n].page_count, ends[n]) for n in some]
        found = await in_child(are_blank, [words[n] for n in parts], [images[n] for n in parts])
        for n, is_blank in zip(some, found, strict=True):
            reasons[n] = "blank" if is_blank else ""

    if params.rules.blank:
        left = [n for n, reason in enumerate(reasons) if not reason]
        starts = range(0, len(left), _DOCUMENTS_AT_ONCE)
        await spread(look, [left[n : n + _DOCUMENTS_AT_ONCE] for n in starts])
    return FilterDocumentsResult(reasons=reasons)


def _unwanted(document: Candidate, rules: FilterPart) -> str:
    if rules.document_types and document.document_type not in rules.document_types:
        return "of another type"
    if document.page_count < rules.min_pages:
        return f"fewer than {rules.min_pages} pages"
    if rules.max_pages is not None and document.page_count > rules.max_pages:
        return f"more than {rules.max_pages} pages"
    return ""
