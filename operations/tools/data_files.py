"""The data of documents as JSON and CSV."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from operations.tools.step_files import documents_in, values_in

_CELL_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes spreadsheet programs take a text for a formula.

Source: OWASP, CSV injection.
"""


def write_json(source: Path, target: Path) -> None:
    """Write documents as JSON: for each field its value, and what is known of it."""
    documents = [
        {
            "number": document["number"],
            "document_type": document["document_type"],
            "page_numbers": document["page_numbers"],
            "fields": {name: _known(value) for name, value in document["fields"].items()},
        }
        for document in documents_in(source)
    ]
    text = json.dumps({"documents": documents}, ensure_ascii=False, indent=2)
    target.write_text(f"{text}\n", encoding="utf-8")


_KEPT = ("type", "value", "text", "confidence", "page_number", "box", "method")
_NUMERIC = frozenset({"number", "money", "date"})
_ROWS = frozenset({"list", "table"})


def _known(field: Mapping[str, Any]) -> dict[str, Any]:
    """What others are told of a value; of a table also of its cells."""
    known = {key: field.get(key) for key in _KEPT}
    if field["type"] == "money":
        known["currency"] = field.get("currency")
    if field["type"] in _ROWS:
        known["rows"] = [
            {name: _known(cell) for name, cell in row.items()} for row in field.get("rows", [])
        ]
    return known


LINE_ITEMS: Final = "line_item"
DOCUMENTS: Final = "document"
"""What has a row in a CSV file."""


def write_csv(source: Path, target: Path, rows_of: str = LINE_ITEMS) -> None:
    """Write documents as CSV (RFC 4180): a column for each field and each column of a table.

    There is a row for each document; where it has a table, a row for each of the table's, with
    the other values again in each.

    Args:
        source: JSON, a list of documents.
        target: `.csv`.
        rows_of: LINE_ITEMS; or DOCUMENTS: each has one row, and a table one cell, as JSON.
    """
    documents = documents_in(source)
    columns = list(dict.fromkeys(c for one in documents for c in _columns(one["fields"], rows_of)))
    # With the mark at the beginning, spreadsheet programs take it for UTF-8.
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "document_type", "pages", *(name for name, *_ in columns)])
        for document in documents:
            pages = " ".join(map(str, document["page_numbers"]))
            facts = [document["number"], _safe(document["document_type"]), pages]
            for index in range(_height(document["fields"]) if rows_of == LINE_ITEMS else 1):
                cells = (_cell(document["fields"].get(c.field), c, index) for c in columns)
                rows.writerow([*facts, *cells])


class _Column(NamedTuple):
    title: str
    field: str
    key: str
    """`value` or `currency`."""
    of_table: str = ""
    """Name of a column of a table."""


def _columns(fields: Mapping[str, Mapping[str, Any]], rows_of: str) -> Iterator[_Column]:
    for name, field in fields.items():
        if field["type"] == "table" and rows_of == LINE_ITEMS:
            for column in dict.fromkeys(key for row in field.get("rows", []) for key in row):
                yield _Column(f"{name}.{column}", name, "value", column)
            continue
        yield _Column(name, name, "value")
        if field.get("currency"):
            yield _Column(f"{name}_currency", name, "currency")


def _height(fields: Mapping[str, Mapping[str, Any]]) -> int:
    tables = (len(f.get("rows", [])) for f in fields.values() if f["type"] == "table")
    return max(tables, default=0) or 1


def _cell(field: Mapping[str, Any] | None, column: _Column, index: int) -> str:
    if field is not None and column.of_table:
        rows = field.get("rows", [])
        field = rows[index].get(column.of_table) if index < len(rows) else None
    if field is None or field.get(column.key) is None:
        return ""
    if field["type"] == "list":
        return _safe("; ".join(str(item) for item in field["value"]))
    if field["type"] == "table":
        return json.dumps(field["value"], ensure_ascii=False)
    value = field[column.key]
    said = str(value).lower() if isinstance(value, bool) else str(value)
    return said if field["type"] in _NUMERIC else _safe(said)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_CELL_STARTS) else text


def write_values(source: Path, names: Sequence[str], target: Path) -> None:
    """Write the values of a task of data, as JSON or as CSV of one row, as the target is named.

    Args:
        source: JSON, an object of values.
        names: of the columns, in order.
        target: `.json` or `.csv`.
    """
    values = values_in(source)
    if target.suffix == ".json":
        text = json.dumps({"data": values}, ensure_ascii=False, indent=2)
        target.write_text(f"{text}\n", encoding="utf-8")
        return
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(map(_safe, names))
        rows.writerow(_plain_cell(values.get(name)) for name in names)


def _plain_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _safe(value)
    return json.dumps(value, ensure_ascii=False)
