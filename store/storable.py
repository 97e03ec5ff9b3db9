"""What every database can keep, and every reader can read again."""

import math
from typing import Any, Final, TypeVar

T = TypeVar("T")

MAX_JSON_DEPTH: Final = 32
"""How many objects and lists may be inside of each other."""


def storable_text(text: str) -> str:
    """PostgreSQL keeps no text with a zero character in it."""
    if "\0" in text:
        raise ValueError("The character U+0000 is not possible here")
    return text


def storable_json(value: T) -> T:
    """What every database can keep as JSON, and every reader can read again."""
    rest: list[tuple[Any, int]] = [(value, 0)]
    while rest:
        found, depth = rest.pop()
        if depth > MAX_JSON_DEPTH:
            raise ValueError(f"Nested deeper than {MAX_JSON_DEPTH} levels")
        match found:
            case str():
                storable_text(found)
                if not found.isascii() and any("\ud800" <= c <= "\udfff" for c in found):
                    raise ValueError("Half of a surrogate pair is no character")
            case float() if not math.isfinite(found):
                raise ValueError("NaN and Infinity are no numbers of JSON")
            case dict():
                rest += [(part, depth + 1) for item in found.items() for part in item]
            case list():
                rest += [(part, depth + 1) for part in found]
            case _:
                pass
    return value


def unstorable(value: object) -> str:
    """Why a value cannot be kept as JSON; empty when it can."""
    try:
        storable_json(value)
    except ValueError as error:
        return str(error)
    return ""
