"""PDFs made of images, whose bytes are kept where a PDF can have them."""

import logging
from pathlib import Path

import img2pdf
import pikepdf

from operations.tools import images, pdf
from store.errors import InputError

# It tells of what it does with transparency and resolutions, which is what is wanted of it.
logging.getLogger("img2pdf").setLevel(logging.ERROR)

_DEFAULT_DPI = 300

_SIDE_POINTS = (3, 14_400)
"""Of a page: ISO 32000-1, annex C."""

_NOT_AS_IT_IS = (
    img2pdf.AlphaChannelError,
    img2pdf.ExifOrientationError,
    img2pdf.ImageOpenError,
    img2pdf.JpegColorspaceError,
    img2pdf.NegativeDimensionError,
    img2pdf.PdfTooLargeError,
    img2pdf.UnsupportedColorspaceError,
    ValueError,
)
"""What img2pdf raises for images that cannot be in a PDF as they are."""


def image_as_pdf(source: Path, folder: Path) -> pdf.PdfFacts:
    """A PDF of an image, a page of each frame, where possible with its very bytes.

    Args:
        source: the image.
        folder: for the PDF, and what is needed on the way.

    Raises:
        InputError: of the kind that says what is wrong with the image.
    """
    target = folder / "image.pdf"
    frames = images.frames(source)
    try:
        with target.open("wb") as sink:
            img2pdf.convert(str(source), outputstream=sink)
        with pikepdf.open(target, allow_overwriting_input=True) as document:
            pages = {frame.index for frame in frames}
            for index in sorted(set(range(len(document.pages))) - pages, reverse=True):
                del document.pages[index]
            document.save(target, compress_streams=False)
    except _NOT_AS_IT_IS:
        plain = [_as_png(source, frame, n, folder) for n, frame in enumerate(frames, 1)]
        with target.open("wb") as sink:
            img2pdf.convert([str(path) for path in plain], outputstream=sink)
    return pdf.examine(target, folder)


def _as_png(source: Path, frame: images.Frame, page_number: int, folder: Path) -> Path:
    path = folder / f"frame-{page_number}.png"
    image = images.decode(source, frame, page_number)
    coarsest, finest = (
        pdf.POINTS_PER_INCH * side / points
        for side, points in zip((max(image.size), min(image.size)), _SIDE_POINTS[::-1], strict=True)
    )
    if coarsest > finest:
        raise InputError(
            "The image is too long and narrow for a page of a PDF. Cut it into shorter ones.",
            page_number=page_number,
            width=image.width,
            height=image.height,
        )
    dpi = min(max(frame.dpi or _DEFAULT_DPI, coarsest), finest)
    image.save(path, dpi=(dpi, dpi), compress_level=1)
    return path
