"""How ids are made and spelt."""

import secrets
import string
from datetime import UTC, datetime

_ALPHABET = string.ascii_lowercase + string.digits


def new_code() -> str:
    """Sixteen random characters a-z0-9 (82 bits), the variable part of a public id."""
    number = secrets.randbelow(len(_ALPHABET) ** 16)  # one question to the system, not sixteen
    places = (len(_ALPHABET) ** place for place in range(16))
    return "".join(_ALPHABET[number // place % len(_ALPHABET)] for place in places)


def now() -> datetime:
    """The present, aware, UTC."""
    return datetime.now(UTC)
