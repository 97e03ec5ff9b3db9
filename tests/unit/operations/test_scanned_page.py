"""Pages that are one image are read pixel by pixel; others are rendered."""

import io
from collections.abc import Callable
from pathlib import Path

import img2pdf
import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from PIL import Image, ImageChops, ImageDraw, ImageStat

from operations.tools import pdf
from operations.tools.page_pictures import of_pdf_page
from operations.tools.scanned_page import only_image

SIZE = 600, 800
DPI = 100
Change = Callable[[pikepdf.Pdf], object]


def drawing() -> Image.Image:
    """With something else in each corner, so that no turn of it is the same."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 60, 260, 200), fill=(20, 20, 120))
    draw.ellipse((380, 500, 560, 760), fill=(150, 30, 30))
    draw.line((60, 700, 300, 300), fill="black", width=9)
    return image


def scan(mode: str, folder: Path, change: Change | None = None) -> Path:
    buffer = io.BytesIO()
    kind = "JPEG" if mode in {"L", "RGB"} else "PNG"
    drawing().convert(mode).save(buffer, kind, quality=95, dpi=(DPI, DPI))
    made = img2pdf.convert([buffer.getvalue()])
    assert made is not None
    path = folder / "scan.pdf"
    with pikepdf.open(io.BytesIO(made)) as document:
        if change:
            change(document)
        document.save(path)
    return path


def found_in(path: Path) -> Image.Image | None:
    with pdf.open_page(path, 1) as page:
        return only_image(page, path, 1)


def rendered(path: Path) -> Image.Image:
    with pdf.open_page(path, 1) as page:
        return pdf.render(page, DPI / pdf.POINTS_PER_INCH * (1 - 1e-6), gray=True)


def image_of(document: pikepdf.Pdf) -> pikepdf.Object:
    (image,) = document.pages[0].obj.Resources.XObject.values()
    return image


def cover(document: pikepdf.Pdf) -> None:
    document.pages[0].contents_add(b"0 0 1 rg 20 20 60 60 re f")


def note(document: pikepdf.Pdf) -> None:
    square = Dictionary(
        Type=Name.Annot, Subtype=Name.Square, Rect=Array([10, 10, 90, 90]), C=Array([1, 0, 0])
    )
    document.pages[0].obj.Annots = Array([document.make_indirect(square)])


def crop(document: pikepdf.Pdf) -> None:
    document.pages[0].cropbox = Array([0, 0, 300, 400])


def flip(document: pikepdf.Pdf) -> None:
    document.pages[0].contents_add(b"q -1 0 0 1 432 0 cm", prepend=True)
    document.pages[0].contents_add(b"Q")


def cut(document: pikepdf.Pdf) -> None:
    document.pages[0].contents_add(b"q 0 0 200 200 re W n", prepend=True)
    document.pages[0].contents_add(b"Q")


def mask(document: pikepdf.Pdf) -> None:
    soft = document.make_stream(
        bytes([128]),
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=1,
        Height=1,
        BitsPerComponent=8,
        ColorSpace=Name.DeviceGray,
    )
    image_of(document).SMask = soft


def invert(document: pikepdf.Pdf) -> None:
    image_of(document).Decode = Array([1, 0])


def leave(document: pikepdf.Pdf) -> None:
    del document


def turn(document: pikepdf.Pdf) -> None:
    document.pages[0].rotate(90, relative=True)


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB"])
@pytest.mark.parametrize("change", [leave, turn])
def test_an_image_that_is_the_page_is_taken_as_it_is(
    mode: str, change: Change, tmp_path: Path
) -> None:
    path = scan(mode, tmp_path, change)
    image, seen = found_in(path), rendered(path)
    assert image is not None
    assert sorted(image.size) == sorted(SIZE)
    assert image.size == seen.size
    apart = ImageStat.Stat(ImageChops.difference(image.convert("L").reduce(4), seen.reduce(4)))
    assert apart.mean[0] < 4


@pytest.mark.parametrize("change", [cover, note, crop, flip, cut, mask, invert])
def test_what_is_seen_otherwise_than_it_is_stored_is_rendered(
    change: Change, tmp_path: Path
) -> None:
    path = scan("L", tmp_path, change)
    assert found_in(path) is None
    pictures = of_pdf_page(path, 1, 300, with_view=True)
    assert pictures.view is not None
    assert pictures.page.size[0] >= 1


def test_pixels_that_are_not_square_are_rendered(tmp_path: Path) -> None:
    def stretch(document: pikepdf.Pdf) -> None:
        page = document.pages[0]
        width, height = (float(side) for side in page.mediabox.as_list()[2:])  # pyright: ignore[reportArgumentType]  # numbers
        page.mediabox = Array([0, 0, width, 2 * height])
        page.contents_add(b"q 1 0 0 2 0 0 cm", prepend=True)
        page.contents_add(b"Q")

    assert found_in(scan("L", tmp_path, stretch)) is None


def test_both_pictures_of_a_scan_show_the_same(tmp_path: Path) -> None:
    pictures = of_pdf_page(scan("RGB", tmp_path), 1, 300, with_view=True)
    assert pictures.view is not None
    assert pictures.view.mode == "RGB"
    large = pictures.page.resize(pictures.view.size)
    apart = ImageStat.Stat(ImageChops.difference(large, pictures.view.convert("L")))
    assert apart.mean[0] < 4
    assert of_pdf_page(scan("RGB", tmp_path), 1, 300, with_view=False).view is None
