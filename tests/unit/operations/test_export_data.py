"""The data files: all that is known as JSON, the values as a table."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from operations import export_data
from operations.export_data import ExportDataParams
from store.fields import FieldType, FieldValue


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    values = [
        FieldValue(
            name="supplier", label="Supplier", type=FieldType.TEXT, value='=Straße, "A" & Co'
        ),
        FieldValue(
            name="total", label="Total", type=FieldType.MONEY, value="-5.00", confidence=0.9
        ),
        FieldValue(name="date", label="Date", type=FieldType.DATE),
    ]
    document: dict[str, Any] = {
        "number": 1,
        "document_type": "invoice",
        "page_numbers": [1, 2],
        "fields": {value.name: value.model_dump(mode="json") for value in values},
    }
    path = tmp_path / "documents.json"
    path.write_text(json.dumps([document]))
    return path


async def test_json_has_all_that_is_known_of_each_value(documents: Path, out: Path) -> None:
    result = await export_data.fn(documents, ExportDataParams(formats=["json"]), folder=out)
    assert result.files == ["data.json"]
    data = json.loads((out / "data.json").read_bytes())
    document = data["documents"][0]
    assert document["page_numbers"] == [1, 2]
    assert document["fields"]["total"] == {
        "type": "money",
        "value": "-5.00",
        "text": "",
        "confidence": 0.9,
        "page_number": None,
        "box": None,
        "method": "",
        "currency": None,
    }


async def test_csv_has_a_row_for_each_document_and_no_formula(documents: Path, out: Path) -> None:
    result = await export_data.fn(documents, ExportDataParams(formats=["csv", "csv"]), folder=out)
    assert result.files == ["data.csv"]
    with (out / "data.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["number", "document_type", "pages", "supplier", "total", "date"],
        ["1", "invoice", "1 2", '\'=Straße, "A" & Co', "-5.00", ""],
    ]


def test_at_least_one_format_must_be_asked_for() -> None:
    with pytest.raises(ValidationError):
        ExportDataParams(formats=[])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("line_item", [["pages", "lines.item", "total"], ["1", "nut", "5.00"], ["1", "", "5.00"]]),
        ("document", [["pages", "lines", "total"], ["1", '[{"item": "nut"}, {}]', "5.00"]]),
    ],
)
async def test_csv_has_a_row_for_each_line_item_or_for_each_document(
    tmp_path: Path, out: Path, rows: Any, expected: list[list[str]]
) -> None:
    nut = FieldValue(name="item", label="Item", type=FieldType.TEXT, value="nut")
    values = [
        FieldValue(
            name="lines",
            label="Lines",
            type=FieldType.TABLE,
            value=[{"item": "nut"}, {}],
            rows=[{"item": nut}, {}],
        ),
        FieldValue(name="total", label="Total", type=FieldType.MONEY, value="5.00"),
    ]
    fields = {value.name: value.model_dump(mode="json") for value in values}
    document = {"number": 1, "document_type": "order", "page_numbers": [1], "fields": fields}
    path = tmp_path / "documents.json"
    path.write_text(json.dumps([document]))
    params = ExportDataParams(formats=["csv"], csv_rows=rows)
    await export_data.fn(path, params, folder=out)
    with (out / "data.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row[2:] for row in csv.reader(file)] == expected
