"""Find the documents on a photo."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from operations.registry import Params, Result, operation, report_progress
from operations.tools import photos
from operations.tools.child import in_child
from store.errors import InputError


class DetectDocumentsParams(Params):
    """Nothing can be chosen."""


class Vertex(BaseModel):
    """A place in an image, in pixels; (0, 0) is the outer corner of its top left one."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    x: float = Field(allow_inf_nan=False)
    """From the left."""
    y: float = Field(allow_inf_nan=False)
    """From the top."""


class BoundingBox(Result):
    """The upright rectangle around a document, in pixels."""

    left: float
    """Of its left side, from the left of the photo."""
    top: float
    """Of its upper side, from the top of the photo."""
    width: float
    """From left to right."""
    height: float
    """From top to bottom."""


class FoundDocument(Result):
    """A document on the photo."""

    bounding_box: BoundingBox
    """The rectangle around it."""
    vertices: list[Vertex]
    """Its four corners, clockwise from the top left one."""


class DetectDocumentsResult(Result):
    """The documents that were found."""

    documents: list[FoundDocument]
    """The largest first; empty where there is none, or where it fills the photo."""


@operation(timeout_seconds=600, accepts=("image",))
async def detect_documents(
    source: Path,
    params: DetectDocumentsParams,  # noqa: ARG001  # every operation takes them
    *,
    folder: Path,  # noqa: ARG001  # it makes no file
) -> DetectDocumentsResult:
    """Find each document on a photo: its four corners, in pixels of the upright photo."""
    picture = await only_picture(source)
    found = await in_child(photos.find, picture)
    await report_progress(1, 1)
    return DetectDocumentsResult(documents=[_document(vertices) for vertices in found])


async def only_picture(source: Path) -> photos.Picture:
    """The only page of an image file, for what makes sense on one alone.

    Raises:
        InputError: it has several.
    """
    pictures = await in_child(photos.pictures, source)
    if len(pictures) > 1:
        raise InputError(
            f"The file has {len(pictures)} pages, and vertices are those of one. `convert` makes"
            " an image of each page; send these one by one.",
            page_count=len(pictures),
        )
    return pictures[0]


def _document(vertices: photos.Vertices) -> FoundDocument:
    left, right = min(x for x, _ in vertices), max(x for x, _ in vertices)
    top, bottom = min(y for _, y in vertices), max(y for _, y in vertices)
    return FoundDocument(
        bounding_box=BoundingBox(
            left=left, top=top, width=round(right - left, 2), height=round(bottom - top, 2)
        ),
        vertices=[Vertex(x=x, y=y) for x, y in vertices],
    )
