"""Good text layers are taken as they are; those that do not say what is seen are read anew."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import img2pdf
import numpy as np
import pikepdf
import pytest
import reportlab
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from benchmarks.scans import Damage, rendered, scanned
from operations import read_pages
from operations.read_pages import ReadPagesParams
from operations.tools import pdf, tesseract
from operations.tools.invisible_text import LayerPlace, write_layer
from operations.tools.searchable import make_searchable
from operations.tools.text_layer import words_of
from store.fields import Box, PageWords

LETTER = [
    "Dear Sir or Madam, thank you for the order that reached us on Monday.",
    "We deliver the twelve oak shelves and both counters on 3 October, in",
    "the morning, and bring the old ones back with us. The invoice follows",
    "by post. Should anything be missing, please tell us within four weeks.",
    "The warranty begins with the day of the delivery and lasts two years.",
    "It covers faults of the material, but neither wear nor water damage.",
]
OTHER = [
    "Minutes of the meeting of the garden society held last Thursday night",
    "Present were the chairman, the treasurer and nineteen other members.",
    "After a long debate about roses everybody agreed to plant some tulips",
    "between library and pond, where nothing else had grown for years. The",
    "treasurer reported savings of 418.20 and warned against fountains and",
    "statues. Refreshments followed. Nobody objected to closing early then.",
]
FRENCH = [
    "Monsieur, nous avons bien reçu votre commande et vous en remercions.",
    "Les étagères seront livrées à l'été, dès que le chêne sera arrivé, et",
    "montées le même jour. Le délai de réclamation est fixé à un mois.",
]
PARTS = [
    "DIN 912 M8x20 ZN 8.8   BX-4411   120   0.18",
    "DIN 933 M10x35 A2 70   BX-4412   80    0.44",
    "DIN 125 8.4 HV200 ZN   BX-4413   500   0.02",
    "ISO 4762 M6x16 12.9    BX-4414   240   0.11",
]
CAPITALS = [line.upper() for line in LETTER[:4]]
CONTENTS = [f"Chapter {n} {'.' * 60} {n * 7}" for n in range(1, 9)]
SPACED = [" ".join(line.replace(" ", "")) for line in LETTER]
MOJIBAKE = [line.encode().decode("cp1252", "replace") for line in FRENCH]

Layer = Sequence[str]

MIRRORED = Image.Transpose.FLIP_LEFT_RIGHT
ON_THEIR_HEADS = Image.Transpose.FLIP_TOP_BOTTOM
_MIN_LAYER = 200
"""Letters: what has fewer is no layer but a stamp."""


def drawn(lines: Sequence[str], font: str = "Helvetica") -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    canvas.setFont(font, 12)
    for n, line in enumerate(lines):
        canvas.drawString(60, 760 - 22 * n, line)
    canvas.save()
    return buffer.getvalue()


def scan(lines: Sequence[str], layer: Layer, damage: Damage | None = None) -> bytes:
    """A scan of lines, with other or the same lines as invisible text over it."""
    page = scanned(rendered(drawn(lines), 200)[0], damage or Damage(noise=3), 1)
    picture = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(page)).save(picture, "JPEG", dpi=(200, 200))
    made = img2pdf.convert([picture.getvalue()])
    assert made is not None
    pdfmetrics.registerFont(TTFont("Layer", font_with_all_scripts()))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    for n, line in enumerate(layer):
        text = canvas.beginText(60, 760 - 22 * n)
        text.setFont("Layer" if any(ord(c) > 0x17F for c in line) else "Helvetica", 12)
        text.setTextRenderMode(3)
        text.textLine(line)
        canvas.drawText(text)
    canvas.save()
    with pikepdf.open(io.BytesIO(made)) as document, pikepdf.open(buffer) as over:
        document.pages[0].add_overlay(over.pages[0], None)
        target = io.BytesIO()
        document.save(target)
    return target.getvalue()


def font_with_all_scripts() -> str:
    return str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf")


def mapped_wrongly(shift: int) -> bytes:
    """Letters that are seen right, in a font whose mapping to characters is off."""
    pdfmetrics.registerFont(TTFont("Mapped", font_with_all_scripts()))
    with pikepdf.open(io.BytesIO(drawn(LETTER, "Mapped"))) as document:
        for item in document.objects:
            if isinstance(item, pikepdf.Dictionary) and "/ToUnicode" in item:
                mapping = item.ToUnicode.read_bytes().decode()
                item.ToUnicode = document.make_stream(moved(mapping, shift).encode())
        target = io.BytesIO()
        document.save(target)
    return target.getvalue()


def moved(mapping: str, shift: int) -> str:
    """A character map, its characters but the space moved."""

    def line(found: re.Match[str]) -> str:
        code = int(found[2], 16)
        return f"{found[1]} <{code + shift if code > 32 else code:04X}>"

    return re.sub(r"(<[0-9A-F]{2}>) <([0-9A-F]{4})>", line, mapping)


GOOD: dict[str, Callable[[], bytes]] = {
    "letter": lambda: drawn(LETTER),
    "other prose": lambda: drawn(OTHER, "Times-Roman"),
    "french": lambda: drawn(FRENCH),
    "parts": lambda: drawn(PARTS, "Courier"),
    "capitals": lambda: drawn(CAPITALS),
    "contents": lambda: drawn(CONTENTS),
    "scan with its text": lambda: scan(LETTER, LETTER),
    "grainy scan with its text": lambda: scan(OTHER, OTHER, Damage(noise=12, shadow=0.2)),
    "scan of capitals": lambda: scan(CAPITALS, CAPITALS),
    "scan of parts": lambda: scan(PARTS * 3, PARTS * 3),
    "mapped right": lambda: mapped_wrongly(0),
}
GARBAGE: dict[str, Callable[[], bytes]] = {
    "moved by 3": lambda: mapped_wrongly(3),
    "moved by 29": lambda: mapped_wrongly(-29),
    "private characters": lambda: mapped_wrongly(0xE000),
    "text of another page": lambda: scan(LETTER, OTHER),
    "mojibake": lambda: scan(FRENCH, MOJIBAKE),
    "letter by letter": lambda: scan(LETTER, SPACED),
    "symbols": lambda: scan(LETTER, ["|~ }{ ;: '' ,, -- <> ~~ ** ;; ::"] * 6),
    "marks within words": lambda: scan(
        LETTER, [line.replace("e", "|3").replace("t", "7") for line in LETTER]
    ),
}


def read_wrongly(lines: Sequence[str], folder: Path, unlike: Image.Transpose) -> bytes:
    """A scan with what tesseract itself makes of letters that its language has not.

    Letters that are mirrored or stand on their heads are of no alphabet it knows: what comes of
    them is the layer that OCR in the wrong language leaves.
    """
    page = Image.fromarray(scanned(rendered(drawn(lines), _SCAN_DPI)[0], Damage(noise=3), 1))
    seen = page.transpose(unlike)
    read = tesseract.recognize(seen, languages=["eng"], dpi=_SCAN_DPI, base=folder / "wrong")
    picture, document = folder / "scan.jpg", folder / "scan.pdf"
    page.save(picture, dpi=(_SCAN_DPI, _SCAN_DPI))
    document.write_bytes(img2pdf.convert([picture.read_bytes()]) or b"")
    layer = folder / "layer.pdf"
    width, height = page.size
    placed = [
        word.model_copy(update={"box": _back(word.box, width, height, unlike)}) for word in read
    ]
    write_layer(layer, LayerPlace(1, 0, 0.0), placed, page.size, _SCAN_DPI)
    make_searchable(document, [layer], folder, folder / "made.pdf")
    return (folder / "made.pdf").read_bytes()


_SCAN_DPI = 200


def _back(box: Box, width: int, height: int, unlike: Image.Transpose) -> Box:
    left, top, right, bottom = box
    if unlike is Image.Transpose.FLIP_TOP_BOTTOM:
        return left, height - bottom, right, height - top
    return width - right, top, width - left, bottom


async def method_of(content: bytes, folder: Path) -> str:
    path = folder / "page.pdf"
    path.write_bytes(content)
    result = await read_pages.fn(path, ReadPagesParams(dpi=150), folder=folder / "out")
    assert not list((folder / "out").glob("*probe*"))
    return result.pages[0].method


@pytest.mark.parametrize("name", GOOD)
async def test_a_good_layer_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert await method_of(GOOD[name](), tmp_path) == "text_layer"


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_read_anew(name: str, tmp_path: Path) -> None:
    assert await method_of(GARBAGE[name](), tmp_path) == "ocr"


@pytest.mark.parametrize("unlike", [MIRRORED, ON_THEIR_HEADS], ids=["mirrored", "on their heads"])
async def test_what_ocr_of_the_wrong_language_left_is_read_anew(
    unlike: Image.Transpose, tmp_path: Path
) -> None:
    path = tmp_path / "page.pdf"
    path.write_bytes(read_wrongly([*LETTER, "", *OTHER], tmp_path, unlike))
    with pdf.open_page(path, 1) as page:
        before = words_of(pdf.text_layer(page, 1654, 2339), 1654, 2339)
    assert (
        sum(len(word.text) for word in before) > _MIN_LAYER
    )  # it is a layer, and it looks like one
    result = await read_pages.fn(path, ReadPagesParams(), folder=tmp_path / "out")
    assert result.pages[0].method == "ocr"
    read = PageWords.model_validate_json(
        (tmp_path / "out" / result.pages[0].words_file).read_bytes()
    )
    assert "The warranty begins with the day" in " ".join(word.text for word in read.words)


@pytest.mark.parametrize("name", ["type3_font_nomapping.pdf"])
async def test_letters_without_a_mapping_are_read_anew(
    name: str, samples: Path, tmp_path: Path
) -> None:
    assert await method_of((samples / name).read_bytes(), tmp_path) == "ocr"
