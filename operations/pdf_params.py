"""What can be said to every operation on PDFs, and how they open what was sent."""

from pathlib import Path

from pydantic import Field

from operations.registry import Params, Secret
from operations.tools.admission import Access, admit
from operations.tools.child import in_child
from operations.tools.pdf import PdfFacts


class PdfParams(Params):
    """How a PDF is opened."""

    password: Secret | None = Field(default=None, min_length=1, max_length=127)
    """Password of an encrypted file, of its user or its owner; what is made of it has none. It is
    kept only until the task has ended, and never shown."""


class RewritingParams(PdfParams):
    """How a PDF is opened whose pages get into a new file."""

    invalidate_signatures: bool = False
    """Whether a digitally signed file may be rewritten; its signatures are gone then."""


async def admitted(source: Path, params: PdfParams, folder: Path) -> PdfFacts:
    """What is known of a PDF that can be worked on.

    Args:
        source: as it was sent.
        params: how it may be opened.
        folder: where a repaired or unlocked copy may be put.

    Raises:
        InputError: of the kind that says what is wrong with it.
    """
    return await in_child(admit, source, folder, *how_opened(params))


def how_opened(params: PdfParams) -> tuple[str | None, Access]:
    """The password, and what is to be done with the file."""
    access = Access.LOOK
    if isinstance(params, RewritingParams):
        signed = params.invalidate_signatures
        access = Access.BREAK_SIGNATURES if signed else Access.REWRITE
    return params.password.get_secret_value() if params.password else None, access
