"""Pages that somebody asks for: `2-7`, `2,3,7`, `5-`."""

import re

from store.errors import PageRangeError

PAGES_PATTERN = r"^\s*\d+\s*(-\s*(\d+\s*)?)?(,\s*\d+\s*(-\s*(\d+\s*)?)?)*$"
"""What pages are asked for in, for a JSON schema; whether they are there, only the document says."""

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
