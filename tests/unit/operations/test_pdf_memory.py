"""The memory of the children that work on a long document: it does not grow with its pages."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pikepdf
import pytest
from PIL import Image

from operations.tools import pdf
from operations.tools.assembly import Part, merge_files, write_parts
from operations.tools.child import in_child
from operations.tools.page_images import write_page_images
from operations.tools.separators import Separator, find_separators
from operations.tools.upright import PageTurn, write_turned

_SIDE = 400
_PAGE_BYTES = _SIDE * _SIDE
"""Of the image of a page, not packed: 500 pages have 76 MiB."""

_KIB = 1 if sys.platform == "linux" else 1024
"""How many units of `ru_maxrss` a KiB is."""


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _KIB


def split(path: Path, count: int, folder: Path) -> int:
    parts = [Part(f"{n}.pdf", [n]) for n in range(1, count + 1)]
    write_parts(path, parts, folder)
    return peak_kib()


def extract_pages(path: Path, count: int, folder: Path) -> int:
    write_parts(path, [Part("pages.pdf", list(range(1, count + 1)))], folder)
    return peak_kib()


def merge(path: Path, count: int, folder: Path) -> int:
    """As many files of a page each as the document has pages."""
    merge_files(pages_of(path, count), folder / "merged.pdf")
    return peak_kib()


def render(path: Path, count: int, folder: Path) -> int:
    write_page_images(path, [(n, f"{n}.png") for n in range(1, count + 1)], 72, folder)
    return peak_kib()


def rotate(path: Path, count: int, folder: Path) -> int:
    turns = [PageTurn(number=n, turned_degrees=90) for n in range(1, count + 1)]
    write_turned(path, turns, folder / "turned.pdf")
    return peak_kib()


def look_for_barcodes(path: Path, count: int, folder: Path) -> int:
    del folder
    find_separators(path, range(1, count + 1), Separator("barcode", "", 0))
    return peak_kib()


def pages_of(path: Path, count: int) -> list[Path]:
    return [path.with_name(f"{path.stem}-{n}.pdf") for n in range(1, count + 1)]


def few(count: int) -> int:
    return min(pdf.PAGES_AT_ONCE, count)


def every(count: int) -> int:
    return count


WORK = {
    split: every,
    extract_pages: every,
    merge: every,
    render: few,
    rotate: every,
    look_for_barcodes: few,
}
"""What a child does, and for how many pages at most."""


def long_document(path: Path, count: int) -> Path:
    noise = Image.effect_noise((_SIDE, _SIDE), 80)
    with pikepdf.new() as document:
        for number in range(count):
            page = document.add_blank_page(page_size=(200, 200))
            data = noise.rotate(90 * (number % 4)).tobytes()
            image = pikepdf.Stream(
                document,
                data[number:] + data[:number],
                Type=pikepdf.Name.XObject,
                Subtype=pikepdf.Name.Image,
                Width=_SIDE,
                Height=_SIDE,
                BitsPerComponent=8,
                ColorSpace=pikepdf.Name.DeviceGray,
            )
            page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(I=image))
            page.obj.Contents = pikepdf.Stream(document, b"q 200 0 0 200 0 0 cm /I Do Q")
        document.save(path, compress_streams=False)
    return path


@pytest.mark.parametrize(("work", "at_once"), WORK.items(), ids=[one.__name__ for one in WORK])
async def test_500_pages_take_hardly_more_than_50(
    work: Callable[[Path, int, Path], int], at_once: Callable[[int], int], tmp_path: Path
) -> None:
    peaks: dict[int, int] = {}
    for count in (50, 500):
        source = long_document(tmp_path / f"{count}.pdf", count)
        if work is merge:
            for page in pages_of(source, count):
                long_document(page, 1)
        folder = tmp_path / str(count)
        folder.mkdir()
        peaks[count] = await in_child(work, source, at_once(count), folder)
    more = (peaks[500] - peaks[50]) * 1024
    assert more < 0.25 * 450 * _PAGE_BYTES, peaks
