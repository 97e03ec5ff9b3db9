"""PDF pages that are one image: a scan, whose own resolution is all there is to be read."""

import math

import pypdfium2
import pypdfium2.raw as pdfium

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
