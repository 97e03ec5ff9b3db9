"""A PDF that was sent, looked at before any work: its kind, its password, its signatures."""

from enum import StrEnum
from pathlib import Path

import pikepdf

from operations.tools import pdf
from operations.tools.file_type import PDF, readable_type
from operations.tools.signatures import check_signatures
from store.errors import UnsupportedFileError


class Access(StrEnum):
    """What is to be done with a file."""

    LOOK = "look"  #: its bytes are only read
    REWRITE = "rewrite"  #: it is written anew, in whole or in part
    BREAK_SIGNATURES = "break_signatures"  #: it is written anew even where it is signed


def admit(path: Path, folder: Path, password: str | None, access: Access) -> pdf.PdfFacts:
    """Look whether a PDF can be worked on.

    Args:
        path: the file.
        folder: where a repaired or unlocked copy may be put.
        password: that opens it.
        access: what for.

    Raises:
        UnsupportedFileError: it is no PDF.
        SignedFileError: it is signed, and that must not break.
        InputError: of the kind that says what else is wrong with it.
    """
    found = readable_type(path)
    if found != PDF:
        raise UnsupportedFileError(
            "The file is no PDF. Send one, or use an operation on images.",
            detected=found,
            accepted=[PDF],
        )
    facts = pdf.examine(path, folder, password)
    if access is Access.REWRITE:
        with pdf.damage_is_ours(), pikepdf.open(facts.path, suppress_warnings=True) as document:
            check_signatures(document)
    return facts
