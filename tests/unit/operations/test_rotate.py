"""Pages that are turned: by as much as is asked for, or so that they are upright."""

from pathlib import Path

import pypdfium2
import pytest
from PIL import Image
from pydantic import ValidationError
from reportlab.pdfgen.canvas import Canvas

from operations import rotate
from operations.rotate import RotateParams
from operations.tools import tesseract
from tests import pdfs


def rotations(path: Path) -> list[int]:
    with pypdfium2.PdfDocument(path) as document:
        return [page.get_rotation() for page in document]


async def test_pages_are_turned_clockwise_by_what_is_asked_for(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 4)
    result = await rotate.fn(source, RotateParams(degrees=90, pages="2-3"), folder=out)
    made = out / result.files[0]
    assert rotations(made) == [0, 90, 90, 0]
    assert [(one.number, one.turned_degrees) for one in result.turned] == [(2, 90), (3, 90)]
    assert pdfs.texts(made) == pdfs.texts(source)
    assert pdfs.sizes(made)[1] == pdfs.sizes(source)[1][::-1]
    assert pdfs.bookmarks(made) == pdfs.bookmarks(source)


async def test_four_quarters_are_a_whole_turn(tmp_path: Path, out: Path) -> None:
    source = pdfs.book(tmp_path / "book.pdf", 3)
    once = await rotate.fn(source, RotateParams(degrees=270), folder=out / "1")
    twice = await rotate.fn(out / "1" / once.files[0], RotateParams(degrees=90), folder=out / "2")
    assert rotations(out / "2" / twice.files[0]) == [0, 0, 0]


async def test_text_tells_how_its_page_lies(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "text.pdf"
    canvas = Canvas(str(source), pagesize=(400, 600))
    for degrees in (0, 90, 180, 270):
        canvas.translate(200, 300)
        canvas.rotate(degrees)
        for line in range(6):
            canvas.drawString(-150, 80 - 20 * line, "The quick brown fox jumps over the dog")
        canvas.showPage()
    canvas.save()
    result = await rotate.fn(source, RotateParams(), folder=out / "1")
    # Turned counter-clockwise as it was written, so clockwise to be read.
    assert [(one.number, one.turned_degrees) for one in result.turned] == [
        (2, 90),
        (3, 180),
        (4, 270),
    ]
    again = await rotate.fn(out / "1" / result.files[0], RotateParams(), folder=out / "2")
    assert again.turned == []


@pytest.mark.parametrize("has_model", [True, False])
async def test_scans_are_turned_upright(
    has_model: bool, samples: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By tesseract's own model, or without it: then what reads best is upright."""
    with Image.open(samples / "phototest.tif") as image:
        page = image.convert("L")
    turned = [page.rotate(degrees, expand=True) for degrees in (0, 90, 180, 270)]
    source = pdfs.scans(tmp_path / "scans.pdf", turned)
    if not has_model:
        models = tmp_path / "models"
        models.mkdir()
        (models / "eng.traineddata").write_bytes(english_model().read_bytes())
        monkeypatch.setenv("TESSDATA_PREFIX", str(models))
    result = await rotate.fn(source, RotateParams(), folder=out)
    found = [(one.number, one.turned_degrees) for one in result.turned]
    assert found == [(2, 90), (3, 180), (4, 270)]
    sizes = pdfs.sizes(out / result.files[0])
    assert all(width > height for width, height in sizes)


def english_model() -> Path:
    program = tesseract.find_program()
    folders = [Path(program.models)] if program.models else []
    folders += sorted(Path("/usr/share").glob("tesseract*/**/tessdata"))
    folders += sorted(Path("/opt").glob("*/share/tessdata"))
    return next(path for one in folders if (path := one / "eng.traineddata").is_file())


def test_languages_beside_degrees_are_refused() -> None:
    with pytest.raises(ValidationError, match="without effect where degrees are given"):
        RotateParams(degrees=90, languages=["eng"])


@pytest.mark.parametrize("degrees", [0, 45, 91, 360, -90])
def test_other_turns_are_refused(degrees: int) -> None:
    with pytest.raises(ValidationError, match="degrees"):
        RotateParams(degrees=degrees)
