"""Data comes as a JSON Schema asks for it: found by name and type, null where it is absent."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from operations import extract_text
from operations.extract_text import ExtractTextParams, ExtractTextResult
from operations.tools.schema import MAX_DEPTH, MAX_PROPERTIES, SchemaError, read_schema
from store.errors import LimitExceededError

LINES = [
    "Delivery note",
    "Delivery No: DN-2026-77",
    "Delivered on: 3 March 2026",
    "Received: 2026-03-04 14:05 UTC",
    "Express: yes",
    "Insured: no",
    "[x] Signed",
    "[ ] Returned",
    "Parcels: 12",
    "Weight: 1,204.5 kg",
    "Contact: goods@northwind.example",
    "Status: Partly delivered",
    "Tags: fragile, cold, heavy",
]
BLOCKS = {
    60: ["Sender", "Name: Northwind Traders", "City: Bristol"],
    320: ["Recipient", "Name: Marlow Books", "City: Bath"],
}
TABLE = [
    ("Article", "Qty", "Unit price"),
    ("Oak shelf", "6", "142.50"),
    ("Counter", "1", "1,290.00"),
    ("Fitting", "2", "310.00"),
]
AT = (60, 300, 440)


def column(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": items}}


PARTY = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "city": {"type": "string"}},
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {"party": PARTY},
    "type": "object",
    "required": ["deliveryNumber", "orderNumber"],
    "properties": {
        "deliveryNumber": {"type": "string", "pattern": r"^DN-\d{4}-\d+$"},
        "orderNumber": {"type": "string"},
        "delivered_on": {"type": "string", "format": "date"},
        "received": {"type": "string", "format": "date-time"},
        "express": {"type": "boolean"},
        "insured": {"type": "boolean"},
        "signed": {"type": "boolean"},
        "returned": {"type": "boolean"},
        "stamped": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "parcels": {"type": "integer", "maximum": 10},
        "mass": {"type": "number", "title": "Weight"},
        "contact": {"type": "string", "format": "email"},
        "status": {"enum": ["delivered", "partly delivered", "lost"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "sender": {"$ref": "#/$defs/party"},
        "recipient": {"$ref": "#/$defs/party"},
        "items": column(
            {
                "article": {"type": "string"},
                "quantity": {"type": "integer"},
                "unit_price": {"type": "number"},
                "batch": {"type": ["string", "null"]},
            }
        ),
        "notes": {"type": ["array", "null"], "items": {"type": "string"}},
    },
}


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.pdf"
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    canvas.setFont("Helvetica", 11)
    for n, line in enumerate(LINES):
        canvas.drawString(60, 790 - 18 * n, line)
    for x, lines in BLOCKS.items():
        for n, line in enumerate(lines):
            canvas.drawString(x, 530 - 15 * n, line)
    for n, row in enumerate(TABLE):
        for x, cell in zip(AT, row, strict=True):
            canvas.drawString(x, 440 - 16 * n, cell)
    canvas.drawString(300, 360, "Total")
    canvas.drawString(440, 360, "2,765.00")
    canvas.save()
    return path


async def extract(path: Path, out: Path, schema: Any) -> tuple[Any, ExtractTextResult]:
    params = ExtractTextParams.model_validate({"format": "json", "schema": schema})
    result = await extract_text.fn(path, params, folder=out)
    assert [file.name for file in out.iterdir()] == [result.file]
    return json.loads((out / result.file).read_bytes()), result


async def test_fields_are_found_by_name_and_type_and_null_where_absent(
    note: Path, out: Path
) -> None:
    data, result = await extract(note, out, SCHEMA)
    assert data == {
        "deliveryNumber": "DN-2026-77",
        "orderNumber": None,
        "delivered_on": "2026-03-03",
        "received": "2026-03-04T14:05:00Z",
        "express": True,
        "insured": False,
        "signed": True,
        "returned": False,
        "stamped": None,
        "parcels": 12,
        "mass": 1204.5,
        "contact": "goods@northwind.example",
        "status": "partly delivered",
        "tags": ["fragile", "cold", "heavy"],
        "sender": {"name": "Northwind Traders", "city": "Bristol"},
        "recipient": {"name": "Marlow Books", "city": "Bath"},
        "items": [
            {"article": "Oak shelf", "quantity": 6, "unit_price": 142.5, "batch": None},
            {"article": "Counter", "quantity": 1, "unit_price": 1290, "batch": None},
            {"article": "Fitting", "quantity": 2, "unit_price": 310, "batch": None},
        ],
        "notes": None,
    }
    assert list(data) == list(SCHEMA["properties"])
    assert {one.path for one in result.found} >= {"/mass", "/sender/city", "/items/2", "/tags/1"}
    assert all(one.page_number == 1 and 0.5 < one.confidence <= 1 for one in result.found)


async def test_what_is_not_as_the_schema_asks_is_told_and_not_hidden(note: Path, out: Path) -> None:
    data, result = await extract(note, out, SCHEMA)
    assert data["parcels"] == 12
    assert [(one.path, one.message) for one in result.problems] == [
        ("/orderNumber", "is required, but was not found"),
        ("/parcels", "breaks `maximum`: 10"),
    ]


async def test_the_same_pages_and_schema_give_the_same_bytes(note: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        await extract(note, tmp_path / name, SCHEMA)
    one, two = ((tmp_path / name / "text.json").read_bytes() for name in ("one", "two"))
    assert one == two


async def test_rows_of_a_table_over_two_pages_are_one_list(demo: Path, out: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "lines": column(
                {
                    "description": {"type": "string", "title": "Bezeichnung"},
                    "count": {"type": "integer", "title": "Menge"},
                    "amount": {"type": "number", "title": "Betrag"},
                }
            ),
            "total": {"type": "number", "title": "Gesamtbetrag"},
            "day": {"type": "string", "format": "date", "title": "Rechnungsdatum"},
        },
    }
    data, result = await extract(demo / "invoice-electric-two-pages.pdf", out, schema)
    assert result.problems == []
    assert len(data["lines"]) == 32
    assert data["lines"][0] == {
        "description": "Leitungen verlegen, Abschnitt 1",
        "count": 1,
        "amount": 118,
    }
    assert data["lines"][23]["description"] == "Entsorgung, Abschnitt 3"
    assert round(sum(line["amount"] for line in data["lines"]), 2) == 8328.60
    assert (data["total"], data["day"]) == (9911.03, "2026-02-28")


async def test_a_code_is_found_by_the_looks_of_its_examples(note: Path, out: Path) -> None:
    asked = {"type": "string", "examples": ["XX-1999-01"], "description": "What we call it."}
    data, _ = await extract(note, out, {"type": "object", "properties": {"key": asked}})
    assert data == {"key": "DN-2026-77"}


async def test_a_pattern_that_takes_too_long_ends_the_work_and_says_so(
    tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "page.pdf"
    canvas = Canvas(str(path), pagesize=A4)
    canvas.setFont("Helvetica", 7)
    canvas.drawString(20, 760, f"Number: {'a' * 90}!")
    canvas.save()
    asked = {"type": "string", "pattern": "^(a|aa|a?a)+$"}
    with pytest.raises(LimitExceededError, match="takes too long"):
        await extract(path, out, {"type": "object", "properties": {"number": asked}})


def of(part: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}}


def nested(depth: int) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        part = of(part)
    return part


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({}, "at /: it needs a `type`"),
        ({"type": "string"}, "at /type: what is asked for must be an object"),
        ({"type": "object"}, "at /: an object needs `properties`"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", **of({"type": "string"})}, "/$sch"),
        (of({"type": "strin"}), "at /properties/a/type: "),
        (of({"type": ["string", "number"]}), "at /properties/a/type: "),
        (of({"type": "number", "minimum": "1"}), "at /properties/a/minimum: "),
        (of({"type": "string", "minimum": 1}), "at /properties/a/minimum: `minimum` has no effect"),
        (of({"type": "string", "pattern": "(("}), "at /properties/a/pattern: "),
        (of({"type": "string", "pattern": "a" * 501}), "at /properties/a/pattern: "),
        (of({"$ref": "https://example.com/x"}), "at /properties/a/$ref: it leads to nothing"),
        ({**of({"$ref": "#/$defs/b"}), "$defs": {"b": {"$ref": "#/$defs/b"}}}, "at /properties/a"),
        (
            {**of({"$ref": "#/$defs/b"}), "$defs": {"b": of({"$ref": "#/$defs/b"})}},
            f"it is more than {MAX_DEPTH} deep",
        ),
        (of({"oneOf": [{"type": "string"}]}), "at /properties/a: it needs a `type`"),
        (of({"anyOf": [{"type": "string"}, {"type": "number"}]}), "at /properties/a/anyOf: "),
        (of({"type": "array"}), "at /properties/a: an array needs `items`"),
        (of({"type": "array", "items": {"type": "number"}}), "at /properties/a/items: "),
        (of({"type": "array", "items": of(of({"type": "string"}))}), "/a/items/properties/a: "),
        ({**of({"type": "string"}), "required": ["b"]}, "at /required: 'b' is no property"),
        ({**of({"type": "string"}), "if": {}}, "at /if: `if` has no effect"),
        (of({"enum": [["a"]], "type": "string"}), "at /properties/a/enum: "),
        (of(True), "at /properties/a: it must be an object"),
        (nested(MAX_DEPTH + 1), f"it is more than {MAX_DEPTH} deep"),
        (nested(300), f"it is more than {MAX_DEPTH} deep"),
        (
            {
                "type": "object",
                "properties": {str(n): {"type": "string"} for n in range(MAX_PROPERTIES + 1)},
            },
            f"there are more than {MAX_PROPERTIES} properties",
        ),
        (of({"type": "string", "description": "x" * 70_000}), "bytes, more than"),
    ],
)
def test_a_schema_that_cannot_be_looked_for_is_refused_with_its_place(
    schema: Any, place: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        read_schema(schema)
    assert place in str(caught.value)
    with pytest.raises(ValidationError, match="schema"):
        ExtractTextParams.model_validate({"format": "json", "schema": schema})


@pytest.mark.parametrize(
    "params",
    [
        {"format": "json"},
        {"format": "plain", "schema": of({"type": "string"})},
        {"format": "plain", "mode": "skip", "languages": ["eng"]},
        {"format": "plain", "mode": "skip", "dpi": 300},
    ],
)
def test_an_option_without_effect_is_refused(params: Any) -> None:
    with pytest.raises(ValidationError, match=r"no effect|without effect"):
        ExtractTextParams.model_validate(params)


def test_a_schema_goes_through_json_and_back_under_its_own_name() -> None:
    params = ExtractTextParams.model_validate({"format": "json", "schema": SCHEMA})
    assert params.model_dump(exclude_unset=True) == {"format": "json", "schema": SCHEMA}
    assert ExtractTextParams.model_validate_json(params.model_dump_json()) == params
