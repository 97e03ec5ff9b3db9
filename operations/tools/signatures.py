"""Digital signatures of PDFs, which hold only for the very bytes that were signed.

Source: ISO 32000-1, 12.8.
"""

import pikepdf
from pikepdf import Dictionary, Name

from operations.tools.form_fields import top_fields, tree_of
from store.errors import SignedFileError

_OF_A_SIGNATURE = (Name.V, Name.Lock, Name.SV)


def check_signatures(pdf: pikepdf.Pdf) -> None:
    """Look whether a document may be rewritten without anything being lost.

    Raises:
        SignedFileError: it is signed.
    """
    if is_signed(pdf):
        raise SignedFileError


def is_signed(pdf: pikepdf.Pdf) -> bool:
    """Whether somebody has signed the document, or certified it; an empty field does not count."""
    permissions = pdf.Root.get(Name.Perms)
    if isinstance(permissions, Dictionary) and Name.DocMDP in permissions:
        return True
    return any(isinstance(field.get(Name.V), Dictionary) for field in _signature_fields(pdf))


def remove_signatures(pdf: pikepdf.Pdf) -> None:
    """Leave the fields of signatures empty: a rewritten document would show them as broken."""
    for field in _signature_fields(pdf):
        for key in _OF_A_SIGNATURE:
            if key in field:
                del field[key]
    form = pdf.Root.get(Name.AcroForm)
    if isinstance(form, Dictionary) and Name.SigFlags in form:
        del form.SigFlags
    if Name.Perms in pdf.Root:
        del pdf.Root.Perms


def _signature_fields(pdf: pikepdf.Pdf) -> list[Dictionary]:
    # The type may stand in a field above; then it is that of the one at the top.
    return [
        field
        for top in top_fields(pdf)
        for field in tree_of(top)
        if field.get(Name.FT, top.get(Name.FT)) == Name.Sig
    ]
