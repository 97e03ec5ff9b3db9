r"""The header `X-Aluma-Tags`: `task_name=AB3947853&file_path=C:\inbox`."""

import re
from collections.abc import Mapping
from typing import Final

from fastapi.exceptions import RequestValidationError

HEADER: Final = "X-Aluma-Tags"

_BEGINS: Final = re.compile(r"(?:^|&)(?=[A-Za-z_][\w.-]*=)", re.ASCII)
"""Where a tag begins. A `&` with no name and `=` behind it is of the value: `C:\\R&D\\inbox`."""


def parse_tags(header: str) -> Mapping[str, str]:
    r"""The tags of a header, every one of them; of one that came twice the last.

    Values are taken as they stand. They are not URL-encoded: Aluma's own page sends `C:\inbox`,
    and in `100%25` a percent sign would be lost.

    Args:
        header: as Starlette gives it: each byte a character.

    Raises:
        RequestValidationError: it does not begin with a name and `=`.
    """
    text = _text_of(header).strip()
    if not text:
        return {}
    before, *tags = _BEGINS.split(text)
    if before:
        raise RequestValidationError(
            [{"type": "tags", "loc": ("header", HEADER), "msg": "Expected: name=value&name=value"}]
        )
    return {name: value for name, _, value in (tag.partition("=") for tag in tags)}


def _text_of(header: str) -> str:
    """Clients send UTF-8; what is none is Latin-1, as RFC 9110 (section 5.5) has had it."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header
