"""invoice2data's own templates on the invoices of its own tests, beside the library itself."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from invoice2data import extract_data
from invoice2data.extract.invoice_template import InvoiceTemplate
from invoice2data.extract.loader import prepare_template
from invoice2data.input import pdftotext

from operations.tools.find_fields import find_fields
from operations.validate_fields import check
from store.fields import FieldValue, PageWords
from store.project_file import ProjectFile, parse_project_file
from store.templates import project_for, read_templates, template_problems

Reader = Callable[[bytes, str], Awaitable[list[PageWords]]]
"""A PDF and a mode of `read-pages` -> its pages."""

_OURS = frozenset({"template_name", "desc"})
"""What the library makes up itself."""


async def compare(folder: Path, read: Reader, scan: Callable[[bytes], bytes]) -> None:
    """Print for each invoice how many fields are found by the library, and how many by us.

    Args:
        folder: with PDFs.
        read: how they are read.
        scan: makes a scan of a PDF.
    """
    with as_file(files("invoice2data") / "extract" / "templates") as shipped:
        templates = [one for one in read_templates(shipped) if not template_problems(one)]
    source = project_for(templates, "invoices", "x").replace("templates: x", "templates: []")
    project = parse_project_file(source)
    totals: Counter[str] = Counter()
    columns = ("invoice2data", "PDF", "with a place", "scan", "wrong unseen")
    print(f"| invoice | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}")
    for path in sorted(folder.glob("*.pdf")):
        reference = extract_data(str(path), _prepared(templates), pdftotext)
        kept = {name: value for name, value in (reference or {}).items() if name not in _OURS}
        if not kept:
            continue  # none of its templates is for this one
        count = Counter({"invoice2data": len(kept)})
        for name, pdf, mode in (
            ("PDF", path.read_bytes(), "auto"),
            ("scan", scan(path.read_bytes()), "force"),
        ):
            found = check(project, find_fields(await read(pdf, mode), project.fields, templates))
            right, placed, unseen = _judged(kept, project, found)
            count[name] = right
            count["with a place"] += placed if name == "PDF" else 0
            count["wrong unseen"] += unseen
        totals.update(count)
        print(f"| {path.stem} | {' | '.join(str(count[name]) for name in columns)} |", flush=True)
    print(f"| all | {' | '.join(str(totals[name]) for name in columns)} |")
    shares = (f"{name} {totals[name] / totals['invoice2data']:.1%}" for name in ("PDF", "scan"))
    print(f"of what invoice2data finds: {', '.join(shares)}")


def _prepared(templates: Sequence[Mapping[str, Any]]) -> list[InvoiceTemplate]:
    return [InvoiceTemplate(one) for t in templates if (one := prepare_template(dict(t)))]


def _judged(
    reference: Mapping[str, Any], project: ProjectFile, found: Mapping[str, FieldValue]
) -> tuple[int, int, int]:
    """How many are right, how many of these have a place, how many nobody is asked about."""
    by_name = {part.template_field: found[part.name] for part in project.fields}
    right = [k for k, v in reference.items() if k in by_name and same(v, by_name[k].value)]
    is_asked = any(not one.valid or one.needs_confirmation for one in found.values())
    wrong = [k for k in reference if k not in right and by_name[k].value is not None]
    placed = sum(by_name[name].box is not None for name in right)
    return len(right), placed, 0 if is_asked else len(wrong)


def same(reference: Any, ours: Any) -> bool:
    """Whether a value of the library is one of ours."""
    if isinstance(reference, date):
        day = reference.date() if isinstance(reference, datetime) else reference
        return bool(ours == day.isoformat())
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
