"""What the demo takes for right."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from api.cli import demo
from api.cli.demo import SAMPLES, Sample, differences, read_samples
from store.errors import InputError, UnavailableError
from store.project_file import parse_project_file

EXPECTED = {"fields": {"total": "12.50", "currency": "EUR"}, "review": {}}
IN_REVIEW = {"fields": {"total": None, "currency": "EUR"}, "review": {"total": "12.50"}}


def sample(expected: dict[str, Any] = EXPECTED, **changes: Any) -> Sample:
    values = {"total": {"value": "12.50"}, "currency": {"value": "EUR"}}
    moves = ["queued", "running", "completed"]
    if expected["review"]:
        moves.insert(2, "in_review")
    made = Sample(
        Path("a.pdf"),
        expected,
        task={"state": "completed"},
        documents=[{"fields": values}],
        files=[Path("data.json")],
        moves=moves,
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("expected", [EXPECTED, IN_REVIEW])
def test_what_is_as_expected_is_right(expected: dict[str, Any]):
    assert differences(sample(expected)) == []


@pytest.mark.parametrize(
    ("told", "changes"),
    [
        ("failed, not completed", {"task": {"state": "failed"}}),
        ("waited for a person", {"moves": ["queued", "in_review", "completed"]}),
        ("total is '12.60'", {"documents": [{"fields": {"total": {"value": "12.60"}}}]}),
        ("currency is None", {"documents": []}),
        ("made no files", {"files": []}),
    ],
)
def test_each_difference_is_told(told: str, changes: dict[str, Any]):
    assert any(told in line for line in differences(sample(**changes)))


def test_a_sample_that_should_have_waited_and_did_not_is_told():
    went_through = sample(IN_REVIEW, moves=["queued", "running", "completed"])
    assert differences(went_through) == ["a.pdf: did not wait for a person"]


def test_the_samples_fit_their_project_and_one_of_them_needs_a_person():
    project = parse_project_file((SAMPLES / "invoices.yaml").read_text())
    samples = read_samples(SAMPLES)
    names = {field.name for field in project.fields}
    assert len(samples) >= 3
    assert all(one.path.is_file() for one in samples)
    assert all(set(one.expected["fields"]) == names for one in samples)
    assert all(set(one.expected["review"]) <= names for one in samples)
    assert any(one.expected["review"] for one in samples)


def test_without_the_samples_it_says_where_they_are(tmp_path: Path):
    with pytest.raises(InputError, match="make demo"):
        read_samples(tmp_path)


def test_the_demo_leaves_the_settings_of_daily_work_alone():
    """It must never touch the database, storage or Prefect server that a person works with."""
    assert {
        "PAPERTRAY_DATABASE_URL",
        "PAPERTRAY_STORAGE",
        "PREFECT_API_URL",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    } <= set(demo.NOT_FOR_THE_DEMO)
    assert json.loads((SAMPLES / "expected.json").read_text())


async def test_the_demo_is_patient_while_something_moves_and_tells_what_does_not(
    monkeypatch: pytest.MonkeyPatch,
):
    """However slow the machine is; a time for all the work was met on a busy one."""
    monkeypatch.setattr(demo, "LOOK_SECONDS", 0.0)
    seconds = 0.0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal seconds
        seconds += demo.PATIENCE_SECONDS / 2
        progress = {"step": "read", "current": min(seconds, last_move), "total": 9}
        return httpx.Response(200, json={"id": "task_a", "state": "running", "progress": progress})

    last_move = 5 * demo.PATIENCE_SECONDS
    monkeypatch.setattr(demo, "time", SimpleNamespace(monotonic=lambda: seconds))
    slow = sample(task={"id": "task_a", "state": "queued", "progress": {}}, moves=[])
    async with httpx.AsyncClient(
        base_url="http://papertray", transport=httpx.MockTransport(answer)
    ) as http:
        with pytest.raises(UnavailableError, match=r"a\.pdf is running.*--home"):
            await demo._follow(http, [slow], lambda _: None, demo.FINAL)  # pyright: ignore[reportPrivateUsage]
    assert seconds > last_move + demo.PATIENCE_SECONDS


async def test_an_api_that_is_gone_is_told_with_the_remedy():
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(
        base_url="http://papertray", transport=httpx.MockTransport(refuse)
    ) as http:
        with pytest.raises(UnavailableError, match=r"GET /v1/tasks was not answered.*--home"):
            await demo._call(http, "GET", "/v1/tasks")  # pyright: ignore[reportPrivateUsage]
