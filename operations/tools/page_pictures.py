"""A page as OCR gets it, and as people get it."""

import math
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
from PIL import Image, ImageChops

from operations.tools import images, pdf
from operations.tools.clean_page import straightened
from operations.tools.scanned_page import only_image, own_scale

_VIEW_DPI = 150
_VIEW_SIDE_PIXELS = 2400
"""Longest side of a page image: sharp on a screen, small on the way there."""

_VIEW_QUALITY = 80

_DETAIL_RATIO = 1.25
"""How many times the width of the view a page must have for zooming in to show more of it."""

_DETAIL_QUALITY = 60
"""It is looked at enlarged, where pixels are small; at 80 its file is half as large again."""

_COLOUR_LEVELS = 24
"""How much the channels of a page must differ somewhere, for its image to be kept in colour."""

_PAGE_INCHES = 11.7
"""Long side of A4: what an image without a resolution is taken for."""

MIN_DPI = 150
_ENLARGED_DPI = 200
"""Images below the first are enlarged to the second: tesseract wants letters 20 pixels high."""


@dataclass(frozen=True)
class Pictures:
    """A page as OCR gets it, and as people get it."""

    page: Image.Image
    """Gray."""
    view: Image.Image | None
    """None where nobody looks at it."""
    dpi: float
    """Of the page."""
    turned_degrees: int = 0
    """Counter-clockwise, from how it came."""

    def turned(self, degrees: int) -> "Pictures":
        """Turned counter-clockwise: by 0, 90, 180 or 270 degrees."""
        page = self.page.rotate(degrees, expand=True)
        view = self.view and self.view.rotate(degrees, expand=True)
        return Pictures(page, view, self.dpi, degrees)

    def smaller(self, times: int) -> "Pictures":
        """With a page of so many times fewer pixels, and nothing for people."""
        return Pictures(self.page.reduce(times), None, self.dpi / times)

    def straight_page(self, skew: float) -> Image.Image:
        """What OCR got, turned by so many degrees counter-clockwise."""
        return straightened(self.page, skew)

    def straight_view(self, skew: float) -> Image.Image | None:
        """What people get, turned by so many degrees counter-clockwise."""
        return self.view and straightened(self.view, skew)


def of_pdf_page(path: Path, number: int, dpi: int, *, with_view: bool) -> Pictures:
    """The pictures of a page of a PDF that `pdf.examine` has passed.

    Args:
        path: of the PDF.
        number: of the page.
        dpi: at which OCR reads it, at most: a scan is read at its own.
        with_view: whether people get it, too.
    """
    with pdf.open_page(path, number) as page:
        size = page.get_size()
        scale = min(pdf.scale_for(size, dpi), _reading_scale(page, dpi))
        scan = only_image(page, path, number) if scale == own_scale(page) else None
        if scan is None:
            gray = pdf.render(page, scale, gray=True)
            view = pdf.render(page, view_scale(size), gray=False) if with_view else None
        else:
            gray = scan.convert("L")
            view = _reduced(scan, view_size(size)) if with_view else None
    return Pictures(gray, view, scale * pdf.POINTS_PER_INCH)


def of_image(
    path: Path, frame: images.Frame, number: int, dpi: int, *, with_view: bool
) -> Pictures:
    """The pictures of a frame of an image.

    Args:
        path: of the image.
        frame: which of its frames.
        number: of the page that the frame is.
        dpi: at which OCR reads it, at most.
        with_view: whether people get it, too.
    """
    image = images.decode(path, frame, number)
    view = None
    if with_view:
        view = image.copy()
        most = (_VIEW_SIDE_PIXELS, _VIEW_SIDE_PIXELS)
        view.thumbnail(most, Image.Resampling.LANCZOS, reducing_gap=2)
    given = frame.dpi or min(max(max(image.size) / _PAGE_INCHES, 1), dpi)
    wanted = min(given if given >= MIN_DPI else _ENLARGED_DPI, dpi)
    gray = image.convert("L")
    if round(wanted) != round(given):
        size = [max(round(side * wanted / given), 1) for side in gray.size]
        gray = gray.resize((size[0], size[1]), Image.Resampling.BICUBIC, reducing_gap=2)
    return Pictures(gray, view, wanted)


def _reading_scale(page: pypdfium2.PdfPage, dpi: int) -> float:
    """Pixels per point at which a scan is read: its own, but enlarged where it is small."""
    own = own_scale(page)
    is_small = own * pdf.POINTS_PER_INCH < MIN_DPI
    return min(_ENLARGED_DPI, dpi) / pdf.POINTS_PER_INCH if is_small else own


def view_scale(size: tuple[float, float]) -> float:
    """Pixels per point of the image of a page of so many points that people get."""
    return min(pdf.scale_for(size, _VIEW_DPI), _VIEW_SIDE_PIXELS / max(*size, 1.0))


def view_size(size: tuple[float, float]) -> tuple[int, int]:
    """Width and height in pixels of the image of a page of so many points that people get."""
    scale = view_scale(size)
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)


def _reduced(scan: Image.Image, size: tuple[int, int]) -> Image.Image:
    return scan.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)


def write_view(view: Image.Image, target: Path) -> None:
    """Write what people get as a JPEG, in gray where it has no colours."""
    _in_fewest_colours(view).save(target, "JPEG", quality=_VIEW_QUALITY)


def has_detail(pictures: Pictures) -> bool:
    """Whether OCR read so many more pixels than people get that zooming in could show them."""
    view = pictures.view
    return view is not None and pictures.page.width >= _DETAIL_RATIO * view.width


def write_detail(page: Image.Image, target: Path) -> None:
    """Write what people get who zoom in as a JPEG, in gray: its colours are those of the view."""
    page.save(target, "JPEG", quality=_DETAIL_QUALITY)


def _in_fewest_colours(view: Image.Image) -> Image.Image:
    if view.mode == "L":
        return view
    small = view.reduce(max(1, max(view.size) // 300))
    red, green, blue = small.split()
    pairs = ((red, green), (green, blue), (red, blue))
    coloured = (any(ImageChops.difference(*pair).histogram()[_COLOUR_LEVELS:]) for pair in pairs)
    return view if any(coloured) else view.convert("L")
