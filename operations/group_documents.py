"""Find the documents of a file that belong together."""

import json
import re
from pathlib import Path

from pydantic import Field

from operations.registry import Params, Result, operation
from operations.tools.child import in_child


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
    return GroupDocumentsResult(groups=await in_child(groups_of, source, params.by))


def groups_of(source: Path, by: str) -> list[int | None]:
    """The number of the group of each document."""
    numbers: dict[str, int] = {}
    groups: list[int | None] = []
    for document in json.loads(source.read_bytes()):
        field = document["fields"].get(by)
        value = "" if field is None or field["value"] is None else str(field["value"])
        key = re.sub(r"[\W_]+", "", value).casefold()
        groups.append(numbers.setdefault(key, len(numbers) + 1) if key else None)
    return groups
