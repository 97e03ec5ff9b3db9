"""How ids are made and spelt."""

import secrets
import string
from datetime import UTC, datetime

_ALPHABET = string.ascii_lowercase + string.digits


def new_code() -> str:
    """Sixteen random characters a-z0-9 (82 bits), the variable part of a public id."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(16))


def now() -> datetime:
    """The present, aware, UTC."""
    return datetime.now(UTC)
