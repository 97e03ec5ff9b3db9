"""An operation and a project step of one's own."""

import json
from pathlib import Path

import pikepdf

from operations.registry import FieldsChanged, MadeFiles, Params, Secret, operation
from operations.tools.admission import Access, admit
from operations.tools.child import in_child
from operations.tools.scratch import scratch_folder


class EncryptParams(Params):
    """How the PDF is encrypted."""

    password: Secret
    """What whoever opens it has to know."""


class EncryptResult(MadeFiles):
    """The encrypted PDF."""


@operation(timeout_seconds=600, accepts=("pdf",))
async def encrypt(source: Path, params: EncryptParams, *, folder: Path) -> EncryptResult:
    """Encrypt a PDF with a password (AES-256)."""
    target = folder / "encrypted.pdf"
    with scratch_folder() as needed:
        # What was sent is opened in a child process, in which it can harm nothing; and by `admit`,
        # which says of what cannot be opened why, so that the task fails with that.
        facts = await in_child(admit, source, needed, None, Access.REWRITE)
        await in_child(write_encrypted, facts.path, target, params.password.get_secret_value())
    return EncryptResult(files=[target.name])


def write_encrypted(source: Path, target: Path, password: str) -> None:
    """Write a copy that asks for a password; a function of its own, which the child imports."""
    with pikepdf.open(source) as document:
        document.save(target, encryption=pikepdf.Encryption(password, password))


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
