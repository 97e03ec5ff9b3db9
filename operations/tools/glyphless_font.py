"""A font without shapes: for text that is found and copied, but not seen.

Every code is a UTF-16 unit, shown as the same empty glyph.

Source: ISO 32000-1, 9.7 (composite fonts) and 9.10.3 (ToUnicode CMaps). `glyphless.ttf` is the
`pdf.ttf` of tesseract (Apache-2.0), which has the one glyph; so readers treat such files as they
treat tesseract's.
"""

from functools import cache
from pathlib import Path

import pikepdf
from pikepdf import Array, Dictionary, Name

GLYPH_WIDTH = 0.5
"""Of every glyph, in parts of the size of the font; none has a descent."""

_NAME = Name.GlyphLessFont
_GLYPH = b"\x00\x01"
_CODES = 1 << 16
_TO_UNICODE = b"""/CIDInit /ProcSet findresource begin
12 dict begin
begincmap
/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def
/CMapName /Adobe-Identity-UCS def
/CMapType 2 def
1 begincodespacerange
<0000> <FFFF>
endcodespacerange
1 beginbfrange
<0000> <FFFF> <0000>
endbfrange
endcmap
CMapName currentdict /CMap defineresource pop
end
end
"""


@cache
def _font_file() -> bytes:
    return Path(__file__).with_name("glyphless.ttf").read_bytes()


def glyphless_font(document: pikepdf.Pdf) -> pikepdf.Object:
    """The font, as an object of a document."""
    file = _font_file()
    descriptor = Dictionary(
        Type=Name.FontDescriptor,
        FontName=_NAME,
        Flags=5,  # of one width, with symbols
        FontBBox=Array([0, 0, 500, 1000]),
        ItalicAngle=0,
        Ascent=1000,
        Descent=-1,
        CapHeight=1000,
        StemV=80,
        FontFile2=document.make_stream(file, Length1=len(file)),
    )
    descendant = Dictionary(
        Type=Name.Font,
        Subtype=Name.CIDFontType2,
        BaseFont=_NAME,
        CIDSystemInfo=Dictionary(Registry=b"Adobe", Ordering=b"Identity", Supplement=0),
        CIDToGIDMap=document.make_stream(_GLYPH * _CODES),
        DW=round(1000 * GLYPH_WIDTH),
        FontDescriptor=document.make_indirect(descriptor),
    )
    font = Dictionary(
        Type=Name.Font,
        Subtype=Name.Type0,
        BaseFont=_NAME,
        Encoding=Name("/Identity-H"),
        DescendantFonts=Array([document.make_indirect(descendant)]),
        ToUnicode=document.make_stream(_TO_UNICODE),
    )
    return document.make_indirect(font)
