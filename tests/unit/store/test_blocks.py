"""Which values fit the blocks of tasks of data."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from store.blocks import BLOCK_TYPES, Block, BlockPart, faults_of

OPTIONS = {"options": ["a", {"id": "b", "name": "Beta"}]}
FORM = {"blocks": [{"name": "n", "type": "number", "required": True}]}
NER = {"text": "Ada met Bob", "entities": [{"start": 0, "end": 3, "label": "a"}]}
BOX = {"left": 1, "top": 2, "width": 3.5, "height": 4, "label": "b"}
PICTURE = "https://example.com/p.png"
FILE = "file_abcdefgh01234567"

# type -> (what else its block has, values that fit, values that do not)
VALUES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    "binary": ({}, [True, False], ["true", 1, "", []]),
    "text": ({"max_characters": 3}, ["", "abc"], ["abcd", 1, ["a"]]),
    "number": ({"min": 0, "max": 9}, [0, 9, 1.5], [-1, 10, "1", True, float("inf")]),
    "date": ({}, ["2026-02-28", "2026-02-28T10:00:00Z"], ["2026-02-30", "28.2.2026", 20260228]),
    "email": ({}, ["a.b+c@example.co.uk"], ["a@b", "a b@example.com", "x@example..com", 1]),
    "link": ({}, [PICTURE, "http://[::1]/"], ["javascript:alert(1)", "//x.org", "ftp://x", "a b"]),
    "image": ({}, [PICTURE, FILE], ["file_1", "data:image/png;base64,x", ""]),
    "audio": ({}, [FILE], ["a.mp3"]),
    "video": ({}, [FILE], ["https://"]),
    "pdf": ({}, [FILE], [7]),
    "embed": ({}, [PICTURE], [FILE, "<iframe>"]),
    "list": ({"of": "number"}, [[], [1, 2.5]], [["1"], "1", [True]]),
    "single_selection": (OPTIONS, ["a", "b"], ["Beta", "c", ["a"], ""]),
    "multiple_selection": (OPTIONS, [[], ["b", "a"]], [["a", "a"], ["c"], "a"]),
    "form_sequence": (FORM, [[], [{"n": 1}, {"n": 2}]], [[{"n": "1"}], [{}], [{"m": 1}], {"n": 1}]),
    "text_sequence": ({}, [["a", {"text": "b", "author": "c"}]], [[1], [{"author": "c"}], "a"]),
    "named_entity_recognition": (
        OPTIONS,
        [NER, {"text": "Ada"}],
        [
            "Ada",
            {"text": "Ada", "entities": [{"start": 0, "end": 4, "label": "a"}]},
            {"text": "Ada", "entities": [{"start": 2, "end": 2, "label": "a"}]},
            {"text": "Ada", "entities": [{"start": 0, "end": 3, "label": "z"}]},
            {"text": "Ada", "entities": [{"start": 0, "end": 3, "label": "a", "text": "Bob"}]},
        ],
    ),
    "rich_text": ({}, ["<b>x</b>"], [1]),
    "bounding_boxes": (
        OPTIONS,
        [{"image": FILE, "boxes": [BOX]}, {"image": PICTURE}],
        [
            FILE,
            {"image": "x"},
            {"image": FILE, "boxes": [{**BOX, "width": 0}]},
            {"image": FILE, "boxes": [{**BOX, "left": -1}]},
            {"image": FILE, "boxes": [{**BOX, "label": "z"}]},
            {"image": FILE, "boxes": [{**BOX, "more": 1}]},
        ],
    ),
}


def block(kind: str, **more: Any) -> BlockPart:
    return TypeAdapter[BlockPart](Block).validate_python({"name": "x", "type": kind, **more})


def test_each_of_the_19_types_is_tested() -> None:
    assert len(BLOCK_TYPES) == 19
    assert VALUES.keys() == BLOCK_TYPES.keys()


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_fits_or_is_refused_with_a_reason(kind: str) -> None:
    more, right, wrong = VALUES[kind]
    one = block(kind, **more)
    assert [one.fault(value) for value in right] == [""] * len(right)
    assert [value for value in wrong if not one.fault(value)] == []


@pytest.mark.parametrize("kind", VALUES)
def test_what_is_written_as_text_is_read_again(kind: str) -> None:
    more, right, _ = VALUES[kind]
    one = block(kind, **more)
    for value in right:
        again = one.from_text(one.to_text(value))
        assert again == (None if value in ("", []) and one.to_text(value) == "" else value)
    assert one.from_text("") is None


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("binary", "Yes", True),
        ("binary", "0", False),
        ("binary", "perhaps", "perhaps"),
        ("number", " 12 ", 12),
        ("number", "1.5e2", 150.0),
        ("number", "1,5", "1,5"),
        ("number", "1" * 400, "1" * 400),
        ("single_selection", "Beta", "b"),
        ("multiple_selection", "a; Beta", ["a", "b"]),
        ("list", "[1,", "[1,"),
        ("list", "[NaN]", "[NaN]"),
        ("named_entity_recognition", "Ada", {"text": "Ada", "entities": []}),
        ("bounding_boxes", PICTURE, {"image": PICTURE, "boxes": []}),
    ],
)
def test_people_and_tables_write_values_in_their_way(kind: str, text: str, value: Any) -> None:
    more = OPTIONS if "options" in BLOCK_TYPES[kind].model_fields else {}
    assert block(kind, **more).from_text(text) == value


def test_what_is_required_must_be_there_in_the_end_and_what_is_only_read_from_the_start() -> None:
    blocks = [
        TypeAdapter[BlockPart](Block).validate_python(one)
        for one in (
            {"name": "given", "type": "text", "required": True, "read_only": True},
            {"name": "asked", "type": "text", "required": True},
            {"name": "free", "type": "number"},
        )
    ]
    assert faults_of(blocks, {"given": "a", "asked": None}, is_final=False) == {}
    assert faults_of(blocks, {"asked": "a"}, is_final=False) == {"given": "is missing"}
    assert faults_of(blocks, {"given": "a", "asked": ""}, is_final=True) == {"asked": "is missing"}
    wrong = faults_of(blocks, {"given": "a", "free": "1", "more": 1}, is_final=False)
    assert wrong == {"more": "is no block of the project", "free": "must be a number"}


def test_what_no_database_keeps_fits_no_block() -> None:
    blocks = [block("text", name="a"), block("list", name="b")]
    faults = faults_of(blocks, {"a": "\0", "b": ["\ud800"]}, is_final=False)
    assert {name: fault.partition(":")[0] for name, fault in faults.items()} == {
        "a": "cannot be kept",
        "b": "cannot be kept",
    }
