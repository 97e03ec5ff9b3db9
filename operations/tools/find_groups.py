"""Which documents belong together."""

import json
import re
from pathlib import Path


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
