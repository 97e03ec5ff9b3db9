"""Make scans out of photos of documents."""

from pathlib import Path
from typing import Literal

from operations.detect_documents import Vertex
from operations.registry import MadeFiles, Params, Result, operation, report_progress
from operations.tools import photos
from operations.tools.child import in_child


class ScanParams(Params):
    """How a scan is made."""

    effect: Literal["none", "grayscale", "scanner", "black-background"]
    """What is done to each document: `scanner` gives black text on flat white however uneven the
    light was, `black-background` the negative of that."""
    scan_mode: Literal["none", "standard"]
    """standard: each document is found, cut out and laid flat; none: the photo is kept whole."""


class ScannedDocument(Result):
    """What became of a document."""

    page_number: int
    """1-based, of the photo in a file of several."""
    vertices: list[Vertex] | None
    """Its corners in the upright photo; null where none was found, or looked for, and the whole
    photo was taken."""


class ScanResult(MadeFiles):
    """The scans."""

    documents: list[ScannedDocument]
    """One for each file, in their order."""


@operation(timeout_seconds=3600, accepts=("image",))
async def scan(source: Path, params: ScanParams, *, folder: Path) -> ScanResult:
    """Find the documents on a photo, cut each out, lay it flat, and apply an effect.

    Where no document is found the whole photo is taken. Each document is a file, in the format of
    the photo (PNG for a TIFF); each page of a TIFF is a photo.
    """
    pictures = await in_child(photos.pictures, source)
    files: list[str] = []
    documents: list[ScannedDocument] = []
    for picture in pictures:
        made = await in_child(
            photos.scan,
            picture,
            params.scan_mode,
            None if params.effect == "none" else params.effect,
            photos.name_of(picture, pictures, "scan"),
            folder,
        )
        files += [one.name for one in made]
        documents += [
            ScannedDocument(
                page_number=picture.page_number,
                vertices=None
                if one.vertices is None
                else [Vertex(x=x, y=y) for x, y in one.vertices],
            )
            for one in made
        ]
        await report_progress(picture.page_number, len(pictures))
    return ScanResult(files=files, documents=documents)
