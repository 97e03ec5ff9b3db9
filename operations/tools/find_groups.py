"""Which documents belong together."""

import re
from pathlib import Path

from operations.tools.step_files import fields_in

_NO_LETTERS = re.compile(r"[\W_]+")


def groups_of(source: Path, by: str) -> list[int | None]:
    """The number of the group of each document."""
    numbers: dict[str, int] = {}
    groups: list[int | None] = []
    for fields in fields_in(source):
        field = fields.get(by)
        value = "" if field is None or field["value"] is None else str(field["value"])
        key = _NO_LETTERS.sub("", value).casefold()
        groups.append(numbers.setdefault(key, len(numbers) + 1) if key else None)
    return groups
