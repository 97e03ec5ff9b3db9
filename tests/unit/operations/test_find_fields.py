"""Values are found beside and below their labels, and by their patterns."""

from typing import Any

import pytest

from operations.tools.find_fields import find_fields
from operations.tools.value_types import NOT_A
from operations.validate_fields import check
from store.errors import LimitExceededError
from store.fields import TEXT_LAYER, FieldType, FieldValue, PageWords, Word
from store.project_fields import FieldPart
from store.project_file import FieldsPart

MONEY, DATE, TEXT, NUMBER = FieldType.MONEY, FieldType.DATE, FieldType.TEXT, FieldType.NUMBER


def page(*lines: tuple[float, str], number: int = 1, confidence: float = 1.0) -> PageWords:
    """A page of lines; each has its top, and cells that begin at multiples of 200 pixels."""
    words: list[Word] = []
    for top, text in lines:
        for column, cell in enumerate(text.split("|")):
            left = 200.0 * column
            for word in cell.split():
                box = (left, top, left + 8 * len(word), top + 16)
                words.append(Word(text=word, box=box, confidence=confidence))
                left += 8 * len(word) + 6
    return PageWords(
        number=number, width_pixels=1000, height_pixels=1400, method="ocr", words=words
    )


def find(*pages: PageWords, labels: list[str] | None = None, **part: Any) -> FieldValue:
    name = part.pop("name", "field")
    return find_fields(pages, [FieldPart(name=name, labels=labels or [], **part)])[name]


def test_a_value_beside_its_label_is_found_with_its_place() -> None:
    value = find(page((100, "Invoice no.: AB-1")), labels=["invoice no"])
    assert (value.value, value.method, value.page_number) == ("AB-1", "label", 1)
    assert value.box == (100.0, 100.0, 132.0, 116.0)
    assert value.confidence == 1.0


def test_a_value_in_the_next_column_is_found() -> None:
    value = find(page((100, "Total due|1,190.00")), labels=["Total due"], type=MONEY)
    assert value.value == "1190.00"


def test_a_value_below_its_label_is_found() -> None:
    head = page((100, "Number|Date|Total"), (120, "AB-1|3.4.2026|9,50"))
    assert find(head, labels=["Date"], type=DATE).value == "2026-04-03"
    assert find(head, labels=["Total"], type=MONEY).value == "9.50"


def test_a_value_that_stands_far_below_is_another_ones() -> None:
    assert find(page((100, "Date"), (400, "3.4.2026")), labels=["Date"], type=DATE).value is None


def test_the_amount_of_a_row_is_the_last_one_and_no_percentage() -> None:
    row = page((100, "VAT (20%) of 100.00||20.00"))
    assert find(row, labels=["VAT"], type=MONEY).value == "20.00"
    row = page((100, "Total|3|300.00"))
    assert find(row, labels=["Total"], type=MONEY).value == "300.00"
    row = page((100, "Net 100.00|Weight 12.50"))
    assert find(row, labels=["Net"], type=MONEY).value == "100.00"
    assert find(page((100, "VAT 20%")), labels=["VAT"], type=MONEY).value is None


def test_the_next_label_ends_a_value() -> None:
    fields = [
        FieldPart(name="net", labels=["Net"], type=MONEY),
        FieldPart(name="tax", labels=["Tax"], type=MONEY),
    ]
    found = find_fields([page((100, "Net 100.00 Tax 19.00"))], fields)
    assert (found["net"].value, found["tax"].value) == ("100.00", "19.00")


def test_a_label_inside_of_a_longer_one_is_not_meant() -> None:
    fields = [
        FieldPart(name="total", labels=["Total"], type=MONEY),
        FieldPart(name="due", labels=["Total due"], type=MONEY),
    ]
    found = find_fields([page((100, "Total|90.00"), (120, "Total due|107.10"))], fields)
    assert (found["total"].value, found["due"].value) == ("90.00", "107.10")


def test_a_total_is_no_sub_total() -> None:
    sums = page((100, "Total|119.00"), (140, "Sub total|100.00"))
    assert find(sums, labels=["Total"], type=MONEY).value == "119.00"


def test_of_two_totals_the_last_one_counts_but_is_less_sure() -> None:
    value = find(
        page((100, "Total|1.00")), page((100, "Total|2.00"), number=2), labels=["Total"], type=MONEY
    )
    assert (value.value, value.page_number) == ("2.00", 2)
    assert value.confidence < 0.8


def test_a_letter_that_ocr_got_wrong_does_not_hide_a_label() -> None:
    value = find(page((100, "lnvoice date: 3.4.2026")), labels=["Invoice date"], type=DATE)
    assert value.value == "2026-04-03"
    assert value.confidence < 1


def test_a_date_that_can_be_read_in_two_ways_is_not_sure() -> None:
    value = find(page((100, "Date: 3/4/2026")), labels=["Date"], type=DATE)
    assert value.confidence < 0.7
    sure = find(page((100, "Date: 3/4/2026"), (200, "Paid 25/4/2026")), labels=["Date"], type=DATE)
    assert (sure.value, sure.confidence) == ("2026-04-03", 1.0)


def test_a_value_is_as_sure_as_its_least_sure_word() -> None:
    words = page((100, "No: AB 12"), confidence=0.9)
    words.words[-1].confidence = 0.5
    assert find(words, labels=["No"]).confidence == pytest.approx(0.5)


def test_a_pattern_finds_a_value_without_a_label() -> None:
    value = find(page((100, "ref AB-12 of today")), pattern=r"[A-Z]{2}-\d+")
    assert (value.value, value.method) == ("AB-12", "pattern")
    assert 0.7 < value.confidence < 1


def test_the_group_of_a_pattern_is_the_value() -> None:
    value = find(page((100, "Ref. 4711 of 3.4.2026")), pattern=r"Ref\. (\d+)", type=NUMBER)
    assert value.value == "4711"
    assert value.box == (38.0, 100.0, 70.0, 116.0)


def test_a_pattern_that_finds_several_values_is_not_sure_of_any() -> None:
    assert find(page((100, "AB-1 AB-2")), pattern=r"[A-Z]{2}-\d+").confidence < 0.7


def test_with_label_and_pattern_the_value_beside_the_label_counts() -> None:
    value = find(
        page((100, "XY-1"), (200, "Invoice number AB-2")),
        labels=["Invoice number"],
        pattern=r"[A-Z]{2}-\d",
    )
    assert (value.value, value.method) == ("AB-2", "label")


def test_what_is_not_there_has_no_value() -> None:
    value = find(page((100, "nothing of it")), labels=["Total"], type=MONEY)
    assert (value.value, value.text, value.box, value.confidence) == (None, "", None, 0.0)


def test_a_page_without_words_has_no_values() -> None:
    assert find(page(), labels=["Total"], pattern="x").value is None


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    with pytest.raises(LimitExceededError) as caught:
        find(page((100, "a" * 70 + "!")), pattern=r"(?:a|a|aa)+$")
    assert caught.value.details == {"field": "field"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("vat_id", "OE136695976"),
        ("vat_id", "0E 136 695 976"),
        ("vat_id", "136695976"),
        ("iban", "0E89 3704 0044 0532 0130 00"),
        ("email", "info\u00a9example.com"),
        ("phone", "0l90 12345"),
        ("money", "1O.63"),
        ("number", "l2"),
        ("date", "3l.12.2026"),
    ],
)
def test_what_ocr_got_wrong_at_a_label_is_shown_and_not_valid(kind: str, said: str) -> None:
    part = FieldPart.model_validate({"name": "code", "type": kind, "labels": ["Our code"]})
    rules = FieldsPart(fields=[part])
    for text in (f"Our code: {said}", f"Our code|{said}"):
        found = find_fields([page((100, text))], [part])
        assert (found["code"].value, found["code"].text) == (None, said)
        assert found["code"].box is not None
        checked = check(rules, found)["code"]
        assert not checked.valid
        assert checked.message == NOT_A[FieldType(kind)]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("vat_id", "20 % of 100.63 GBP 63.80"),
        ("vat_id", "see page 12 below"),
        ("iban", "on request"),
        ("email", "see our website"),
        ("phone", "ask for room 12"),
        ("money", "of all items"),
        ("money", "19,00 % of them"),
        ("number", "20%"),
        ("number", "of items"),
        ("date", "within 14 days"),
    ],
)
def test_words_at_a_label_are_no_value_that_ocr_got_wrong(kind: str, said: str) -> None:
    assert find(page((100, f"Our code: {said}")), labels=["Our code"], type=kind).text == ""


def test_a_code_without_a_label_whose_country_ocr_got_wrong_is_shown_and_not_valid() -> None:
    line = page((100, "Registered as 0E136695976 in Bonn, file 12136695976"))
    found = find(line, type="vat_id")
    assert (found.value, found.text) == (None, "0E136695976")
    printed = line.model_copy(update={"method": TEXT_LAYER})
    assert find(printed, type="vat_id").text == ""
    assert find(page((100, "Registered as 0E136695977 in Bonn")), type="vat_id").text == ""
