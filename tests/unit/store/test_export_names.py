"""Names of files by a template: whatever stands on a page, every file system takes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.export_names import (
    MAX_STEM_BYTES,
    check_template,
    filled,
    numbered,
    placeholders_of,
    told_apart,
)

TEMPLATE = "{document_type}-{invoice_number}"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("INV-1", "invoice-INV-1"),
        ("../../etc/passwd", "invoice-..-..-etc-passwd"),
        ('a\\b:c*d?e<f>g|h"i', "invoice-a-b-c-d-e-f-g-h-i"),
        ("a\x00b\nc\u202egpj.exe", "invoice-a b c gpj.exe"),
        ("2026.", "invoice-2026"),
        (None, "invoice-missing"),
        ("", "invoice-missing"),
        (True, "invoice-yes"),
        ("u\u0308ber", "invoice-\u00fcber"),
        ("{task}", "invoice--task-"),
    ],
)
def test_a_value_becomes_a_part_of_a_name(number: object, name: str) -> None:
    assert filled(TEMPLATE, {"document_type": "invoice", "invoice_number": number}) == name


@pytest.mark.parametrize("device", ["CON", "con", "nul", "COM1", "lpt9", "com¹", "AUX.2026"])
def test_a_device_of_windows_is_no_name(device: str) -> None:
    assert filled("{a}", {"a": device}) == f"_{device}"


@given(st.text(), st.text())
def test_any_text_makes_a_name_that_every_file_system_takes(first: str, second: str) -> None:
    stem = filled("{a} {b}", {"a": first, "b": second})
    name = numbered(f"{stem}.json", "task_euyrvozb9302uwhq")
    assert 0 < len(stem.encode()) <= MAX_STEM_BYTES + 1
    assert len(name.encode()) <= 255
    assert not set(name) & set('<>:"/\\|?*')
    assert all(c.isprintable() for c in name)
    assert not {stem[0], stem[-1]} & set(" .")
    assert not re.fullmatch(
        r"(con|prn|aux|nul|(com|lpt)\d)", stem.split(".")[0].strip(), re.IGNORECASE
    )


@given(st.lists(st.sampled_from(["a.pdf", "A.pdf", "a-2.pdf", "b.pdf", "b"]), max_size=12))
def test_no_two_names_are_the_same_even_where_case_is_none(names: list[str]) -> None:
    apart = told_apart(names)
    assert len({name.casefold() for name in apart}) == len(names)
    assert apart[:1] == names[:1]


def test_a_number_stands_before_the_ending() -> None:
    assert told_apart(["a.pdf", "a.pdf", "A.PDF", "a.json"]) == [
        "a.pdf",
        "a-2.pdf",
        "A-3.PDF",
        "a.json",
    ]


@pytest.mark.parametrize("wrong", ["a/{task}", "{task", "task}", "{{task}}", "a:{task}", "\n"])
def test_a_template_that_can_be_no_name_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="no file name can have this in it"):
        placeholders_of(wrong)


def test_a_template_names_what_there_is() -> None:
    check_template("{task} {total}", {"total": True})
    with pytest.raises(ValueError, match=r"there is no `totl`; possible are `task`.*`total`"):
        check_template("{totl}", {"total": True})
    with pytest.raises(ValueError, match="`lines` is a list"):
        check_template("{lines}", {"lines": False})
