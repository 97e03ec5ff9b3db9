"""What is found on documents: how much of it is right, what nobody was asked about, what it costs.

`python benchmarks/extraction.py [PART ...]` prints every part, or those that are named:

- **templates**: the templates of invoice2data on the invoices of its own tests, beside the library
  itself, from the PDF and from a scan of it. `--invoice2data FOLDER` says where these invoices are
  (`tests/compare` of a checkout of https://github.com/invoice-x/invoice2data); needs `pdftotext`;
- **samples**: the documents of `samples/`, against `samples/expected.json`;
- **layouts**: generated invoices in four layouts and two languages, with and without text;
- **sorting**: generated stacks of documents, told apart and sorted;
- **share**: processor time of all steps after OCR, as a share of OCR's;
- **growth**: up to 1,000 fields on up to 200 pages.

Scans are of 300 dpi. *Unseen* counts values that are wrong where nobody would have been asked.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from benchmarks.template_fields import compare
from operations import (
    classify,
    export_data,
    extract_fields,
    filter_documents,
    group_documents,
    make_searchable_pdf,
    read_pages,
    segment,
)
from operations.classify import ClassifyParams
from operations.export_data import ExportDataParams
from operations.extract_fields import ExtractFieldsParams
from operations.filter_documents import Candidate, FilterDocumentsParams
from operations.group_documents import GroupDocumentsParams
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams
from operations.segment import SegmentParams
from operations.tools.find_fields import find_fields
from operations.validate_fields import check
from store.fields import OCR, FieldValue, PageWords, Word
from store.project_fields import FieldPart
from store.project_file import DocumentTypePart, parse_project_file
from store.project_sorting import FilterPart
from tests.documents import scan
from tests.invoice_layouts import LANGUAGES, LAYOUTS, PROJECT, invoice
from tests.sorting_pages import FILLER, sample_of, write_pages

ROOT = Path(__file__).parents[1]
DPI = 300
AMOUNTS = frozenset({"net", "tax", "total", "price", "amount"})

Score = Counter[str]
"""documents, straight (nobody is asked), fields, right, amounts, amounts right, unseen."""


# What is found, and whether it is right


async def read(content: bytes, params: ReadPagesParams) -> list[PageWords]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source").write_bytes(content)
        found = await read_pages.fn(folder / "source", params, folder=folder)
        return [
            PageWords.model_validate_json((folder / page.words_file).read_bytes())
            for page in found.pages
        ]


def judge(truth: Mapping[str, Any], checked: Mapping[str, FieldValue]) -> Score:
    """Compare all fields and cells of a document with what stands on it."""
    is_asked = any(not one.valid or one.needs_confirmation for one in checked.values())
    score = Score(documents=1, straight=int(not is_asked), unseen=0)
    for name, wanted, got in _pairs(truth, checked):
        is_right = wanted == got
        score["fields"] += 1
        score["right"] += is_right
        score["amounts"] += name in AMOUNTS
        score["amounts right"] += is_right and name in AMOUNTS
        score["unseen"] += not is_right and got is not None and not is_asked
    return score


def _pairs(
    truth: Mapping[str, Any], checked: Mapping[str, FieldValue]
) -> Iterator[tuple[str, Any, Any]]:
    for name, wanted in truth.items():
        got: Any = checked[name].value
        if not isinstance(wanted, list):
            yield name, wanted, got
            continue
        rows: list[dict[str, Any]] = got or []
        for number, row in enumerate(wanted):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]  # of JSON
            found = rows[number] if number < len(rows) else {}
            for column, cell in row.items():  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                yield str(column), cell, found.get(str(column))  # pyright: ignore[reportUnknownArgumentType]


HEAD = (
    "| | straight through | fields right | amounts right | wrong unseen |\n"
    "| --- | ---: | ---: | ---: | ---: |"
)


def row(name: str, score: Score) -> str:
    """A row under `HEAD`."""
    fields, amounts = (
        f"{score[right]}/{score[all_]}, {score[right] / max(score[all_], 1):.1%}"
        for right, all_ in (("right", "fields"), ("amounts right", "amounts"))
    )
    straight = f"{score['straight']}/{score['documents']}"
    return f"| {name} | {straight} | {fields} | {amounts} | {score['unseen']} |"


async def samples(asked: argparse.Namespace) -> None:  # noqa: ARG001  # one signature
    """The documents of the demo."""
    project = parse_project_file((ROOT / "samples" / "invoices.yaml").read_text())
    params = ReadPagesParams.model_validate(project.read.model_dump())
    expected = json.loads((ROOT / "samples" / "expected.json").read_text())
    total = Score()
    print(HEAD)
    for name, facts in expected.items():
        pages = await read((ROOT / "samples" / name).read_bytes(), params)
        score = judge(
            facts["fields"] | facts["review"], check(project, find_fields(pages, project.fields))
        )
        print(row(name, score), flush=True)
        total += score
    print(row("all", total))


async def layouts(asked: argparse.Namespace) -> None:
    """Generated invoices, from their text and from scans of them."""
    project = parse_project_file(PROJECT)
    totals: dict[str, Score] = {"text": Score(), "scan": Score()}
    print(HEAD)
    for layout in LAYOUTS:
        for language in LANGUAGES:
            for source, mode in (("text", "auto"), ("scan", "force")):
                score = Score()
                for seed in range(asked.per_layout):
                    made = invoice(layout, language, seed, long=seed % 3 == 2)
                    pdf = made.pdf if source == "text" else scan(made.pdf, DPI)
                    params = ReadPagesParams.model_validate({"mode": mode, "dpi": DPI})
                    pages = await read(pdf, params)
                    score += judge(made.data, check(project, find_fields(pages, project.fields)))
                totals[source] += score
                print(row(f"layout {layout}, {language}, {source}", score), flush=True)
    for source, score in totals.items():
        print(row(f"all, {source}", score))


# Documents told apart

STACKS = 5
DOCUMENTS = 20
SURE = 0.7


async def sorting(asked: argparse.Namespace) -> None:  # noqa: ARG001  # one signature
    """Stacks of documents of five types, of one to three pages, some of their keywords missing."""
    print(
        f"{STACKS} stacks of {DOCUMENTS} documents for each row\n\n"
        "| separated by | keywords missing | documents exact | types right | of the sure ones"
        " | sure | ms a page |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for by in ("barcode", "blank_page", "first_page"):
        for missing in (0.0, 0.3, 0.6):
            print(await _sorted(by, missing), flush=True)


async def _sorted(by: str, missing: float) -> str:
    count = Counter[str]()
    seconds = 0.0
    for seed in range(STACKS):
        sample = sample_of(seed, by=by, documents=DOCUMENTS, missing=missing)
        with tempfile.TemporaryDirectory() as folder:
            pages = write_pages(sample.pages, Path(folder))
            began = time.perf_counter()
            images = [] if by == "first_page" else pages.images
            segments = (await segment.fn([*pages.words, *images], sample.segment_params)).segments
            found = await classify.fn(
                [pages.words[n - 1] for one in segments for n in one.page_numbers],
                ClassifyParams(
                    page_counts=[len(one.page_numbers) for one in segments], types=sample.types
                ),
            )
            seconds += time.perf_counter() - began
        count["pages"] += len(sample.pages)
        count["documents"] += len(sample.page_numbers)
        truth = dict(zip(map(tuple, sample.page_numbers), sample.document_types, strict=True))
        for one, told in zip(segments, found.documents, strict=True):
            wanted = truth.get(tuple(one.page_numbers))
            is_sure, is_right = told.confidence >= SURE, told.document_type == wanted
            count["exact"] += wanted is not None
            count["right"] += is_right
            count["sure"] += is_sure
            count["sure right"] += is_sure and is_right
    shares = [count[name] / count["documents"] for name in ("exact", "right")]
    shares += [count["sure right"] / max(count["sure"], 1), count["sure"] / count["documents"]]
    cells = " | ".join(f"{one:.1%}" for one in shares)
    return f"| {by} | {missing:.0%} | {cells} | {1000 * seconds / count['pages']:.0f} |"


# What it costs


class Meter:
    """Processor seconds of each step, of this process and all of its children."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what is spent inside of it."""
        before = _spent()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + _spent() - before


def _spent() -> float:
    this = psutil.Process()
    times = [one.cpu_times() for one in (this, *this.children(recursive=True))]
    return sum(one.user + one.system + one.children_user + one.children_system for one in times)


TYPES = [
    DocumentTypePart.model_validate({"name": name, "keywords": words})
    for name, words in (
        ("invoice", ["invoice", "total due", "vat", "bill to"]),
        ("delivery note", ["delivery note", "packages", "received by", "carrier"]),
        ("contract", ["agreement", "parties", "governing law", "termination"]),
    )
]
SEGMENT = {"by": "first_page", "first_page_patterns": [r"(?i)\binvoice (?:no|number)\b"]}


async def share(asked: argparse.Namespace) -> None:
    """Scans of one and of two pages go through every step, each in its children as in a task."""
    meter, page_count = Meter(), 0
    for number in range(2 * asked.per_layout):
        made = invoice(number % len(LAYOUTS), "en", number, long=number % 3 == 2)
        with tempfile.TemporaryDirectory() as name:
            page_count += await _through_all_steps(scan(made.pdf, DPI), Path(name), meter)
    ocr = meter.seconds.pop("read")
    print(f"{page_count} pages\n\n| step | CPU ms a page | of OCR's |\n| --- | ---: | ---: |")
    after = sum(meter.seconds.values())
    for name, seconds in (("read", ocr), *meter.seconds.items(), ("all after OCR", after)):
        print(f"| {name} | {1000 * seconds / page_count:.0f} | {seconds / ocr:.1%} |")


async def _through_all_steps(pdf: bytes, folder: Path, meter: Meter) -> int:
    source = folder / "source.pdf"
    source.write_bytes(pdf)
    project = parse_project_file(PROJECT)
    with meter.step("read"):
        read_ = await read_pages.fn(source, ReadPagesParams(mode="force", dpi=DPI), folder=folder)
    numbers = [page.number for page in read_.pages]
    words = [folder / page.words_file for page in read_.pages]
    images = [folder / page.image_file for page in read_.pages]
    with meter.step("segment"):
        how = SegmentParams.model_validate({"page_numbers": numbers, "how": SEGMENT})
        segments = (await segment.fn(words, how, folder=folder)).segments
    counts = [len(one.page_numbers) for one in segments]
    with meter.step("classify"):
        types = await classify.fn(
            words, ClassifyParams(page_counts=counts, types=TYPES), folder=folder
        )
    with meter.step("filter"):
        candidates = [
            Candidate(document_type=one.document_type, page_count=count)
            for one, count in zip(types.documents, counts, strict=True)
        ]
        rules = FilterPart(blank=True)
        await filter_documents.fn(
            [*words, *images],
            FilterDocumentsParams(documents=candidates, rules=rules),
            folder=folder,
        )
    with meter.step("extract"):
        params = ExtractFieldsParams(fields=project.fields, document_type="invoice")
        found = await extract_fields.fn(words, params, folder=folder)
    with meter.step("validate"):
        (document,) = json.loads((folder / found.file).read_bytes())
        values = document["fields"].items()
        check(project, {name: FieldValue.model_validate(value) for name, value in values})
    with meter.step("group"):
        await group_documents.fn(
            folder / found.file, GroupDocumentsParams(by="supplier"), folder=folder
        )
    with meter.step("export: JSON and CSV"):
        formats = ExportDataParams(formats=["json", "csv"])
        await export_data.fn(folder / found.file, formats, folder=folder)
    with meter.step("export: searchable PDF"):
        layers = [folder / page.text_layer_file for page in read_.pages if page.text_layer_file]
        await make_searchable_pdf.fn([source, *layers], MakeSearchablePdfParams(), folder=folder)
    return read_.page_count


FIELDS = (250, 500, 1000)
PAGES = (50, 100, 200)


async def growth(asked: argparse.Namespace) -> None:  # noqa: ARG001  # one signature
    """A quarter of the fields each are texts, amounts and dates at labels, and found by pattern."""
    seconds: dict[tuple[int, int], float] = {}
    print(f"| CPU s | {' | '.join(f'{count} pages' for count in PAGES)} |")
    print(f"| --- |{' ---: |' * len(PAGES)}")
    for field_count in FIELDS:
        for page_count in PAGES:
            pages, fields, truth = _large(field_count, page_count)
            began = time.process_time()
            found = find_fields(pages, fields)
            seconds[field_count, page_count] = time.process_time() - began
            wrong = [name for name, value in truth.items() if found[name].value != value]
            if wrong:
                raise SystemExit(f"not found: {wrong[:5]}")
        cells = " | ".join(f"{seconds[field_count, count]:.1f}" for count in PAGES)
        print(f"| {field_count} fields | {cells} |", flush=True)
    more_fields = seconds[FIELDS[-1], PAGES[-1]] / seconds[FIELDS[-2], PAGES[-1]]
    more_pages = seconds[FIELDS[-1], PAGES[-1]] / seconds[FIELDS[-1], PAGES[-2]]
    print(f"twice the fields: {more_fields:.2f} times; twice the pages: {more_pages:.2f} times")


def _large(
    field_count: int, page_count: int
) -> tuple[list[PageWords], list[FieldPart], dict[str, str]]:
    """A document in which each field stands once, among 250 other words on each page."""
    chance = random.Random(field_count * page_count)
    lines: list[list[str]] = [[] for _ in range(page_count)]
    fields: list[FieldPart] = []
    truth: dict[str, str] = {}
    for n in range(field_count):
        name, code = f"field-{n}", _letters(n)
        kinds: list[tuple[dict[str, Any], str, str]] = [
            ({"labels": [f"Remark {code}"]}, f"Remark {code}: blue {n}", f"blue {n}"),
            ({"type": "money", "labels": [f"Fee {code}"]}, f"Fee {code}: {n}.50", f"{n}.50"),
            ({"type": "date", "labels": [f"Day {code}"]}, f"Day {code}: 2026-03-14", "2026-03-14"),
            ({"pattern": f"Ref-{n:04}-\\d{{4}}"}, f"Ref-{n:04}-{n:04}", f"Ref-{n:04}-{n:04}"),
        ]
        part, line, truth[name] = kinds[n % len(kinds)]
        fields.append(FieldPart.model_validate({"name": name, **part}))
        lines[n % page_count].append(line)
    for page in lines:
        page += [" ".join(chance.choices(FILLER, k=10)) for _ in range(25)]
        chance.shuffle(page)
    return [_page(number, page) for number, page in enumerate(lines, 1)], fields, truth


def _letters(number: int) -> str:
    """A word of its own for each number, unlike that of the next."""
    chance = random.Random(number)
    return "".join(chance.choices("bcdfghklmnprstvw", k=8)).capitalize()


def _page(number: int, lines: Sequence[str]) -> PageWords:
    words: list[Word] = []
    for row, line in enumerate(lines):
        left = 100.0
        for text in line.split():
            width = 11.0 * len(text)
            box = (left, 80.0 + 32 * row, left + width, 102.0 + 32 * row)
            words.append(Word(text=text, box=box, confidence=0.95, line=row))
            left += width + 8
    return PageWords(number=number, width_pixels=1240, height_pixels=1754, method=OCR, words=words)


async def templates(asked: argparse.Namespace) -> None:
    """The templates of invoice2data, where its invoices are."""
    if asked.invoice2data is None:
        print("left out: `--invoice2data FOLDER` says where its invoices are")
        return

    async def pages_of(pdf: bytes, mode: str) -> list[PageWords]:
        return await read(pdf, ReadPagesParams.model_validate({"mode": mode, "dpi": DPI}))

    await compare(asked.invoice2data, pages_of, lambda pdf: scan(pdf, DPI))


Part = Callable[[argparse.Namespace], Coroutine[Any, Any, None]]
PARTS: dict[str, Part] = {
    part.__name__: part for part in (templates, samples, layouts, sorting, share, growth)
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all when omitted")
    parser.add_argument("--invoice2data", type=Path, help="folder with the invoices of its tests")
    parser.add_argument(
        "--per-layout", type=int, default=3, help="generated invoices, of each kind"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["PAPERTRAY_HOME"] = home
        for name in asked.parts or PARTS:
            print(f"\n## {name}\n")
            asyncio.run(PARTS[name](asked))


if __name__ == "__main__":
    main()
