"""Files that are named on the command line."""

from collections.abc import Iterable
from pathlib import Path

from store.errors import InputError


def must_be_files(paths: Iterable[Path]) -> None:
    """See that all are there, before anything is done with the first.

    Raises:
        InputError: one is not there, or is a folder.
    """
    for path in paths:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "is not there"
            raise InputError(f"{path} {what}. Name a file.", file=str(path))
