"""Photos of documents made for tests: perspective, backgrounds, shadows; the corners are known."""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Corners = Sequence[tuple[float, float]]

LINES: Final = (
    "INVOICE 4711",
    "For the delivery of goods as agreed,",
    "we charge you as follows. Please pay",
    "within thirty days of receipt.",
    "Forty boxes of paper     120.00",
    "Seven bottles of ink      63.50",
    "Freight and packing       12.00",
    "Total                    195.50",
)
"""What is on every page here."""


def page(
    width: int = 900, height: int = 1270, paper: tuple[int, int, int] = (245, 243, 238)
) -> Image.Image:
    """A page of text, larger in size than it gets on the photo."""
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=width // 26)
    ink = (35, 35, 40) if sum(paper) > 380 else (235, 235, 230)
    step = max(width // 16, height // 24)
    for n in range(2, (height - step) // step):
        draw.text((width // 10, n * step), LINES[n % len(LINES)], fill=ink, font=font)
    draw.rectangle((width // 10, step // 2, width // 3, step * 3 // 2), fill=(150, 60, 60))
    return image


def wood(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """A table with boards and grain."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    bend = _cloud(size, 110, random) * 3.5
    grain = np.sin((x + bend) / 6.0) * 14 + np.sin((x + bend * 2) / 23.0) * 18
    fibre = random.normal(0, 6, (height // 60 + 2, width)).astype(np.float32)
    grain += cv2.resize(fibre, size, interpolation=cv2.INTER_CUBIC)
    grain -= 50.0 * ((x + y // 12) % (width // 5) < 3)
    return _clipped(np.array([150, 95, 55]) + grain[:, :, None] * np.array([1.0, 0.8, 0.6]))


def _cloud(size: tuple[int, int], grain: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Noise whose specks are about so large, with a deviation of about 1."""
    width, height = size
    coarse = random.normal(0, 1.3, (height // grain + 2, width // grain + 2)).astype(np.float32)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)  # pyright: ignore[reportReturnType]  # of the type it was given


def stone(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """Dark granite: specks of every size."""
    specks = sum((_cloud(size, grain, random) * 9 for grain in (2, 7, 22)), np.zeros(1))
    return _clipped(np.array([85, 88, 92]) + specks[:, :, None])


def cloth(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """A checked table cloth."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    checks = ((x // 60) % 2) * 45.0 + ((y // 60) % 2) * 45.0
    noise = random.normal(0, 6, (height, width))
    return _clipped(np.array([60, 75, 120]) + (checks + noise)[:, :, None])


def desk(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """A light grey desk, little darker than paper."""
    width, height = size
    noise = random.normal(0, 3, (height, width))
    return _clipped(np.array([192, 190, 186]) + noise[:, :, None])


def dark(size: tuple[int, int], random: np.random.Generator) -> Pixels:
    """A dark mat."""
    width, height = size
    return _clipped(np.array([30, 30, 34]) + random.normal(0, 4, (height, width))[:, :, None])


BACKGROUNDS: Final[dict[str, Callable[[tuple[int, int], np.random.Generator], Pixels]]] = {
    "wood": wood,
    "stone": stone,
    "cloth": cloth,
    "desk": desk,
    "dark": dark,
}


def photo(
    background: str,
    documents: Sequence[tuple[Image.Image, Corners]],
    *,
    size: tuple[int, int] = (1600, 1200),
    seed: int = 1,
    shadow: float = 0.0,
    cut_corner: float = 0.0,
    round_corners: float = 0.0,
    noise: float = 4.0,
) -> Image.Image:
    """A photo of documents.

    Args:
        background: a name of BACKGROUNDS.
        documents: pages, and where their corners are, clockwise from the top left one.
        size: width and height in pixels.
        seed: of all that is random.
        shadow: how dark a shadow with a soft edge falls over a half of the photo, 0..1.
        cut_corner: how much of the first corner is dog-eared, as a share of the shorter side.
        round_corners: radius of the corners, as a share of the shorter side.
        noise: standard deviation of what the sensor adds.
    """
    random = np.random.default_rng(seed)
    scene = BACKGROUNDS[background](size, random).astype(np.float32)
    for image, corners in documents:
        mask = Image.new("L", image.size, 0)
        short = min(image.size)
        draw = ImageDraw.Draw(mask)
        draw.rounded_rectangle((0, 0, *image.size), radius=round_corners * short, fill=255)
        if cut_corner:
            draw.polygon([(0, 0), (cut_corner * short, 0), (0, cut_corner * short)], fill=0)
        w, h = image.size
        # Corners are in coordinates whose origin is the outer corner of the first pixel.
        source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32) - 0.5
        target = np.array(corners, np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(source, target)
        placed = cv2.warpPerspective(
            np.asarray(image), matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
        )
        opaque = cv2.warpPerspective(np.asarray(mask), matrix, size, flags=cv2.INTER_LINEAR)
        # A sheet throws a soft shadow of its own.
        thrown = cv2.GaussianBlur(np.roll(opaque, (5, 5), (0, 1)), (0, 0), 6)
        scene *= 1 - 0.35 * (thrown[:, :, None] / 255)
        part = opaque[:, :, None].astype(np.float32) / 255
        scene = scene * (1 - part) + placed * part
    if shadow:
        x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
        across = (x * 0.8 + y * 0.6 - 0.45 * (size[0] + size[1])) / (0.03 * size[0])
        scene *= (1 - shadow / (1 + np.exp(-across)))[:, :, None]
    scene = cv2.GaussianBlur(scene, (0, 0), 0.8) + random.normal(0, noise, scene.shape)
    return Image.fromarray(_clipped(scene))


def _clipped(values: NDArray[np.floating]) -> Pixels:
    return np.clip(values, 0, 255).astype(np.uint8)
