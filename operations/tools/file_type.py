"""What a file is, by its content. Its name and what its sender says do not count."""

from collections.abc import Callable
from pathlib import Path

import puremagic

from store.errors import EmptyFileError, UnsupportedFileError

PDF = "application/pdf"
UNKNOWN = "application/octet-stream"

SNIFFED_BYTES = 4096
"""How much of the beginning of a file tells its type."""

# The types that are taken, each with what its files begin with.
_BEGINNINGS: dict[str, Callable[[bytes], bool]] = {
    # TIFF 6.0, section 2, and BigTIFF.
    "image/tiff": lambda head: head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"},
    "image/png": lambda head: head[:8] == b"\x89PNG\r\n\x1a\n",
    "image/jpeg": lambda head: head[:3] == b"\xff\xd8\xff",
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    # ISO 32000-1, annex H.3.4.1: readers accept it anywhere in the first 1024 bytes. Last,
    # because the others may have it in a comment.
    PDF: lambda head: b"%PDF-" in head[:1024],
}

READABLE = frozenset(_BEGINNINGS)
"""Media types of the files that can be read."""


def sniff(head: bytes) -> str:
    """The media type of a file.

    Args:
        head: its beginning, at least SNIFFED_BYTES where the file has them.

    Returns:
        One of READABLE where it is one; else the best guess, or `application/octet-stream`.
    """
    for media_type, begins in _BEGINNINGS.items():
        if begins(head):
            return media_type
    try:
        guesses = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    # What is not in our table is not one of our types, whatever else speaks for it.
    names = [guess.mime_type for guess in guesses if guess.mime_type and guess.confidence >= 0.5]
    return next((name for name in names if name not in READABLE), UNKNOWN)


def readable_type(path: Path) -> str:
    """The media type of a file that is to be read.

    Raises:
        EmptyFileError: it has no bytes.
        UnsupportedFileError: it is none of READABLE; `detected` says what it seems to be.
    """
    with path.open("rb") as file:
        head = file.read(SNIFFED_BYTES)
    if not head:
        raise EmptyFileError
    found = sniff(head)
    if found not in READABLE:
        raise UnsupportedFileError(detected=found, accepted=sorted(READABLE))
    return found
