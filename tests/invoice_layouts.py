"""Invoices in four layouts and two languages, with what stands on them: the same for each seed."""

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

LANGUAGES = ("en", "de")

PROJECT = """\
name: layouts
document_type: invoice
fields:
  - name: invoice_number
    required: true
    labels: [Invoice number, Invoice no, Rechnungsnummer, Rechnung Nr]
    pattern: '[A-Z]{2,3}-\\d{4}-\\d{3,5}'
  - name: invoice_date
    type: date
    required: true
    labels: [Invoice date, Rechnungsdatum, Date, Datum]
  - {name: due_date, type: date, labels: [Due date, Payment due, Fällig am, Zahlbar bis]}
  - name: supplier
    labels: [From, Supplier, Lieferant, Von]
    pattern: '(?:[A-ZÄÖÜ][\\w.-]* (?:& )?){1,3}(?:Ltd|GmbH)\\b'
  - {name: vat_id, type: vat_id, labels: [VAT ID, USt-IdNr]}
  - {name: iban, type: iban, labels: [IBAN]}
  - {name: email, type: email, labels: [Email, E-Mail]}
  - {name: phone, type: phone, labels: [Phone, Telephone, Telefon, Tel]}
  - name: payment
    type: choice
    labels: [Payment, Zahlungsart]
    options:
      - {value: transfer, synonyms: [Bank transfer, Überweisung]}
      - {value: debit, synonyms: [Direct debit, Lastschrift]}
  - name: net
    type: money
    required: true
    labels: [Net amount, Subtotal, Nettobetrag, Zwischensumme]
  - {name: tax, type: money, required: true, labels: [VAT, MwSt, Umsatzsteuer]}
  - name: total
    type: money
    required: true
    labels: [Total due, Invoice total, Gesamtbetrag, Rechnungsbetrag]
  - name: lines
    type: table
    required: true
    columns:
      - name: description
        labels: [Description, Item, Bezeichnung, Beschreibung, Leistung]
        required: true
      - {name: quantity, type: number, labels: [Qty, Quantity, Menge, Anzahl], required: true}
      - {name: price, type: money, labels: [Unit price, Price, Einzelpreis, Preis], required: true}
      - name: amount
        type: money
        labels: [Amount, Line total, Betrag, Gesamtpreis]
        required: true
    products:
      - {factors: [quantity, price], product: amount}
sums:
  - {parts: [net, tax], total: total}
  - {parts: [lines.amount], total: net}
"""
"""A project that finds all of it."""

_WORDS: Mapping[str, Mapping[str, Sequence[str]]] = {
    # For each layout the word that it uses.
    "en": {
        "title": ["INVOICE", "Invoice", "TAX INVOICE", "Invoice"],
        "number": ["Invoice number", "Invoice no.", "Invoice no", "Invoice number"],
        "date": ["Invoice date", "Date", "Invoice date", "Date"],
        "due": ["Due date", "Payment due", "Due date", "Payment due"],
        "from": ["From", "Supplier", "From", "Supplier"],
        "to": ["Bill to", "Customer", "Bill to", "Customer"],
        "vat_id": ["VAT ID", "VAT ID", "VAT ID", "VAT ID"],
        "phone": ["Phone", "Telephone", "Tel.", "Phone"],
        "email": ["Email", "E-mail", "Email", "Email"],
        "payment": ["Payment", "Payment", "Payment", "Payment"],
        "description": ["Description", "Item", "Description", "Description"],
        "quantity": ["Quantity", "Qty", "Qty", "Quantity"],
        "price": ["Unit price", "Price", "Unit price", "Unit price"],
        "amount": ["Amount", "Line total", "Amount", "Amount"],
        "net": ["Net amount", "Subtotal", "Net amount", "Subtotal"],
        "tax": ["VAT (20%)", "VAT 20 %", "VAT 20%", "VAT (20%)"],
        "total": ["Total due", "Invoice total", "Total due", "Total due"],
        "page": ["Page", "Page", "Page", "Page"],
        "carried": ["Carried forward"] * 4,
    },
    "de": {
        "title": ["RECHNUNG", "Rechnung", "RECHNUNG", "Rechnung"],
        "number": ["Rechnungsnummer", "Rechnung Nr.", "Rechnungsnummer", "Rechnung Nr."],
        "date": ["Rechnungsdatum", "Datum", "Rechnungsdatum", "Datum"],
        "due": ["Fällig am", "Zahlbar bis", "Fällig am", "Zahlbar bis"],
        "from": ["Lieferant", "Von", "Lieferant", "Von"],
        "to": ["Rechnung an", "Kunde", "Rechnung an", "Kunde"],
        "vat_id": ["USt-IdNr.", "USt-IdNr.", "USt-IdNr.", "USt-IdNr."],
        "phone": ["Telefon", "Tel.", "Telefon", "Telefon"],
        "email": ["E-Mail", "E-Mail", "E-Mail", "E-Mail"],
        "payment": ["Zahlungsart", "Zahlungsart", "Zahlungsart", "Zahlungsart"],
        "description": ["Bezeichnung", "Beschreibung", "Leistung", "Bezeichnung"],
        "quantity": ["Menge", "Anzahl", "Menge", "Menge"],
        "price": ["Einzelpreis", "Preis", "Einzelpreis", "Einzelpreis"],
        "amount": ["Betrag", "Gesamtpreis", "Betrag", "Betrag"],
        "net": ["Nettobetrag", "Zwischensumme", "Nettobetrag", "Zwischensumme"],
        "tax": ["MwSt. 19 %", "Umsatzsteuer 19%", "MwSt 19 %", "MwSt. (19%)"],
        "total": ["Gesamtbetrag", "Rechnungsbetrag", "Gesamtbetrag", "Gesamtbetrag"],
        "page": ["Seite", "Seite", "Seite", "Seite"],
        "carried": ["Übertrag"] * 4,
    },
}

_SUPPLIERS = {
    "en": [
        ("Alder & Finch Ltd", "GB980780684", "GB82WEST12345698765432", "+442079460958"),
        ("Harbour Print Ltd", "IE6388047V", "IE29AIBK93115212345678", "+35316771234"),
        ("Tamarack Dental Supplies Ltd", "GB802311782", "GB33BUKB20201555555555", "+441316002000"),
    ],
    "de": [
        ("Hafenlicht Elektrotechnik GmbH", "DE136695976", "DE89370400440532013000", "+4930901820"),
        ("Lindenhof Werkstatt GmbH", "ATU13585627", "AT611904300234573201", "+43158858"),
        ("Seebach Möbel GmbH", "DE129273398", "DE75512108001245126199", "+494030990"),
    ],
}
_CUSTOMERS = {
    "en": ("Marlow Street Books", "3 Marlow Street", "Bath BA1 2LT"),
    "de": ("Stadtbibliothek Altona", "Lindenallee 22", "22765 Hamburg"),
}
_GOODS = {
    "en": [
        "Oak shelving, 2400 mm",
        "Counter with four drawers and a lockable cash compartment, walnut veneer",
        "Fitting on site",
        "Copy paper A4, box of 10 reams",
        "Toner cartridge TN-450, black",
        "Hanging folders, green, pack of 25, with labels and a steel frame",
        "Total station rental, per day",
        "Delivery",
    ],
    "de": [
        "Leitungen verlegen",
        "Verteilerschrank mit 24 Plätzen liefern, setzen und anschließen, einschließlich Prüfung",
        "Leuchten montieren",
        "Steckdosen anschließen",
        "Kopierpapier A4, 10 Pakete",
        "Besprechungstisch aus Eiche, geölt, 240 x 100 cm, mit Kabelführung",
        "Entsorgung",
        "Anfahrt",
    ],
}
_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}


@dataclass(frozen=True)
class Invoice:
    """An invoice, and what a project must find on it."""

    pdf: bytes
    layout: int
    """Index of the layout, 0 to 3."""
    language: str
    data: Mapping[str, Any]


def invoice(layout: int, language: str, seed: int, *, long: bool = False) -> Invoice:
    """Make an invoice.

    Args:
        layout: 0: labels beside values; 1: labels above values, wrapped descriptions; 2: ruled,
            with more columns than are wanted; 3: a column at the right, a header of two lines.
        language: `en` or `de`.
        seed: the same invoice for the same seed.
        long: its table goes on on a second page.
    """
    chance = random.Random(f"{layout} {language} {seed}")
    facts = _facts(language, chance, 34 if long else chance.randint(2, 7))
    paper = _Paper(layout, language, facts, chance)
    _LAYOUTS[layout](paper)
    return Invoice(paper.finish(), layout, language, facts)


def _facts(language: str, chance: random.Random, count: int) -> dict[str, Any]:
    supplier, vat_id, iban, phone = chance.choice(_SUPPLIERS[language])
    day = date(2026, 1, 1) + timedelta(days=chance.randint(0, 330))
    lines = [_line(language, chance) for _ in range(count)]
    net = sum((Decimal(line["amount"]) for line in lines), Decimal(0))
    tax = (net * Decimal("0.20" if language == "en" else "0.19")).quantize(Decimal("0.01"))
    return {
        "invoice_number": f"{chance.choice(['AF', 'RE', 'INV'])}-2026-{chance.randint(100, 99999)}",
        "invoice_date": day.isoformat(),
        "due_date": (day + timedelta(days=chance.choice([14, 30]))).isoformat(),
        "supplier": supplier,
        "vat_id": vat_id,
        "iban": iban,
        "email": f"billing@{supplier.split()[0].lower()}.example.org",
        "phone": phone,
        "payment": chance.choice(["transfer", "debit"]),
        "net": str(net),
        "tax": str(tax),
        "total": str(net + tax),
        "lines": lines,
    }


def _line(language: str, chance: random.Random) -> dict[str, str]:
    quantity = Decimal(chance.choice(["1", "2", "3", "8", "12", "1.5", "250"]))
    price = Decimal(chance.randint(45, 189_999)) / 100
    return {
        "description": chance.choice(_GOODS[language]),
        "quantity": str(quantity),
        "price": f"{price:.2f}",
        "amount": f"{(quantity * price).quantize(Decimal('0.01'))}",
    }


class _Paper:
    """Draws with the words, numbers and dates of a language."""

    def __init__(self, layout: int, language: str, facts: Mapping[str, Any], chance: random.Random):
        self._sink = io.BytesIO()
        self.canvas = Canvas(self._sink, pagesize=A4, invariant=1)
        self.facts = facts
        self.sign = chance.choice({"en": ["GBP", "EUR"], "de": ["EUR"]}[language])
        self._form = chance.randint(0, 2)
        self._language = language
        self._layout = layout
        self.width, self.height = A4

    def word(self, key: str) -> str:
        return _WORDS[self._language][key][self._layout]

    def amount(self, value: str) -> str:
        text = f"{Decimal(value):,.2f}"
        return text if self._language == "en" else text.translate(str.maketrans(",.", ".,"))

    def number(self, value: str) -> str:
        return value if self._language == "en" else value.replace(".", ",")

    def date(self, value: str) -> str:
        day = date.fromisoformat(value)
        month = _MONTHS[self._language].split()[day.month - 1]
        if self._language == "de":
            return [f"{day:%d.%m.%Y}", f"{day.day}. {month} {day.year}", f"{day:%d.%m.%y}"][
                self._form
            ]
        return [f"{day.day} {month} {day.year}", f"{month} {day.day}, {day.year}", value][
            self._form
        ]

    def grouped(self, value: str) -> str:
        return " ".join(value[n : n + 4] for n in range(0, len(value), 4))

    def payment(self) -> str:
        names = {
            "transfer": ("Bank transfer", "Überweisung"),
            "debit": ("Direct debit", "Lastschrift"),
        }
        return names[self.facts["payment"]][LANGUAGES.index(self._language)]

    def text(self, x: float, y: float, text: str, size: float = 10, *, bold: bool = False) -> None:
        self.canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
        self.canvas.drawString(x, y, text)

    def right(self, x: float, y: float, text: str, size: float = 10, *, bold: bool = False) -> None:
        self.canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
        self.canvas.drawRightString(x, y, text)

    def customer(self, x: float, y: float) -> None:
        for n, line in enumerate(_CUSTOMERS[self._language]):
            self.text(x, y - 13 * n, line)

    def new_page(self, number: int) -> None:
        self.canvas.showPage()
        self.text(self.width - 100, 30, f"{self.word('page')} {number}", 8)

    def finish(self) -> bytes:
        self.canvas.save()
        return self._sink.getvalue()

    def table(
        self,
        y: float,
        columns: Sequence[tuple[str, float, float]],
        *,
        heads: Mapping[str, Sequence[str]],
        step: float,
        ruled: bool = False,
        head_again: bool = True,
    ) -> float:
        """Draw the lines.

        Args:
            y: of the header.
            columns: name, where it begins (text) or ends (numbers), and width of text.
            heads: what stands over a column, in lines.
            step: between lines.
            ruled: with a line under each row.
            head_again: the header stands on each page.
        """

        def header(y: float) -> float:
            tall = max(len(lines) for lines in heads.values())
            for name, x, width in columns:
                for n, line in enumerate(heads[name]):
                    (self.text if width else self.right)(x, y - 11 * n, line, 9, bold=True)
            return y - 11 * (tall - 1) - step - 4

        y = header(y)
        page = 1
        for number, line in enumerate(self.facts["lines"], 1):
            cells = {
                "position": str(number),
                "unit": "Stk" if self._language == "de" else "pcs",
                "description": line["description"],
                "quantity": self.number(line["quantity"]),
                "price": self.amount(line["price"]),
                "amount": self.amount(line["amount"]),
            }
            wrapped = {
                name: simpleSplit(cells[name], "Helvetica", 9.5, width)
                for name, _, width in columns
                if width
            }
            tall = max(len(lines) for lines in wrapped.values())
            if y - 12 * tall < 110:
                page += 1
                self.new_page(page)
                y = self.height - 70
                y = header(y) if head_again else y
            for name, x, width in columns:
                if width:
                    for n, text in enumerate(wrapped[name]):
                        self.text(x, y - 12 * n, text, 9.5)
                else:
                    self.right(x, y, cells[name], 9.5)
            y -= 12 * (tall - 1) + step
            if ruled:
                self.canvas.line(columns[0][1], y + step - 4, self.width - 50, y + step - 4)
        if y < 250:
            self.new_page(page + 1)
            y = self.height - 90
        return y


def _beside(paper: _Paper) -> None:
    facts = paper.facts
    paper.text(60, 780, paper.word("title"), 20, bold=True)
    paper.text(60, 745, paper.word("from"), 9)
    paper.text(60, 731, facts["supplier"], 11, bold=True)
    paper.text(330, 745, paper.word("to"), 9)
    paper.customer(330, 731)
    rows = [
        ("number", facts["invoice_number"]),
        ("date", paper.date(facts["invoice_date"])),
        ("due", paper.date(facts["due_date"])),
        ("vat_id", facts["vat_id"]),
        ("phone", facts["phone"]),
        ("email", facts["email"]),
        ("payment", paper.payment()),
    ]
    for n, (key, value) in enumerate(rows):
        paper.text(60, 680 - 15 * n, f"{paper.word(key)}:")
        paper.text(190, 680 - 15 * n, value, bold=True)
    y = paper.table(
        555,
        [("description", 60, 220), ("quantity", 350, 0), ("price", 440, 0), ("amount", 535, 0)],
        heads={key: [paper.word(key)] for key in ("description", "quantity", "price", "amount")},
        step=18,
    )
    for n, key in enumerate(("net", "tax", "total")):
        paper.text(340, y - 18 * n - 8, paper.word(key), 11, bold=key == "total")
        paper.right(535, y - 18 * n - 8, paper.amount(facts[key]), 11, bold=key == "total")
    paper.text(60, y - 80, f"IBAN: {paper.grouped(facts['iban'])}", 9)
    paper.text(60, y - 93, {"GBP": "All amounts in GBP.", "EUR": "All amounts in EUR."}[paper.sign])


def _above(paper: _Paper) -> None:
    facts = paper.facts
    paper.text(60, 790, facts["supplier"], 16, bold=True)
    paper.text(60, 774, f"{paper.word('phone')} {facts['phone']}   {facts['email']}", 8)
    paper.customer(60, 720)
    paper.text(60, 650, paper.word("title"), 18, bold=True)
    for x, key, value in (
        (60, "number", facts["invoice_number"]),
        (220, "date", paper.date(facts["invoice_date"])),
        (350, "due", paper.date(facts["due_date"])),
        (470, "payment", paper.payment()),
    ):
        paper.text(x, 622, paper.word(key), 8)
        paper.text(x, 608, value, 10)
    y = paper.table(
        575,
        [("quantity", 95, 0), ("description", 110, 200), ("price", 430, 0), ("amount", 535, 0)],
        heads={key: [paper.word(key)] for key in ("quantity", "description", "price", "amount")},
        step=17,
        head_again=False,
    )
    for n, key in enumerate(("net", "tax", "total")):
        paper.right(430, y - 16 * n - 6, paper.word(key))
        paper.right(535, y - 16 * n - 6, f"{paper.amount(facts[key])} {paper.sign}")
    paper.text(60, 60, f"{paper.word('vat_id')} {facts['vat_id']}", 8)
    paper.text(230, 60, f"IBAN {paper.grouped(facts['iban'])}", 8)


def _ruled(paper: _Paper) -> None:
    facts = paper.facts
    paper.text(230, 790, paper.word("title"), 16, bold=True)
    paper.text(50, 760, paper.word("from"), 8)
    paper.text(50, 746, facts["supplier"])
    paper.text(50, 733, f"{paper.word('vat_id')}: {facts['vat_id']}", 8)
    paper.text(50, 720, f"{paper.word('phone')} {facts['phone']}", 8)
    paper.text(50, 707, f"{paper.word('email')}: {facts['email']}", 8)
    paper.canvas.rect(320, 690, 225, 85)
    for n, (key, value) in enumerate(
        (
            ("number", facts["invoice_number"]),
            ("date", paper.date(facts["invoice_date"])),
            ("due", paper.date(facts["due_date"])),
            ("payment", paper.payment()),
        )
    ):
        paper.text(330, 757 - 18 * n, paper.word(key), 9)
        paper.right(535, 757 - 18 * n, value, 9)
    paper.text(50, 670, paper.word("to"), 8)
    paper.customer(50, 657)
    heads = {key: [paper.word(key)] for key in ("description", "quantity", "price", "amount")}
    y = paper.table(
        600,
        [
            ("position", 70, 0),
            ("description", 85, 190),
            ("quantity", 340, 0),
            ("unit", 352, 30),
            ("price", 455, 0),
            ("amount", 540, 0),
        ],
        heads={"position": ["Pos."], "unit": [""], **heads},
        step=20,
        ruled=True,
    )
    for n, key in enumerate(("net", "tax", "total")):
        paper.text(380, y - 18 * n, paper.word(key))
        paper.right(540, y - 18 * n, paper.amount(facts[key]), bold=key == "total")
    paper.text(50, y - 60, f"IBAN {paper.grouped(facts['iban'])}  {paper.sign}", 9)


def _at_the_right(paper: _Paper) -> None:
    facts = paper.facts
    paper.text(60, 780, paper.word("title"), 22, bold=True)
    for n, (key, value) in enumerate(
        (
            ("from", facts["supplier"]),
            ("number", facts["invoice_number"]),
            ("date", paper.date(facts["invoice_date"])),
            ("due", paper.date(facts["due_date"])),
            ("payment", paper.payment()),
        )
    ):
        paper.text(380, 780 - 31 * n, paper.word(key), 8)
        paper.text(380, 767 - 31 * n, value, 10, bold=True)
    paper.text(60, 740, paper.word("to"), 8)
    paper.customer(60, 727)
    head = paper.word("price").split() if " " in paper.word("price") else ["Einzel-", "preis"]
    y = paper.table(
        600,
        [("description", 60, 230), ("price", 380, 0), ("quantity", 455, 0), ("amount", 535, 0)],
        heads={
            "description": [paper.word("description")],
            "price": [paper.word("price")] if "-" in head[0] else head,
            "quantity": [paper.word("quantity")],
            "amount": [f"{paper.word('amount')}", f"({paper.sign})"],
        },
        step=19,
    )
    for n, key in enumerate(("net", "tax", "total")):
        paper.text(330, y - 18 * n - 4, paper.word(key))
        paper.right(535, y - 18 * n - 4, f"{paper.sign} {paper.amount(facts[key])}")
    for n, (key, value) in enumerate(
        (("vat_id", facts["vat_id"]), ("phone", facts["phone"]), ("email", facts["email"]))
    ):
        paper.text(60 + 150 * n, 70, f"{paper.word(key)}: {value}", 8)
    paper.text(60, 55, f"IBAN: {paper.grouped(facts['iban'])}", 8)


_LAYOUTS: Sequence[Callable[[_Paper], None]] = (_beside, _above, _ruled, _at_the_right)
LAYOUTS = range(len(_LAYOUTS))
