"""What makes a photo of a page look like a scan.

To be imported in a child only: it loads OpenCV.
"""

from collections.abc import Callable
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Effect = Literal["grayscale", "scanner", "black-background"]

cv2.setNumThreads(1)  # one slot is one core


def grayscale(page: Pixels) -> Pixels:
    """Lightness alone (ITU-R BT.601).

    Args:
        page: shape (height, width), or (height, width, 3) in RGB.
    """
    return page if page.ndim == 2 else cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)  # pyright: ignore[reportReturnType]  # of the type it was given


_PAPER_REDUCTION = 8
_LETTERS_RATIO = 1 / 60
"""Of the shorter side: what is darker and narrower than this is ink, not paper."""

_DEEPEST_SHADOW = 0.3
"""Paper in a shadow is not darker than this share of the lightest; what is, is printed."""

_BLACK, _WHITE = 70, 218
"""Levels of 0..255 that become black and white, once the paper is 255."""

_NOISE_PIXELS = 0.6
_SHARPEN = 0.7


def scanner(page: Pixels) -> Pixels:
    """Black text on flat white, gray between, however uneven the light was.

    The page is divided by an image of its paper: what is left when all that is narrow and dark is
    closed. Not made black and white only, so that pictures stay and tesseract reads it as well.
    """
    gray = grayscale(page)
    height, width = gray.shape
    size = (max(1, width // _PAPER_REDUCTION), max(1, height // _PAPER_REDUCTION))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    reach = max(3, round(min(size) * _LETTERS_RATIO) * 2 + 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    # Lightest of around, then of that the middle one: noise is no paper.
    paper = cv2.medianBlur(cv2.dilate(small, disc), 2 * (reach // 2) + 1 if reach < 16 else 15)
    paper = cv2.GaussianBlur(paper, (0, 0), reach / 3)
    lightest = float(np.quantile(paper, 0.95))
    paper = np.maximum(paper, max(1, round(_DEEPEST_SHADOW * lightest))).astype(np.uint8)
    paper = cv2.resize(paper, (width, height), interpolation=cv2.INTER_LINEAR)
    # The noise of the sensor, which is strongest where a shadow was made light, goes first.
    even = cv2.GaussianBlur(cv2.divide(gray, paper, scale=255), (0, 0), _NOISE_PIXELS)
    soft = cv2.GaussianBlur(even, (0, 0), 1.2)
    sharp = cv2.addWeighted(even, 1 + _SHARPEN, soft, -_SHARPEN, 0)
    steps = (np.arange(256) - _BLACK) * (255 / (_WHITE - _BLACK))
    return cv2.LUT(sharp, np.clip(np.round(steps), 0, 255).astype(np.uint8))  # pyright: ignore[reportReturnType]  # of the type it was given


def black_background(page: Pixels) -> Pixels:
    """The negative of the scan: light text on flat black."""
    return 255 - scanner(page)


EFFECTS: Final[dict[Effect, Callable[[Pixels], Pixels]]] = {
    "grayscale": grayscale,
    "scanner": scanner,
    "black-background": black_background,
}
"""Each takes gray or RGB, and gives gray of the same size."""
