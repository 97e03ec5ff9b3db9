"""Text layers: words that cannot be seen, exactly over those on the image of a page.

Source: ISO 32000-1, 9.3.6 (text rendering mode 3) and 9.4.2 (text matrix).
"""

import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pikepdf
from pikepdf import Dictionary, Name

from operations.tools.glyphless_font import GLYPH_WIDTH, glyphless_font
from operations.tools.pdf import POINTS_PER_INCH
from store.fields import Word


@dataclass(frozen=True)
class LayerPlace:
    """Where a text layer belongs: on which page, and how that was turned to be read."""

    page_number: int
    """1-based."""
    turned_degrees: int
    """Counter-clockwise: 0, 90, 180 or 270."""
    skew_degrees: float
    """Counter-clockwise, after that."""


_PLACE_KEY = "/PapertrayPlace"


def place_of_layer(layer: pikepdf.Pdf) -> LayerPlace:
    """Where a text layer belongs."""
    number, turned, skew = str(layer.docinfo[_PLACE_KEY]).split()
    return LayerPlace(int(number), int(turned), float(skew))


def lay_under(
    document: pikepdf.Pdf, page: pikepdf.Page, layer: pikepdf.Page, matrix: pikepdf.Matrix
) -> None:
    """Lay a page under another one, whose own content is neither read nor changed.

    Args:
        document: of the page.
        page: gets the layer.
        layer: of another document, which must stay open until this one is saved.
        matrix: from the space of the layer to that of the page.
    """
    if Name.Resources not in page.obj:
        page.obj.Resources = page.resources  # inherited; a new dictionary would hide them
    form = document.copy_foreign(layer.as_form_xobject())
    taken = page.obj.Resources.get("/XObject", {})
    # Counted, not drawn by lot, so that the same input gives the same bytes.
    name = next(n for k in itertools.count(1) if (n := pikepdf.Name(f"/Text{k}")) not in taken)
    page.add_resource(form, Name.XObject, name)
    page.contents_add(b"q %s cm %s Do Q\n" % (matrix.encode(), str(name).encode()), prepend=True)


def write_layer(
    path: Path, place: LayerPlace, words: Sequence[Word], size: tuple[int, int], dpi: float
) -> None:
    """Write a PDF of one page with words as invisible text, and nothing else.

    Args:
        path: to write.
        place: where it belongs: as a blob it has no name that could tell.
        words: that belong into it.
        size: width and height of the image whose pixels their boxes are in.
        dpi: dots per inch of that image.
    """
    scale = POINTS_PER_INCH / dpi
    width, height = (side * scale for side in size)
    with pikepdf.new() as layer:
        page = layer.add_blank_page(page_size=(width, height))
        page.obj.Resources = Dictionary(Font=Dictionary({_FONT: glyphless_font(layer)}))
        lines = [_shown(word, scale, height) for word in words]
        page.Contents = layer.make_stream(b"BT 3 Tr\n" + b"".join(lines) + b"ET")
        numbers = (place.page_number, place.turned_degrees, f"{place.skew_degrees:.2f}")
        layer.docinfo[_PLACE_KEY] = " ".join(map(str, numbers))
        layer.save(path, deterministic_id=True)


_FONT = "/Glyphless"


def _shown(word: Word, scale: float, page_height: float) -> bytes:
    """The instructions that show a word, as wide and as high as its box.

    The space behind it keeps it apart from the next; it is no part of the width.
    """
    left, top, right, bottom = word.box
    size = max((bottom - top) * scale, 0.1)
    codes = word.text.encode("utf-16-be")
    width = max((right - left) * scale, 0.1)
    stretch = 100 * width / (GLYPH_WIDTH * size * len(codes) / 2)
    # Text from right to left begins at the right and is mirrored, as tesseract has it: what is
    # read out of the file is in the order of the letters.
    direction, start = (-1, right) if _is_right_to_left(word.text) else (1, left)
    matrix = f"{direction} 0 0 1 {start * scale:.3f} {page_height - bottom * scale:.3f}"
    return f"{matrix} Tm {_FONT} {size:.3f} Tf {stretch:.3f} Tz <{codes.hex()}0020> Tj\n".encode()


def _is_right_to_left(text: str) -> bool:
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((d for d in directions if d in {"L", "R", "AL"}), "L") != "L"


def remove_layer(document: pikepdf.Pdf, page: pikepdf.Page) -> None:
    """Take out of a page the text that cannot be seen: of an earlier OCR, which is replaced.

    Nothing that is seen is changed; a page without such text is not touched.
    """
    kept = _without_invisible(page.obj)
    if kept is not None:
        page.Contents = document.make_stream(kept)
    for form in _forms_of(page.obj, set()):
        kept = _without_invisible(form)
        if kept is not None:
            form.write(kept)


_MAX_DEPTH = 16


def _forms_of(
    owner: pikepdf.Object, seen: set[tuple[int, int]], depth: int = 0
) -> Iterator[pikepdf.Stream]:
    """The parts of the content that have streams of their own, each once."""
    resources = owner.get(Name.Resources)
    objects = resources.get(Name.XObject) if isinstance(resources, Dictionary) else None
    for found in list(objects.values()) if isinstance(objects, Dictionary) else []:
        if not isinstance(found, pikepdf.Stream) or found.get(Name.Subtype) != Name.Form:
            continue
        if found.objgen not in seen and depth < _MAX_DEPTH:
            seen.add(found.objgen)
            yield found
            yield from _forms_of(found, seen, depth + 1)


_SHOWING = frozenset(("Tj", "TJ", "'", '"'))
_INVISIBLE = 3


def _without_invisible(content: pikepdf.Object) -> bytes | None:
    """The content of a page or a form without what is shown in mode 3; None where nothing is.

    Where seen and unseen text share a text object it stays: the one may stand where the other
    ends.
    """
    if b"Tr" not in _bytes_of(content):
        return None
    mode = 0
    modes: list[int] = []
    kept: list[_Instruction] = []
    unseen: list[int] = []
    dropped: set[int] = set()
    is_seen = False
    for instruction in pikepdf.parse_content_stream(content):
        operator = str(instruction.operator)
        if operator == "q":
            modes.append(mode)
        elif operator == "Q" and modes:
            mode = modes.pop()
        elif operator == "Tr":
            mode = int(instruction.operands[0])  # pyright: ignore[reportArgumentType]  # a number
        elif operator == "BT":
            unseen, is_seen = [], False
        elif operator == "ET" and not is_seen:
            dropped.update(unseen)
        elif operator in _SHOWING and mode == _INVISIBLE:
            unseen.append(len(kept))
        elif operator in _SHOWING:
            is_seen = True
        kept.append(instruction)
    if not dropped:
        return None
    return pikepdf.unparse_content_stream([one for n, one in enumerate(kept) if n not in dropped])


_Instruction = pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage


def _bytes_of(content: pikepdf.Object) -> bytes:
    if isinstance(content, pikepdf.Stream):
        return content.read_bytes()
    given = content.get(Name.Contents)
    streams = list(given) if isinstance(given, pikepdf.Array) else [given]
    return b"\n".join(s.read_bytes() for s in streams if isinstance(s, pikepdf.Stream))
