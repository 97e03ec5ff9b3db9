"""Pages of PDFs as images of a resolution that somebody asks for."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image

from operations.tools import pdf
from operations.tools.job import page_done
from store.errors import LimitExceededError
from store.settings import settings

_ROUNDING = 1 - 1e-9
"""A page of 612 points is 2550 pixels wide at 300 dpi, not the 2551 of 2550.0000000000005."""


def check_sizes(sizes: Sequence[tuple[float, float]], numbers: Sequence[int], dpi: int) -> None:
    """Look whether no image would get too large, before any work.

    Args:
        sizes: of all pages, in points.
        numbers: of the pages that are rendered.
        dpi: at which.

    Raises:
        LimitExceededError: one would; the message names the resolution at which it would not.
    """
    limit = settings().max_page_pixels
    for number in numbers:
        width, height = (max(side, 1.0) for side in sizes[number - 1])
        most = math.floor(pdf.POINTS_PER_INCH * math.sqrt(limit / (width * height)))
        if most < dpi:
            raise LimitExceededError(
                f"Page {number} would have more than {limit} pixels at {dpi} dpi. Render it at"
                f" {most} dpi or less, or raise PAPERTRAY_MAX_PAGE_PIXELS.",
                page_number=number,
                dpi=dpi,
                most_dpi=most,
                limit_pixels=limit,
            )


def write_page_images(path: Path, pages: Sequence[tuple[int, str]], dpi: int, folder: Path) -> None:
    """Render pages as PNG files, as they are seen, on white.

    Args:
        path: of a PDF that `pdf.examine` has passed.
        pages: number of each, and name of its file.
        dpi: dots per inch; an image has as many pixels as the page has points, times dpi / 72,
            rounded up.
        folder: for the files.

    Raises:
        DamagedFileError: a page cannot be read.
    """
    names = dict(pages)
    for number, page in zip(names, pdf.open_pages(path, names), strict=True):
        with pdf.damage_is_of(number):
            image = _rendered(page, dpi / pdf.POINTS_PER_INCH * _ROUNDING)
        # More than that makes the file little smaller, and takes several times as long.
        image.save(folder / names[number], "PNG", dpi=(dpi, dpi), compress_level=1)
        page_done()


def _rendered(page: pypdfium2.PdfPage, scale: float) -> Image.Image:
    """In gray where nothing is in colour: a third of the bytes, of the same look."""
    bitmap = page.render(scale=scale, rev_byteorder=True)  # pyright: ignore[reportArgumentType]  # its default is an int, so pyright takes it for one
    levels = bitmap.to_numpy()
    red, green, blue = (levels[:, :, channel] for channel in range(3))
    is_gray = np.array_equal(red, green) and np.array_equal(green, blue)
    image = Image.fromarray(np.ascontiguousarray(red)) if is_gray else bitmap.to_pil()
    pdf.check_seen(page, image)
    return image
