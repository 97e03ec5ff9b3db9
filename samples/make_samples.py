"""Make the documents of the demo, all of them invented: `python samples/make_samples.py`.

The same bytes come out every time, so that a change of a sample is seen as one.
"""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import img2pdf
import pypdfium2
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.pdfgen.canvas import Canvas

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Invoice:
    """What stands on an invoice, as it is written there."""

    supplier: str
    address: Sequence[str]
    customer: Sequence[str]
    words: dict[str, str]
    """The labels, in the language of the invoice."""
    facts: Sequence[tuple[str, str]]
    """Number, dates and so on, each with its label."""
    items: Sequence[tuple[str, str, str, str]]
    """Description, quantity, price, amount."""
    sums: Sequence[tuple[str, str]]
    notes: Sequence[str]
    page_size: tuple[float, float] = A4


ENGLISH = {
    "title": "INVOICE",
    "from": "From",
    "to": "Bill to",
    "heads": "Description|Quantity|Unit price|Amount",
}
GERMAN = {
    "title": "RECHNUNG",
    "from": "Lieferant",
    "to": "Rechnung an",
    "heads": "Bezeichnung|Menge|Einzelpreis|Betrag",
}

JOINERY = Invoice(
    "Alder & Finch Joinery Ltd",
    ["14 Cooper's Yard", "Bristol BS1 4QD", "VAT registration GB 000 4711 00"],
    ["Marlow Street Books", "3 Marlow Street", "Bath BA1 2LT"],
    ENGLISH,
    [
        ("Invoice number:", "AF-2026-0417"),
        ("Invoice date:", "12 March 2026"),
        ("Order:", "PO 88213"),
        ("Payment due:", "11 April 2026"),
    ],
    [
        ("Oak shelving, 2400 mm", "6", "142.50", "855.00"),
        ("Counter with drawers", "1", "1,290.00", "1,290.00"),
        ("Fitting, two days", "2", "310.00", "620.00"),
    ],
    [("Net amount", "2,765.00"), ("VAT (20%)", "553.00"), ("Total due", "3,318.00")],
    ["All amounts in GBP.", "Please pay by bank transfer within 30 days."],
)

OFFICE = Invoice(
    "Brightwater Office Supplies Inc",
    ["2200 Lakeshore Avenue", "Duluth, MN 55802"],
    ["Tamarack Dental Group", "418 Superior Street", "Duluth, MN 55803"],
    ENGLISH,
    [
        ("Invoice number:", "BW-10392"),
        ("Invoice date:", "02/07/2026"),
        ("Customer no:", "40118"),
        ("Terms:", "Net 15 days"),
    ],
    [
        ("Copy paper, letter size, box of 10 reams", "8", "46.20", "369.60"),
        ("Toner cartridge TN-450, black", "3", "71.95", "215.85"),
        ("Hanging folders, green, pack of 25", "12", "13.40", "160.80"),
        ("Ergonomic desk chair, grey", "2", "289.00", "578.00"),
    ],
    [("Subtotal", "1,324.25"), ("Sales tax (7.5%)", "99.32"), ("Total due", "1,423.57")],
    ["All amounts in USD.", "Returns within 30 days in the original packaging."],
    LETTER,
)

ELECTRIC = Invoice(
    "Hafenlicht Elektrotechnik GmbH",
    ["Speicherweg 9", "20457 Hamburg", "USt-IdNr. DE000471100"],
    ["Werkstatt Lindenhof", "Lindenallee 22", "22765 Hamburg"],
    GERMAN,
    [
        ("Rechnungsnummer:", "HL-26/0093"),
        ("Rechnungsdatum:", "28.02.2026"),
        ("Leistungszeitraum:", "Februar 2026"),
    ],
    [
        (f"{work}, Abschnitt {section}", str(quantity), price, amount)
        for section in range(1, 5)
        for quantity, (work, price, amount) in enumerate(
            (
                ("Leitungen verlegen", "118,00", "118,00"),
                ("Verteiler setzen", "245,50", "491,00"),
                ("Leuchten montieren", "61,25", "183,75"),
                ("Steckdosen anschließen", "24,80", "99,20"),
                ("Prüfung und Protokoll", "96,00", "480,00"),
                ("Material laut Liste", "37,40", "224,40"),
                ("Baustelle einrichten", "55,00", "385,00"),
                ("Entsorgung", "12,60", "100,80"),
            ),
            1,
        )
    ],
    [("Nettobetrag", "8.328,60"), ("MwSt 19 %", "1.582,43"), ("Gesamtbetrag", "9.911,03")],
    ["Alle Beträge in EUR.", "Zahlbar innerhalb von 14 Tagen ohne Abzug."],
)

PRINTER = Invoice(
    "Harbour Print Works Ltd",
    ["Unit 5, Old Ropewalk", "Plymouth PL1 3EH"],
    ["Saltram Theatre Trust", "1 Stage Door Lane", "Plymouth PL2 1AA"],
    ENGLISH,
    [
        ("Invoice number:", "HPW-55120"),
        ("Invoice date:", "19/01/2026"),
        ("Order:", "Spring season"),
    ],
    [
        ("Programmes, 24 pages, 4 colours", "1,500", "0.62", "930.00"),
        ("Posters A2, silk", "200", "1.15", "230.00"),
        ("Tickets, numbered", "4,000", "0.03", "120.00"),
    ],
    [("Net amount", "1,280.00"), ("VAT (20%)", "256.00"), ("Total due", "1,536.00")],
    ["All amounts in GBP.", "Thank you for your order."],
)

RECEIPT = (
    ("Corner Kettle Tea Rooms Ltd", ""),
    ("27 Quay Parade, Whitby", ""),
    ("", ""),
    ("Receipt no:", "CK-004519"),
    ("Date:", "14 Feb 2026"),
    ("", ""),
    ("2 Afternoon tea", "43.00"),
    ("1 Pot of Assam", "4.60"),
    ("3 Cheese scone", "11.40"),
    ("1 Lemon drizzle", "4.80"),
    ("", ""),
    ("Subtotal", "53.17"),
    ("VAT 20%", "10.63"),
    ("Total", "63.80"),
    ("", ""),
    ("Paid by card, GBP", "63.80"),
    ("Thank you. Please come again.", ""),
)

_LINE = 18
_MARGIN = 56


def draw(invoice: Invoice) -> bytes:
    """An invoice as a PDF with text."""
    sink = io.BytesIO()
    width, height = invoice.page_size
    canvas = Canvas(sink, pagesize=invoice.page_size, invariant=1)
    canvas.setTitle("Invoice")
    right, y = width - _MARGIN, height - 80

    def line(size: float = 10, *, bold: bool = False) -> None:
        canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)

    line(22, bold=True)
    canvas.drawString(_MARGIN, y, invoice.words["title"])
    y -= 40
    for x, label, name, rest in (
        (_MARGIN, invoice.words["from"], invoice.supplier, invoice.address),
        (width / 2 + 10, invoice.words["to"], invoice.customer[0], invoice.customer[1:]),
    ):
        line(9)
        canvas.drawString(x, y, label)
        line(11, bold=True)
        canvas.drawString(x, y - 16, name)
        line()
        for n, text in enumerate(rest):
            canvas.drawString(x, y - 32 - 14 * n, text)
    y -= 110
    for label, value in invoice.facts:
        line()
        canvas.drawString(_MARGIN, y, label)
        line(bold=True)
        canvas.drawString(_MARGIN + 120, y, value)
        y -= 16
    y -= 20
    columns = (_MARGIN, right - 170, right - 80, right)

    def row(cells: Sequence[str], y: float) -> None:
        canvas.drawString(columns[0], y, cells[0])
        for x, cell in zip(columns[1:], cells[1:], strict=True):
            canvas.drawRightString(x, y, cell)

    def heads(y: float) -> float:
        line(9, bold=True)
        row(invoice.words["heads"].split("|"), y)
        canvas.line(_MARGIN, y - 6, right, y - 6)
        line()
        return y - 22

    y = heads(y)
    for item in invoice.items:
        if y < 120:
            canvas.showPage()
            y = heads(height - 80)
        row(item, y)
        y -= _LINE
    canvas.line(_MARGIN, y + 8, right, y + 8)
    y -= 12
    for n, (label, amount) in enumerate(invoice.sums):
        line(11, bold=n == len(invoice.sums) - 1)
        canvas.drawString(right - 230, y, label)
        canvas.drawRightString(right, y, amount)
        y -= _LINE
    y -= 16
    line(9)
    for note in invoice.notes:
        canvas.drawString(_MARGIN, y, note)
        y -= 14
    canvas.save()
    return sink.getvalue()


def draw_receipt() -> bytes:
    """A receipt as a PDF, to be photographed."""
    sink = io.BytesIO()
    size = (226, 40 + 15 * len(RECEIPT))
    canvas = Canvas(sink, pagesize=size, invariant=1)
    for n, (left, right) in enumerate(RECEIPT):
        y = size[1] - 30 - 15 * n
        canvas.setFont("Courier-Bold" if n == 0 or left == "Total" else "Courier", 9)
        canvas.drawString(14, y, left)
        canvas.drawRightString(212, y, right)
    canvas.save()
    return sink.getvalue()


def printed(document: bytes, dpi: int) -> Image.Image:
    """The first page of a PDF on paper."""
    with pypdfium2.PdfDocument(document) as pdf:
        return pdf[0].render(scale=dpi / 72, grayscale=True).to_pil().convert("L")


def scanned(paper: Image.Image, *, skew: float, seed: int, noise: int) -> Image.Image:
    """What a scanner makes of paper that lies askew: soft, grey and grainy."""
    page = paper.rotate(skew, Image.Resampling.BICUBIC, fillcolor=255)
    page = page.filter(ImageFilter.GaussianBlur(0.8))
    page = page.point([round(24 + v * 0.88) for v in range(256)])
    return grainy(page, seed=seed, noise=noise)


def grainy(page: Image.Image, *, seed: int, noise: int) -> Image.Image:
    """With the noise of a sensor, always the same."""
    grain = Image.frombytes("L", page.size, random.Random(seed).randbytes(page.width * page.height))  # noqa: S311  # no secret
    grain = grain.point([round(v / 255 * noise) for v in range(256)])
    return ImageChops.add(ImageChops.subtract(page, grain), Image.new("L", page.size, noise // 2))


def photographed(paper: Image.Image, *, turn: float, seed: int) -> Image.Image:
    """What a camera makes of paper on a table: askew, and darker to one side."""
    table = Image.new("L", (paper.width + 240, paper.height + 240), 96)
    table.paste(paper.point([round(30 + v * 0.82) for v in range(256)]), (120, 120))
    table = table.rotate(turn, Image.Resampling.BICUBIC, fillcolor=96)
    light = Image.new("L", (64, 64))
    for x in range(64):
        for y in range(64):
            far = math.hypot(x - 14, y - 10) / 80
            light.putpixel((x, y), round(255 * max(0.45, 1 - 0.6 * far)))
    lit = ImageChops.multiply(table, light.resize(table.size, Image.Resampling.BICUBIC))
    return grainy(lit.filter(ImageFilter.GaussianBlur(0.7)), seed=seed, noise=14)


def stained(paper: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """With a blot of ink where somebody put a wet pen down."""
    page = paper.copy()
    ImageDraw.Draw(page).ellipse(box, fill=0)
    return page


def main() -> None:
    """Write all samples beside this program."""
    (FOLDER / "invoice-joinery.pdf").write_bytes(draw(JOINERY))
    (FOLDER / "invoice-electric-two-pages.pdf").write_bytes(draw(ELECTRIC))

    scan = scanned(printed(draw(OFFICE), 300), skew=1.4, seed=7, noise=40)
    jpeg = io.BytesIO()
    scan.save(jpeg, "JPEG", quality=45, dpi=(300, 300))
    pdf = img2pdf.convert(jpeg.getvalue(), nodate=True, engine=img2pdf.Engine.internal)
    (FOLDER / "invoice-office-scan.pdf").write_bytes(pdf)

    photo = photographed(printed(draw_receipt(), 330), turn=-2.2, seed=11)
    photo.save(FOLDER / "receipt-tea-photo.jpg", quality=72)

    paper = printed(draw(PRINTER), 300)
    total = (paper.width - 480, 1700, paper.width - 190, 1796)
    blot = stained(paper, total).rotate(-0.6, Image.Resampling.BICUBIC, fillcolor=255)
    blot.convert("1", dither=Image.Dither.NONE).save(
        FOLDER / "invoice-printer-stained.tif", compression="group4", dpi=(300, 300)
    )


if __name__ == "__main__":
    main()
