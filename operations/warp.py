"""Lay flat a part of a photo."""

from pathlib import Path

from pydantic import Field

from operations.detect_documents import Vertex, only_picture
from operations.registry import MadeFiles, Params, operation, report_progress
from operations.tools import photos
from operations.tools.child import in_child


class WarpParams(Params):
    """Which part."""

    vertices: list[Vertex] = Field(
        min_length=4,
        max_length=4,
        examples=[
            [{"x": 12, "y": 8}, {"x": 612, "y": 20}, {"x": 640, "y": 850}, {"x": 5, "y": 840}]
        ],
    )
    """The four corners in order around it, the top left one first, in pixels of the upright photo;
    as `detect-documents` gives them."""


class WarpResult(MadeFiles):
    """The part, laid flat."""


@operation(timeout_seconds=600, accepts=("image",))
async def warp(source: Path, params: WarpParams, *, folder: Path) -> WarpResult:
    """Cut out what lies between four vertices of a photo, and lay it flat.

    The file has the format of the photo (PNG for a TIFF).
    """
    picture = await only_picture(source)
    vertices = [(vertex.x, vertex.y) for vertex in params.vertices]
    name = await in_child(photos.warp, picture, vertices, "warped", folder)
    await report_progress(1, 1)
    return WarpResult(files=[name])
