"""Pages with known text are read better than tesseract reads the same image by itself."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from benchmarks.character_errors import error_count, error_rate
from benchmarks.scans import Damage, Gray, rendered, scanned, typeset
from operations import read_pages
from operations.read_pages import ReadPagesParams
from operations.tools import tesseract
from operations.tools.clean_page import (
    straightened,
    useful_factor,
    with_even_paper,
    without_grain,
)
from operations.tools.missed_text import doubted, missed_text, with_missed
from store.fields import PageWords, Word

LINES = [
    "The quick brown fox jumps over the lazy dog, and pays 1,204.50",
    "for its trouble. Whoever keeps a bear pays more: 93,000 a year.",
    "",
    "Please deliver 48 boxes to 17 Harbour Road before 6 October,",
    "and send the invoice (number 2026-0311) to the address above.",
    "Nothing here is broken at the end of a line, so that each word",
    "can be compared with what was printed.",
]
DPI = 200
BETTER = 0.8
"""Of the errors of plain tesseract at most, where something is wrong with the page."""


def page(damage: Damage, dpi: int = DPI) -> Gray:
    top = rendered(typeset([LINES]), dpi)[0][: 3 * dpi]
    return scanned(np.ascontiguousarray(top), damage, 7)


def said(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


@pytest.mark.parametrize(
    ("damage", "limit", "most"),
    [
        (Damage(), 1.0, 0.01),
        (Damage(skew_degrees=2), 1.0, 0.01),
        (Damage(noise=30, shadow=0.35), BETTER, 0.02),
        # The edge of gray paper that was turned onto a white sheet is read as a few letters.
        (Damage(noise=30, skew_degrees=2, shadow=0.35), BETTER, 0.1),
    ],
    ids=["clean", "skewed", "noisy", "both"],
)
async def test_a_page_is_read_no_worse_than_by_tesseract_alone(
    damage: Damage, limit: float, most: float, tmp_path: Path, out: Path
) -> None:
    image = Image.fromarray(page(damage))
    plain = tesseract.recognize(image, languages=["eng"], dpi=DPI, base=tmp_path / "plain")
    path = tmp_path / "page.png"
    image.save(path, dpi=(DPI, DPI))
    result = await read_pages.fn(path, ReadPagesParams(dpi=DPI), folder=out)
    read = PageWords.model_validate_json((out / result.pages[0].words_file).read_bytes())
    right = " ".join(LINES)
    errors = error_rate(said(read.words), right)
    assert errors <= limit * error_rate(said(plain), right)
    assert errors <= most


async def test_faint_print_and_white_letters_on_a_bar_are_read(tmp_path: Path, out: Path) -> None:
    page = Image.new("L", (1700, 1100), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(34)
    draw.rectangle((80, 330, 1620, 400), 40)
    for y, level, texts in (
        (100, 0, {100: "Northwind Traders, 12 Harbour Road, Bristol"}),
        (180, 0, {100: "Please pay within thirty days of the invoice date"}),
        (346, 250, {100: "Description", 900: "Quantity", 1400: "Amount"}),
        (440, 0, {100: "Copper pipe", 900: "12", 1400: "120.00"}),
        (520, 200, {100: "Reserved for regular customers", 1400: "17.50"}),
        (640, 205, {100: "Faint print counts as much as any other"}),
    ):
        for x, text in texts.items():
            draw.text((x, y), text, fill=level, font=font)
    source = tmp_path / "page.png"
    page.save(source, dpi=(200, 200))
    result = await read_pages.fn(source, ReadPagesParams(dpi=200), folder=out)
    read = PageWords.model_validate_json((out / result.pages[0].words_file).read_bytes())
    text = said(read.words)
    for line in ("Description Quantity Amount", "Copper pipe 12 120.00", "regular customers 17.50"):
        assert line in text
    assert "Faint print counts as much as any other" in text
    boxes = [word.box for word in read.words]
    assert len(boxes) == len(set(boxes))


async def test_a_digit_by_itself_is_read_and_a_rule_is_none(tmp_path: Path, out: Path) -> None:
    page = Image.new("L", (1700, 1300), 255)
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(34)
    goods = ("Copper pipe", "Angle valve", "Delivery", "Fitting on site", "Wall plugs")
    for n in range(15):
        for x, text in ((100, goods[n % 5]), (940, str(1 + n % 9)), (1400, f"{7 * n}.50")):
            draw.text((x, 100 + 76 * n), text, fill=0, font=font)
    for x in (60, 880, 1640):
        draw.line((x, 80, x, 1250), fill=0, width=4)
    source = tmp_path / "page.png"
    page.save(source, dpi=(200, 200))
    result = await read_pages.fn(source, ReadPagesParams(dpi=200), folder=out)
    read = PageWords.model_validate_json((out / result.pages[0].words_file).read_bytes())
    scale = read.width_pixels / 1700
    digits = [w.text for w in read.words if 920 * scale < w.box[0] < 1000 * scale]
    assert digits == [str(1 + n % 9) for n in range(15)]
    assert not [w.text for w in read.words if set(w.text) <= set("|I!l_")]


def test_a_line_is_read_again_on_white_without_what_the_page_lies_on() -> None:
    grain = np.random.default_rng(3).normal(0, 5, (300, 1200))
    pixels = np.full((300, 1200), 250.0)
    pixels[:, 1000:] = 145  # the table: its grain is a third ink, as letters are
    image = Image.fromarray((pixels - np.abs(grain)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(34)
    draw.text((100, 120), "Subtotal", fill=0, font=font)
    draw.text((800, 120), "53.17", fill=0, font=font)
    rest = missed_text(image, [Word(text="Subtotal", box=(100, 125, 240, 155), confidence=0.9)])
    assert rest is not None
    pixels = np.asarray(rest)
    assert pixels[:, 950:].min() == 255
    assert pixels[125:155, 800:890].min() < 100
    paper = pixels[125:155, 300:750]
    assert (paper == 255).mean() > 0.95


def test_words_that_lie_over_each_other_are_not_believed() -> None:
    words = [
        Word(text=text, box=(left, 10, right, 30), confidence=0.9)
        for text, left, right in (
            ("Due", 0, 40),
            ("dat", 50, 80),
            ("cate", 62, 90),
            ("May", 99, 140),
        )
    ]
    assert [word.confidence for word in doubted(words)] == [0.9, 0.0, 0.0, 0.9]


def test_what_was_read_again_stands_for_the_part_of_a_word_and_for_nothing_that_is_sure() -> None:
    def word(text: str, left: float, right: float, confidence: float = 0.9) -> Word:
        return Word(text=text, box=(left, 10, right, 30), confidence=confidence)

    read = [word("Rate", 100, 140), word("nt", 270, 290), word("x7", 400, 440, 0.3)]
    again = [word("Amount", 220, 291), word("Rafe", 101, 141), word("17", 401, 439)]
    assert [one.text for one in with_missed(read, again)] == ["Rate", "Amount", "17"]
    assert with_missed(read, [word("17", 401, 439, 0.2)]) == read


def test_large_print_is_shrunk_and_small_print_is_not() -> None:
    assert useful_factor(Image.fromarray(page(Damage(), 300))) < 0.85
    assert useful_factor(Image.fromarray(page(Damage(), 150))) == 1
    assert useful_factor(Image.new("L", (600, 800), 255)) == 1


def test_grain_is_taken_off_and_a_clean_page_stays_as_it_is() -> None:
    clean = Image.fromarray(page(Damage()))
    assert without_grain(clean) is clean
    noisy = Image.fromarray(page(Damage(noise=38)))
    rough, smooth = (
        float(np.asarray(image, np.float32)[:40].std()) for image in (noisy, without_grain(noisy))
    )
    assert smooth < rough / 2


def test_fine_grain_is_made_white_and_coarse_grain_is_left() -> None:
    fine = with_even_paper(Image.fromarray(page(Damage(noise=3), 300)))
    assert set(np.asarray(fine)[:40].ravel()) == {255}
    coarse = Image.fromarray(page(Damage(noise=12), 300))
    assert with_even_paper(coarse) is coarse


def test_a_straightened_page_has_room_for_its_corners() -> None:
    sheet = Image.new("L", (400, 600), 255)
    assert straightened(sheet, 2.0).size == (421, 614)
    assert straightened(sheet, 0.0) is sheet


@pytest.mark.parametrize(
    ("read", "right", "count"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3)],
)
def test_errors_are_counted_in_characters(read: str, right: str, count: int) -> None:
    assert error_count(read, right) == count
    assert error_rate("a \u201cb\u201d", 'a\n"b"') == 0
