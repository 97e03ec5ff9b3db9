"""The words of a text layer: each character of the page, where PDFium says that it is."""

from pathlib import Path

import pypdfium2.raw as pdfium
import pytest
from reportlab.pdfgen.canvas import Canvas

from operations.tools import pdf
from operations.tools.layout import arranged, blocks_of, told_blocks
from operations.tools.text_layer import words_of
from store.fields import Word

SIZE = 1240, 1754
NAMES = ["form_dd0293.pdf", "tagged.pdf"]


def words_on(path: Path, number: int = 1) -> list[Word]:
    with pdf.open_page(path, number) as page:
        return words_of(pdf.text_layer(page, *SIZE), *SIZE)


def one_by_one(path: Path) -> list[tuple[str, tuple[float, float]]]:
    """The characters of the first page that are no spaces, and where the middle of each is."""
    found: list[tuple[str, tuple[float, float]]] = []
    with pdf.open_page(path, 1) as page:
        text, place = page.get_textpage(), pdfium.FS_RECTF()
        width, height = page.get_size()
        for index in range(text.count_chars()):
            code = pdfium.FPDFText_GetUnicode(text, index)
            if code and not chr(code).isspace():
                assert pdfium.FPDFText_GetLooseCharBox(text, index, place)
                x, y = (place.left + place.right) / 2, (place.top + place.bottom) / 2
                at = x * SIZE[0] / width, (height - y) * SIZE[1] / height
                found.append(("-" if code == 2 else chr(code), at))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_character_is_in_a_word_and_inside_of_its_box(name: str, samples: Path) -> None:
    expected = iter(one_by_one(samples / name))
    for word in words_on(samples / name):
        left, top, right, bottom = word.box
        for letter in word.text:
            character, (x, y) = next(expected)
            assert character == letter
            assert left - 0.1 <= x <= right + 0.1
            assert top - 0.1 <= y <= bottom + 0.1
    assert next(expected, None) is None


def test_spaces_gaps_and_lines_end_words_and_what_is_outside_of_the_page_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "page.pdf"
    canvas = Canvas(str(path), pagesize=(400, 400), invariant=1)
    canvas.drawString(20, 300, "two words")
    canvas.drawString(200, 300, "far")
    for row, digit in enumerate("123"):
        canvas.drawString(20, 200 - 14 * row, digit)
    canvas.drawString(20, 450, "above the page")
    canvas.saveState()
    canvas.rotate(90)
    canvas.drawString(50, -300, "turned")
    canvas.restoreState()
    canvas.save()
    texts = [word.text for word in words_on(path)]
    assert sorted(texts) == ["1", "2", "3", "far", "turned", "two", "words"]


def test_a_page_without_text_has_no_words(samples: Path) -> None:
    assert words_on(samples / "no_contents.pdf") == []
    assert arranged([]) == []


def test_words_are_told_their_lines_and_blocks_and_have_them_when_they_are_read_again(
    samples: Path,
) -> None:
    words = words_on(samples / "form_dd0293.pdf")
    seen = [
        [[word.text for segment in line for word in segment.words] for line in block]
        for block in blocks_of(words)
    ]
    told = [
        [[word.text for segment in line for word in segment.words] for line in block]
        for block in told_blocks(arranged(words))
    ]
    assert told == seen
