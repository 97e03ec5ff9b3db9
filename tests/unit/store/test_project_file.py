from datetime import timedelta

import pytest

from store.errors import ProjectFileError
from store.project_file import parse_project_file

GOOD = """\
name: invoices
fields:
  - name: number
    labels: [Invoice No]
    required: true
  - name: net
    type: money
    labels: [Net]
  - name: total
    type: money
    pattern: "Total (.*)"
sums:
  - parts: [net]
    total: total
review:
  timeout: 12h
"""


def test_a_project_file_is_read_with_its_defaults() -> None:
    project = parse_project_file(GOOD)
    assert [field.title for field in project.fields] == ["Number", "Net", "Total"]
    assert project.review.timeout == timedelta(hours=12)
    assert (project.read.dpi, project.read.languages, project.read.mode) == (300, ["eng"], "auto")
    assert project.field("total") is project.fields[2]
    assert project.field("nothing") is None


@pytest.mark.parametrize(
    ("said", "data", "record"),
    [
        ("{}", None, timedelta(hours=72)),
        ("{data: keep}", None, timedelta(hours=72)),
        ("{data: final, record: 7d}", timedelta(0), timedelta(days=7)),
        ("{data: 30d}", timedelta(days=30), timedelta(hours=72)),
    ],
)
def test_a_project_says_how_long_data_is_kept(
    said: str, data: timedelta | None, record: timedelta
) -> None:
    retention = parse_project_file(f"{GOOD}retention: {said}\n").retention
    assert (retention.data, retention.record) == (data, record)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("retention: {data: soon}", "must be `final`, `keep`, or a time like `12h` or `30d`"),
        ("retention: {data: 0s}", "must be `final`, `keep`, or a time"),
        ("retention: {data: final}\nnames_outside: true", "contradict each other"),
    ],
)
def test_what_cannot_be_kept_is_said(said: str, message: str) -> None:
    with pytest.raises(ProjectFileError, match=message):
        parse_project_file(f"{GOOD}{said}\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        (
            "type: money\n    labels: [Net]",
            "type: coins\n    labels: [Net]",
            7,
            "fields.1.type",
            "money",
        ),
        ("name: net", "name: number", 2, "", "field named twice: number"),
        ('"Total (.*)"', '"Total ("', 11, "fields.2.pattern", "not a regular expression"),
        ("timeout: 12h", "timeout: soon", 16, "review.timeout", "duration"),
        ("timeout: 12h", "timeout: 0h", 16, "review.timeout", "greater than"),
        ("  timeout: 12h", "  tiemout: 12h", 16, "review.tiemout", "did you mean `timeout`?"),
        ("labels: [Invoice No]", "labels: []", 3, "fields.0", "never found"),
        ("parts: [net]", "parts: [nett]", 1, "", "not there: nett"),
        ("name: invoices", "name: In Voices", 1, "name", "pattern"),
        ("name: invoices\n", "", 1, "name", "required"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(
    old: str, new: str, line: int, key: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ProjectFileError) as caught:
        parse_project_file(GOOD.replace(old, new))
    problem = caught.value.details["problems"][0]
    assert problem["key"].startswith(key)
    assert message in problem["message"]
    if key:
        assert problem["line"] == line


@pytest.mark.parametrize(
    "source", ["", "- a\n- b", "just text", "a: [", "\x00", "a: !!python/object:os.system {}"]
)
def test_what_is_no_project_file_is_refused(source: str) -> None:
    with pytest.raises(ProjectFileError):
        parse_project_file(source)
