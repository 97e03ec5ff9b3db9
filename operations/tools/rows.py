"""Values that have rows: lists and tables, put together from their cells."""

from collections.abc import Sequence

from operations.tools.layout import around
from store.fields import ITEM, FieldType, FieldValue
from store.project_fields import FieldPart, ValuePart

CELL_MARK = "|"
"""Between the cells of a row in text, a row a line."""


def missing(part: ValuePart) -> FieldValue:
    """A field without a value."""
    return FieldValue(name=part.name, label=part.title, type=part.type)


def with_rows(
    part: FieldPart, rows: Sequence[dict[str, FieldValue]], method: str, trust: float = 1.0
) -> FieldValue:
    """The value of a table or list that has these cells; none where it has no row.

    Args:
        part: of type table or list.
        rows: a cell for each column; the one column of a list is `item`.
        method: how they came in.
        trust: how sure it is that these are its rows, 0..1; it is as sure as its least sure cell.
    """
    if not rows:
        return missing(part)
    values = [{name: cell.value for name, cell in row.items()} for row in rows]
    mark = f" {CELL_MARK} "
    told = [cell for row in rows for cell in row.values() if cell.text]
    placed = [cell for cell in told if cell.box]
    page_number = placed[0].page_number if placed else None
    boxes = [cell.box for cell in placed if cell.box and cell.page_number == page_number]
    is_table = part.type is FieldType.TABLE
    return missing(part).model_copy(
        update={
            "value": values if is_table else [row[ITEM] for row in values],
            "text": "\n".join(mark.join(cell.text for cell in row.values()) for row in rows),
            "rows": list(rows),
            "confidence": round(trust * min((cell.confidence for cell in told), default=0.0), 4),
            "page_number": page_number,
            "box": around(boxes) if boxes else None,
            "method": method,
        }
    )
