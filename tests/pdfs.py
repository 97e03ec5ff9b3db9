"""PDFs made for tests: with bookmarks, labels, links, fields, signatures, passwords."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pikepdf
import pypdfium2
from pikepdf import Array, Dictionary, Name, Stream, String
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

PASSWORD = "geheim-ä"
SIZES = [(612, 792), (842, 595), (300, 400)]
"""Of pages in points, in turn."""


def book(path: Path, pages: int = 5, title: str = "Book") -> Path:
    """Pages of several sizes, each with its number as text, a bookmark, and a link to the next.

    The bookmarks are in chapters of two pages; the first page is called i, the others 1, 2 ...
    """
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle(title)
    for number in range(1, pages + 1):
        width, height = SIZES[number % len(SIZES)]
        canvas.setPageSize((width, height))
        canvas.drawString(50, height / 2, f"{title} page {number} of the book")
        canvas.bookmarkPage(f"page-{number}")
        if number % 2:
            canvas.bookmarkPage(f"chapter-{number}")
            canvas.addOutlineEntry(f"Chapter {number}", f"chapter-{number}", 0)
        canvas.addOutlineEntry(f"Page {number}", f"page-{number}", 1)
        canvas.linkRect("", f"page-{number % pages + 1}", (50, 50, 100, 100))
        canvas.showPage()
    canvas.save()
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        labels = Array([0, Dictionary(S=Name.r), 1, Dictionary(S=Name.D, P=String("n-"))])
        pdf.Root.PageLabels = Dictionary(Nums=labels)
        pdf.save(path)
    return path


def form(path: Path, values: Sequence[str], name: str = "person") -> Path:
    """A page for each value, with a field of its own, and a field that is on every page."""
    with pikepdf.new() as pdf:
        shared = pdf.make_indirect(Dictionary(FT=Name.Tx, T=String("all"), V=String("x")))
        shared.Kids = Array()
        fields = [shared]
        for number, value in enumerate(values, 1):
            page = pdf.add_blank_page(page_size=(300, 300))
            own = pdf.make_indirect(_widget(20, FT=Name.Tx, T=String(f"{name}-{number}")))
            own.V = String(value)
            part = pdf.make_indirect(_widget(80, Parent=shared, P=page.obj))
            shared.Kids.append(part)
            page.obj.Annots = Array([own, part])
            fields.append(own)
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        pdf.Root.AcroForm = Dictionary(
            Fields=Array(fields),
            DA=String("/Helv 12 Tf 0 g"),
            DR=Dictionary(Font=Dictionary(Helv=pdf.make_indirect(font))),
        )
        pdf.save(path)
    return path


def _widget(bottom: int, **entries: Any) -> Dictionary:
    rect = Array([20, bottom, 200, bottom + 30])
    return Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=rect, **entries)


def with_files(path: Path, **contents: bytes) -> Path:
    """A page, and embedded files, of which the first is associated with the document."""
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(300, 300))
        for name, content in contents.items():
            pdf.attachments[f"{name}.xml"] = content
        tree = pdf.Root.Names.EmbeddedFiles
        pdf.Root.AF = Array([tree.Names[1]])
        pdf.Root.Lang = String("de-AT")
        pdf.save(path)
    return path


def files(path: Path) -> dict[str, bytes]:
    """The embedded files of a document; it is checked that its structure is right."""
    with pikepdf.open(path) as pdf:
        assert pdf.check_pdf_syntax() == []
        return {name: file.get_file().read_bytes() for name, file in pdf.attachments.items()}


def signed(path: Path) -> Path:
    """A page with a field that somebody has signed, as far as one sees without the key."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(300, 300))
        signature = Dictionary(
            Type=Name.Sig,
            Filter=Name("/Adobe.PPKLite"),
            SubFilter=Name("/adbe.pkcs7.detached"),
            ByteRange=Array([0, 10, 20, 30]),
            Contents=String(b"\x30\x82"),
        )
        field = _widget(20, FT=Name.Sig, T=String("signed"), V=pdf.make_indirect(signature))
        field = pdf.make_indirect(field)
        page.obj.Annots = Array([field])
        pdf.Root.AcroForm = Dictionary(Fields=Array([field]), SigFlags=3)
        pdf.save(path)
    return path


def encrypted(path: Path, source: Path, *, revision: Literal[3, 4, 6] = 6) -> Path:
    """The same document, which only opens with the password."""
    whole = revision >= 4
    protection = pikepdf.Encryption(
        user=PASSWORD, owner="owner", R=revision, aes=whole, metadata=whole
    )
    with pikepdf.open(source) as pdf:
        pdf.save(path, encryption=protection)
    return path


def image_page(path: Path, data: bytes, **entries: Any) -> Path:
    """A page that is one image, whose bytes may be anything."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(612, 792))
        image = Stream(pdf, data, Type=Name.XObject, Subtype=Name.Image, **entries)
        page.obj.Resources = Dictionary(XObject=Dictionary(I=pdf.make_indirect(image)))
        page.obj.Contents = Stream(pdf, b"q 612 0 0 792 0 0 cm /I Do Q")
        pdf.save(path, compress_streams=False, stream_decode_level=pikepdf.StreamDecodeLevel.none)
    return path


def scans(path: Path, images: Sequence[Image.Image], dpi: int = 200) -> Path:
    """Images as the pages of a PDF, as a scanner gives them."""
    images[0].save(
        path, "PDF", resolution=dpi, save_all=True, append_images=list(images[1:]), quality=85
    )
    return path


def raw(path: Path, *objects: bytes) -> Path:
    """A PDF of these objects, of which the first is the catalog."""
    out = io.BytesIO(b"%PDF-1.7\n")
    out.seek(0, io.SEEK_END)
    offsets: list[int] = []
    for number, content in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer\n<</Size %d/Root 1 0 R>>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    path.write_bytes(out.getvalue())
    return path


def texts(path: Path) -> list[str]:
    """The text of each page."""
    with pypdfium2.PdfDocument(path) as document:
        return [page.get_textpage().get_text_bounded().strip() for page in document]


def sizes(path: Path) -> list[tuple[float, float]]:
    """Width and height of each page, as it is seen."""
    with pypdfium2.PdfDocument(path) as document:
        return [document.get_page_size(index) for index in range(len(document))]


def bookmarks(path: Path) -> list[tuple[int, str, int | None]]:
    """Of each bookmark its depth, its title, and the 1-based number of the page it leads to."""
    with pypdfium2.PdfDocument(path) as document:
        found: list[tuple[int, str, int | None]] = []
        for item in document.get_toc():
            destination = item.get_dest()
            index = destination.get_index() if destination else None
            found.append((item.level, item.get_title(), None if index is None else index + 1))
        return found


def labels(path: Path) -> list[str]:
    """What each page is called."""
    with pypdfium2.PdfDocument(path) as document:
        return [document.get_page_label(index) for index in range(len(document))]


def links(path: Path) -> list[list[int]]:
    """The 1-based numbers of the pages that the links of each page lead to."""
    with pikepdf.open(path) as pdf:
        numbers = {page.obj.objgen: number for number, page in enumerate(pdf.pages, 1)}
        return [
            [numbers[link.Dest[0].objgen] for link in page.obj.get(Name.Annots, Array())]
            for page in pdf.pages
        ]


def fields(path: Path) -> dict[str, tuple[str, list[int]]]:
    """The value of each field, and the 1-based numbers of the pages it is on."""
    with pikepdf.open(path) as pdf:
        if Name.AcroForm not in pdf.Root:
            return {}
        on = {
            widget.objgen: number
            for number, page in enumerate(pdf.pages, 1)
            for widget in page.obj.get(Name.Annots, Array())
        }
        return {
            str(field.T): (
                str(field.get(Name.V, "")),
                sorted(on[kid.objgen] for kid in field.get(Name.Kids, [field])),
            )
            for field in pdf.Root.AcroForm.Fields
        }
