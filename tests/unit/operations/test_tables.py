"""Tables and lists are found by what stands above or beside them, over pages and wrapped lines."""

from typing import Any

import pytest

from operations.tools.find_fields import find_fields
from store.fields import FieldType, FieldValue, PageWords, Word
from store.project_fields import ColumnPart, FieldPart

MONEY, NUMBER, TEXT, LIST, TABLE = (
    FieldType.MONEY,
    FieldType.NUMBER,
    FieldType.TEXT,
    FieldType.LIST,
    FieldType.TABLE,
)
LETTER = 8

LINES = FieldPart(
    name="lines",
    type=TABLE,
    columns=[
        ColumnPart(name="description", labels=["Description", "Item"]),
        ColumnPart(name="quantity", type=NUMBER, labels=["Qty"]),
        ColumnPart(name="price", type=MONEY, labels=["Unit price"]),
        ColumnPart(name="amount", type=MONEY, labels=["Amount"]),
    ],
)
HEAD = ("Description", "Qty", "Unit price", "Amount")
PLACES = ((100, "left"), (500, "right"), (700, "right"), (900, "right"))
"""Where the columns are: their left edge, or their right one."""


def page(*lines: tuple[float, tuple[str, ...]], number: int = 1) -> PageWords:
    words: list[Word] = []
    for top, cells in lines:
        for (x, side), cell in zip(PLACES, cells, strict=False):
            left = x if side == "left" else x - len(cell) * LETTER
            for word in cell.split():
                box = (left, top, left + LETTER * len(word), top + 16)
                words.append(Word(text=word, box=box, confidence=0.96))
                left += LETTER * (len(word) + 1)
    return PageWords(
        number=number, width_pixels=1000, height_pixels=1400, method="ocr", words=words
    )


def rows_of(value: FieldValue) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in value.value or []]


def find(*pages: PageWords, field: FieldPart = LINES, others: list[FieldPart] | None = None):
    return find_fields(pages, [field, *(others or [])])[field.name]


def test_rows_are_found_under_their_columns_with_a_place_for_each_cell() -> None:
    value = find(
        page(
            (100, HEAD),
            (130, ("Oak shelf", "6", "142.50", "855.00")),
            (160, ("Fitting", "2", "310.00", "620.00")),
            (200, ("", "", "Total", "1,475.00")),
        )
    )
    assert rows_of(value) == [
        ("Oak shelf", "6", "142.50", "855.00"),
        ("Fitting", "2", "310.00", "620.00"),
    ]
    cell = value.rows[1]["amount"]
    assert (cell.page_number, cell.box) == (1, (852.0, 160.0, 900.0, 176.0))
    assert cell.confidence == pytest.approx(0.96)
    assert (value.method, value.page_number) == ("table", 1)


def test_the_lines_of_a_wrapped_cell_are_one_cell() -> None:
    value = find(
        page(
            (100, HEAD),
            (130, ("Counter with four drawers", "1", "1,290.00", "1,290.00")),
            (150, ("and a cash compartment", "", "", "")),
            (190, ("Delivery", "1", "20.00", "20.00")),
        )
    )
    assert [row["description"] for row in value.value] == [
        "Counter with four drawers and a cash compartment",
        "Delivery",
    ]


@pytest.mark.parametrize("has_header", [True, False])
def test_a_table_goes_on_on_the_next_page(has_header: bool) -> None:
    first = page(
        (100, HEAD),
        (130, ("Oak shelf", "6", "142.50", "855.00")),
        (160, ("Carried forward", "", "", "855.00")),
    )
    again = [(90, HEAD)] if has_header else []
    second = page(
        (40, ("Alder & Finch Ltd",)),
        *again,
        (130, ("Fitting", "2", "310.00", "620.00")),
        (200, ("", "", "Total due", "1,475.00")),
        (230, ("Thank you for 1 order of", "1", "1.00", "1.00")),
        number=2,
    )
    value = find(first, second)
    assert rows_of(value) == [
        ("Oak shelf", "6", "142.50", "855.00"),
        ("Fitting", "2", "310.00", "620.00"),
    ]
    assert [row["amount"].page_number for row in value.rows] == [1, 2]


def test_a_header_of_two_lines_is_one() -> None:
    value = find(
        page(
            (100, ("", "", "Unit", "Amount")),
            (120, ("Description", "Qty", "price", "(EUR)")),
            (150, ("Oak shelf", "6", "142.50", "855.00")),
        )
    )
    assert rows_of(value) == [("Oak shelf", "6", "142.50", "855.00")]


def test_what_stands_beside_the_wanted_columns_is_left_out() -> None:
    narrow = LINES.model_copy(update={"columns": [LINES.columns[0], LINES.columns[3]]})
    value = find(page((100, HEAD), (130, ("Oak shelf", "6", "142.50", "855.00"))), field=narrow)
    assert rows_of(value) == [("Oak shelf", "855.00")]


def test_an_item_that_is_called_like_a_sum_is_an_item() -> None:
    value = find(page((100, HEAD), (130, ("Total station rental", "2", "90.00", "180.00"))))
    assert rows_of(value) == [("Total station rental", "2", "90.00", "180.00")]


def test_the_label_of_another_field_ends_a_table() -> None:
    due = FieldPart(name="due", type=MONEY, labels=["Payable"])
    document = page(
        (100, HEAD),
        (130, ("Oak shelf", "6", "142.50", "855.00")),
        (160, ("", "", "Payable", "855.00")),
    )
    assert len(find(document, others=[due]).value) == 1


def test_a_cell_that_cannot_be_read_is_kept_as_it_stands() -> None:
    value = find(page((100, HEAD), (130, ("Oak shelf", "6", "142.50", "8S5.O0"))))
    assert value.value == [
        {"description": "Oak shelf", "quantity": "6", "price": "142.50", "amount": None}
    ]
    assert value.rows[0]["amount"].text == "8S5.O0"


def test_a_document_without_the_columns_has_no_table() -> None:
    value = find(page((100, ("Description", "", "", "")), (130, ("of something",))))
    assert (value.value, value.rows, value.confidence) == (None, [], 0.0)


def numbers(**part: Any) -> FieldPart:
    return FieldPart(name="orders", type=LIST, **part)


def test_a_list_is_found_beside_its_label() -> None:
    value = find(page((100, ("Orders: A-1, A-2; A-3",))), field=numbers(labels=["Orders"]))
    assert value.value == ["A-1", "A-2", "A-3"]
    assert [row["item"].box for row in value.rows][1] == (204.0, 100.0, 236.0, 116.0)


def test_a_list_is_found_below_its_label_until_a_gap() -> None:
    document = page((100, ("Orders",)), (120, ("- A-1",)), (140, ("- A-2",)), (300, ("far away",)))
    assert find(document, field=numbers(labels=["Orders"])).value == ["A-1", "A-2"]


def test_a_list_of_numbers_keeps_the_commas_of_numbers() -> None:
    field = numbers(labels=["Weights"], items=NUMBER, locale="de_DE")
    assert find(page((100, ("Weights: 1,5; 2,25",))), field=field).value == ["1.5", "2.25"]


def test_a_pattern_alone_finds_each_item_once() -> None:
    document = page((100, ("see A-1 and A-2",)), (130, ("A-1 again",)))
    assert find(document, field=numbers(pattern=r"A-\d")).value == ["A-1", "A-2"]
