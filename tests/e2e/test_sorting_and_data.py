"""A stack of mail is sorted, and a table is filled in by people: through real processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import TURN_SECONDS, Installation, wait_until
from tests.flow_driver import kinds
from tests.mail import COMPLAINT, INVOICE, LATER, SEPARATOR, STRANGE, stack

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    for name in ("indexing", "moderation"):
        installation.install((SAMPLES / f"{name}.yaml").read_text())
    yield installation
    installation.stop()


def test_a_person_says_what_a_letter_is_and_all_of_the_stack_goes_on(
    papertray: Installation,
) -> None:
    mail = stack(INVOICE, LATER, SEPARATOR, STRANGE, SEPARATOR, COMPLAINT)
    task_id = papertray.submit(mail, project="indexing")
    task = papertray.until(task_id, "in_review", "completed", "failed")
    assert task["state"] == "in_review", task
    assert task["review"]["step"] == "sort"
    assert task["review"]["reason"] == "types to be confirmed: document 2"
    found = papertray.api.get(f"/tasks/{task_id}/documents").json()["documents"]
    assert kinds(found) == [("invoice", [1, 2]), ("unknown", [4]), ("complaint", [6])]
    right = [
        {"page_numbers": [1, 2], "document_type": "invoice"},
        {"page_numbers": [4, 6], "document_type": "complaint"},
    ]
    answer = papertray.api.post(f"/tasks/{task_id}/arrange", json={"documents": right})
    assert answer.status_code == 200, answer.text
    task = papertray.until(task_id, "completed", "failed")
    assert task["state"] == "completed", task
    documents = task["result"]["documents"]
    assert kinds(documents) == [("invoice", [1, 2]), ("complaint", [4, 6])]
    assert [one["fields"]["customer"] for one in documents] == ["C-1001", "C-2002"]
    assert len(task["result"]["generated_files"]) == 4  # json, csv, and a PDF each


def test_each_row_of_a_table_is_a_task_that_a_person_fills_in(papertray: Installation) -> None:
    table = b"comment,author\nnice,a@example.com\nbad,nobody\nugly,b@example.com\n"
    answer = papertray.api.post(
        "/projects/moderation/import", files={"file": ("comments.csv", table)}
    )
    assert answer.status_code == 201, answer.text
    assert (answer.json()["count"], answer.json()["refused"][0]["line"]) == (2, 3)
    tasks = papertray.api.get("/tasks", params={"project": "moderation"}).json()["data"]
    assert {task["source"] for task in tasks} == {"comments.csv"}
    for task in tasks:
        papertray.until(task["id"], "in_review")
        empty = papertray.api.post(f"/tasks/{task['id']}/complete")
        assert (empty.status_code, empty.json()["errors"]) == (422, {"approve": ["is missing"]})
        filled = {"values": {"approve": task["data"]["comment"] == "nice"}}
        assert papertray.api.post(f"/tasks/{task['id']}/complete", json=filled).status_code == 200
    for task in tasks:
        done = papertray.until(task["id"], "completed", "failed")
        assert done["result"]["data"] == {
            **task["data"],
            "approve": task["data"]["comment"] == "nice",
        }


def test_data_is_sent_from_prefect_as_its_form_does(papertray: Installation) -> None:
    data = {"comment": "nice", "author": "a@example.com"}
    run = papertray.start_in_prefect("process-task", project="moderation", data=data)
    task_id = papertray.until_adopted(run)
    task = papertray.until(task_id, "in_review", "failed")
    assert (task["state"], task["data"], task["source"]) == ("in_review", data, "prefect")

    run = papertray.start_in_prefect("process-task", project="moderation")
    ended: dict[str, Any] = {}

    def has_ended() -> bool:
        ended.update(papertray.prefect.get(f"/flow_runs/{run}").json())
        return ended["state_type"] in {"FAILED", "CRASHED", "COMPLETED"}

    wait_until(has_ended, TURN_SECONDS, lambda: f"the run is {ended.get('state')}")
    assert ended["state_type"] == "FAILED"
    assert ended["state"]["message"].startswith("fields_invalid: ")
    of_run = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    shown = papertray.prefect.post("/artifacts/filter", json=of_run).json()
    (told,) = (one["data"] for one in shown if one["description"] == "This run made no task.")
    assert "comment: is missing" in told.replace("\\", "")
