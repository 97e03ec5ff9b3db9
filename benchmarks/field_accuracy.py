"""How many fields are right: on invoices that are made, and on those of invoice2data's own tests.

`python benchmarks/field_accuracy.py` makes invoices in four layouts and two languages, reads them
from their text and from a scan of them at 300 dpi, and prints for each layout how many fields and
amounts are right, and how many wrong values nobody would have been asked about. With
`--invoice2data FOLDER` (a checkout's `tests/compare`, with the PDFs) it runs the library's own
templates beside the library itself, which needs `pdftotext`.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from invoice2data import extract_data
from invoice2data.extract.loader import InvoiceTemplate, prepare_template
from invoice2data.input import pdftotext

from operations import read_pages
from operations.read_pages import ReadPagesParams
from operations.tools.find_fields import find_fields
from operations.validate_fields import check
from store.fields import FieldValue, PageWords
from store.project_file import ProjectFile, parse_project_file
from store.templates import project_for, read_templates, template_problems
from tests.documents import scan
from tests.invoice_layouts import LANGUAGES, LAYOUTS, PROJECT, Invoice, invoice

AMOUNTS = {"net", "tax", "total", "price", "amount"}


async def read(pdf: bytes, mode: str) -> list[PageWords]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.pdf").write_bytes(pdf)
        params = ReadPagesParams.model_validate({"mode": mode})
        found = await read_pages.fn(folder / "source.pdf", params, folder=folder)
        return [
            PageWords.model_validate_json((folder / page.words_file).read_bytes())
            for page in found.pages
        ]


def judge(made: Invoice, checked: Mapping[str, FieldValue]) -> Counter[str]:
    """Count fields and cells, those that are right, and wrong ones that nobody is asked about."""
    count: Counter[str] = Counter()

    def note(name: str, wanted: Any, got: Any, *, is_asked: bool) -> None:
        is_right = wanted == got
        count["fields"] += 1
        count["right"] += is_right
        if name in AMOUNTS:
            count["amounts"] += 1
            count["amounts right"] += is_right
        count["wrong unseen"] += not is_right and got is not None and not is_asked

    is_task_asked = any(not v.valid or v.needs_confirmation for v in checked.values())
    for name, wanted in made.data.items():
        value = checked[name]
        if name != "lines":
            note(name, wanted, value.value, is_asked=is_task_asked)
            continue
        rows: list[dict[str, Any]] = value.value or []
        for number, row in enumerate(wanted):
            got = rows[number] if number < len(rows) else {}
            for column, cell in row.items():
                note(column, cell, got.get(column), is_asked=is_task_asked)
    count["documents"] += 1
    count["straight through"] += not is_task_asked
    return count


async def layouts(per_layout: int) -> None:
    project = parse_project_file(PROJECT)
    print(f"{'layout':8}{'language':10}{'source':8}{'fields':>16}{'amounts':>16}", end="")
    print(f"{'no review':>12}{'wrong unseen':>14}{'ms a page':>11}")
    totals: dict[str, Counter[str]] = {"text": Counter(), "scan": Counter()}
    for layout in LAYOUTS:
        for language in LANGUAGES:
            for source, mode in (("text", "auto"), ("scan", "force")):
                count, seconds, pages_read = Counter[str](), 0.0, 0
                for seed in range(per_layout):
                    made = invoice(layout, language, seed, long=seed % 3 == 2)
                    pdf = made.pdf if source == "text" else scan(made.pdf, 300)
                    pages = await read(pdf, mode)
                    begun = time.perf_counter()
                    checked = check(project, find_fields(pages, project.fields))
                    seconds += time.perf_counter() - begun
                    pages_read += len(pages)
                    count += judge(made, checked)
                    count["wrong unseen"] += 0
                totals[source] += count
                show(str(layout), language, source, count, 1000 * seconds / pages_read)
    for source, count in totals.items():
        show("all", "", source, count)


def show(
    layout: str, language: str, source: str, count: Counter[str], milliseconds: float | None = None
) -> None:
    shares = [
        f"{count[a]}/{count[b]} {count[a] / max(count[b], 1):.1%}"
        for a, b in (("right", "fields"), ("amounts right", "amounts"))
    ]
    print(f"{layout:8}{language:10}{source:8}{shares[0]:>16}{shares[1]:>16}", end="")
    print(f"{count['straight through']:>8}/{count['documents']}{count['wrong unseen']:>14}", end="")
    print(f"{milliseconds:>11.0f}" if milliseconds is not None else "")


async def own_templates(folder: Path) -> None:
    """The library's templates on its own invoices, beside the library."""
    with as_file(files("invoice2data") / "extract" / "templates") as shipped:
        templates = [one for one in read_templates(shipped) if not template_problems(one)]
    source = project_for(templates, "invoices", "x").replace("templates: x", "templates: []")
    project = parse_project_file(source)
    totals: Counter[str] = Counter()
    print(f"\n{'invoice':32}{'reference':>10}{'text':>8}{'boxes':>8}{'scan':>8}")
    for path in sorted(folder.glob("*.pdf")):
        reference = extract_data(str(path), _prepared(templates), pdftotext)
        kept = {k: v for k, v in (reference or {}).items() if k not in {"template_name", "desc"}}
        if not kept:
            print(f"{path.stem:32}{'none':>10}")
            continue
        line: list[int] = [len(kept)]
        for pdf, mode in ((path.read_bytes(), "auto"), (scan(path.read_bytes(), 300), "force")):
            found = find_fields(await read(pdf, mode), project.fields, templates)
            line += _same_as(kept, project, found)
        totals.update(dict(zip(("reference", "text", "boxes", "scan"), line[:4], strict=True)))
        print(f"{path.stem:32}{line[0]:>10}{line[1]:>8}{line[2]:>8}{line[3]:>8}")
    print(
        f"{'all':32}"
        + f"{totals['reference']:>10}"
        + "".join(f"{totals[key]:>8}" for key in ("text", "boxes", "scan"))
    )


def _prepared(templates: Sequence[Mapping[str, Any]]) -> list[InvoiceTemplate]:
    return [InvoiceTemplate(one) for t in templates if (one := prepare_template(dict(t)))]


def _same_as(
    reference: Mapping[str, Any], project: ProjectFile, found: Mapping[str, FieldValue]
) -> list[int]:
    by_name = {part.template_field: found[part.name] for part in project.fields}
    right = [k for k, v in reference.items() if k in by_name and same(v, by_name[k].value)]
    return [len(right), sum(by_name[name].box is not None for name in right)]


def same(reference: Any, ours: Any) -> bool:
    """Whether a value of the library is one of ours."""
    if isinstance(reference, datetime):
        return bool(ours == reference.date().isoformat())
    if isinstance(reference, int | float):
        try:
            return Decimal(str(ours)) == Decimal(str(reference))
        except InvalidOperation:
            return False
    if isinstance(reference, list) and reference and isinstance(reference[0], dict):
        return (
            bool(ours)
            and len(ours) == len(reference)
            and all(
                same(value, mine.get(key))
                for row, mine in zip(reference, ours, strict=True)
                for key, value in row.items()
                if value not in {"", None}
            )
        )
    whole = " ".join(map(str, reference)) if isinstance(reference, list) else str(reference)
    return " ".join(whole.split()) == str(ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-layout", type=int, default=6)
    parser.add_argument("--invoice2data", type=Path)
    arguments = parser.parse_args()
    asyncio.run(layouts(arguments.per_layout))
    if arguments.invoice2data:
        asyncio.run(own_templates(arguments.invoice2data))


if __name__ == "__main__":
    main()
