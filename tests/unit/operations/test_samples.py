"""The demo: its project finds exactly what stands on its documents, and knows what it does not."""

import json
from pathlib import Path

import pytest

from operations import export_data, extract_fields, make_searchable_pdf, read_pages
from operations.export_data import ExportDataParams
from operations.extract_fields import ExtractFieldsParams
from operations.make_searchable_pdf import MakeSearchablePdfParams
from operations.read_pages import ReadPagesParams
from operations.validate_fields import check, typed
from store.fields import FieldValue
from store.project_file import ProjectFile, parse_project_file

SAMPLES = Path(__file__).parents[3] / "samples"
EXPECTED = json.loads((SAMPLES / "expected.json").read_text())


@pytest.fixture(scope="module")
def project() -> ProjectFile:
    return parse_project_file((SAMPLES / "invoices.yaml").read_text())


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_sample_gives_exactly_what_is_expected(
    name: str, project: ProjectFile, out: Path
) -> None:
    source = SAMPLES / name
    pages = await read_pages.fn(
        source, ReadPagesParams.model_validate(project.read.model_dump()), folder=out
    )
    found = await extract_fields.fn(
        [out / page.words_file for page in pages.pages],
        ExtractFieldsParams(fields=project.fields, document_type=project.document_type),
        folder=out,
    )
    document = json.loads((out / found.file).read_text())[0]
    values = {key: FieldValue.model_validate(value) for key, value in document["fields"].items()}
    checked = check(project, values)

    expected, to_review = EXPECTED[name]["fields"], EXPECTED[name]["review"]
    assert {key: value.value for key, value in checked.items()} == expected
    unsure = {key for key, value in checked.items() if not value.valid or value.needs_confirmation}
    assert unsure == set(to_review)

    parts = (part for part in project.fields if part.name in to_review)
    typed_in = {part.name: typed(part, to_review[part.name]) for part in parts}
    assert all(value.valid for value in check(project, checked | typed_in).values())

    exported = await export_data.fn(
        out / found.file, ExportDataParams(formats=["json", "csv"]), folder=out
    )
    assert exported.files == ["data.json", "data.csv"]
    searchable = await make_searchable_pdf.fn(
        [source, *(out / file for file in pages.text_layer_files)],
        MakeSearchablePdfParams(),
        folder=out,
    )
    assert searchable.page_count == pages.page_count


async def test_the_project_of_receipts_reads_a_receipt(out: Path) -> None:
    receipts = parse_project_file((SAMPLES / "receipts.yaml").read_text())
    pages = await read_pages.fn(
        SAMPLES / "receipt-tea-photo.jpg",
        ReadPagesParams.model_validate(receipts.read.model_dump()),
        folder=out,
    )
    found = await extract_fields.fn(
        [out / page.words_file for page in pages.pages],
        ExtractFieldsParams(fields=receipts.fields, document_type=receipts.document_type),
        folder=out,
    )
    document = json.loads((out / found.file).read_text())[0]
    values = {key: FieldValue.model_validate(value) for key, value in document["fields"].items()}
    checked = check(receipts, values)
    assert {key: value.value for key, value in checked.items()} == {
        "shop": "Corner Kettle Tea Rooms Ltd",
        "receipt_number": "CK-004519",
        "date": "2026-02-14",
        "items": [
            "2 Afternoon tea 43.00",
            "1 Pot of Assam 4.60",
            "3 Cheese scone 11.40",
            "1 Lemon drizzle 4.80",
        ],
        "net": "53.17",
        "vat": "10.63",
        "total": "63.80",
        "payment": "card",
    }
    assert all(value.valid for value in checked.values())
    assert {value.currency for key, value in checked.items() if key in {"net", "total"}} == {"GBP"}
