"""Find the documents of a file that belong together."""

from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation
from operations.tools.child import in_thread
from operations.tools.find_groups import groups_of


class GroupDocumentsParams(Params):
    """By what."""

    by: str = Field(min_length=1)
    """Name of the field whose value is the same in documents that belong together."""


class GroupDocumentsResult(Result):
    """The groups."""

    groups: list[int | None]
    """For each document the number of its group, 1-based, in the order in which they begin; null
    where it has no value in the field, and so is alone."""


@operation(timeout_seconds=600, accepts=())
async def group_documents(
    source: Path,
    params: GroupDocumentsParams,
    *,
    folder: Path,  # noqa: ARG001  # it writes no file
) -> GroupDocumentsResult:
    """Tell which documents of a file belong together, by the value of a field.

    The source is a list of documents, as `extract-fields` writes it. Case, spaces and marks make
    no difference.
    """
    return GroupDocumentsResult(groups=await in_thread(groups_of, source, params.by))
