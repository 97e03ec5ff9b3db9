"""What a project file says of the files that it refuses."""

import re
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from store.project_fields import Part

_UNITS: Final = {
    **{unit: 1000**n for n, unit in enumerate(("b", "kb", "mb", "gb"))},
    **{unit: 1024**n for n, unit in enumerate(("b", "kib", "mib", "gib"))},
}


def _size(value: Any) -> Any:
    """`20MB`, `512 KiB` besides a number of bytes."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,9})\s*([KMGkmg]i?)?[Bb]", value)):
        return int(found[1]) * _UNITS[f"{found[2] or ''}b".lower()]
    return value


Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(gt=0),
    WithJsonSchema(
        {"type": ["string", "integer"], "examples": ["20MB", "512KiB", 1000000]},
        mode="validation",
    ),
]
"""In bytes."""

FILE_TYPES: Final = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
"""What a project file calls a type of files -> its media type."""


class Duplicates(StrEnum):
    """What becomes of a file whose very bytes came to the project before."""

    ALLOW = "allow"
    FLAG = "flag"
    REJECT = "reject"
    FIRST = "first"


class LimitsPart(Part):
    """Which files are refused, beside those that the server refuses anyway."""

    max_file_size: Size | None = None
    """Larger files: `20MB`, `512KiB`, or a number of bytes."""
    max_pages: int | None = Field(default=None, ge=1)
    """Files with more pages."""
    file_types: list[Literal["pdf", "tiff", "png", "jpeg", "webp"]] = Field(default=[])
    """Where it is given, files of all other types; what a file is, its content tells."""

    duplicates: Duplicates = Duplicates.ALLOW
    """What becomes of a file whose very bytes came before: allow: a task like any; flag: a task
    that names the first one as `duplicate_of`; reject: it is refused; first: no task is made, and
    the answer is the first one."""

    @property
    def media_types(self) -> list[str]:
        """The media types that are taken; any when empty."""
        return [FILE_TYPES[one] for one in self.file_types]
