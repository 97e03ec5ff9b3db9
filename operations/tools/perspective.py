"""Cut a document out of a photo and lay it flat.

To be imported in a child only: it loads OpenCV.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from store.errors import InputError, LimitExceededError
from store.settings import settings

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Vertices = Sequence[tuple[float, float]]

cv2.setNumThreads(1)  # one slot is one core

_MIN_SIDE_PIXELS = 2.0
_MIN_SINE = 0.02
"""Of an angle: about one degree."""


def flattened(photo: Pixels, vertices: Vertices) -> Pixels:
    """What lies between four vertices, as seen from straight above.

    Args:
        photo: shape (height, width) or (height, width, 3).
        vertices: x, y in pixels, in order around the document, its top left one first; (0, 0) is
            the outer corner of the first pixel. Either way round: text is never mirrored.

    Raises:
        InputError: the vertices frame nothing; `reason` says why.
        LimitExceededError: what they frame is too large.
    """
    corners = checked(vertices, photo.shape[1], photo.shape[0])
    width, height = flat_size(corners, photo.shape[1], photo.shape[0])
    if width * height > settings().max_page_pixels:
        raise LimitExceededError(
            "What lies between the vertices is too large laid flat. Send a smaller image.",
            width=width,
            height=height,
            limit_pixels=settings().max_page_pixels,
        )
    # OpenCV has its origin in the middle of the first pixel.
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32) - 0.5, flat)
    return cv2.warpPerspective(  # pyright: ignore[reportReturnType]  # of the type it was given
        photo, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def checked(vertices: Vertices, width: int, height: int) -> Points:
    """Four vertices clockwise, if they can be the corners of a document.

    Raises:
        InputError: they cannot; `reason` is `out_of_image`, `degenerate`, `collinear`,
            `self_crossing` or `not_convex`.
    """
    corners = np.array(vertices, np.float64)
    if corners.min() < 0 or (corners > (width, height)).any():
        raise _refused(
            "out_of_image",
            f"A vertex lies outside of the image, which has {width} x {height} pixels. Give"
            " vertices within it; for the image as people see it, upright.",
            vertices,
        )
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    diagonals = (corners[2] - corners[0], corners[3] - corners[1])
    if min(*lengths, *(float(np.linalg.norm(d)) for d in diagonals)) < _MIN_SIDE_PIXELS:
        raise _refused(
            "degenerate",
            "Two vertices are in the same place. Give the four corners of the document.",
            vertices,
        )
    turns = [_cross(sides[n - 1], sides[n]) / float(lengths[n - 1] * lengths[n]) for n in range(4)]
    if min(abs(turn) for turn in turns) < _MIN_SINE:
        raise _refused(
            "collinear",
            "Three vertices lie on one line. Give the four corners of the document.",
            vertices,
        )
    left = sum(turn < 0 for turn in turns)
    if left == 2:
        raise _refused(
            "self_crossing",
            "The sides between the vertices cross. Give them in order around the document.",
            vertices,
        )
    if left in {1, 3}:
        raise _refused(
            "not_convex",
            "One vertex lies between the others. Give the four corners of the document.",
            vertices,
        )
    # y grows downwards: clockwise, as people see it, are turns to the right.
    return corners if left == 0 else corners[[0, 3, 2, 1]]


def _refused(reason: str, message: str, vertices: Vertices) -> InputError:
    return InputError(message, reason=reason, vertices=[{"x": x, "y": y} for x, y in vertices])


def _cross(a: Points, b: Points) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


_USUAL_FOCAL_LENGTH = 0.8
"""Of the cameras of phones, in long sides of the photo: 28 mm for film of 36 mm."""

_PLAUSIBLE_FOCAL_LENGTHS = (0.5, 2.5)

_MAX_CORRECTION = 1.6
"""More than this is no perspective but a photo that was cropped, or vertices that are wrong."""


def flat_size(corners: Points, width: int, height: int) -> tuple[int, int]:
    """Width and height of a document laid flat, so that no side of it gets smaller.

    Args:
        corners: clockwise from the top left one.
        width: of the photo, in whose middle the camera is taken to have looked.
        height: of the photo.
    """
    top, right, bottom, left = (
        float(np.linalg.norm(corners[(n + 1) % 4] - corners[n])) for n in range(4)
    )
    across, down = max(top, bottom), max(left, right)
    correction = _ratio(corners - (width / 2, height / 2), max(width, height)) * down / across
    if 1 / _MAX_CORRECTION < correction < _MAX_CORRECTION:
        across, down = across * max(correction, 1.0), down * max(1 / correction, 1.0)
    return max(1, round(across)), max(1, round(down))


def _ratio(corners: Points, long_side: int) -> float:
    """Width to height of the rectangle of which this is a photo.

    Two pairs of converging sides tell the focal length, and that tells the ratio: Zhang and He,
    Whiteboard scanning and image enhancement, 2007, section 3. Where fewer converge, or what they
    tell is no camera's, the focal length is the usual one.

    Args:
        corners: from the middle of the photo.
        long_side: of the photo, in pixels.
    """
    m1, m2, m4, m3 = (np.array([x, y, 1.0]) for x, y in corners)
    n2 = float(np.cross(m1, m4) @ m3 / (np.cross(m2, m4) @ m3)) * m2 - m1
    n3 = float(np.cross(m1, m4) @ m2 / (np.cross(m3, m4) @ m2)) * m3 - m1
    focal = _USUAL_FOCAL_LENGTH
    if abs(n2[2] * n3[2]) > 1e-6:
        squared = -float(n2[0] * n3[0] + n2[1] * n3[1]) / float(n2[2] * n3[2]) / long_side**2
        low, high = _PLAUSIBLE_FOCAL_LENGTHS
        if low**2 < squared < high**2:
            focal = math.sqrt(squared)
    scale = np.array([1.0, 1.0, (focal * long_side) ** 2])
    return math.sqrt(float((n2 * n2) @ scale) / float((n3 * n3) @ scale))
