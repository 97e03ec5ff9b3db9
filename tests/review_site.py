"""A Papertray with tasks in every state and nothing behind it, for the tests of the pages.

The tasks are put into the store as the flows would leave them; the pages are served by the real
app, in a process of its own.
"""

import asyncio
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pypdfium2
import pytest
from fastapi import FastAPI
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from sqlmodel import col, select

from api.app import create_app
from flows import verbs
from store.access import Caller
from store.blobs import blobs
from store.database import database, migrate
from store.fields import Box, FieldType, FieldValue, PageWords, Word
from store.finding import find_task
from store.ids import now
from store.keys import create_key
from store.lifecycle import advance, amend
from store.models import Activity, Document, File, Page, Task
from store.states import Actor, Event, State
from tests.conftest import forget_process_state

Result = TypeVar("Result")

ROOT = Path(__file__).parents[1]
PIXELS_PER_POINT = 2
ANA = "ana@example.org"
BEN = "ben@example.org"

PROJECT = """\
name: invoices
title: Supplier invoices
document_type: invoice
fields:
  - {name: supplier, label: Supplier, required: true, labels: [Supplier]}
  - {name: invoice_number, label: Invoice number, required: true, labels: [Invoice no.]}
  - {name: invoice_date, label: Invoice date, type: date, required: true, labels: [Date]}
  - {name: purchase_order, label: Purchase order, labels: [Your order]}
  - {name: net, label: Net amount, type: money, labels: [Net]}
  - {name: vat, label: VAT, type: money, labels: [VAT 20 %]}
  - {name: total, label: Total, type: money, required: true, labels: [Total due]}
  - {name: payment_terms, label: Payment terms, labels: [Terms]}
sums:
  - {parts: [net, vat], total: total}
"""

OTHER_PROJECT = PROJECT.replace("name: invoices", "name: delivery-notes", 1)

OPTIONS = "options: [{id: person, name: Person}, {id: place, name: Place}]"

BLOCKS = f"""\
name: everything
title: One of each block
blocks:
  - {{name: approved, type: binary, true_label: "Yes, of course"}}
  - {{name: title, type: text, required: true, placeholder: What people call it}}
  - {{name: pages, type: number, min: 1}}
  - {{name: due, type: date}}
  - {{name: contact, type: email}}
  - {{name: source, type: link}}
  - {{name: scan, type: image, read_only: true}}
  - {{name: call, type: audio, read_only: true}}
  - {{name: film, type: video, read_only: true}}
  - {{name: contract, type: pdf, read_only: true}}
  - {{name: website, type: embed, read_only: true}}
  - {{name: amounts, type: list, of: number}}
  - {{name: kind, type: single_selection, {OPTIONS}}}
  - {{name: subjects, type: multiple_selection, {OPTIONS}}}
  - name: items
    type: form_sequence
    blocks: [{{name: what, type: text}}, {{name: count, type: number}}]
  - {{name: talk, type: text_sequence}}
  - {{name: names, type: named_entity_recognition, {OPTIONS}}}
  - {{name: letter, type: rich_text, read_only: true}}
  - {{name: stamps, type: bounding_boxes, {OPTIONS}}}
"""

TERMS = "Payment within 30 days of the invoice date, without deduction. Please quote the number."

# name -> (label on the paper, text on the paper, value, confidence, what is wrong with it)
VALUES: Mapping[str, tuple[str, str, Any, float, str]] = {
    "supplier": ("", "Northwind Paper Mill Ltd.", "Northwind Paper Mill Ltd.", 0.98, ""),
    "invoice_number": ("Invoice no.", "NW-2026-01847", "NW-2026-01847", 0.96, ""),
    "invoice_date": ("Date", "12 October 2026", "2026-10-12", 0.93, ""),
    "purchase_order": ("Your order", "PO-7712", "PO-77I2", 0.58, ""),
    "net": ("Net", "1,071.00", "1071.00", 0.95, ""),
    "vat": ("VAT 20 %", "214.20", "214.20", 0.94, ""),
    "total": ("Total due", "1,285.20", "1825.20", 0.91, "is not the sum of Net amount and VAT"),
    "payment_terms": ("Terms", TERMS, TERMS, 0.89, ""),
}

# What was read there where it is not what the paper says.
MISREAD = {"total": "1,825.20", "purchase_order": "PO-77I2"}


@dataclass
class Invoice:
    """A drawn invoice: its PDF and where each value stands."""

    pdf: bytes
    boxes: dict[str, Box] = field(default_factory=dict)
    """In pixels, origin at the top left."""
    words: list[list[Word]] = field(default_factory=list)
    """Of each page, in the same pixels."""


def draw_invoice(values: Mapping[str, tuple[str, str, Any, float, str]] = VALUES) -> Invoice:
    """An invoice of two pages as a mill would send it."""
    buffer = io.BytesIO()
    width, height = A4
    canvas = Canvas(buffer, pagesize=A4, invariant=True)
    boxes: dict[str, Box] = {}
    words: list[list[Word]] = [[], []]

    def place(x: float, y: float, text: str, font: str, size: float) -> Box:
        right = x + stringWidth(text, font, size)
        top, bottom = height - y - size * 0.75, height - y + size * 0.22
        left, top, right, bottom = (PIXELS_PER_POINT * edge for edge in (x, top, right, bottom))
        return (left, top, right, bottom)

    def write(
        x: float, y: float, text: str, size: float = 10, name: str = "", bold: bool = False
    ) -> None:
        font = "Helvetica-Bold" if bold else "Helvetica"
        canvas.setFont(font, size)
        canvas.drawString(x, y, text)
        if name:
            boxes[name] = place(x, y, text, font, size)
        of_page = words[canvas.getPageNumber() - 1]
        line, done = len(of_page), ""
        for word in text.split(" "):
            box = place(x + stringWidth(done, font, size), y, word, font, size)
            of_page.append(Word(text=word, box=box, confidence=0.96, line=line))
            done += f"{word} "

    canvas.setFillGray(0.1)
    write(60, height - 80, values["supplier"][1], 17, "supplier", bold=True)
    write(60, height - 97, "12 Weir Lane, Kendal LA9 4PB, United Kingdom", 9)
    write(60, height - 170, "Harbour Office Supplies", 10.5)
    write(60, height - 184, "48 Quay Street", 10.5)
    write(60, height - 198, "Bristol BS1 4RW", 10.5)
    write(60, height - 260, "INVOICE", 22, bold=True)
    for index, name in enumerate(("invoice_number", "invoice_date", "purchase_order")):
        write(360, height - 170 - 16 * index, values[name][0], 10)
        write(440, height - 170 - 16 * index, values[name][1], 10, name)
    rows = (
        ("Kraft paper, 90 g, 70 x 100 cm", "40 reams", "18.50", "740.00"),
        ("Grey board, 1.5 mm, 70 x 100 cm", "25 packs", "9.80", "245.00"),
        ("Archival tissue, 12 g, roll of 50 m", "4 rolls", "16.25", "65.00"),
        ("Pallet, returnable", "1", "21.00", "21.00"),
    )
    y = height - 310
    for x, text in ((60, "Description"), (300, "Quantity"), (400, "Price"), (490, "Amount")):
        write(x, y, text, 9.5, bold=True)
    canvas.line(60, y - 6, width - 60, y - 6)
    for description, quantity, price, amount in rows:
        y -= 24
        for x, text in ((60, description), (300, quantity), (400, price), (490, amount)):
            write(x, y, text)
    canvas.line(60, y - 12, width - 60, y - 12)
    for name in ("net", "vat", "total"):
        y -= 34 if name == "net" else 20
        write(400, y, values[name][0], 10.5, bold=name == "total")
        write(490, y, values[name][1], 10.5, name, bold=name == "total")
    write(60, 150, values["payment_terms"][1], 9, "payment_terms")
    write(60, 134, "Bank: Lakeland Bank, sort code 20-00-00, account 12345678", 9)
    canvas.showPage()
    canvas.setFillGray(0.1)
    write(60, height - 80, "General conditions of sale", 14, bold=True)
    for line in range(28):
        text = f"{line + 1}. Goods stay the property of the mill until they are paid for in full."
        write(60, height - 120 - 20 * line, text, 9.5)
    canvas.save()
    return Invoice(buffer.getvalue(), boxes, words)


def render_pages(pdf: bytes) -> list[tuple[bytes, int, int]]:
    """The page images of a PDF: PNG, width, height."""
    pages: list[tuple[bytes, int, int]] = []
    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        image = page.render(scale=PIXELS_PER_POINT, grayscale=True).to_pil()
        sink = io.BytesIO()
        image.save(sink, "PNG", optimize=True)
        pages.append((sink.getvalue(), image.width, image.height))
        page.close()
    document.close()
    return pages


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    """Bytes as an upload has them."""
    yield content


@dataclass
class Site:
    """A home folder with tasks, and the server that shows them."""

    home: Path
    keys: dict[str, str] = field(default_factory=dict)
    """Name of a person -> API key."""
    callers: dict[str, Caller] = field(default_factory=dict)
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    invoice: Invoice = field(default_factory=draw_invoice)
    images: list[tuple[bytes, int, int]] = field(default_factory=list)
    details: list[bytes] = field(default_factory=list)
    """Of each page the image for who zooms in; none: there is no more to see."""
    ending: str = "png"
    """Of the files of the page images."""

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the store of this site, from outside its server."""

        async def run() -> Result:
            try:
                return await work
            finally:
                await database().close()

        with settings_of(self.home):
            return asyncio.run(run())

    def prepare(self) -> None:
        """Make the tables, two projects, and a key for each person."""
        self.images = render_pages(self.invoice.pdf)
        with settings_of(self.home):
            migrate()
        self.do(self._prepare())

    async def _prepare(self) -> None:
        for person in (ANA, BEN):
            key = await create_key(["admin"], user=person)
            self.keys[person] = key.key
            self.callers[person] = Caller(key.row.organization_id, Actor(person, "pages"))
        reader = await create_key(["task.read"], user="reader@example.org")
        self.keys["reader"] = reader.key
        for source in (PROJECT, OTHER_PROJECT, BLOCKS):
            await verbs.install_project(self.callers[ANA], source)

    def start(self) -> None:
        """Serve the pages; returns once they answer."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "tests.review_site:app", "--factory"),
                *("--port", str(port), "--log-level", "warning"),
            ],
            cwd=ROOT,
            env={**os.environ, "PAPERTRAY_HOME": str(self.home)},
        )
        until = time.monotonic() + 180
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}")
            try:
                httpx.get(f"{self.url}/sign-in", timeout=5)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the server does not answer")

    def stop(self) -> None:
        """End the server."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def add(self, state: State = State.IN_REVIEW, **facts: Any) -> str:
        """A task in some state; returns its public id. The facts are those of `add_task`."""
        return self.do(self.add_task(state, **facts))

    async def add_task(
        self,
        state: State = State.IN_REVIEW,
        *,
        name: str = "NW-2026-01847.pdf",
        file_name: str = "NW-2026-01847.pdf",
        project: str = "invoices",
        age: timedelta = timedelta(minutes=42),
        values: Mapping[str, FieldValue] | None = None,
        reason: str = "not valid: total; to be confirmed: purchase order",
        claimed_by: str = "",
        progress: tuple[str, int, int] = ("", 0, 0),
        result: Mapping[str, Any] | None = None,
        note: str = "",
    ) -> str:
        """A task in some state, with the pages and values that it would have by then."""
        caller = self.callers[ANA]
        taken_in_at = now() - age
        file = await verbs.take_file(caller, name=file_name, chunks=chunks(self.invoice.pdf))
        task = await verbs.submit_process(caller, project=project, file_id=file.id, name=name)
        async with database().writing() as session:
            task = await session.get_one(Task, task.id)
            task.created_at = taken_in_at
            if state is State.QUEUED:
                return task.public_id
            task = await advance(session, task, Event.START, FLOW, started_at=taken_in_at)
            step, current, total = progress
            task.step, task.progress_current, task.progress_total = step, current, total
        if state is State.RUNNING:
            return task.public_id
        if state is not State.FAILED:
            await self._read(task, values or self.values())
        async with database().writing() as session:
            task = await session.get_one(Task, task.id)
            if state is State.FAILED:
                await advance(session, task, Event.FAIL, FLOW, reason=note, result=result or {})
            else:
                task = await advance(
                    *(session, task, Event.ASK, FLOW),
                    review_round=1,
                    review_reason=reason,
                    review_since=taken_in_at,
                    review_due_at=taken_in_at + timedelta(days=14),
                )
            if claimed_by:
                await amend(
                    *(session, task, "task.claimed", Actor(claimed_by, "pages")),
                    claimed_by=claimed_by,
                    claimed_until=now() + timedelta(minutes=30),
                )
        ends = {State.DISCARDED: verbs.discard, State.CANCELED: verbs.cancel}
        if state in ends:
            await ends[state](caller, task.public_id, note)
        if state is State.COMPLETED:
            await verbs.complete(caller, task.public_id, {"total": "1,285.20"})
            await self.finish_task(task.public_id)
        await self._spread_history(task, taken_in_at)
        return task.public_id

    def values(self, **texts: str) -> dict[str, FieldValue]:
        """The fields of the drawn invoice; texts stand in for what was read."""
        kinds = {"invoice_date": FieldType.DATE, "net": FieldType.MONEY, "vat": FieldType.MONEY}
        kinds["total"] = FieldType.MONEY
        labels = {"vat": "VAT", "net": "Net amount"}
        return {
            name: FieldValue(
                name=name,
                label=labels.get(name, name.replace("_", " ").capitalize()),
                type=kinds.get(name, FieldType.TEXT),
                value=texts.get(name, value),
                text=texts.get(name, MISREAD.get(name, text)),
                confidence=confidence,
                page_number=1,
                box=self.invoice.boxes[name],
                method="label",
                valid=not message,
                message=message,
                needs_confirmation=confidence < 0.7,
            )
            for name, (_, text, value, confidence, message) in VALUES.items()
        }

    async def add_data_task(self, **values: Any) -> str:
        """A task of data in review with a value in each of its blocks; returns its public id."""
        caller = self.callers[ANA]
        scan = await verbs.take_file(caller, name="scan.png", chunks=chunks(self.images[0][0]))
        contract = await verbs.take_file(caller, name="c.pdf", chunks=chunks(self.invoice.pdf))
        data: dict[str, Any] = {
            "approved": True,
            "title": "Lease of the warehouse",
            "pages": 4,
            "due": "2026-12-01",
            "contact": "ada@example.org",
            "source": "https://example.org/lease",
            "scan": scan.id,
            "call": "https://example.org/call.mp3",
            "film": "https://example.org/film.mp4",
            "contract": contract.id,
            "website": "https://example.org/",
            "amounts": [12, 7.5],
            "kind": "place",
            "subjects": ["person"],
            "items": [{"what": "Key", "count": 2}, {"what": "Lamp", "count": 1}],
            "talk": [{"author": "Ada", "text": "Is it signed?"}, "It is."],
            "names": {
                "text": "😀 Ada Lovelace met Charles in London.",
                "entities": [{"start": 2, "end": 14, "label": "person"}],
            },
            "letter": "<p>Dear <b>Ada</b></p>",
            "stamps": {
                "image": scan.id,
                "boxes": [{"left": 100, "top": 120, "width": 300, "height": 80, "label": "place"}],
            },
            **values,
        }
        task = await verbs.submit_process(caller, project="everything", data=data, name="Lease")
        async with database().writing() as session:
            task = await session.get_one(Task, task.id)
            task = await advance(session, task, Event.START, FLOW)
            await advance(
                *(session, task, Event.ASK, FLOW),
                review_round=1,
                review_step="extract",
                review_reason="the project asks for it",
                review_since=now(),
            )
        return task.public_id

    async def _read(self, task: Task, values: Mapping[str, FieldValue]) -> None:
        for number, (image, width, height) in enumerate(self.images, 1):
            folder = f"tasks/{task.id}/read"
            await blobs().write_stream(f"{folder}/page-{number}.{self.ending}", chunks(image))
            read = PageWords(
                number=number,
                width_pixels=width,
                height_pixels=height,
                method="ocr",
                words=self.invoice.words[number - 1],
            )
            if self.details:
                detail = chunks(self.details[number - 1])
                await blobs().write_stream(f"{folder}/page-{number}-detail.jpg", detail)
            said = read.model_dump_json().encode()
            await blobs().write_stream(f"{folder}/page-{number}.json", chunks(said))
        async with database().writing() as session:
            session.add(
                Document(
                    task_id=task.id,
                    number=1,
                    document_type="invoice",
                    page_numbers=[1, 2],
                    fields={name: value.model_dump(mode="json") for name, value in values.items()},
                )
            )
            session.add_all(
                Page(
                    task_id=task.id,
                    number=number,
                    width_pixels=width,
                    height_pixels=height,
                    method="ocr",
                    confidence=0.93,
                    image_blob=f"tasks/{task.id}/read/page-{number}.{self.ending}",
                    detail_blob=f"tasks/{task.id}/read/page-{number}-detail.jpg"
                    if self.details
                    else "",
                    words_blob=f"tasks/{task.id}/read/page-{number}.json",
                )
                for number, (_, width, height) in enumerate(self.images, 1)
            )

    async def finish_task(self, public_id: str) -> None:
        """Do what the flow does after a decision: write the export and end the task."""
        caller = self.callers[ANA]
        key = f"tasks/{public_id}/export/data.json"
        stored = await blobs().write_stream(key, chunks(b'{"total": "1285.20"}\n'))
        async with database().writing() as session:
            task = await find_task(session, caller, public_id)
            session.add(
                File(
                    organization_id=task.organization_id,
                    name="data.json",
                    blob=key,
                    type="application/json",
                    size_bytes=stored.size_bytes,
                    sha256=stored.sha256,
                    task_id=task.id,
                    role="data",
                )
            )
            await advance(session, task, Event.FINISH, FLOW, finished_at=now())

    async def _spread_history(self, task: Task, since: Any) -> None:
        async with database().writing() as session:
            query = select(Activity).where(col(Activity.task_id) == task.id)
            rows = (await session.execute(query.order_by(col(Activity.number)))).scalars().all()
            for index, row in enumerate(rows[:3]):
                row.at = since + timedelta(seconds=4 * index)


FLOW = Actor("flow", "system")


@contextmanager
def settings_of(home: Path) -> Iterator[None]:
    """The settings of one home for as long as it lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERTRAY_HOME", str(home))
        forget_process_state()
        yield
    forget_process_state()


def fill(site: Site) -> dict[str, str]:
    """Tasks as an office has them on a Monday; returns the ids of those that tests open."""
    day = timedelta(days=1)
    ids = {
        "invalid": site.add(age=3 * day),
        "held": site.add(
            name="Lagerhaus Ost, May",
            age=2 * day,
            claimed_by=BEN,
            reason="to be confirmed: purchase order",
        ),
        "completed": site.add(State.COMPLETED, name="NW-2026-01811.pdf", age=4 * day),
        "failed": site.add(
            State.FAILED,
            name="scan_0417.pdf",
            age=day,
            result={
                "error": "The file is damaged and cannot be opened. Make it anew at its source and"
                " send it again.",
                "details": {"code": "file_damaged"},
            },
            note="file_damaged",
        ),
        "discarded": site.add(State.DISCARDED, name="Advertisement", note="No invoice."),
        "running": site.add(State.RUNNING, name="Yearly contract", progress=("read", 7, 24)),
    }
    for index, name in enumerate(
        ("Alder & Sons 2026-118", "Credit note 5521", "Fjord Logistikk faktura 90412")
    ):
        site.add(name=name, age=timedelta(hours=20 - 7 * index), reason="to be confirmed: total")
    site.add(name="Pallets, week 41", project="delivery-notes", reason="not valid: supplier")
    site.add(State.QUEUED, name="NW-2026-01902.pdf", age=timedelta(minutes=1))
    return ids


def app() -> FastAPI:
    """The app whose pages are tested; what carries tasks to Prefect stays off."""
    return create_app(run_background=False)
