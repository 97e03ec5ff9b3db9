"""Documents are told apart, sorted, filtered and grouped by what is on their pages."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from operations import classify, filter_documents, group_documents, segment
from operations.classify import ClassifyParams
from operations.export_values import ExportValuesParams, export_values
from operations.filter_documents import FilterDocumentsParams
from operations.group_documents import GroupDocumentsParams
from operations.segment import SegmentParams
from operations.tools.tell_types import FoundType, tell_types
from store.errors import LimitExceededError
from store.fields import PageWords, Word
from store.project_file import DocumentTypePart
from tests.sorting_pages import Page, sample_of, write_pages

TYPES = [
    {"name": "invoice", "keywords": {"invoice": 2, "total due": 1, "reminder": -3}},
    {"name": "reminder", "keywords": {"reminder": 2, "overdue": 1}},
    {"name": "note", "patterns": {r"^NOTE \d+": 3}},
]


def words(folder: Path, *pages: str, method: str = "text_layer", confidence: float = 1.0):
    """A file of words for each text, a line each."""
    paths: list[Path] = []
    for number, text in enumerate(pages, 1):
        found = [
            Word(text=word, box=(0, 0, 9, 9), confidence=confidence, line=line)
            for line, row in enumerate(text.split("\n"))
            for word in row.split()
        ]
        page = PageWords(
            number=number, width_pixels=99, height_pixels=99, method=method, words=found
        )
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(page.model_dump_json())
    return paths


def told(folder: Path, *pages: str, **how: Any) -> FoundType:
    types = [DocumentTypePart.model_validate(one) for one in TYPES]
    (found,) = tell_types([words(folder, *pages, **how)], types)
    return found


@pytest.mark.parametrize(
    ("text", "expected", "at_least", "at_most"),
    [
        ("INVOICE\nTotal due: 5.00", "invoice", 0.85, 0.9),
        ("Invoice", "invoice", 0.75, 0.75),
        ("Reminder of an invoice that is overdue", "reminder", 0.85, 0.9),
        ("NOTE 12 on the weather", "note", 0.85, 0.9),
        ("note 12", "unknown", 0, 0),
        ("Invoices", "unknown", 0, 0),
        ("due total", "unknown", 0, 0),
        ("", "unknown", 0, 0),
    ],
)
def test_a_type_is_told_by_the_weight_of_what_speaks_for_it(
    tmp_path: Path, text: str, expected: str, at_least: float, at_most: float
) -> None:
    found = told(tmp_path, text)
    assert found.document_type == expected
    assert at_least <= found.confidence <= at_most


def test_a_first_page_counts_more_than_a_later_one(tmp_path: Path) -> None:
    first = told(tmp_path, "Invoice", "nothing")
    later = told(tmp_path, "nothing", "Invoice")
    assert (first.document_type, later.document_type) == ("invoice", "invoice")
    assert later.confidence < first.confidence


def test_what_ocr_misread_by_a_letter_is_known_and_less_sure(tmp_path: Path) -> None:
    right = told(tmp_path, "Invoice", method="ocr")
    misread = told(tmp_path, "lnvoice", method="ocr")
    assert misread.document_type == "invoice"
    assert 0.5 < misread.confidence < right.confidence
    assert told(tmp_path, "Invoice", method="ocr", confidence=0.4).confidence < 0.5
    assert told(tmp_path, "lnvoice").document_type == "unknown"  # a text layer says what it says


async def test_documents_of_generated_stacks_are_all_told_apart_and_sorted(
    tmp_path: Path,
) -> None:
    for seed, by in enumerate(["barcode", "blank_page", "first_page"]):
        sample = sample_of(seed, by=by, documents=6)
        pages = write_pages(sample.pages, tmp_path / str(seed))
        result = await segment.fn([*pages.words, *pages.images], sample.segment_params)
        assert [one.page_numbers for one in result.segments] == sample.page_numbers
        found = await classify.fn(
            [pages.words[n - 1] for one in result.segments for n in one.page_numbers],
            ClassifyParams(
                page_counts=[len(one.page_numbers) for one in result.segments],
                types=sample.types,
            ),
        )
        assert [one.document_type for one in found.documents] == sample.document_types


async def test_pages_are_cut_by_count_and_what_is_left_is_a_document(tmp_path: Path) -> None:
    params = SegmentParams.model_validate(
        {"page_numbers": [1, 2, 3, 4, 5], "how": {"by": "page_count", "page_count": 2}}
    )
    result = await segment.fn(words(tmp_path, *"abcde"), params)
    assert [one.page_numbers for one in result.segments] == [[1, 2], [3, 4], [5]]


async def test_a_file_that_begins_in_the_middle_is_not_sure(tmp_path: Path) -> None:
    how = {"by": "first_page", "first_page_patterns": ["^Page 1 of"]}
    params = SegmentParams.model_validate({"page_numbers": [1, 2, 3], "how": how})
    pages = words(tmp_path, "Page 2 of 2", "Page 1 of 2", "Page 2 of 2")
    result = await segment.fn(pages, params)
    assert [(one.page_numbers, one.confidence) for one in result.segments] == [
        ([1], 0.5),
        ([2, 3], 1.0),
    ]


async def test_a_separator_page_is_dropped_or_kept(tmp_path: Path) -> None:
    pages = write_pages(
        [Page("a"), Page("", barcode="X"), Page("b"), Page("", barcode="Y")], tmp_path
    )
    for text, placing, expected in (
        ("", "drop", [[1], [3]]),
        ("", "first", [[1], [2, 3], [4]]),
        ("", "last", [[1, 2], [3, 4]]),
        ("X", "drop", [[1], [3, 4]]),
        ("Z", "drop", [[1, 2, 3, 4]]),
    ):
        how = {"by": "barcode", "barcode_text": text, "separator_page": placing}
        params = SegmentParams.model_validate({"page_numbers": [1, 2, 3, 4], "how": how})
        result = await segment.fn([*pages.words, *pages.images], params)
        assert [one.page_numbers for one in result.segments] == expected, (text, placing)


async def test_a_page_with_a_photo_and_no_words_is_not_blank(tmp_path: Path) -> None:
    image = Image.new("L", (1240, 1754), 250)
    ImageDraw.Draw(image).ellipse((300, 300, 900, 900), 90)
    image.save(tmp_path / "photo.jpg")
    Image.new("L", (1240, 1754), 250).save(tmp_path / "blank.jpg")
    files = words(tmp_path, "", "")
    params = FilterDocumentsParams.model_validate(
        {
            "documents": [{"document_type": "a", "page_count": 1}] * 2,
            "rules": {"blank": True},
        }
    )
    sources = [*files, tmp_path / "photo.jpg", tmp_path / "blank.jpg"]
    result = await filter_documents.fn(sources, params)
    assert result.reasons == ["", "blank"]


async def test_specks_that_ocr_took_for_letters_leave_a_page_blank(tmp_path: Path) -> None:
    image = Image.new("L", (1240, 1754), 250)
    image.save(tmp_path / "1.jpg")
    ImageDraw.Draw(image).text((300, 300), "A letter", 0, ImageFont.load_default(size=40))
    image.save(tmp_path / "2.jpg")
    how = {"by": "blank_page"}
    params = SegmentParams.model_validate({"page_numbers": [1, 2], "how": how})
    files = words(tmp_path, "ij .", "A letter", method="ocr", confidence=0.2)
    result = await segment.fn([*files, tmp_path / "1.jpg", tmp_path / "2.jpg"], params)
    assert [one.page_numbers for one in result.segments] == [[2]]


async def test_a_pattern_that_takes_too_long_is_named(tmp_path: Path) -> None:
    types = [{"name": "slow", "patterns": [r"(?:a|a|aa)+$"]}]
    params = ClassifyParams.model_validate({"page_counts": [1], "types": types})
    with pytest.raises(LimitExceededError, match="takes too long on page 1"):
        await classify.fn(words(tmp_path, "a" * 70 + "!"), params)


async def test_documents_with_the_same_value_are_a_group(tmp_path: Path) -> None:
    values = ["C-1001", "c 1001", None, "C-2", "", "C1001"]
    documents: list[Any] = [{"fields": {"customer": {"value": value}}} for value in values]
    source = tmp_path / "documents.json"
    source.write_text(json.dumps([*documents, {"fields": {}}]))
    result = await group_documents.fn(source, GroupDocumentsParams(by="customer"))
    assert result.groups == [1, 1, None, 2, None, 1, None]


async def test_values_are_written_so_that_no_spreadsheet_runs_them(
    tmp_path: Path, out: Path
) -> None:
    source = tmp_path / "values.json"
    source.write_text(json.dumps({"a": "=1+1", "b": [1, "x"], "c": False}))
    params = ExportValuesParams(names=["a", "b", "c", "d"], formats=["json", "csv"])
    result = await export_values.fn(source, params, folder=out)
    assert result.files == ["data.json", "data.csv"]
    assert (out / "data.csv").read_text(encoding="utf-8-sig").splitlines() == [
        "a,b,c,d",
        """'=1+1,"[1, ""x""]",false,""",
    ]
    data = json.loads((out / "data.json").read_text())
    assert data == {"data": {"a": "=1+1", "b": [1, "x"], "c": False}}
