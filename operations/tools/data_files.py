"""The data of documents as JSON and CSV."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
            "fields": {
                name: {key: value[key] for key in _KEPT}
                for name, value in document["fields"].items()
            },
        }
        for document in json.loads(source.read_bytes())
    ]
    text = json.dumps({"documents": documents}, ensure_ascii=False, indent=2)
    target.write_text(f"{text}\n", encoding="utf-8")


_KEPT = ("type", "value", "text", "confidence", "page_number", "box", "method")


def write_csv(source: Path, target: Path) -> None:
    """Write documents as CSV (RFC 4180): a row for each document, a column for each field."""
    documents = json.loads(source.read_bytes())
    names = list(dict.fromkeys(name for document in documents for name in document["fields"]))
    # With the mark at the beginning, spreadsheet programs take it for UTF-8.
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "document_type", "pages", *names])
        for document in documents:
            cells = (_cell(document["fields"].get(name)) for name in names)
            pages = " ".join(map(str, document["page_numbers"]))
            rows.writerow([document["number"], _safe(document["document_type"]), pages, *cells])


def _cell(field: Mapping[str, Any] | None) -> str:
    if field is None or field["value"] is None:
        return ""
    value = str(field["value"])
    return value if field["type"] in {"number", "money", "date"} else _safe(value)


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_CELL_STARTS) else text


def write_values(source: Path, names: Sequence[str], target: Path) -> None:
    """Write the values of a task of data, as JSON or as CSV of one row, as the target is named.

    Args:
        source: JSON, an object of values.
        names: of the columns, in order.
        target: `.json` or `.csv`.
    """
    values = json.loads(source.read_bytes())
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
