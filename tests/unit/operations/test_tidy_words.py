"""What OCR cut in two or added is put right before fields are looked for."""

from operations.tools.find_fields import find_fields
from operations.tools.tidy_words import tidied
from store.fields import OCR, TEXT_LAYER, FieldType, PageWords, Word
from store.project_fields import FieldPart


def page(*words: tuple[str, float, float], method: str = OCR, confidence: float = 0.5) -> PageWords:
    """A page with one line of words; of each its text, left and right."""
    placed = [
        Word(text=text, box=(left, 100, right, 120), confidence=confidence)
        for text, left, right in words
    ]
    return PageWords(number=1, width_pixels=1000, height_pixels=1000, method=method, words=placed)


def texts(one: PageWords) -> list[str]:
    return [word.text for word in tidied([one])[0].words]


def test_the_decimals_of_a_number_are_part_of_it_again() -> None:
    (number,) = tidied([page(("5.061", 100, 160), (",36", 165, 190))])[0].words
    assert (number.text, number.box) == ("5.061,36", (100, 100, 190, 120))
    assert texts(page(("5.061", 100, 160), (",36", 260, 290))) == ["5.061", ",36"]
    assert texts(page(("Total", 100, 160), (",36", 165, 190))) == ["Total", ",36"]


def test_stray_marks_are_left_out_where_ocr_was_not_sure() -> None:
    marks = (("_Delivery", 0, 90), ("|", 100, 104), ("\u2018Fitting", 110, 200), ('15"', 210, 250))
    assert texts(page(*marks)) == ["Delivery", "Fitting", '15"']
    assert texts(page(*marks, confidence=0.9)) == [text for text, _, _ in marks]
    assert texts(page(*marks, method=TEXT_LAYER)) == [text for text, _, _ in marks]


def test_an_amount_that_ocr_cut_in_two_is_found_whole() -> None:
    line = page(("Total", 100, 150), ("5.061", 300, 360), (",36", 365, 390), confidence=0.9)
    total = FieldPart(name="total", type=FieldType.MONEY, labels=["Total"])
    assert find_fields([line], [total])["total"].value == "5061.36"


def test_an_iban_is_no_vat_id() -> None:
    groups = ["IBAN", "IE29", "AIBK", "9311", "5212", "3456", "78"]
    line = page(*((text, 100 + 60 * n, 150 + 60 * n) for n, text in enumerate(groups)))
    vat_id = FieldPart(name="vat_id", type=FieldType.VAT_ID)
    assert find_fields([line], [vat_id])["vat_id"].value is None
