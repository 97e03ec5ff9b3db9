"""On invoices in four layouts and two languages each field is found, and every amount is exact."""

from pathlib import Path
from typing import Any

import pytest

from operations import read_pages
from operations.read_pages import ReadPagesParams
from operations.tools.find_fields import find_fields
from operations.validate_fields import check
from store.fields import PageWords
from store.project_file import parse_project_file
from tests.invoice_layouts import LANGUAGES, LAYOUTS, PROJECT, invoice


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("is_long", [False, True])
async def test_all_that_stands_on_an_invoice_is_found(
    layout: int, language: str, is_long: bool, tmp_path: Path, out: Path
) -> None:
    made = invoice(layout, language, seed=7, long=is_long)
    source = tmp_path / "invoice.pdf"
    source.write_bytes(made.pdf)
    read = await read_pages.fn(source, ReadPagesParams(), folder=out)
    pages = [
        PageWords.model_validate_json((out / page.words_file).read_bytes()) for page in read.pages
    ]
    project = parse_project_file(PROJECT)
    checked = check(project, find_fields(pages, project.fields))
    assert {name: value.value for name, value in checked.items()} == dict(made.data)
    assert {name: v.message for name, v in checked.items() if not v.valid} == {}
    cells: list[Any] = [cell for row in checked["lines"].rows for cell in row.values()]
    assert all(cell.box and cell.page_number for cell in cells)
    assert len(pages) == (2 if is_long else 1)
