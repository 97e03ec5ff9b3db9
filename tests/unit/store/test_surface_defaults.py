from datetime import timedelta

import pytest

from store.project_file import parse_project_file
from store.surface_defaults import ALUMA, project_file_by

FIELDS = "fields: [{name: total, labels: [Total]}]\n"


def test_a_task_of_aluma_takes_pdf_and_tiff_is_fetched_by_a_client_and_leaves_nothing():
    project = project_file_by(f"name: a\n{FIELDS}", ALUMA)
    assert project.limits.media_types == ["application/pdf", "image/tiff"]
    assert project.export.pickup
    assert project.retention.data == timedelta(0)
    assert project.retention.record == timedelta(hours=72)


@pytest.mark.parametrize("surface", ["v1", "pages", "cli", "prefect", ""])
def test_a_task_that_came_in_otherwise_is_treated_as_the_file_says(surface: str):
    source = f"name: a\n{FIELDS}"
    assert project_file_by(source, surface) == parse_project_file(source)


@pytest.mark.parametrize(
    ("said", "part", "key", "expected"),
    [
        ("limits: {file_types: [jpeg]}", "limits", "file_types", ["jpeg"]),
        ("limits: {max_pages: 3}", "limits", "file_types", ["pdf", "tiff"]),
        ("export: {pickup: false}", "export", "pickup", False),
        ("export: {to: invoices}", "export", "pickup", False),
        ("export: {formats: [csv]}", "export", "pickup", True),
        ("retention: {data: keep}", "retention", "data", None),
        ("retention: {data: 30d}", "retention", "data", timedelta(days=30)),
        ("retention: {record: 1h}", "retention", "data", timedelta(0)),
    ],
)
def test_what_the_project_says_goes_before(said: str, part: str, key: str, expected: object):
    project = project_file_by(f"name: a\n{FIELDS}{said}\n", ALUMA)
    assert getattr(getattr(project, part), key) == expected
    for spoken in ("max_pages", "formats", "record"):
        if spoken in said:
            whole = parse_project_file(f"name: a\n{FIELDS}{said}\n")
            assert getattr(getattr(project, part), spoken) == getattr(getattr(whole, part), spoken)


def test_names_stay_inside_where_nothing_is_to_be_left():
    source = f"name: a\nnames_outside: true\n{FIELDS}"
    assert not project_file_by(source, ALUMA).names_outside
    assert project_file_by(source + "retention: {data: keep}\n", ALUMA).names_outside
