"""What was filled into a form is read, each field by its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pypdf
import pytest
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, TextStringObject

from operations import extract_form
from operations.extract_form import ExtractFormParams, FormField
from store.errors import UnsupportedFileError

SAMPLES = Path(__file__).parents[2] / "samples"
FORM = SAMPLES / "form_dd0293.pdf"

_RADIO, _PUSH = 1 << 15, 1 << 16


async def fields_of(source: Path, out: Path, **params: Any) -> dict[str, FormField]:
    result = await extract_form.fn(source, ExtractFormParams(**params), folder=out)
    return {field.name: field for field in result.fields}


def form(path: Path, fields: Mapping[str, Mapping[str, Any]], *, password: str = "") -> Path:
    """A form of one page that has all of the fields."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(200, 200)
    widgets = ArrayObject()
    for name, entries in fields.items():
        widget = DictionaryObject(
            {
                NameObject("/Subtype"): NameObject("/Widget"),
                NameObject("/T"): TextStringObject(name),
                NameObject("/Rect"): ArrayObject([NumberObject(n) for n in (0, 0, 9, 9)]),
                **{NameObject(key): value for key, value in entries.items()},
            }
        )
        widgets.append(writer._add_object(widget))
    page[NameObject("/Annots")] = widgets
    root = DictionaryObject({NameObject("/Fields"): widgets})
    writer._root_object[NameObject("/AcroForm")] = root
    if password:
        writer.encrypt(password, algorithm="AES-256")
    writer.write(path)
    return path


TEXT = {"/FT": NameObject("/Tx"), "/V": TextStringObject("Ärger 4711")}


async def test_each_kind_of_field_has_its_value(tmp_path: Path, out: Path) -> None:
    button, choice = NameObject("/Btn"), NameObject("/Ch")
    two = ArrayObject([TextStringObject("a"), TextStringObject("b")])
    source = form(
        tmp_path / "form.pdf",
        {
            "text": {**TEXT, "/TU": TextStringObject("Your name")},
            "empty": {"/FT": NameObject("/Tx")},
            "yes": {"/FT": button, "/V": NameObject("/On")},
            "no": {"/FT": button, "/V": NameObject("/Off")},
            "color": {"/FT": button, "/Ff": NumberObject(_RADIO), "/V": NameObject("/red")},
            "send": {"/FT": button, "/Ff": NumberObject(_PUSH)},
            "one": {"/FT": choice, "/V": TextStringObject("b")},
            "many": {"/FT": choice, "/V": two},
            "signature": {"/FT": NameObject("/Sig")},
        },
    )
    found = await fields_of(source, out)
    assert {name: (one.type, one.value) for name, one in found.items()} == {
        "text": ("text", "Ärger 4711"),
        "empty": ("text", None),
        "yes": ("checkbox", True),
        "no": ("checkbox", False),
        "color": ("radio", "red"),
        "one": ("choice", "b"),
        "many": ("choice", ["a", "b"]),
        "signature": ("signature", False),
    }
    assert (found["text"].label, found["text"].page_numbers) == ("Your name", [1])


async def test_the_fields_of_a_real_form_are_found_on_their_pages(out: Path) -> None:
    found = await fields_of(FORM, out)
    reader = pypdf.PdfReader(FORM)
    filled_in = {
        name for name, one in (reader.get_fields() or {}).items() if one.get("/FT") == "/Tx"
    }
    assert filled_in
    assert {name for name, one in found.items() if one.type == "text"} == filled_in
    assert found["form1[0].page1[0].CheckBox1[0]"].type == "checkbox"
    pages = {number for one in found.values() for number in one.page_numbers}
    assert pages <= set(range(1, len(reader.pages) + 1))
    assert 1 in pages


async def test_a_file_without_a_form_has_no_fields(out: Path) -> None:
    assert await fields_of(SAMPLES / "vector.pdf", out) == {}


async def test_an_encrypted_form_is_read_with_its_password(tmp_path: Path, out: Path) -> None:
    source = form(tmp_path / "locked.pdf", {"text": TEXT}, password="secret")
    found = await fields_of(source, out, password="secret")
    assert found["text"].value == "Ärger 4711"


async def test_a_form_that_goes_in_circles_comes_to_an_end(tmp_path: Path, out: Path) -> None:
    source = form(tmp_path / "circle.pdf", {"group": {"/FT": NameObject("/Tx")}})
    writer = pypdf.PdfWriter(clone_from=source)
    field = writer._root_object["/AcroForm"]["/Fields"][0]  # pyright: ignore[reportIndexIssue]  # as above
    field.get_object()[NameObject("/Kids")] = ArrayObject([field])
    writer.write(source)
    found = await fields_of(source, out)
    assert {name.partition(".")[0] for name in found} == {"group"}


async def test_an_image_has_no_form(out: Path) -> None:
    with pytest.raises(UnsupportedFileError):
        await fields_of(SAMPLES / "phototest.tif", out)
