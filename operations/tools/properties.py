"""What is told of a file before anything is done with it: its size in pixels, or its pages."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from operations.tools import images, pdf
from operations.tools.file_type import PDF, readable_type


def properties(path: Path) -> dict[str, int]:
    """The properties of a file that can be worked on. To be called in a child.

    Returns:
        `page_count` of a PDF; `width` and `height` in pixels of an image, of a TIFF those of its
        first page and `page_count`.

    Raises:
        InputError: it cannot be worked on.
    """
    media_type = readable_type(path)
    if media_type == PDF:
        return {"page_count": len(pdf.examine(path, Path(tempfile.gettempdir())).sizes)}
    pages = images.frames(path)
    found = {"width": pages[0].width, "height": pages[0].height}
    return found | ({"page_count": len(pages)} if media_type == "image/tiff" else {})


def properties_of_each(paths: Sequence[Path]) -> list[dict[str, int]]:
    """The properties of many files, in one child."""
    return [properties(path) for path in paths]
