"""The header X-Aluma-Tags."""

import pytest
from fastapi.exceptions import RequestValidationError
from hypothesis import given
from hypothesis import strategies as st

from api.aluma.tags import parse_tags

NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,20}\Z")
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


def as_a_server_hands_it_on(header: str) -> str:
    """Each byte a character."""
    return header.encode().decode("latin-1")


@given(st.dictionaries(NAMES, VALUES.filter(lambda value: "&" not in value), min_size=1))
def test_every_tag_comes_back_as_it_was_sent(tags: dict[str, str]):
    sent = "&".join(f"{name}={value}" for name, value in tags.items())
    last = next(reversed(tags))
    # Space at the end of a header is not of it (RFC 9110, section 5.5).
    assert parse_tags([as_a_server_hands_it_on(sent)]) == {**tags, last: tags[last].rstrip()}


@given(NAMES, VALUES.filter(lambda value: "=" not in value))
def test_an_ampersand_in_a_value_stays_where_no_name_is_behind_it(name: str, value: str):
    header = as_a_server_hands_it_on(f"{name}={value}")
    assert parse_tags([header]) == {name: value.rstrip()}


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_is_tags_or_refused(header: str):
    try:
        tags = parse_tags([header])
    except RequestValidationError:
        return
    assert all(name.isascii() for name in tags)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        (r"file_path=C:\inbox", {"file_path": r"C:\inbox"}),
        (r"file_path=C:\R&D\in&case=7", {"file_path": r"C:\R&D\in", "case": "7"}),
        ("task_name=100%25", {"task_name": "100%25"}),
        ("task_name=a+b", {"task_name": "a+b"}),
        ("task_name=", {"task_name": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("url=https://a.example/?b=c", {"url": "https://a.example/?b=c"}),
        ("task_name=M\xc3\xbcller", {"task_name": "Müller"}),
        ("task_name=M\xfcller", {"task_name": "Müller"}),
    ],
)
def test_values_are_taken_as_they_stand(header: str, expected: dict[str, str]):
    assert parse_tags([header]) == expected


@pytest.mark.parametrize("header", ["AB3947853", "=1", "a b=1", "7=1", "a=\0"])
def test_what_does_not_begin_with_a_name_or_cannot_be_kept_is_refused(header: str):
    with pytest.raises(RequestValidationError):
        parse_tags([header])


def test_a_header_that_is_sent_in_several_lines_is_one():
    lines = ["task_name=a", "", "file_name=b.pdf&case=7"]
    assert parse_tags(lines) == {"task_name": "a", "file_name": "b.pdf", "case": "7"}
