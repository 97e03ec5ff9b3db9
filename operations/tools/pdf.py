"""PDF files: opened, judged and rendered by PDFium; repaired by qpdf where PDFium gives up.

PDFium has no limits of its own and is not thread-safe: only ever call this in a child process.
"""

import contextlib
import ctypes
import logging
import math
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2
import pypdfium2.raw as pdfium
from numpy.typing import NDArray
from PIL import Image

from store.errors import (
    DamagedFileError,
    EncryptedFileError,
    InputError,
    LimitExceededError,
    NoPagesError,
)
from store.settings import settings

# It only says that XFA forms are shown by their static pages.
logging.getLogger("pypdfium2").setLevel(logging.ERROR)

POINTS_PER_INCH = 72

Boxes = NDArray[np.float64]
"""Left, top, right, bottom of each."""

PAGES_AT_ONCE = 8
"""That one child looks at: few, for PDFium keeps what it has seen until the document is closed."""

_MAX_SIDE_PIXELS = 32_767
"""Longest side of an image that tesseract takes."""

_MAX_CONTENT_BYTES = 256 * 2**20
"""Of one page, unpacked. PDFium needs about twice as much memory."""

_MAX_INFLATION = 1032
"""What deflate can do at most, times the packed size."""

_CHUNK_BYTES = 2**20

_UNDECODED = pikepdf.StreamDecodeLevel.none

_PASSWORD_ERRORS = {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}


@dataclass(frozen=True)
class PdfFacts:
    """A PDF that can be worked on."""

    path: Path
    """The file, or its repaired copy."""
    sizes: list[tuple[float, float]]
    """Width and height of each page in points, as it is seen: cropped and turned."""


def examine(
    path: Path,
    folder: Path,
    password: str | None = None,
    *,
    also: Callable[[pikepdf.Pdf], None] | None = None,
) -> PdfFacts:
    """Look whether a PDF can be worked on, before any work.

    Args:
        path: the file.
        folder: where a repaired or unlocked copy may be put.
        password: that opens it, of its user or its owner. All further work is on the unlocked
            copy and needs none.
        also: what else is looked at, where more is done with the file than to show it.

    Raises:
        EncryptedFileError: it needs a password, or another one.
        InputError: it needs none.
        NoPagesError: it has no pages.
        DamagedFileError: it cannot be opened, and not be repaired.
        LimitExceededError: too many pages, or one whose box is too large.
    """
    if password is not None:
        path = _unlocked(path, folder, password)
    try:
        facts = PdfFacts(path, _sizes(path))
    except pypdfium2.PdfiumError as error:
        if error.err_code in _PASSWORD_ERRORS:
            raise EncryptedFileError(reason="password_missing") from error
    else:
        _check_structure(path, also)
        return facts
    repaired = _repaired(path, folder)
    try:
        facts = PdfFacts(repaired, _sizes(repaired))
    except (pypdfium2.PdfiumError, NoPagesError) as error:
        raise DamagedFileError from error
    _check_structure(repaired, also)
    return facts


def _unlocked(path: Path, folder: Path, password: str) -> Path:
    target = folder / "unlocked.pdf"
    for encoded in _encodings(password):
        try:
            with (
                # It warns where none is needed, which is an error here.
                warnings.catch_warnings(action="ignore"),
                pikepdf.open(path, password=encoded, suppress_warnings=True) as pdf,
            ):
                if not pdf.is_encrypted:
                    raise InputError(
                        "The file is not encrypted. Leave `password` out.",
                        parameter="password",
                    )
                # As it is, but for the encryption: decoding a stream could fill the memory.
                pdf.save(target, compress_streams=False, stream_decode_level=_UNDECODED)
                return target
        except pikepdf.PasswordError:
            continue
        except (pikepdf.PdfError, ValueError, RuntimeError) as error:
            raise DamagedFileError from error
    raise EncryptedFileError(
        "The password does not open the file. Send the right one, or a copy without encryption.",
        reason="password_wrong",
    )


def _encodings(password: str) -> list[bytes]:
    """A password as files may have it: in UTF-8 since PDF 2.0, before that in an 8-bit encoding."""
    found = [password.encode()]
    with contextlib.suppress(UnicodeEncodeError):
        found.append(password.encode("latin-1"))
    return list(dict.fromkeys(found))


def _sizes(path: Path) -> list[tuple[float, float]]:
    limit = settings().max_page_pixels
    with pypdfium2.PdfDocument(path) as document:
        count = len(document)
        if count == 0:
            raise NoPagesError
        if count > settings().max_pages:
            raise LimitExceededError(
                f"The document has {count} pages, more than the {settings().max_pages} that this"
                " server takes. Split it, or raise PAPERTRAY_MAX_PAGES.",
                page_count=count,
                limit_pages=settings().max_pages,
            )
        sizes = [document.get_page_size(index) for index in range(count)]
    for number, (width, height) in enumerate(sizes, 1):
        if not width * height <= limit:
            raise LimitExceededError(
                f"Page {number} is {width:g} x {height:g} points, more than the {limit} square"
                " points that this server takes. Send a smaller one, or raise"
                " PAPERTRAY_MAX_PAGE_PIXELS.",
                page_number=number,
                width_points=width,
                height_points=height,
                limit_pixels=limit,
            )
    return sizes


def _repaired(path: Path, folder: Path) -> Path:
    target = folder / "repaired.pdf"
    try:
        with pikepdf.open(path, suppress_warnings=True) as pdf:
            if not pdf.pages and not pdf.get_warnings():
                raise NoPagesError
            # Streams are copied as they are: decoding one could fill the memory.
            pdf.save(target, compress_streams=False, stream_decode_level=_UNDECODED)
    except pikepdf.PasswordError as error:
        raise EncryptedFileError(reason="password_missing") from error
    except (pikepdf.PdfError, ValueError, RuntimeError) as error:
        raise DamagedFileError from error
    return target


def _check_structure(path: Path, also: Callable[[pikepdf.Pdf], None] | None) -> None:
    try:
        with damage_is_ours(), pikepdf.open(path, suppress_warnings=True) as document:
            _check_contents(document)
            if also is not None:
                also(document)
    except DamagedFileError:
        if also is not None:
            raise
        # PDFium shows it all the same, and the limits of the process hold.


def _check_contents(document: pikepdf.Pdf) -> None:
    """Look whether the contents of a page would fill the memory when they are unpacked."""
    for number, page in enumerate(document.pages, 1):
        contents = page.obj.get("/Contents")
        streams = contents if isinstance(contents, pikepdf.Array) else [contents]
        sizes = (_unpacked_size(s) for s in streams if isinstance(s, pikepdf.Stream))
        if sum(sizes) > _MAX_CONTENT_BYTES:
            raise LimitExceededError(
                f"Page {number} unpacks to more than {_MAX_CONTENT_BYTES} bytes.",
                page_number=number,
                limit_bytes=_MAX_CONTENT_BYTES,
            )


def _unpacked_size(stream: pikepdf.Stream) -> int:
    """The size of a stream once it is inflated, counted no further than is needed."""
    packed = stream.read_raw_bytes()
    filters = stream.get("/Filter")
    names = list(filters) if isinstance(filters, pikepdf.Array) else [filters]
    if names.count(pikepdf.Name.FlateDecode) == 0:
        return len(packed)
    if len(packed) * _MAX_INFLATION <= _MAX_CONTENT_BYTES and len(names) == 1:
        return len(packed)  # it cannot be too large, so it need not be counted
    try:
        for name in names[:-1]:
            if name != pikepdf.Name.FlateDecode:
                return len(packed)
            packed = zlib.decompressobj().decompress(packed, _MAX_CONTENT_BYTES + 1)
        return _inflated_size(packed)
    except zlib.error:
        return len(packed)


def _inflated_size(packed: bytes) -> int:
    size, unpacker = 0, zlib.decompressobj()
    while packed and size <= _MAX_CONTENT_BYTES:
        size += len(unpacker.decompress(packed, _CHUNK_BYTES))
        packed = unpacker.unconsumed_tail
    return size


@contextmanager
def damage_is_ours() -> Iterator[None]:
    """Work on the structure of a PDF: what is not as it should be there, is damage.

    Raises:
        DamagedFileError: something is of another type than it should be, or not there.
    """
    try:
        yield
    except _DAMAGE as error:
        raise DamagedFileError from error


_DAMAGE = (
    pikepdf.PdfError,
    pikepdf.ForeignObjectError,
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What pikepdf raises where an object is not of the type that is asked for."""


def write(document: pikepdf.Pdf, target: Path) -> None:
    """Write a document whose streams stay as they are; the same one gives the same bytes."""
    is_safe = _would_unpack_nothing(document)
    modes = pikepdf.ObjectStreamMode
    # It warns of fields that are in no form, as they were before.
    with (
        warnings.catch_warnings(action="ignore", category=pikepdf.PageCopyWarning),
        # A name would be written under another one first, for the sake of what is not here.
        target.open("wb") as sink,
    ):
        document.save(
            sink,
            compress_streams=is_safe,
            stream_decode_level=_UNDECODED,
            object_stream_mode=modes.generate if is_safe else modes.disable,
            deterministic_id=True,
        )


def _would_unpack_nothing(document: pikepdf.Pdf) -> bool:
    """Whether the small objects of a document can be packed, and images still stay as they are.

    qpdf packs what is not packed; and it unpacks a
    stream to pack it anew where its filters are a list, however large it gets.
    A list of one filter is made that filter, which is the same.
    """
    for found in document.objects:
        if not isinstance(found, pikepdf.Stream):
            continue
        filters = found.get(pikepdf.Name.Filter)
        if filters is None and found.get(pikepdf.Name.Subtype) == pikepdf.Name.Image:
            return False  # it would be packed: an image that somebody compares is another one
        if not isinstance(filters, pikepdf.Array):
            continue
        if len(filters) > 1:
            return False
        parameters = found.get(pikepdf.Name.DecodeParms)
        if isinstance(parameters, pikepdf.Array):
            if len(parameters) and isinstance(parameters[0], pikepdf.Dictionary):
                found.DecodeParms = parameters[0]
            else:
                del found.DecodeParms
        if len(filters):
            found.Filter = filters[0]
        else:
            del found.Filter
    return True


@contextmanager
def open_page(path: Path, page_number: int) -> Iterator[pypdfium2.PdfPage]:
    """A page of a PDF that `examine` has passed, with its notes and form values in its content.

    Raises:
        DamagedFileError: the page cannot be read.
    """
    with (
        contextlib.closing(open_pages(path, [page_number])) as pages,
        damage_is_of(page_number),
    ):
        yield next(pages)


@contextmanager
def damage_is_of(page_number: int) -> Iterator[None]:
    """Say of which page the damage is that is found inside."""
    try:
        yield
    except DamagedFileError as error:
        error.details.setdefault("page_number", page_number)
        raise


def open_pages(path: Path, page_numbers: Iterable[int]) -> Generator[pypdfium2.PdfPage, None, None]:
    """Pages of a PDF one after the other; each is there until the next is asked for.

    Raises:
        DamagedFileError: a page cannot be read.
    """
    number = None
    try:
        with pypdfium2.PdfDocument(path) as document:
            has_form = document.init_forms()
            for number in page_numbers:
                page = document[number - 1]
                # What was typed into a form is an annotation until then, and no text of the page.
                if has_form and page.flatten() == pdfium.FLATTEN_SUCCESS:
                    page.close()
                    page = document[number - 1]
                yield page
                page.close()
    except pypdfium2.PdfiumError as error:
        raise DamagedFileError(page_number=number) from error


def scale_for(size: tuple[float, float], dpi: float) -> float:
    """Pixels per point: what `dpi` asks for, or less where the page would get too large."""
    width, height = (max(side, 1.0) for side in size)
    return min(
        dpi / POINTS_PER_INCH,
        math.sqrt(settings().max_page_pixels / (width * height)),
        _MAX_SIDE_PIXELS / max(width, height),
    )


def render(page: pypdfium2.PdfPage, scale: float, *, gray: bool) -> Image.Image:
    """A page as it is seen, on white.

    Raises:
        DamagedFileError: nothing is seen, because an image cannot be decoded.
    """
    image = page.render(scale=scale, grayscale=gray).to_pil()  # pyright: ignore[reportArgumentType]  # its default is an int, so pyright takes it for one
    check_seen(page, image)
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def check_seen(page: pypdfium2.PdfPage, image: Image.Image) -> None:
    """Look whether a page is only empty because PDFium leaves out what it cannot decode.

    Args:
        page: as it is in the file.
        image: what was made of it.

    Raises:
        DamagedFileError: so it is.
    """
    white = image.convert("L").histogram()[_WHITE]
    if white < image.width * image.height:
        return
    for found in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        if not isinstance(found, pypdfium2.PdfImage):
            continue
        try:
            found.get_bitmap(render=False)
        except pypdfium2.PdfiumError as error:
            raise DamagedFileError(
                "An image that is all of a page cannot be decoded. Make the file anew at its"
                " source and send it again.",
                filters=found.get_filters(),
            ) from error


_WHITE = 255


def image_cover_ratio(page: pypdfium2.PdfPage) -> float:
    """How much of the page its largest image covers, 0..1. A scan has one that covers it all."""
    width, height = page.get_size()
    if page.get_rotation() in {90, 270}:
        width, height = height, width
    area = max(width * height, 1.0)
    largest = 0.0
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = image.get_bounds()
        largest = max(largest, min(right - left, width) * min(top - bottom, height))
    return min(largest / area, 1.0)


def is_blank(page: pypdfium2.PdfPage) -> bool:
    """Whether nothing is on the page."""
    return next(iter(page.get_objects(max_depth=1)), None) is None


@dataclass(frozen=True)
class TextLayer:
    """The characters of a text layer in its order, without the spaces between them."""

    characters: str
    boxes: Boxes
    """Of each, in pixels of the page image."""
    is_after_space: NDArray[np.bool_]
    """Of each, whether a space is before it, or nothing."""


def text_layer(page: pypdfium2.PdfPage, width: int, height: int) -> TextLayer:
    """The text layer of a page.

    Args:
        page: of an open PDF.
        width: of the page image, in pixels.
        height: of the page image, in pixels.
    """
    textpage = page.get_textpage()
    address = ctypes.addressof(textpage.raw.contents)
    count = textpage.count_chars()
    codes = np.fromiter(map(_unicode, repeat(address), range(count)), "<u4", count)
    indices = np.flatnonzero(~np.isin(codes, _SPACES))
    codes = codes[indices]
    codes[codes == _DIVIDED] = ord("-")
    places = np.zeros((len(indices), 4), np.float32)
    into = range(places.ctypes.data, places.ctypes.data + places.nbytes, _PLACE_BYTES)
    deque(map(_loose_char_box, repeat(address), indices.tolist(), into), maxlen=0)
    textpage.close()
    return TextLayer(
        characters=codes.tobytes().decode("utf-32-le", "surrogatepass"),
        boxes=_in_pixels(places.astype(np.float64), page, width, height),
        is_after_space=np.diff(indices, prepend=-2) > 1,
    )


_PLACE_BYTES = ctypes.sizeof(pdfium.FS_RECTF)

_LAST_SPACE = 0x3000
_SPACES = np.array([0, *(code for code in range(_LAST_SPACE + 1) if chr(code).isspace())])
"""With what PDFium has where a font does not say what a character is."""

_DIVIDED = 2
"""What it has where a word is divided at the end of a line."""


def _for_each_character(function: Any, *arguments: type, returns: type) -> Callable[..., int]:
    """A function of PDFium, called without what ctypes does for safety: a page has thousands."""
    address: Any = ctypes.cast(function, ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(returns, *arguments)(address)


_unicode = _for_each_character(
    pdfium.FPDFText_GetUnicode, ctypes.c_void_p, ctypes.c_int, returns=ctypes.c_uint
)
_loose_char_box = _for_each_character(
    pdfium.FPDFText_GetLooseCharBox,
    *(ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p),
    returns=ctypes.c_int,
)


def _in_pixels(places: Boxes, page: pypdfium2.PdfPage, width: int, height: int) -> Boxes:
    """From boxes in the page's own space (left, top, right, bottom) to pixels of its image."""
    fine = 1000  # PDFium answers in whole pixels; so it is asked for a larger image

    def place(x: float, y: float) -> tuple[float, float]:
        across, down = ctypes.c_int(), ctypes.c_int()
        size = (0, 0, width * fine, height * fine, 0)
        pdfium.FPDF_PageToDevice(page, *size, x, y, ctypes.byref(across), ctypes.byref(down))
        return across.value / fine, down.value / fine

    origin = place(0, 0)
    along_x, along_y = (
        tuple((end - start) / 100 for end, start in zip(place(*point), origin, strict=True))
        for point in ((100, 0), (0, 100))
    )
    corners = [places[:, :2], places[:, 2:]]
    ends = [
        [origin[n] + along_x[n] * corner[:, 0] + along_y[n] * corner[:, 1] for corner in corners]
        for n in (0, 1)
    ]
    smaller, larger = ([pick(*pair) for pair in ends] for pick in (np.minimum, np.maximum))
    return np.stack((*smaller, *larger), axis=1)
