"""Text layers laid under the pages of a PDF, which themselves stay as they are."""

import io
import math
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pikepdf
import pypdfium2
from pikepdf import Matrix

from operations.tools import pdf
from operations.tools.file_type import PDF, readable_type
from operations.tools.image_pages import image_as_pdf
from operations.tools.invisible_text import LayerPlace, lay_under, place_of_layer, remove_layer
from operations.tools.signatures import remove_signatures
from store.errors import DamagedFileError, PageRangeError


def make_searchable(source: Path, layers: Sequence[Path], folder: Path, target: Path) -> int:
    """Lay text under the pages of a document.

    Args:
        source: a PDF or an image; of an image a PDF is made, where possible with its own bytes.
        layers: PDFs of one page with invisible text, which say themselves where they belong.
        folder: for what is needed on the way.
        target: the PDF to write.

    Returns:
        How many pages the PDF has.

    Raises:
        InputError: of the kind that says what is wrong with the source.
        PageRangeError: a layer belongs to a page that is not there.
    """
    is_pdf = readable_type(source) == PDF
    facts = pdf.examine(source, folder) if is_pdf else image_as_pdf(source, folder)
    if not layers:
        shutil.copyfile(facts.path, target)  # nothing is laid under it, so it stays as it is
        return len(facts.sizes)
    try:
        with (
            pypdfium2.PdfDocument(facts.path) as seen,
            pikepdf.open(facts.path) as document,
            ExitStack() as kept_open,
        ):
            for layer_path in layers:
                # From memory: all must stay open until the end, and may be thousands.
                layer = kept_open.enter_context(pikepdf.open(io.BytesIO(layer_path.read_bytes())))
                place = place_of_layer(layer)
                if not 1 <= place.page_number <= len(document.pages):
                    raise PageRangeError(page_number=place.page_number)
                page = document.pages[place.page_number - 1]
                remove_layer(document, page)
                matrix = _matrix(seen[place.page_number - 1], layer.pages[0], place)
                lay_under(document, page, layer.pages[0], matrix)
            remove_signatures(document)
            pdf.write(document, target)
            return len(document.pages)
    except (pikepdf.PdfError, pypdfium2.PdfiumError) as error:
        raise DamagedFileError from error


def _matrix(seen: pypdfium2.PdfPage, layer: pikepdf.Page, place: LayerPlace) -> Matrix:
    """From the space of a text layer to the page's own.

    The layer shows the page as it was read: cropped, turned upright, and straightened, each of
    which keeps the middle where it is. So it is turned back around the middle.
    """
    left, bottom, right, top = seen.get_bbox()
    across, down = seen.get_size()
    if place.turned_degrees % 180:
        across, down = down, across
    skew = math.radians(place.skew_degrees)
    cos, sin = abs(math.cos(skew)), abs(math.sin(skew))
    width, height = (float(side) for side in layer.mediabox.as_list()[2:])  # pyright: ignore[reportArgumentType]  # numbers
    turn = seen.get_rotation() - place.turned_degrees - place.skew_degrees
    return (
        Matrix()
        .translated((left + right) / 2, (bottom + top) / 2)
        .rotated(turn)
        .scaled((across * cos + down * sin) / width, (across * sin + down * cos) / height)
        .translated(-width / 2, -height / 2)
    )
