"""PDFs with passwords and signatures: opened with the first, not rewritten over the second."""

from pathlib import Path
from typing import Any, Literal

import pikepdf
import pytest
from pydantic import ValidationError

import operations
from operations.pdf_params import PdfParams, RewritingParams
from operations.registry import OPERATIONS, Operation, Params
from store.errors import EncryptedFileError, InputError, SignedFileError
from tests import pdfs

REQUIRED: dict[str, dict[str, Any]] = {
    "extract-pages": {"pages": "1"},
    "render": {"dpi": 72},
    "rotate": {"degrees": 90},
    "split-by-separator": {"separator": "barcode"},
}
"""What must be said to an operation, or keeps it short."""

ROWS = [row for row in OPERATIONS.values() if issubclass(row.params, PdfParams)]
each = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
REWRITING = [row for row in ROWS if issubclass(row.params, RewritingParams)]
each_rewriting = pytest.mark.parametrize("row", REWRITING, ids=[row.name for row in REWRITING])


async def do(row: Operation, source: Path, out: Path, **more: Any) -> list[Path]:
    params: Params = row.params.model_validate(REQUIRED.get(row.name, {}) | more)
    result = await row.task.fn([source] if row.takes_many else source, params, folder=out)
    return [out / name for name in getattr(result, "files", ())]


def test_these_are_all_operations_on_pdfs() -> None:
    assert operations
    made = {row.name for row in OPERATIONS.values() if row.accepts == frozenset({"pdf"})}
    assert made == {row.name for row in ROWS}


@each
async def test_a_password_opens_the_file_and_what_is_made_needs_none(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    book = pdfs.book(tmp_path / "book.pdf", 2)
    locked = pdfs.encrypted(tmp_path / "locked.pdf", book)
    for made in await do(row, locked, out, password=pdfs.PASSWORD):
        if made.suffix == ".pdf":
            with pikepdf.open(made) as document:
                assert not document.is_encrypted
            assert "page 1 of the book" in "".join(pdfs.texts(made)) or "0002" in made.name


@each
async def test_a_missing_wrong_or_needless_password_is_named(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    book = pdfs.book(tmp_path / "book.pdf", 1)
    locked = pdfs.encrypted(tmp_path / "locked.pdf", book)
    for given, reason in (({}, "password_missing"), ({"password": "no"}, "password_wrong")):
        with pytest.raises(EncryptedFileError) as caught:
            await do(row, locked, out, **given)
        assert caught.value.details["reason"] == reason
        assert "Send" in caught.value.message
    with pytest.raises(InputError, match="Leave `password` out") as needless:
        await do(row, book, out, password="no")
    assert needless.value.details == {"parameter": "password"}
    assert not out.exists()


@pytest.mark.parametrize("revision", [3, 4, 6])
async def test_every_kind_of_encryption_is_opened(
    revision: Literal[3, 4, 6], tmp_path: Path, out: Path
) -> None:
    """Before revision 6 a password is in an 8-bit encoding."""
    book = pdfs.book(tmp_path / "book.pdf", 1)
    locked = pdfs.encrypted(tmp_path / "locked.pdf", book, revision=revision)
    (made,) = await do(OPERATIONS["split"], locked, out, password=pdfs.PASSWORD)
    assert pdfs.texts(made) == pdfs.texts(book)


async def test_a_file_that_only_its_owner_may_change_opens_without_a_password(
    tmp_path: Path, out: Path
) -> None:
    book = pdfs.book(tmp_path / "book.pdf", 1)
    path = tmp_path / "owned.pdf"
    with pikepdf.open(book) as document:
        document.save(path, encryption=pikepdf.Encryption(user="", owner="owner"))
    row = OPERATIONS["split"]
    assert pdfs.texts((await do(row, path, out / "1"))[0]) == pdfs.texts(book)
    assert pdfs.texts((await do(row, path, out / "2", password="owner"))[0]) == pdfs.texts(book)
    with pytest.raises(EncryptedFileError):
        await do(row, path, out / "3", password="wrong")


@each
def test_a_password_is_shown_nowhere(row: Operation) -> None:
    assert row.secrets == frozenset({"password"})
    given = REQUIRED.get(row.name, {}) | {"password": "hunter2"}
    params = row.params.model_validate(given)
    assert "hunter2" not in repr(params)
    assert "hunter2" not in str(params.model_dump())
    assert params.model_dump(mode="json")["password"] == "***"
    with pytest.raises(ValidationError) as caught:
        row.params.model_validate(given | {"no_such_parameter": 1, "password": "hunter2" * 50})
    assert "too_long" in {error["type"] for error in caught.value.errors()}


@each_rewriting
async def test_a_signed_file_is_not_rewritten_unless_that_is_allowed(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    source = pdfs.signed(tmp_path / "signed.pdf")
    with pytest.raises(SignedFileError, match="invalidate_signatures"):
        await do(row, source, out)
    assert not out.exists()
    for made in await do(row, source, out, invalidate_signatures=True):
        with pikepdf.open(made) as document:
            (field,) = document.Root.AcroForm.Fields
            assert str(field.T) == "signed"
            # Copied as it was for OCR of an empty page: nothing is laid under it.
            assert "/V" not in field or made.read_bytes() == source.read_bytes()


async def test_a_signed_file_is_rendered_as_any(tmp_path: Path, out: Path) -> None:
    source = pdfs.signed(tmp_path / "signed.pdf")
    assert len(await do(OPERATIONS["render"], source, out)) == 1


async def test_a_field_that_nobody_has_signed_yet_is_no_signature(
    tmp_path: Path, out: Path
) -> None:
    source = pdfs.signed(tmp_path / "signed.pdf")
    with pikepdf.open(source, allow_overwriting_input=True) as document:
        del document.Root.AcroForm.Fields[0].V
        document.save(source)
    assert len(await do(OPERATIONS["split"], source, out)) == 1
