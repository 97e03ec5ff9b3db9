"""Scans with known text, made for the benchmarks: the same bytes on every run."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import cv2
import img2pdf
import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

Gray = NDArray[np.uint8]

PROSE = Path(__file__).parents[1] / "LICENSE"
FONTS = ("Times-Roman", "Helvetica", "Courier", "Times-Roman")
SIZES = (11, 10, 10, 12)
LINES, WIDTHS = 46, (88, 88, 78, 80)


@dataclass(frozen=True)
class Damage:
    """What is wrong with a scan."""

    noise: float = 0.0
    """Standard deviation, in levels of 255."""
    skew_degrees: float = 0.0
    """Counter-clockwise."""
    shadow: float = 0.0
    """How much darker the darkest corner is than the lightest, 0..1."""


def paragraphs() -> list[str]:
    """English prose with figures and references."""
    blocks = re.split(r"\n\s*\n", PROSE.read_text(encoding="utf-8"))
    return [" ".join(block.split()) for block in blocks if len(block.split()) > 8]


def texts(count: int) -> list[list[str]]:
    """The lines of pages, each page other than the rest."""
    prose = paragraphs()
    pages: list[list[str]] = []
    for number in range(count):
        turned = prose[number * 5 % len(prose) :] + prose[: number * 5 % len(prose)]
        width = WIDTHS[number % len(WIDTHS)]
        lines = [f"Page {number + 1} of {count}, file {4711 + 97 * number}", ""]
        for paragraph in turned:
            lines += [*wrap(paragraph, width), ""]
        pages.append(lines[:LINES])
    return pages


def typeset(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF of these lines, in several fonts."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    for number, lines in enumerate(pages):
        canvas.setFont(FONTS[number % len(FONTS)], SIZES[number % len(SIZES)])
        for row, line in enumerate(lines):
            canvas.drawString(56, 780 - 15.5 * row, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def rendered(pdf: bytes, dpi: int) -> list[Gray]:
    """Its pages as gray images."""
    with pypdfium2.PdfDocument(pdf) as document:
        images = [page.render(scale=dpi / 72, grayscale=True).to_numpy() for page in document]  # pyright: ignore[reportArgumentType]  # its default is an int
    return [np.ascontiguousarray(image.reshape(image.shape[:2])) for image in images]


def scanned(page: Gray, damage: Damage, seed: int) -> Gray:
    """A page as a scanner gives it: soft edges, and what is wrong with it."""
    height, width = page.shape
    soft = cv2.GaussianBlur(page, (0, 0), 0.7)
    if damage.skew_degrees:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), damage.skew_degrees, 1)
        soft = cv2.warpAffine(soft, turn, (width, height), flags=cv2.INTER_CUBIC, borderValue=255)
    values = soft.astype(np.float32)
    if damage.shadow:
        across = np.linspace(1 - damage.shadow, 1, width, dtype=np.float32)
        down = np.linspace(1, 1 - damage.shadow / 2, height, dtype=np.float32)
        values *= across[None, :] * down[:, None]
    if damage.noise:
        values += np.random.default_rng(seed).normal(0, damage.noise, page.shape)
    return values.clip(0, 255).astype(np.uint8)


def as_jpeg(page: Gray, dpi: int) -> bytes:
    """A page as a scanner stores it."""
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "JPEG", quality=88, dpi=(dpi, dpi))
    return buffer.getvalue()


def scan_pdf(pages: Sequence[Gray], dpi: int) -> bytes:
    """A PDF of nothing but these images."""
    made = img2pdf.convert([as_jpeg(page, dpi) for page in pages])
    assert made is not None
    return made
