r"""The header `X-Aluma-Tags`: `task_name=AB3947853&file_path=C:\inbox`."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from fastapi.exceptions import RequestValidationError

from api.bodies import text_of_header
from store.storable import storable_text

HEADER: Final = "X-Aluma-Tags"

_BEGINS: Final = re.compile(r"(?:^|&)(?=[A-Za-z_][\w.-]*=)", re.ASCII)
"""Where a tag begins. A `&` with no name and `=` behind it is of the value: `C:\\R&D\\inbox`."""


def parse_tags(lines: Sequence[str]) -> Mapping[str, str]:
    r"""The tags of a header, every one of them; of one that came twice the last.

    Values are taken as they stand. They are not URL-encoded: Aluma's own page sends `C:\inbox`,
    and in `100%25` a percent sign would be lost.

    Args:
        lines: of the header, which may be sent more than once; each byte a character.

    Raises:
        RequestValidationError: it does not begin with a name and `=`, or cannot be kept.
    """
    read = (text_of_header(line).strip() for line in lines)
    try:
        text = storable_text("&".join(line for line in read if line))
    except ValueError as error:
        raise wrong_tags(str(error)) from None
    if not text:
        return {}
    before, *tags = _BEGINS.split(text)
    if before:
        raise wrong_tags("Expected: name=value&name=value")
    return {name: value for name, _, value in (tag.partition("=") for tag in tags)}


def wrong_tags(message: str) -> RequestValidationError:
    """That a header is not as it should be."""
    return RequestValidationError([{"type": "tags", "loc": ("header", HEADER), "msg": message}])
