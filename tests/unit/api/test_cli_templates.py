"""`papertray projects from-invoice2data` writes a project file that can be installed."""

from pathlib import Path

import pytest

from api.cli.projects import from_invoice2data, read_project_file
from store.errors import InputError
from store.project_file import parse_project_file

TEMPLATE = "keywords: Northwind\nfields: {amount: 'Total (.*)', date: 'Date (.*)'}\n"


def test_a_folder_of_templates_becomes_a_project_file(tmp_path: Path) -> None:
    (tmp_path / "bills").mkdir()
    (tmp_path / "bills" / "northwind.yml").write_text(TEMPLATE)
    source = from_invoice2data(tmp_path / "bills", name="bills").data["source"]
    (tmp_path / "bills.yaml").write_text(source)
    project = parse_project_file(read_project_file(tmp_path / "bills.yaml"))
    assert project.name == "bills"
    assert [one["template_name"] for one in project.extract.templates] == ["northwind.yml"]


def test_a_wrong_template_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(TEMPLATE.replace("Total (.*)", "Total ("))
    with pytest.raises(InputError, match=r"bad\.yml: field amount: not a regular expression"):
        from_invoice2data(tmp_path)
