"""How ids are made and spelt."""

import secrets
import string
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from uuid import UUID

_ALPHABET = string.ascii_lowercase + string.digits


def new_code() -> str:
    """Sixteen random characters a-z0-9 (82 bits), the variable part of a public id."""
    number = secrets.randbelow(len(_ALPHABET) ** 16)  # one question to the system, not sixteen
    places = (len(_ALPHABET) ** place for place in range(16))
    return "".join(_ALPHABET[number // place % len(_ALPHABET)] for place in places)


def short_of(id_: UUID) -> str:
    """An id in the 22 characters of its base64url, which Aluma has for all its ids.

    Source: RFC 4648, section 5, without padding.
    """
    return urlsafe_b64encode(id_.bytes).rstrip(b"=").decode()


def id_of(short: str) -> UUID | None:
    """The id that `short_of` spelt so; None where it is none."""
    try:
        id_ = UUID(bytes=urlsafe_b64decode(f"{short}=="))
    except ValueError:
        return None
    return id_ if short_of(id_) == short else None  # each has one spelling


def now() -> datetime:
    """The present, aware, UTC."""
    return datetime.now(UTC)
