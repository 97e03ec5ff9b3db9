"""Templates of invoice2data are taken into a project, or refused with what is wrong with them."""

import json
from pathlib import Path

import pytest

from store.errors import ProjectFileError
from store.project_file import parse_project_file
from store.templates import project_for, read_templates, template_problems, with_templates

TEMPLATE = """\
issuer: Northwind
keywords: Northwind Traders
fields:
  invoice_number: No (\\w+)
  date: Date (.*)
  amount: Total (.*)
  static_vat: GB1
  lines:
    parser: lines
    start: Item
    end: Total
    line: (?P<name>.+?)\\s+(?P<price>\\d+)
"""
PROJECT = """\
name: bills
extract:
  templates: mine   # beside this file
fields:
  - {name: total, type: money, template_field: amount}
  - {name: wrong, type: colour}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "uk").mkdir(parents=True)
    (tmp_path / "mine" / "uk" / "northwind.yml").write_text(TEMPLATE)
    (tmp_path / "mine" / "notes.txt").write_text("not a template")
    return tmp_path


def test_the_templates_of_a_folder_are_taken_into_the_project_file(folder: Path) -> None:
    source = with_templates(PROJECT.replace("colour", "text, labels: [Wrong]"), folder)
    project = parse_project_file(source)
    assert [one["template_name"] for one in project.extract.templates] == ["northwind.yml"]
    assert "# beside this file" in source


def test_errors_keep_the_lines_of_the_file_that_names_a_folder(folder: Path) -> None:
    with pytest.raises(ProjectFileError) as caught:
        parse_project_file(with_templates(PROJECT, folder))
    assert caught.value.details["problems"][0]["line"] == 6


def test_a_folder_means_nothing_to_a_server() -> None:
    with pytest.raises(ProjectFileError, match="papertray projects install"):
        parse_project_file(PROJECT)


def test_what_is_no_project_file_is_left_for_others_to_say_so(tmp_path: Path) -> None:
    for source in ("a: [", "just text", "extract: 1", "extract: {templates: [a]}"):
        assert with_templates(source, tmp_path) == source


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yml", "a: [", "a.yml cannot be read"),
        ("a.json", "[]", "a.json is no template"),
        ("a.txt", "x", "there are no templates"),
        ("a.yml", "\x00", "a.yml cannot be read"),
    ],
)
def test_a_folder_that_has_none_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_templates(tmp_path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"keywords": []}, "`keywords` must be"),
        ({"keywords": [3]}, "`keywords` must be"),
        ({"fields": None}, "`fields` must be a mapping"),
        ({"camelot": {}}, "`camelot` is not possible"),
        ({"fields": {"amount": "Total ("}}, "field amount: not a regular expression"),
        ({"fields": {"amount": {"parser": "magic"}}}, "field amount: `parser` must be one of"),
        ({"fields": {"amount": {"parser": "regex", "regex": ["("]}}}, "fields.amount.regex: not"),
        ({"fields": {"amount": "x" * 6000}}, "at most 5000"),
    ],
)
def test_what_is_wrong_with_a_template_is_told(change: dict[str, object], problem: str) -> None:
    template = {"keywords": ["a"], "fields": {"amount": "Total (.*)"}}
    assert template_problems(template) == []
    found = template_problems({**template, **change})
    assert len(found) >= 1
    assert problem in found[0]


def test_a_wrong_template_makes_no_project() -> None:
    source = PROJECT.replace("mine ", json.dumps([{"keywords": ["a"], "fields": {"b": "("}}]))
    with pytest.raises(ProjectFileError) as caught:
        parse_project_file(source)
    assert "template 1: field b: not a regular expression" in str(caught.value)


def test_a_project_is_made_for_templates(folder: Path) -> None:
    source = project_for(read_templates(folder / "mine"), "bills", "mine")
    project = parse_project_file(with_templates(source, folder))
    kinds = {field.template_field: field.type.value for field in project.fields}
    assert kinds == {
        "issuer": "text",
        "currency": "text",
        "invoice_number": "text",
        "date": "date",
        "amount": "money",
        "vat": "text",
        "lines": "table",
    }
    required = {field.name for field in project.fields if field.required}
    assert required == {"issuer", "invoice_number", "date", "amount"}
    lines = project.field("lines")
    assert lines is not None
    assert [(one.name, one.type.value) for one in lines.columns] == [
        ("name", "text"),
        ("price", "money"),
    ]
