"""Stacks of letters made for tests: pages with text, with barcodes, and with nothing on them."""

import io
from collections.abc import Sequence

import numpy as np
import zxingcpp
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

SEPARATOR = ("#barcode NEXT DOCUMENT",)
BLANK: tuple[str, ...] = ()

INVOICE = ("INVOICE", "Customer No: C-1001", "VAT: 19.00", "Total due: 119.00")
COMPLAINT = ("Complaint", "Customer No: C-2002", "Date: 2026-03-14", "I want a refund.")
CANCELLATION = (
    "Cancellation",
    "Customer No: C-1001",
    "I terminate at the end of the contract.",
    "End date: 2026-12-31",
)
LATER = ("More of the same, on another page.", "Yours sincerely")
STRANGE = ("Minutes of the meeting", "Nobody came.")


def stack(*pages: Sequence[str]) -> bytes:
    """A PDF with a text layer; a line `#barcode TEXT` is drawn as a QR code."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, invariant=1)
    for page in pages:
        for row, text in enumerate(page):
            if text.startswith("#barcode "):
                code = zxingcpp.create_barcode(
                    text.removeprefix("#barcode "), zxingcpp.BarcodeFormat.QRCode
                )
                image = ImageReader(Image.fromarray(np.array(code.to_image(scale=8))))
                canvas.drawImage(image, 200, 400, 180, 180)
            else:
                canvas.setFont("Helvetica", 14)
                canvas.drawString(72, 760 - 24 * row, text)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()
