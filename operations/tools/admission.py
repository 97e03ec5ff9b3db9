"""A PDF that was sent, looked at before any work: its kind, its password, its signatures."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel

from operations.tools import images, pdf
from operations.tools.file_type import PDF, readable_type
from operations.tools.image_pages import image_as_pdf
from operations.tools.signatures import check_signatures
from store.errors import EncryptedFileError, InputError, UnsupportedFileError


class Access(StrEnum):
    """What is to be done with a file."""

    LOOK = "look"  #: its bytes are only read
    REWRITE = "rewrite"  #: it is written anew, in whole or in part
    BREAK_SIGNATURES = "break_signatures"  #: it is written anew even where it is signed


class Admitted(BaseModel):
    """A file that can be merged, as a PDF."""

    facts: pdf.PdfFacts
    was_locked: bool
    """Whether the password was needed."""


def admit_to_merge(
    paths: Sequence[tuple[int, Path]], folder: Path, password: str | None, access: Access
) -> list[Admitted]:
    """Look whether PDFs and images can be merged; of images PDFs are made.

    Args:
        paths: of the files, each with its position.
        folder: where a folder is made for each that needs one.
        password: that opens those which need one.
        access: what for.

    Raises:
        InputError: of the kind that says what is wrong with one, at `position`.
    """
    found: list[Admitted] = []
    for position, path in paths:
        own = folder / str(position)
        own.mkdir()
        try:
            found.append(_admitted(path, own, password, access))
        except InputError as error:
            error.details.setdefault("position", position + 1)
            raise
    return found


def _admitted(path: Path, folder: Path, password: str | None, access: Access) -> Admitted:
    if readable_type(path) != PDF:
        # Its bytes may get into the PDF as they are, which nobody could see.
        for number, frame in enumerate(images.frames(path), 1):
            images.decode(path, frame, number)
        return Admitted(facts=image_as_pdf(path, folder), was_locked=False)
    try:
        return Admitted(facts=admit(path, folder, None, access), was_locked=False)
    except EncryptedFileError:
        if password is None:
            raise
    return Admitted(facts=admit(path, folder, password, access), was_locked=True)


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
    signatures = check_signatures if access is Access.REWRITE else None
    return pdf.examine(path, folder, password, also=signatures)
