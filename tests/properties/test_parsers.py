"""What strangers write is read, or refused by an error of ours: nothing else comes of it."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.human_lambdas.route import LARGEST_TASK_ID, whole_number
from store.access import code_of
from store.errors import NotFoundError, ProjectFileError
from store.ids import id_of, short_of
from store.project_file import ProjectFile, parse_duration, parse_project_file, project_schema
from store.project_limits import Size

VALID = """\
name: invoices
fields:
  - {name: number, labels: [Invoice No], required: true}
  - {name: total, type: money, labels: [Total]}
review: {when: always, timeout: 14d}
limits: {max_file_size: 20MB, duplicates: flag}
retention: {data: 30d}
"""


def _names(schema: Any) -> set[str]:
    """Every name that a project file may have anywhere."""
    if isinstance(schema, dict):
        inner = set[str]().union(*(_names(one) for one in schema.values()))
        return inner | set(schema.get("properties", {}))
    return set[str]().union(*(_names(one) for one in schema)) if isinstance(schema, list) else set()


NAMES = sorted(_names(project_schema()))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1d", "20MB", "final", "never", "money", "(", "1-3", "s3://bucket", "~"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)


def is_read_or_refused(source: str) -> None:
    try:
        read = parse_project_file(source)
    except ProjectFileError as error:
        problems = error.details["problems"]
        assert problems
        for problem in problems:
            assert problem["line"] >= 1
            assert problem["message"]
        json.dumps(problems)  # they go into an answer
    else:
        assert isinstance(read, ProjectFile)
        read.model_dump_json()


@given(st.text(max_size=200))
def test_no_text_is_a_project_file_that_breaks_its_reader(text: str) -> None:
    is_read_or_refused(text)


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=4))
def test_a_project_file_with_anything_in_any_place_is_read_or_refused(
    changes: dict[str, Any],
) -> None:
    is_read_or_refused(yaml.safe_dump({**yaml.safe_load(VALID), **changes}, allow_unicode=True))


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(VALID)), cut=st.integers(0, 12), put=st.text(max_size=6))
def test_a_project_file_that_was_changed_on_the_way_is_read_or_refused(
    at: int, cut: int, put: str
) -> None:
    is_read_or_refused(VALID[:at] + put + VALID[at + cut :])


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\A\d{1,12} ?[smhdwy]\Z")))
def test_any_text_is_a_positive_duration_or_none(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert duration > timedelta(0)


@given(st.one_of(st.text(max_size=20), st.from_regex(r"\A\d{1,12} ?([KMG]i?)?B\Z")))
def test_any_text_is_a_positive_size_or_none(text: str) -> None:
    try:
        size = TypeAdapter[int](Size).validate_python(text)
    except ValidationError:
        return
    assert size > 0


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_names_nothing(text: str) -> None:
    try:
        code = code_of(text)
    except NotFoundError as error:
        json.dumps(error.details)
    else:
        assert f"task_{code}" == text
    number = whole_number(text, LARGEST_TASK_ID)
    assert number is None or (0 <= number <= LARGEST_TASK_ID and int(text) == number)


@given(st.integers(min_value=0))
def test_a_number_is_a_cursor_as_far_as_a_database_has_such_ids(number: int) -> None:
    found = whole_number(str(number), LARGEST_TASK_ID)
    assert found == (number if number <= LARGEST_TASK_ID else None)


@given(st.uuids())
def test_a_cursor_of_aluma_is_that_of_one_task(id_: UUID) -> None:
    assert id_of(short_of(id_)) == id_


@pytest.mark.parametrize("text", ["", "task_", "task_\x00", "task_" + "a" * 10_000, "²", "٣"])
def test_a_cursor_that_is_none_is_told_so_and_breaks_nothing(text: str) -> None:
    assert whole_number(text, LARGEST_TASK_ID) is None
