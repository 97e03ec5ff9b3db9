"""Documents made for tests: an invoice, as a PDF with text or as a scan of it."""

import io
from collections.abc import Sequence

import pypdfium2
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

PROJECT = """\
name: {name}
title: Invoices
document_type: invoice
fields:
  - {{name: number, label: Invoice number, labels: [Invoice No], required: true}}
  - {{name: date, label: Date, type: date, labels: [Date], required: true}}
  - {{name: net, label: Net, type: money, labels: [Net amount], required: true}}
  - {{name: tax, label: Tax, type: money, labels: [VAT], required: true}}
  - {{name: total, label: Total, type: money, labels: [Total due], required: true}}
sums:
  - {{parts: [net, tax], total: total}}
export:
  formats: [json, csv, pdf]
"""


def project(name: str = "bills", more: str = "") -> str:
    """A project file for these invoices; `more` is added at its end."""
    return PROJECT.format(name=name) + more


def invoice(number: str = "AB-1001", total: str = "119.00", pages: int = 1) -> bytes:
    """An invoice with a text layer. Its parts add up to 119.00; another total does not fit."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    for page in range(pages):
        lines = [
            ("Helvetica-Bold", 20, "Northwind Traders Ltd"),
            ("Helvetica", 12, f"Invoice No: {number}"),
            ("Helvetica", 12, "Date: 2026-03-14"),
            ("Helvetica", 12, "For the delivery of goods as agreed, we charge you as follows."),
            ("Helvetica", 12, "Net amount: 100.00"),
            ("Helvetica", 12, "VAT: 19.00"),
            ("Helvetica-Bold", 14, f"Total due: {total}"),
        ]
        if page:
            lines = [("Helvetica", 12, f"Page {page + 1}: terms and conditions of {number}.")]
            lines += [
                ("Helvetica", 12, f"{n}. The buyer pays within thirty days of receipt.")
                for n in range(1, 30)
            ]
        for row, (font, size, text) in enumerate(lines):
            canvas.setFont(font, size)
            canvas.drawString(72, 760 - 22 * row, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scan(pdf: bytes, dpi: int = 200) -> bytes:
    """The same pages as images only, as a scanner gives them."""
    images: list[Image.Image] = []
    with pypdfium2.PdfDocument(pdf) as document:
        for page in document:
            images.append(page.render(scale=dpi / 72, grayscale=True).to_pil())  # pyright: ignore[reportArgumentType]
    return _as_pdf(images, dpi)


def _as_pdf(images: Sequence[Image.Image], dpi: int) -> bytes:
    buffer = io.BytesIO()
    images[0].save(
        buffer, "PDF", resolution=dpi, save_all=True, append_images=list(images[1:]), quality=85
    )
    return buffer.getvalue()
