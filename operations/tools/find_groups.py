"""Which documents belong together."""

import json
import re
from pathlib import Path

_NO_LETTERS = re.compile(r"[\W_]+")


def groups_of(source: Path, by: str) -> list[int | None]:
    """The number of the group of each document."""
    numbers: dict[str, int] = {}
    groups: list[int | None] = []
    for document in json.loads(source.read_bytes()):
        field = document["fields"].get(by)
        value = "" if field is None or field["value"] is None else str(field["value"])
        key = _NO_LETTERS.sub("", value).casefold()
        groups.append(numbers.setdefault(key, len(numbers) + 1) if key else None)
    return groups
