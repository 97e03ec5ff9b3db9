"""Pages that somebody asks for: `2-7`, `2,3,7`, `5-`."""

import re
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from store.errors import PageRangeError


def _in_words(given: Any, check: ValidatorFunctionWrapHandler) -> str:
    """The pattern is for programs; people are told how pages are written."""
    try:
        return check(given)
    except ValidationError as error:
        if error.errors()[0]["type"] != "string_pattern_mismatch":
            raise
        raise ValueError("Write numbers and ranges of pages, like 2-7 or 2,3,7") from None


_SOME = r"\s*\d{1,9}\s*(-\s*(\d{1,9}\s*)?)?"

SomePages = Annotated[
    str,
    Field(pattern=rf"^{_SOME}(,{_SOME})*$", max_length=10_000, examples=["2-7", "2,3,7"]),
    WrapValidator(_in_words),
]
"""A parameter that names pages; whether they are there, only the document says."""

Pages = Annotated[
    str,
    Field(pattern=rf"^(\s*|{_SOME}(,{_SOME})*)$", max_length=10_000, examples=["2-7", "2,3,7"]),
    WrapValidator(_in_words),
]
"""The same, empty for all pages."""

_PART = re.compile(r"(\d{1,9})(?:\s*(-)\s*(\d{1,9})?)?")


def pages_of(text: str, page_count: int) -> list[int]:
    """The numbers of the pages that are asked for, ascending, each once.

    Args:
        text: numbers and ranges with commas between; empty for all pages; an open range goes to
            the last page.
        page_count: of the document.

    Raises:
        PageRangeError: it is none, or names pages that are not there.
    """
    if not text.strip():
        return list(range(1, page_count + 1))
    wanted: set[int] = set()
    for part in text.split(","):
        found = _PART.fullmatch(part.strip())
        if found is None:
            raise PageRangeError(
                f"{part.strip()!r} is no page or range of pages. Write 2-7, or 2,3,7.",
                pages=text,
            )
        first = int(found[1])
        last = int(found[3]) if found[3] else page_count if found[2] else first
        if not 1 <= first <= last <= page_count:
            raise PageRangeError(
                f"Pages {part.strip()} are not in a document of {page_count}.",
                pages=text,
                page_count=page_count,
            )
        wanted.update(range(first, last + 1))
    return sorted(wanted)
