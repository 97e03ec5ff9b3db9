"""PDF pages that are one image: a scan, whose own resolution is all there is to be read."""

import math
from pathlib import Path

import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from pikepdf import Name
from PIL import Image

from operations.tools import pdf
from store.errors import DamagedFileError

_COVER_RATIO = 0.9
"""How much of the page the image of a scan covers at least."""


def own_scale(page: pypdfium2.PdfPage) -> float:
    """Pixels per point of the image that is the page; infinity where none is.

    A scan rendered at more has no more in it, takes longer to read and is softer.

    Args:
        page: of an open PDF.
    """
    width, height = page.get_size()
    best = math.inf
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = image.get_bounds()
        area = (right - left) * (top - bottom)
        if area < _COVER_RATIO * width * height:
            continue
        pixels = math.prod(image.get_px_size())  # pyright: ignore[reportAttributeAccessIssue]  # a PdfImage, by the filter
        # Of several, as the layers of a compressed scan, the finest has the text.
        finest = math.sqrt(pixels / area)
        best = finest if math.isinf(best) else max(best, finest)
    # A hair less, for the page to be rendered without a further row or column of pixels.
    return best * (1 - 1e-6)


_ROOM_POINTS = 0.75
"""By how much the image may be larger or smaller than the page: less than is seen."""

_SQUARE = 0.01
"""By how much the resolutions across and down may differ, for pixels to be square."""

_INVISIBLE = pdfium.FPDF_TEXTRENDERMODE_INVISIBLE


def only_image(page: pypdfium2.PdfPage, path: Path, number: int) -> Image.Image | None:
    """The image that is all that is seen on a page, pixel by pixel, turned as the page is.

    Rendering it takes five times as long, and blurs it, since its pixels are never exactly where
    those of the page are.

    Args:
        page: of an open PDF.
        path: of that PDF.
        number: of the page.

    Returns:
        Gray or RGB; None where something else is seen too, or the image not as it is stored.
    """
    image = _alone(page)
    if image is None or not _fills(image, page) or not _is_opaque(path, number, image):
        return None
    try:
        found = image.get_bitmap(render=False).to_pil()
    except pypdfium2.PdfiumError:
        return None  # rendering says what is wrong with it
    found = found if found.mode in {"L", "RGB"} else found.convert("RGB")
    turned = page.get_rotation()
    return found.rotate(-turned, expand=True) if turned else found


def _alone(page: pypdfium2.PdfPage) -> pypdfium2.PdfImage | None:
    """The image that is the only thing to be seen; text of an earlier OCR is not."""
    if pdfium.FPDFPage_GetAnnotCount(page):
        return None
    image: pypdfium2.PdfImage | None = None
    for found in page.get_objects(max_depth=1):
        is_text = pdfium.FPDFPageObj_GetType(found) == pdfium.FPDF_PAGEOBJ_TEXT
        if is_text and pdfium.FPDFTextObj_GetTextRenderMode(found) == _INVISIBLE:
            continue
        if image is not None or not isinstance(found, pypdfium2.PdfImage):
            return None
        image = found
    return image


def _fills(image: pypdfium2.PdfImage, page: pypdfium2.PdfPage) -> bool:
    """Whether it is all of the page, upright in its space, and not cut off."""
    across, up, down, along, _, _ = image.get_matrix().get()
    width, height = image.get_px_size()
    is_upright = across > 0 and along > 0 and not up and not down
    places = zip(image.get_bounds(), page.get_bbox(), strict=True)
    return (
        is_upright
        and all(abs(ours - its) <= _ROOM_POINTS for ours, its in places)
        and abs(width * along / (height * across) - 1) <= _SQUARE
        and pdfium.FPDFClipPath_CountPaths(pdfium.FPDFPageObj_GetClipPath(image)) <= 0
        and not pdfium.FPDFPageObj_HasTransparency(image)
    )


_CHANGED_BY = frozenset(("/SMask", "/Mask", "/ImageMask", "/Decode"))
"""What in an image makes it look other than its pixels."""


def _is_opaque(path: Path, number: int, image: pypdfium2.PdfImage) -> bool:
    """Whether it is shown as it is stored; PDFium does not tell."""
    try:
        with (
            pdf.damage_is_ours(),
            pikepdf.open(path, suppress_warnings=True) as document,
        ):
            objects = document.pages[number - 1].resources.get(Name.XObject, {})
            images = [one for one in objects.values() if one.get(Name.Subtype) == Name.Image]  # pyright: ignore[reportAttributeAccessIssue]  # a dictionary
            sizes = [(int(one.Width), int(one.Height)) for one in images]
            is_there = image.get_px_size() in sizes
            return is_there and not any(_CHANGED_BY & set(one.keys()) for one in images)
    except DamagedFileError:
        return False
