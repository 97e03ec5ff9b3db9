"""Images that are hostile or broken: every image operation refuses them by name, and quickly."""

import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import operations
from operations.registry import OPERATIONS, Operation
from store.errors import (
    DamagedFileError,
    EmptyFileError,
    InputError,
    LimitExceededError,
    ToolKilledError,
    UnsupportedFileError,
)
from tests.photos import page

_ = operations
VERTICES = [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}, {"x": 1, "y": 9}]
PARAMS: dict[str, dict[str, Any]] = {
    "scan": {"effect": "scanner", "scan_mode": "standard"},
    "detect-documents": {},
    "warp": {"vertices": VERTICES},
    "apply-effect": {"effect": "scanner"},
    "convert": {"target_format": "image/webp", "quality": 80},
    "extract-text": {"format": "plain"},
    "merge": {},
}

each = pytest.mark.parametrize("row", [OPERATIONS[name] for name in PARAMS], ids=PARAMS)


def test_every_operation_on_images_is_here() -> None:
    taking = {row.name for row in OPERATIONS.values() if "image" in row.accepts | row.also_takes}
    assert set(PARAMS) == taking


def takes_pdfs(row: Operation) -> bool:
    return "pdf" in row.accepts


@pytest.fixture(autouse=True)
def a_child_may_take_ten_seconds_and_a_gibibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRAY_OPERATION_CPU_SECONDS", "10")
    monkeypatch.setenv("PAPERTRAY_OPERATION_MEMORY_BYTES", str(2**30))


async def operate(row: Operation, path: Path, out: Path) -> Any:
    params = row.params.model_validate(PARAMS[row.name])
    return await row.task.fn([path] if row.takes_many else path, params, folder=out)


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png(width: int, height: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def bad_files(folder: Path) -> dict[str, tuple[bytes, type[Exception]]]:
    """Content of each, and the error that says what is wrong with it."""
    page(300, 400).save(folder / "whole.jpg")
    page(300, 400).save(folder / "whole.png")
    page(300, 400).save(folder / "whole.tif", compression="tiff_lzw")
    jpeg, whole_png, tiff = ((folder / f"whole.{e}").read_bytes() for e in ("jpg", "png", "tif"))
    return {
        "50,000 x 50,000": (png(50_000, 50_000, bytes(1000)), LimitExceededError),
        "half a JPEG": (jpeg[: len(jpeg) // 2], DamagedFileError),
        "half a PNG": (whole_png[: len(whole_png) // 2], DamagedFileError),
        "half a TIFF": (tiff[: len(tiff) // 2], DamagedFileError),
        "a wrong checksum": (whole_png[:60] + b"\0\1\2\3" + whole_png[64:], DamagedFileError),
        "no rows": (png(90, 90, b""), DamagedFileError),
        "100 MB of zeros": (bytes(100_000_000), UnsupportedFileError),
        "noise": (random.Random(1).randbytes(5000), UnsupportedFileError),
        "a PDF": (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n", UnsupportedFileError),
        "text": (b"Dear Sir or Madam", UnsupportedFileError),
        "a vector drawing": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedFileError),
        "nothing": (b"", EmptyFileError),
    }


@each
async def test_what_cannot_be_read_is_refused_by_name(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    for what, (content, error) in bad_files(tmp_path).items():
        path = tmp_path / "bad"
        path.write_bytes(content)
        if what == "a PDF" and takes_pdfs(row):
            error = DamagedFileError
        with pytest.raises(error) as caught:
            await operate(row, path, out)
        assert not isinstance(caught.value, ToolKilledError), what
        assert not out.exists(), what


@each
async def test_rows_beyond_the_last_are_not_unpacked(
    row: Operation, tmp_path: Path, out: Path
) -> None:
    """A PNG of ten rows behind which there are 100 MB of zeros takes no time and no memory."""
    (tmp_path / "bomb.png").write_bytes(png(10, 10, bytes(100_000_000)))
    await operate(row, tmp_path / "bomb.png", out)


@each
async def test_a_pdf_gets_the_remedy(row: Operation, samples: Path, out: Path) -> None:
    if takes_pdfs(row):
        await operate(row, samples / "form_dd0293.pdf", out)
        return
    with pytest.raises(UnsupportedFileError, match="`render` makes images") as caught:
        await operate(row, samples / "linn.pdf", out)
    assert caught.value.details["detected"] == "application/pdf"


@each
async def test_the_smallest_image_is_an_image(row: Operation, tmp_path: Path, out: Path) -> None:
    if row.name == "warp":
        with pytest.raises(InputError, match="outside of the image"):
            await _one_pixel(row, tmp_path, out)
    else:
        await _one_pixel(row, tmp_path, out)


async def _one_pixel(row: Operation, tmp_path: Path, out: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "one.png")
    await operate(row, tmp_path / "one.png", out)
