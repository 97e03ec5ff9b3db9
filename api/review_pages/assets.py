"""The stylesheet, the scripts and the icon of the pages: their content and their addresses."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Asset:
    """One file."""

    content: bytes
    type: str
    version: str


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    return Asset(content, TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:12])


# Read once: the folder is part of the program, and only what is in it can be asked for.
ASSETS: Mapping[str, Asset] = {
    path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in TYPES
}


def static(name: str) -> str:
    """The address of a file; it changes with the content, so that browsers may keep it."""
    return f"/static/{name}?v={ASSETS[name].version}"
