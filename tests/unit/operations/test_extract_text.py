"""Text comes in reading order, with headings, lists and tables."""

import html
import re
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from operations import extract_text
from operations.extract_text import ExtractTextParams

LEFT = [f"left column line {n} with several words" for n in ["one", "two", "three", "four", "five"]]
RIGHT = [f"right column line {n} has other words" for n in ["one", "two", "three", "four", "five"]]


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """A title over two columns, then a list, then a table."""
    path = tmp_path / "letter.pdf"
    canvas = Canvas(str(path), pagesize=A4)
    canvas.setFont("Helvetica-Bold", 24)
    canvas.drawString(60, 760, "A <title> with *stars*")
    canvas.setFont("Helvetica", 11)
    for n, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        canvas.drawString(60, 720 - 14 * n, left)
        canvas.drawString(320, 720 - 14 * n, right)
    canvas.drawString(60, 600, "A paragraph across the page ends a line in the middle of a won-")
    canvas.drawString(60, 586, "derful word and goes on.")
    for n, item in enumerate(("first", "second", "third")):
        canvas.drawString(60, 540 - 14 * n, f"\N{BULLET} {item} thing")
        canvas.drawString(60, 480 - 14 * n, f"{n + 1}. {item} step")
    for n, row in enumerate((("Item", "Count", "Sum"), ("a | b", "2", "3.00"), ("c", "4", "5.00"))):
        for x, cell in zip((60, 260, 400), row, strict=True):
            canvas.drawString(x, 400 - 16 * n, cell)
    canvas.showPage()
    canvas.setFont("Helvetica", 11)
    canvas.drawString(60, 760, "The second page has only this line of text.")
    canvas.save()
    return path


async def text_of(path: Path, out: Path, form: str, **params: str) -> str:
    result = await extract_text.fn(
        path, ExtractTextParams.model_validate({"format": form, **params}), folder=out
    )
    assert [file.name for file in out.iterdir()] == [result.file]
    assert result.format == form
    return (out / result.file).read_text(encoding="utf-8")


async def test_markdown_has_headings_columns_lists_and_tables(letter: Path, out: Path) -> None:
    text = await text_of(letter, out, "markdown")
    assert text == "\n\n".join(
        [
            "# A \\<title\\> with \\*stars\\*",
            " ".join(LEFT),
            " ".join(RIGHT),
            "A paragraph across the page ends a line in the middle of a wonderful word and goes"
            " on.",
            "- first thing\n- second thing\n- third thing",
            "1. first step\n2. second step\n3. third step",
            "| Item | Count | Sum |\n| --- | --- | --- |\n| a \\| b | 2 | 3.00 |\n| c | 4 | 5.00 |",
            "---",
            "The second page has only this line of text.\n",
        ]
    )


async def test_html_has_the_same_and_nothing_on_the_page_is_mark_up(
    letter: Path, out: Path
) -> None:
    text = await text_of(letter, out, "html")
    assert "<h1>A &lt;title&gt; with *stars*</h1>" in text
    assert f"<p>{' '.join(LEFT)}</p>\n<p>{' '.join(RIGHT)}</p>" in text
    assert "<ul><li>first thing</li>" in text
    assert "<ol><li>first step</li>" in text
    assert "<tr><td>Item</td><td>Count</td><td>Sum</td></tr>" in text
    assert re.findall(r'data-page="(\d)"', text) == ["1", "2"]
    assert "second page" in html.unescape(text)


async def test_plain_text_keeps_the_lines_of_the_page(letter: Path, out: Path) -> None:
    pages = (await text_of(letter, out, "plain")).split("\f")
    assert len(pages) == 2
    assert "\n".join(LEFT) in pages[0]
    assert "Item\tCount\tSum\na | b\t2\t3.00" in pages[0]
    assert pages[1] == "The second page has only this line of text.\n"


async def test_only_the_pages_that_are_asked_for_are_in_it(letter: Path, out: Path) -> None:
    assert await text_of(letter, out, "plain", pages="2") == (
        "The second page has only this line of text.\n"
    )


async def test_a_scan_in_columns_is_read_column_by_column(samples: Path, out: Path) -> None:
    text = await text_of(samples / "linn.pdf", out, "markdown")
    assert text.startswith("# The LinnSequencer 32 Track MIDI Sequence Recorder\n")
    one_column = "FAST FORWARD, REWIND, and LOCATE controls may be used at any time to quickly"
    assert one_column in text
    assert text.index("To record a sequence") < text.index("Composition Without Compromise")


async def test_an_image_without_text_gives_an_empty_text(tmp_path: Path, out: Path) -> None:
    from PIL import Image

    path = tmp_path / "white.png"
    Image.new("L", (400, 400), 255).save(path)
    assert (await text_of(path, out, "plain")).strip() == ""
