"""Pages in columns are read column by column; tables are found with their cells."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from operations import extract_text
from operations.extract_text import ExtractTextParams

PROSE = (
    "When the committee met in spring nobody expected that the old mill would be sold before"
    " autumn. The roof had been repaired twice and the wheel turned again for the first time in"
    " forty years. Visitors came from three counties, paid at the door and bought flour that was"
    " ground in front of them. Then the river rose, and with it the price of every house near it."
)
WORDS = PROSE.split()


def column(number: int, width: int, lines: int) -> list[str]:
    """Lines of prose whose every word tells its column."""
    text = " ".join(f"{word}" for word in (WORDS[number * 7 :] + WORDS) * 2)
    found = wrap(text, width)[:lines]
    return [f"c{number}l{n} {line}" for n, line in enumerate(found)]


def page(path: Path, pieces: Sequence[tuple[float, float, float, Sequence[str]]]) -> Path:
    """A page of pieces of text: left, top, size of the letters, lines."""
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    for left, top, size, lines in pieces:
        canvas.setFont("Helvetica", size)
        for n, line in enumerate(lines):
            canvas.drawString(left, top - 1.25 * size * n, line)
    canvas.save()
    return path


async def text_of(path: Path, out: Path, form: str = "plain") -> str:
    params = ExtractTextParams.model_validate({"format": form, "mode": "skip"})
    result = await extract_text.fn(path, params, folder=out)
    return (out / result.file).read_text(encoding="utf-8")


def marks(text: str) -> list[str]:
    return [word for word in text.split() if len(word) > 3 and word[0] == "c" and word[2] == "l"]


@pytest.mark.parametrize(
    ("count", "lefts", "width", "size"),
    [(2, (50, 310), 44, 10), (3, (40, 222, 404), 32, 9), (3, (40, 222, 404), 26, 10.5)],
)
async def test_columns_under_a_title_are_read_one_after_the_other(
    count: int, lefts: tuple[float, ...], width: int, size: float, tmp_path: Path, out: Path
) -> None:
    columns = [column(n, width, 20) for n in range(count)]
    path = page(
        tmp_path / "page.pdf",
        [
            (50, 790, 20, ["The Sale of the Mill"]),
            *((left, 740, size, lines) for left, lines in zip(lefts, columns, strict=True)),
            (50, 380, 10, ["All of this is told in the annual report of the society of the mill."]),
        ],
    )
    text = await text_of(path, out)
    assert text.startswith("The Sale of the Mill")
    assert marks(text) == [
        f"c{n}l{m}" for n, lines in enumerate(columns) for m in range(len(lines))
    ]
    assert text.rstrip().endswith("the society of the mill.")


async def test_footnotes_of_columns_come_after_the_column_they_are_under(
    tmp_path: Path, out: Path
) -> None:
    left, right = column(0, 44, 16), column(1, 44, 16)
    path = page(
        tmp_path / "page.pdf",
        [
            (50, 760, 10, left),
            (310, 760, 10, right),
            (50, 500, 7.5, ["1 The mill was built in 1712 by a family of weavers."]),
            (310, 500, 7.5, ["2 According to the register of the parish, page 44."]),
        ],
    )
    text = await text_of(path, out)
    order = [text.index(one) for one in ("c0l15", "1 The mill", "c1l0", "c1l15", "2 According")]
    assert order == sorted(order)


async def test_columns_of_different_length_between_headings(tmp_path: Path, out: Path) -> None:
    path = page(
        tmp_path / "page.pdf",
        [
            (50, 780, 16, ["First part"]),
            (50, 740, 10, column(0, 44, 12)),
            (310, 740, 10, column(1, 44, 7)),
            (50, 560, 16, ["Second part, across the whole of the page as a heading is"]),
            (50, 520, 10, column(2, 44, 6)),
            (310, 520, 10, column(3, 44, 6)),
        ],
    )
    text = await text_of(path, out)
    counts = (12, 7, 6, 6)
    assert marks(text) == [f"c{n}l{m}" for n, lines in enumerate(counts) for m in range(lines)]
    assert text.index("c1l6") < text.index("Second part") < text.index("c2l0")


ROWS = [
    ("Month", "Flour", "Bran", "Visitors"),
    ("January", "1,200", "310", "44"),
    ("February", "980", "", "39"),
    ("March", "1,340", "355", "102"),
]


@pytest.mark.parametrize("is_ruled", [False, True])
async def test_a_table_is_written_with_its_empty_cells(
    is_ruled: bool,
    tmp_path: Path,
    out: Path,
) -> None:
    path = tmp_path / "page.pdf"
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    canvas.setFont("Helvetica", 11)
    canvas.drawString(60, 760, "What was ground in the first three months of the year.")
    for n, row in enumerate(ROWS):
        for x, cell in zip((64, 180, 280, 380), row, strict=True):
            canvas.drawString(x, 700 - 20 * n, cell)
    if is_ruled:
        canvas.grid([60, 176, 276, 376, 480], [716 - 20 * n for n in range(5)])
    canvas.drawString(60, 600, "The mill stood still on Sundays.")
    canvas.save()
    text = await text_of(path, out, "markdown")
    assert text == (
        "What was ground in the first three months of the year.\n\n"
        "| Month | Flour | Bran | Visitors |\n| --- | --- | --- | --- |\n"
        "| January | 1,200 | 310 | 44 |\n| February | 980 |  | 39 |\n"
        "| March | 1,340 | 355 | 102 |\n\nThe mill stood still on Sundays.\n"
    )


async def test_a_cell_of_several_lines_stays_one_cell(tmp_path: Path, out: Path) -> None:
    path = page(
        tmp_path / "page.pdf",
        [
            (60, 700, 11, ["Article", "Oak shelf, planed", "and oiled twice", "Counter", "Door"]),
            (300, 700, 11, ["Count", "6", "", "1", "2"]),
            (420, 700, 11, ["Price", "142.50", "", "1,290.00", "80.00"]),
        ],
    )
    assert await text_of(path, out, "markdown") == (
        "| Article | Count | Price |\n| --- | --- | --- |\n"
        "| Oak shelf, planed and oiled twice | 6 | 142.50 |\n"
        "| Counter | 1 | 1,290.00 |\n| Door | 2 | 80.00 |\n"
    )


async def test_tables_beside_which_other_things_stand_do_not_mix(tmp_path: Path, out: Path) -> None:
    path = page(
        tmp_path / "page.pdf",
        [
            (60, 760, 11, ["Invoice number:", "Date:", "Order:"]),
            (200, 760, 11, ["4711", "2026-03-12", "PO 88"]),
            (60, 680, 11, ["Article", "Shelf", "Door"]),
            (300, 680, 11, ["Count", "6", "2"]),
            (420, 680, 11, ["Price", "142.50", "80.00"]),
        ],
    )
    text = await text_of(path, out, "markdown")
    assert "| Invoice number: | 4711 |\n| --- | --- |\n| Date: | 2026-03-12 |" in text
    assert "| Article | Count | Price |\n| --- | --- | --- |\n| Shelf | 6 | 142.50 |" in text
