"""Images: opened, decoded and written by Pillow, under limits, as people see them."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps

from operations.tools.file_type import readable_type
from store.errors import (
    DamagedFileError,
    LimitExceededError,
    NoPagesError,
    UnsupportedFileError,
)
from store.settings import settings

# The size is checked here, for every frame, with an error that names it.
Image.MAX_IMAGE_PIXELS = None

_FORMATS = {
    "image/tiff": "TIFF",
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/webp": "WEBP",
}
"""Pillow's names. It reads more, of which some start other programs."""

_SUBFILE_TYPE = 254
_REDUCED = 1
"""TIFF 6.0, NewSubfileType, bit 0: a smaller copy of another page."""

_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for damaged files, as its plugins have it."""

_PLAUSIBLE_DPI = range(70, 2401)


@dataclass(frozen=True)
class Frame:
    """A page of an image file, before it is decoded."""

    index: int
    """0-based, in the file."""
    width: int
    height: int
    dpi: float
    """As the file says; 0 where it does not, or says nonsense."""


@contextmanager
def _damage_is_ours(page_number: int | None = None) -> Iterator[None]:
    try:
        # What Pillow warns of (corrupt EXIF, truncated tags) is no news to anybody here.
        with warnings.catch_warnings(action="ignore"):
            yield
    except _DAMAGE as error:
        damaged = DamagedFileError()
        if page_number is not None:
            damaged.details["page_number"] = page_number
        raise damaged from error


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file; only its header is read.

    Raises:
        DamagedFileError: it cannot be opened.
        EmptyFileError, UnsupportedFileError: it is no image of our formats.
    """
    media_type = readable_type(path)
    if media_type not in _FORMATS:
        raise UnsupportedFileError(
            "The file is no image. Send a PNG, JPEG, WebP or TIFF file; `render` makes images of"
            " the pages of a PDF.",
            detected=media_type,
            accepted=sorted(_FORMATS),
        )
    with _damage_is_ours():
        image = Image.open(path, formats=[_FORMATS[media_type]])
    with image:
        yield image


def frames(path: Path) -> list[Frame]:
    """The pages of an image file, checked, without decoding any.

    Raises:
        LimitExceededError: too many pages, or one that is too large.
        DamagedFileError: it cannot be read.
        NoPagesError: nothing is in it.
    """
    found: list[Frame] = []
    with open_image(path) as image:
        index = 0
        while True:
            if not _is_reduced_copy(image):
                found.append(_checked(image, index, len(found) + 1))
            index += 1
            if len(found) > settings().max_pages or index > 2 * settings().max_pages:
                raise LimitExceededError(limit_pages=settings().max_pages)
            # Frames of the other formats are moments of an animation, not pages.
            if image.format != "TIFF" or not _has_frame(image, index):
                break
    if not found:
        raise NoPagesError
    return found


def _has_frame(image: Image.Image, index: int) -> bool:
    with _damage_is_ours(index + 1):
        try:
            image.seek(index)
        except EOFError:
            return False
    return True


def _is_reduced_copy(image: Image.Image) -> bool:
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(_SUBFILE_TYPE, 0) & _REDUCED)


def _checked(image: Image.Image, index: int, page_number: int) -> Frame:
    width, height = image.size
    limit = settings().max_page_pixels
    if width * height > limit:
        raise LimitExceededError(
            f"Page {page_number} has {width} x {height} pixels, more than the {limit} that this"
            " server takes. Send a smaller one, or raise PAPERTRAY_MAX_PAGE_PIXELS.",
            page_number=page_number,
            width=width,
            height=height,
            limit_pixels=limit,
        )
    with _damage_is_ours(page_number):
        stated = float(image.info.get("dpi", (0, 0))[0])
    return Frame(index, width, height, stated if round(stated) in _PLAUSIBLE_DPI else 0.0)


def decode(path: Path, frame: Frame, page_number: int) -> Image.Image:
    """A page of an image file as people see it: upright, on white, gray or RGB.

    Raises:
        DamagedFileError: its pixels cannot be read to the end.
    """
    with open_image(path) as image, _damage_is_ours(page_number):
        if frame.index:
            image.seek(frame.index)
        image.load()
        return plain(ImageOps.exif_transpose(image))


def decode_fully(path: Path, frame: Frame, page_number: int) -> Image.Image:
    """A page of an image file with all that is in it: upright, in sRGB, with its transparency.

    Returns:
        In mode 1, L, I;16, LA, RGB or RGBA, without metadata.

    Raises:
        DamagedFileError: its pixels cannot be read to the end.
    """
    with open_image(path) as image, _damage_is_ours(page_number):
        if frame.index:
            image.seek(frame.index)
        image.load()
        upright = ImageOps.exif_transpose(image)
        coloured = _in_srgb(upright)
        if upright.has_transparency_data:
            mode = "LA" if upright.mode in {"1", "L", "LA", "La"} else "RGBA"
            full = upright.convert(mode) if coloured is upright else coloured
        elif coloured.mode.startswith("I;16"):
            full = coloured if coloured.mode == "I;16" else coloured.convert("I").convert("I;16")
        else:
            full = coloured if coloured.mode in {"1", "L", "RGB"} else plain(coloured)
        if full is image or full is upright:
            full = full.copy()
        full.info.clear()
        return full


def _in_srgb(image: Image.Image) -> Image.Image:
    """The same colours in sRGB, where a profile says that the numbers mean something else.

    The same image where none does; RGB, or RGBA where it is transparent.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "LAB":
        return _converted(image, ImageCms.createProfile("LAB"))
    if not profile or image.mode not in {"RGB", "RGBA", "CMYK", "P", "PA"}:
        return image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    colours = image if image.mode in {"RGB", "CMYK"} else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        converted = _converted(colours, source)
    except (ImageCms.PyCMSError, OSError):
        return image  # no profile, or one for other colours than these: nobody can follow it
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _converted(image: Image.Image, source: Any) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # noqa: S101  # not in place
    return converted


ENDINGS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""Media types of the images that are written, with the endings of their names."""

_QUALITY = 92
"""Of a photo that is written anew, where nobody asked for another."""

# The fastest settings: for a photo of 12 megapixels PNG then takes a third of the time and WebP
# too, and files are a tenth larger.
_HOW: Mapping[str, Mapping[str, Any]] = {
    "image/png": {"format": "PNG", "compress_level": 1},
    "image/jpeg": {"format": "JPEG"},
    "image/webp": {"format": "WEBP", "method": 1},
}

_MAX_SIDE = {"image/png": 2**31 - 1, "image/jpeg": 65_500, "image/webp": 16_383}
"""In pixels: PNG 3rd edition 11.2.1; libjpeg's JPEG_MAX_DIMENSION; RFC 9649, 2.7."""


def written_type(path: Path) -> str:
    """The media type in which an image is written again: its own, PNG for what TIFF has."""
    media_type = readable_type(path)
    return media_type if media_type in ENDINGS else "image/png"


def write(
    image: Image.Image, path: Path, media_type: str, quality: int = _QUALITY, page_number: int = 1
) -> None:
    """Write an image; of PNG each value is kept, of the others about.

    Args:
        image: as `decode` or `decode_fully` gives it.
        path: to write to.
        media_type: one of ENDINGS.
        quality: 1..100; PNG has none.
        page_number: for the error.

    Raises:
        LimitExceededError: the format holds no image of that size.
    """
    limit = _MAX_SIDE[media_type]
    if max(image.size) > limit:
        raise LimitExceededError(
            f"Page {page_number} has {image.width} x {image.height} pixels, and {media_type} holds"
            f" at most {limit} a side. Take another format, or a smaller image.",
            page_number=page_number,
            width=image.width,
            height=image.height,
            limit_side_pixels=limit,
        )
    how = dict(_HOW[media_type])
    if media_type != "image/png":
        how["quality"] = quality
        if media_type == "image/jpeg" or not image.has_transparency_data:
            image = plain(image)
    image.save(path, **how)


def plain(image: Image.Image) -> Image.Image:
    """In mode L or RGB, whatever it was in."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    if image.mode == "1":
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"I", "F"}:
        return _stretched(image)
    return image.copy() if image.mode in {"L", "RGB"} else image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """A page of 32-bit values, whose range nothing tells, over the range of 8 bits."""
    low, high = image.convert("F").getextrema()
    assert isinstance(low, float)  # noqa: S101  # one band
    assert isinstance(high, float)  # noqa: S101  # as above
    scale = 255 / (high - low) if high > low else 0
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
