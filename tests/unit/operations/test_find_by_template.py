"""Templates of invoice2data find what they find, with its place on the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import extract_fields, read_pages
from operations.extract_fields import ExtractFieldsParams
from operations.read_pages import ReadPagesParams
from operations.tools import find_by_template
from operations.tools.find_fields import find_fields
from operations.tools.layout_text import LayoutText
from operations.tools.mended_words import words_of_template
from store.errors import InputError, LimitExceededError
from store.fields import OCR, TEXT_LAYER, FieldType, FieldValue, PageWords
from store.project_fields import ColumnPart, FieldPart
from tests.documents import invoice as plain_invoice
from tests.invoice_layouts import invoice

NORTHWIND: dict[str, Any] = {
    "issuer": "Northwind Traders",
    "keywords": ["Northwind Traders Ltd"],
    "fields": {
        "invoice_number": r"Invoice No:\s+([A-Z]{2}-\d+)",
        "date": r"Date:\s+(\d{4}-\d{2}-\d{2})",
        "amount": r"Total due:\s+([\d.,]+)",
        "static_country": "GB",
    },
    "options": {"currency": "GBP", "date_formats": ["%Y-%m-%d"]},
}
FIELDS = [
    FieldPart(name="number", template_field="invoice_number"),
    FieldPart(name="day", type=FieldType.DATE, template_field="date"),
    FieldPart(name="total", type=FieldType.MONEY, template_field="amount"),
    FieldPart(name="issuer", template_field="issuer"),
    FieldPart(name="country", template_field="country"),
]


async def read(pdf: bytes, folder: Path) -> list[PageWords]:
    folder.mkdir(exist_ok=True)
    (folder / "a.pdf").write_bytes(pdf)
    found = await read_pages.fn(folder / "a.pdf", ReadPagesParams(), folder=folder)
    return [
        PageWords.model_validate_json((folder / page.words_file).read_bytes())
        for page in found.pages
    ]


@pytest.fixture
async def pages(tmp_path: Path) -> list[PageWords]:
    return await read(plain_invoice(), tmp_path / "read")


def find(pages: list[PageWords], *templates: Mapping[str, Any]) -> dict[str, FieldValue]:
    return find_fields(pages, FIELDS, templates)


async def test_values_of_a_template_have_their_place_on_the_page(pages: list[PageWords]) -> None:
    found = find(pages, NORTHWIND)
    assert {name: value.value for name, value in found.items()} == {
        "number": "AB-1001",
        "day": "2026-03-14",
        "total": "119.00",
        "issuer": "Northwind Traders",
        "country": "GB",
    }
    for name in ("number", "day", "total", "issuer"):
        word = next(w for w in pages[0].words if w.text == found[name].text.split()[0])
        box = found[name].box
        assert box is not None
        assert (box[0], box[1]) == pytest.approx(word.box[:2], abs=2)
        assert (found[name].page_number, found[name].method) == (1, "template")
        assert found[name].confidence > 0.8
    assert (found["country"].box, found["country"].confidence) == (None, 0.9)
    assert found["total"].currency == "GBP"


async def test_a_template_for_other_invoices_finds_nothing(pages: list[PageWords]) -> None:
    found = find(pages, {**NORTHWIND, "keywords": ["Somebody else"]})
    assert all(value.value is None for value in found.values())


async def test_where_a_template_finds_not_all_that_it_requires_the_next_is_tried(
    pages: list[PageWords],
) -> None:
    other = {"amount": r"Grand total:\s+(\d+)"}
    strict = {**NORTHWIND, "priority": 9, "fields": {**NORTHWIND["fields"], **other}}
    assert find(pages, strict, NORTHWIND)["total"].value == "119.00"
    assert find(pages, strict)["total"].value is None


async def test_what_a_template_does_not_find_is_found_by_label(pages: list[PageWords]) -> None:
    net = FieldPart(name="net", type=FieldType.MONEY, labels=["Net amount"], template_field="nett")
    assert find_fields(pages, [net], [NORTHWIND])["net"].value == "100.00"


async def test_lines_of_a_template_are_the_rows_of_a_table(tmp_path: Path) -> None:
    made = invoice(0, "en", seed=3)
    template = {
        "issuer": "Somebody",
        "keywords": ["IBAN"],
        "required_fields": ["lines"],
        "fields": {
            "lines": {
                "parser": "lines",
                "start": r"Description\s+Quantity.*",
                "end": "Net amount",
                "line": r"(?P<quantity>[\d.]+)\s+(?P<price>[\d,.]+)\s+(?P<amount>[\d,.]+)$",
                "types": {"quantity": "float", "price": "float", "amount": "float"},
            }
        },
    }
    columns = [
        ColumnPart(name="quantity", type=FieldType.NUMBER),
        ColumnPart(name="price", type=FieldType.MONEY),
        ColumnPart(name="amount", type=FieldType.MONEY),
    ]
    table = FieldPart(name="lines", type=FieldType.TABLE, columns=columns, template_field="lines")
    pages = await read(made.pdf, tmp_path / "read")
    found = find_fields(pages, [table], [template])["lines"]
    assert [(row["price"], row["amount"]) for row in found.value] == [
        (line["price"], line["amount"]) for line in made.data["lines"]
    ]
    tops = [row["amount"].box[1] for row in found.rows if row["amount"].box]
    assert len(tops) == len(found.rows)
    assert tops == sorted(tops)


async def test_a_pattern_that_takes_for_ever_is_stopped(
    pages: list[PageWords], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_by_template, "TEMPLATE_SECONDS", 0.3)
    fields = {**NORTHWIND["fields"], "date": r"(?:\w|\w\w|\s|\s\w)+#"}
    with pytest.raises(LimitExceededError, match="Northwind Traders takes too long"):
        find(pages, {**NORTHWIND, "fields": fields})


@pytest.mark.parametrize(
    "broken",
    [
        {"fields": {"date": {"parser": "regex", "regex": r"(\d+)", "type": "colour"}}},
        {"options": {"languages": ["english"]}},
        {"options": {"replace": [["only one"]]}},
        {"fields": {"lines": {"parser": "lines", "line": "x"}}},
    ],
)
async def test_a_template_that_is_none_is_refused_by_name(
    pages: list[PageWords], broken: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="Northwind Traders"):
        find(pages, {**NORTHWIND, **broken})


async def test_the_operation_runs_templates_in_a_child(tmp_path: Path, out: Path) -> None:
    await read(plain_invoice(), tmp_path / "read")
    params = ExtractFieldsParams(fields=FIELDS, templates=[NORTHWIND])
    found = await extract_fields.fn([tmp_path / "read" / "page-0001.json"], params, folder=out)
    assert found.document_count == 1
    assert '"119.00"' in (out / found.file).read_text()


def as_read_by_ocr(
    pages: list[PageWords], misread: Mapping[str, str], confidence: float = 0.8
) -> list[PageWords]:
    """The pages as OCR gives them, with some words wrong."""
    return [
        page.model_copy(
            update={
                "method": OCR,
                "words": [
                    word.model_copy(
                        update={"text": misread[word.text], "confidence": confidence}
                        if word.text in misread
                        else {"confidence": 0.95}
                    )
                    for word in page.words
                ],
            }
        )
        for page in pages
    ]


async def test_on_a_scan_a_template_finds_the_same_though_its_words_were_misread(
    pages: list[PageWords],
) -> None:
    misread = {"Northwind": "Northw1nd", "Traders": "Tradcrs", "Invoice": "|nvoice", "due:": "due;"}
    scanned = as_read_by_ocr(pages, misread | {"Total": "_Total"})
    found = find(scanned, NORTHWIND)
    assert {name: value.value for name, value in found.items()} == {
        "number": "AB-1001",
        "day": "2026-03-14",
        "total": "119.00",
        "issuer": "Northwind Traders",
        "country": "GB",
    }
    assert found["total"].box == find(pages, NORTHWIND)["total"].box
    assert (
        find([page.model_copy(update={"method": TEXT_LAYER}) for page in scanned], NORTHWIND)[
            "total"
        ].value
        is None
    )


async def test_what_ocr_is_sure_of_is_not_taken_for_a_word_of_the_template(
    pages: list[PageWords],
) -> None:
    other = as_read_by_ocr(pages, {"Northwind": "Southwind"}, confidence=0.97)
    template = {**NORTHWIND, "fields": {**NORTHWIND["fields"], "who": "(Northwind) Traders"}}
    who = FieldPart(name="who", template_field="who")
    assert find_fields(other, [who], [template])["who"].value is None


async def test_digits_that_were_read_as_letters_are_put_right_and_confirmed_by_a_person(
    pages: list[PageWords],
) -> None:
    found = find(as_read_by_ocr(pages, {"119.00": "1l9.O0"}), NORTHWIND)
    assert found["total"].value == "119.00"
    assert found["total"].confidence < FIELDS[2].confidence_threshold
    assert found["number"].confidence > FIELDS[0].confidence_threshold


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"Invoice No\.?:\s+([A-Z]{2}-\d+)", ["Invoice"]),
        (r"\s{10,}Date:\s+(.*)[\r\n]*", ["Date:"]),
        (r"(Alles voor een glimlach[.])", ["Alles", "voor", "een", "glimlach."]),
        (r"Belgi.\sN.V.", []),
        (r"Total (?:due|owed)?\s*[€$] (?P<total>\d+)", ["Total", "due", "owed"]),
    ],
)
def test_the_words_of_a_pattern_are_those_it_says_letter_for_letter(
    pattern: str, words: list[str]
) -> None:
    template = {"keywords": [], "fields": {"a": pattern, "static_b": "Nothing"}}
    assert words_of_template(template) == words


async def test_columns_stand_below_each_other_in_the_text(tmp_path: Path) -> None:
    pages = await read(invoice(0, "en", seed=3).pdf, tmp_path / "read")
    text = LayoutText(pages, 1.0)
    lines = text.text.splitlines()
    head = next(line for line in lines if "Quantity" in line)
    assert "  Quantity  " in head
    at = text.text.index("Quantity")
    assert [word.text for word, _ in text.words_of(at, at + 8)] == ["Quantity"]
    assert text.text.endswith("\f")
