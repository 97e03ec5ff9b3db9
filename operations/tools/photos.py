"""What the image operations do to one page of an image file, each in a child of its own.

OpenCV takes longer to load than most of its work does, so only the child that needs it loads it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PIL import Image

from operations.tools import images
from operations.tools.images import Frame

if TYPE_CHECKING:
    from operations.tools.effects import Pixels
    from operations.tools.find_documents import Points

Vertices = list[tuple[float, float]]
ScanMode = Literal["none", "standard"]
Effect = Literal["grayscale", "scanner", "black-background"]


@dataclass(frozen=True)
class Picture:
    """A page of an image file."""

    path: Path
    frame: Frame
    page_number: int
    """1-based."""


def pictures(path: Path) -> list[Picture]:
    """The pages of an image file."""
    return [Picture(path, frame, n) for n, frame in enumerate(images.frames(path), 1)]


def name_of(picture: Picture, all_of_them: Sequence[Picture], name: str) -> str:
    """What the file of a page is called: as given, or by its number where there are several."""
    return f"page-{picture.page_number}" if len(all_of_them) > 1 else name


def find(picture: Picture) -> list[Vertices]:
    """The vertices of each document on a photo, in pixels of the upright photo."""
    photo = _pixels(picture)
    from operations.tools.find_documents import find_documents

    return [_rounded(corners) for corners in find_documents(_coloured(photo))]


@dataclass(frozen=True)
class Flattened:
    """A file that was made from a photo."""

    name: str
    vertices: Vertices | None
    """Of the document; None where it is the whole photo."""


def scan(
    picture: Picture, mode: ScanMode, effect: Effect | None, prefix: str, folder: Path
) -> list[Flattened]:
    """Cut out each document of a photo and lay it flat; the whole photo where none is found.

    Args:
        picture: the photo.
        mode: `none` looks for no documents.
        effect: what is done to each.
        prefix: of the names of the files.
        folder: where the files go.
    """
    photo = _pixels(picture)
    found: Sequence[Vertices | None] = [None]
    if mode == "standard":
        from operations.tools.find_documents import find_documents

        found = [_rounded(corners) for corners in find_documents(_coloured(photo))] or [None]
    made: list[Flattened] = []
    for number, vertices in enumerate(found, 1):
        page = photo
        if vertices is not None:
            from operations.tools.perspective import flattened

            page = flattened(photo, vertices)
        name = f"{prefix}-document-{number}" if len(found) > 1 else prefix
        made.append(Flattened(_written(page, effect, picture, folder, name), vertices))
    return made


def warp(picture: Picture, vertices: Vertices, name: str, folder: Path) -> str:
    """Lay flat what is between four vertices; answers the name of the file."""
    photo = _pixels(picture)
    from operations.tools.perspective import flattened

    return _written(flattened(photo, vertices), None, picture, folder, name)


def apply_effect(picture: Picture, effect: Effect, name: str, folder: Path) -> str:
    """Apply an effect; answers the name of the file."""
    return _written(_pixels(picture), effect, picture, folder, name)


def convert(picture: Picture, media_type: str, quality: int | None, name: str, folder: Path) -> str:
    """Write a page in another format; answers the name of the file."""
    image = images.decode_fully(picture.path, picture.frame, picture.page_number)
    target = folder / f"{name}.{images.ENDINGS[media_type]}"
    given = {} if quality is None else {"quality": quality}
    images.write(image, target, media_type, page_number=picture.page_number, **given)
    return target.name


def _pixels(picture: Picture) -> "Pixels":
    # Both would start a thread for each core, each with memory of its own.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OPENCV_FOR_THREADS_NUM="1")
    import numpy as np

    full = images.decode_fully(picture.path, picture.frame, picture.page_number)
    return np.array(images.plain(full))


def _coloured(photo: "Pixels") -> "Pixels":
    import numpy as np

    return photo if photo.ndim == 3 else np.repeat(photo[:, :, None], 3, axis=2)


def _rounded(corners: "Points") -> Vertices:
    """To a hundredth of a pixel, which is more than anybody can see."""
    return [(round(float(x), 2), round(float(y), 2)) for x, y in corners]


def _written(
    page: "Pixels", effect: Effect | None, picture: Picture, folder: Path, name: str
) -> str:
    if effect is not None:
        from operations.tools.effects import EFFECTS

        page = EFFECTS[effect](page)
    media_type = images.written_type(picture.path)
    target = folder / f"{name}.{images.ENDINGS[media_type]}"
    images.write(Image.fromarray(page), target, media_type, page_number=picture.page_number)
    return target.name
