"""Find out of which type documents are."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation, page_counter
from operations.tools.child import in_child, spread
from operations.tools.step_files import must_number
from operations.tools.tell_types import FoundType, tell_types
from store.project_file import DocumentTypePart

_DOCUMENTS_AT_ONCE = 8


class ClassifyParams(Params):
    """Which documents, and which types there are."""

    page_counts: list[int] = Field(min_length=1)
    """How many pages each document has, in the order of the sources."""
    types: list[DocumentTypePart] = Field(min_length=1)
    """The types, as the project file has them."""


class ClassifyResult(Result):
    """The types of the documents."""

    documents: list[FoundType]
    """Of each document, in order."""


@operation(timeout_seconds=3600, accepts=())
async def classify(source: list[Path], params: ClassifyParams, *, folder: Path) -> ClassifyResult:  # noqa: ARG001  # it writes no file
    """Tell by keywords and patterns, each with its weight, of which type documents are.

    The sources are the files of words that `read-pages` wrote, of all pages of the first
    document, then of the second, and so on.
    """
    must_number(len(source), sum(params.page_counts), "files of words")
    left = iter(source)
    documents = [[next(left) for _ in range(count)] for count in params.page_counts]
    # What a type is known by is all that is needed of it there.
    types = [one.model_copy(update={"fields": [], "sums": []}) for one in params.types]
    found: dict[int, FoundType] = {}
    one_more = page_counter(len(source))

    async def tell(some: Sequence[int]) -> None:
        told = await in_child(tell_types, [documents[n] for n in some], types, each_page=one_more)
        found.update(zip(some, told, strict=True))

    starts = range(0, len(documents), _DOCUMENTS_AT_ONCE)
    await spread(tell, [range(n, min(n + _DOCUMENTS_AT_ONCE, len(documents))) for n in starts])
    return ClassifyResult(documents=[found[n] for n in range(len(documents))])
