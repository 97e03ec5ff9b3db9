"""One rule says whether values are right, for the flow, the pages, the API and the form."""

from typing import Any

import pytest

from operations.validate_fields import check, typed, value_pattern
from store.errors import InputError, LimitExceededError
from store.fields import FieldType, FieldValue
from store.project_fields import FieldPart, SumPart
from store.project_file import ProjectFile

PROJECT = ProjectFile(
    name="invoices",
    fields=[
        FieldPart(name="number", labels=["No"], required=True, pattern=r"No\.? ([A-Z]{2}-\d{3})"),
        FieldPart(name="date", labels=["Date"], type=FieldType.DATE),
        FieldPart(name="net", labels=["Net"], type=FieldType.MONEY),
        FieldPart(name="tax", labels=["Tax"], type=FieldType.MONEY),
        FieldPart(name="total", labels=["Total"], type=FieldType.MONEY, required=True),
    ],
    sums=[SumPart(parts=["net", "tax"], total="total")],
)


def people_type(**values: Any) -> dict[str, FieldValue]:
    return {name: typed(part, value) for name, value in values.items() if (part := field(name))}


def field(name: str) -> FieldPart:
    part = PROJECT.field(name)
    assert part is not None
    return part


def messages(fields: dict[str, FieldValue]) -> dict[str, str]:
    return {name: value.message for name, value in fields.items() if not value.valid}


def test_what_is_right_is_valid_and_nobody_need_confirm_it() -> None:
    found = check(
        PROJECT,
        people_type(number="AB-123", date="3.4.2026", net="1.000,00", tax=190, total="1190.00"),
    )
    assert messages(found) == {}
    assert not any(value.needs_confirmation for value in found.values())
    assert {name: value.value for name, value in found.items()} == {
        "number": "AB-123",
        "date": "2026-04-03",
        "net": "1000.00",
        "tax": "190.00",
        "total": "1190.00",
    }


def test_each_field_of_the_project_is_there_in_its_order_and_no_other() -> None:
    other = FieldValue(name="other", label="Other", type=FieldType.TEXT, value="x")
    assert list(check(PROJECT, {"other": other})) == ["number", "date", "net", "tax", "total"]


def test_a_required_field_must_be_there() -> None:
    assert messages(check(PROJECT, {})) == {"number": "is missing", "total": "is missing"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("date", "31.02.2026", "is not a date; write it like 2026-01-31"),
        ("net", "much", "is not an amount"),
        ("number", "AB-12", "is not written as it should be"),
        ("number", "", "is missing"),
        ("number", None, "is missing"),
    ],
)
def test_a_wrong_value_is_not_valid_and_says_why(name: str, value: Any, message: str) -> None:
    right = people_type(number="AB-123", total="1")
    assert messages(check(PROJECT, right | people_type(**{name: value}))) == {name: message}


def test_what_was_typed_wrong_is_kept_as_it_was_typed() -> None:
    value = typed(field("date"), "31.02.2026")
    assert (value.text, value.value, value.method) == ("31.02.2026", None, "person")


def test_a_total_must_be_the_sum_of_its_parts() -> None:
    fields = people_type(number="AB-123", net="100.00", tax="19.00", total="119.01")
    assert messages(check(PROJECT, fields)) == {"total": "is not the sum of Net and Tax"}
    assert messages(check(PROJECT, fields | people_type(total="119"))) == {}


def test_parts_that_are_not_there_count_nothing() -> None:
    assert messages(check(PROJECT, people_type(number="AB-123", net="5", total="5"))) == {}
    assert messages(check(PROJECT, people_type(number="AB-123", total="5"))) == {}


def test_what_is_less_sure_than_asked_for_needs_confirmation_until_a_person_typed_it() -> None:
    unsure = FieldValue(
        name="total", label="", type=FieldType.MONEY, value="5.00", text="5.00", confidence=0.69
    )
    assert check(PROJECT, {"total": unsure})["total"].needs_confirmation
    sure = unsure.model_copy(update={"confidence": 0.7})
    assert not check(PROJECT, {"total": sure})["total"].needs_confirmation
    assert not check(PROJECT, people_type(total="5"))["total"].needs_confirmation


def test_checking_twice_changes_nothing() -> None:
    once = check(PROJECT, people_type(number="x", date="no", net="1", tax="2", total="4"))
    assert check(PROJECT, once) == once


ORDER = ProjectFile.model_validate(
    {
        "name": "orders",
        "fields": [
            {"name": "paid", "type": "boolean", "labels": ["Paid"]},
            {
                "name": "iban",
                "type": "iban",
                "required_when": {"field": "paid", "equals": ["false"]},
            },
            {"name": "day", "type": "date", "labels": ["Day"], "minimum": "2026-01-01"},
            {"name": "codes", "type": "list", "labels": ["Codes"], "unique": ["item"]},
            {"name": "net", "type": "money", "labels": ["Net"], "minimum": 0, "maximum": 1000},
            {
                "name": "lines",
                "type": "table",
                "unique": ["code"],
                "columns": [
                    {"name": "code", "required": True},
                    {"name": "quantity", "type": "number"},
                    {"name": "price", "type": "money"},
                    {"name": "amount", "type": "money"},
                ],
                "products": [{"factors": ["quantity", "price"], "product": "amount"}],
            },
        ],
        "sums": [{"parts": ["lines.amount"], "total": "net", "tolerance": 0.02}],
    }
)
ROW = {"code": "A", "quantity": "2", "price": "3.50", "amount": "7.00"}


def ordered(**values: Any) -> dict[str, FieldValue]:
    parts = {part.name: part for part in ORDER.fields}
    return check(ORDER, {name: typed(parts[name], value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"paid": "no"}, {"iban": "is missing"}),
        ({"paid": True}, {}),
        ({"day": "2025-12-31"}, {"day": "is before 2026-01-01"}),
        ({"net": "-1"}, {"net": "is less than 0"}),
        ({"net": 1000.01}, {"net": "is more than 1000"}),
        ({"iban": "DE89370400440532013001"}, {"iban": "is not a valid IBAN"}),
        ({"codes": ["a", "b", "a"]}, {"codes": "row 3: stands there twice"}),
        ({"lines": [ROW], "net": "7.02"}, {}),
        ({"lines": [ROW], "net": "7.03"}, {"net": "is not the sum of amount in Lines"}),
        ({"lines": [ROW, ROW]}, {"lines": "row 2: Code stands there twice"}),
        ({"lines": [{**ROW, "amount": "8"}]}, {"lines": "row 1: Amount is not the product of"}),
        ({"lines": [{**ROW, "code": ""}]}, {"lines": "row 1: Code is missing"}),
        ({"lines": [{**ROW, "price": "x"}]}, {"lines": "row 1: Price is not an amount"}),
        ({"lines": "A | 2 | 3.50 | 7.00"}, {}),
        (
            {"lines": "A | 2"},
            {"lines": "is not a table. All rows, each on a line of its own: code"},
        ),
    ],
)
def test_what_must_hold_is_told_where_it_does_not(
    values: dict[str, Any], message: dict[str, str]
) -> None:
    found = messages(ordered(**values))
    assert found.keys() == message.keys()
    assert all(text in found[name] for name, text in message.items())


def test_rows_are_typed_as_text_or_as_objects_and_empty_ones_are_none() -> None:
    found = ordered(codes="a\n\nb\n", lines=[ROW, dict.fromkeys(ROW, "")])
    assert found["codes"].value == ["a", "b"]
    assert found["lines"].value == [ROW]
    assert found["lines"].text == "A | 2 | 3.50 | 7.00"


def test_a_number_that_is_sent_as_one_is_not_written_in_anybodys_way() -> None:
    price = FieldPart(name="price", type=FieldType.MONEY, labels=["Price"], locale="de_DE")
    assert typed(price, 1.234).value == "1.234"
    assert typed(price, "1.234").value == "1234.00"
    assert typed(price, 5).value == "5.00"


def test_cells_that_stay_the_same_keep_their_place() -> None:
    table = ORDER.fields[-1]
    before = typed(table, [ROW])
    placed = before.rows[0]["price"].model_copy(
        update={"box": (1.0, 2.0, 3.0, 4.0), "page_number": 1, "method": "table"}
    )
    before = before.model_copy(update={"rows": [{**before.rows[0], "price": placed}]})
    assert typed(table, [ROW], before) is before
    after = typed(table, [{**ROW, "quantity": "3"}], before)
    assert after.rows[0]["price"].box == (1.0, 2.0, 3.0, 4.0)
    assert after.rows[0]["quantity"].method == "person"


@pytest.mark.parametrize(
    "value", [[{"colour": "red"}], ["A"], 5, True, [ROW] * 5001, "x\n" * 600_000]
)
def test_what_is_no_table_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        typed(ORDER.fields[-1], value)


def test_a_value_of_a_megabyte_is_refused_and_what_nobody_sees_is_dropped() -> None:
    with pytest.raises(InputError, match="10000 are allowed"):
        typed(field("number"), "x" * 1_000_000)
    assert typed(field("number"), "A\x00B\u202e").text == "AB"


def test_a_pattern_keeps_its_flags() -> None:
    part = FieldPart(name="a", pattern="(?i)no (abc)")
    found = value_pattern(part)
    assert found is not None
    assert found.fullmatch("ABC")


@pytest.mark.parametrize("value", [True, ["a"], {"a": 1}])
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        typed(field("net"), value)


@pytest.mark.parametrize(
    ("pattern", "inner"),
    [
        (r"No\.? ([A-Z]{2}-\d{3})", r"[A-Z]{2}-\d{3}"),
        (r"\d{3}", r"\d{3}"),
        (r"(?:No|Nr) (?P<value>\d+(?:-\d)?) x", r"\d+(?:-\d)?"),
        (r"[(]\((\d)\)", r"\d"),
        (r"[]()](\d)", r"\d"),
    ],
)
def test_the_group_of_a_pattern_is_what_the_value_must_match(pattern: str, inner: str) -> None:
    found = value_pattern(FieldPart(name="a", pattern=pattern))
    assert found is not None
    assert found.pattern == inner


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    slow = ProjectFile(name="slow", fields=[FieldPart(name="a", pattern=r"(?:a|a|aa)+$")])
    with pytest.raises(LimitExceededError) as caught:
        check(slow, {"a": typed(slow.fields[0], "a" * 60 + "!")})
    assert caught.value.details == {"field": "a"}
