"""An operation and a project step of one's own."""

import json
from pathlib import Path

import pikepdf

from operations.registry import FieldsChanged, MadeFiles, Params, Secret, operation


class EncryptParams(Params):
    """How the PDF is encrypted."""

    password: Secret
    """What whoever opens it has to know."""


class EncryptResult(MadeFiles):
    """The encrypted PDF."""


@operation(timeout_seconds=600, accepts=("pdf",))
async def encrypt(source: Path, params: EncryptParams, *, folder: Path) -> EncryptResult:
    """Encrypt a PDF with a password (AES-256)."""
    password = params.password.get_secret_value()
    with pikepdf.open(source) as document:
        document.save(folder / "encrypted.pdf", encryption=pikepdf.Encryption(password, password))
    return EncryptResult(files=["encrypted.pdf"])


class SupplierNumberParams(Params):
    """Which suppliers there are."""

    numbers: dict[str, str]
    """Name of a supplier, as it stands on invoices -> our number of it."""
    supplier: str = "supplier"
    """Name of the field with the name."""
    number: str = "supplier_number"
    """Name of the field for the number."""


@operation(timeout_seconds=60, accepts=())
async def supplier_number(
    source: Path, params: SupplierNumberParams, *, folder: Path
) -> FieldsChanged:
    """Look the number of a supplier up by its name; unknown ones are for a person."""
    fields = json.loads(source.read_text())["fields"]
    name = (fields[params.supplier]["value"] or "").casefold()
    numbers = {known.casefold(): number for known, number in params.numbers.items()}
    changes = {}
    if name in numbers:
        confidence = fields[params.supplier]["confidence"]
        changes[params.number] = {"value": numbers[name], "confidence": confidence}
    (folder / "fields.json").write_text(json.dumps({"fields": changes}))
    return FieldsChanged(file="fields.json")
