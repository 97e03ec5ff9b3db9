"""A document goes in, is read, waits for a person, and leaves: through real processes."""

import contextlib
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import pytest

from tests.documents import invoice, project, scan
from tests.e2e.installation import TURN_SECONDS, Installation, wait_until

pytestmark = pytest.mark.e2e

RIGHT = {
    "number": "AB-1001",
    "date": "2026-03-14",
    "net": "100.00",
    "tax": "19.00",
    "total": "119.00",
}
WRONG_TOTAL = "120.00"


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    installation.install(project())
    yield installation
    installation.stop()
    assert "database is locked" not in installation.log("prefect")


@pytest.fixture
def waiting(papertray: Installation) -> str:
    """A task in review, because its total is not the sum of its parts."""
    task = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until(task, "in_review")
    return task


@pytest.mark.parametrize("content", [invoice(), scan(invoice())], ids=["text layer", "scan"])
def test_a_clear_invoice_goes_straight_through(papertray: Installation, content: bytes) -> None:
    task = papertray.until(papertray.submit(content), "completed", "failed", "in_review")
    assert task["state"] == "completed", task
    assert task["result"]["documents"][0]["fields"] == RIGHT
    outputs = papertray.api.get(f"/tasks/{task['id']}/outputs").json()["data"]
    assert {(one["role"], one["type"]) for one in outputs} == {
        ("data", "application/json"),
        ("data", "text/csv"),
        ("searchable_pdf", "application/pdf"),
    }
    for one in outputs:
        content = papertray.api.get(f"/files/{one['id']}/download").content
        assert len(content) == one["properties"]["size"] > 0
        if one["type"] == "application/json":
            assert "AB-1001" in json.dumps(json.loads(content))
    assert papertray.events(task["id"]) == ["task.completed", "task.started", "task.created"]
    wait_until(
        lambda: papertray.run_state(task["id"]) == ("COMPLETED", "Completed"), 10, lambda: "run"
    )


def test_nothing_personal_is_left_in_prefect(papertray: Installation) -> None:
    secret = "Zyxwvut"
    task = papertray.submit(invoice(number=f"{secret}-1"), name=f"{secret}.pdf")
    papertray.until(task, "completed")
    run = papertray.until_run(task, "Completed")
    assert set(run["parameters"]) == {"task_id"}
    logs = papertray.prefect.post(
        "/logs/filter", json={"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
    ).json()
    states = papertray.prefect.get("/flow_run_states/", params={"flow_run_id": run["id"]}).json()
    assert secret.lower() not in json.dumps([run, logs, states]).lower()
    for part in ("serve", "worker", "prefect"):
        assert secret.lower() not in papertray.log(part).lower()


def test_the_run_shows_progress_fields_and_the_way_to_the_page(
    papertray: Installation, waiting: str
) -> None:
    run = papertray.until_run(waiting, "Paused", "Suspended")
    found = papertray.prefect.post(
        "/artifacts/filter",
        json={"artifacts": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 50},
    ).json()
    by_key = {one["key"]: one for one in found}
    assert by_key["progress"]["data"] == 100
    (table,) = (one for one in found if one["type"] == "table")
    assert table["key"] is None, "Prefect's events, which cannot be deleted, would have the values"
    rows = {row["field"]: row for row in json.loads(table["data"])}
    assert rows["Invoice number"]["value"] == "AB-1001"
    assert rows["Total"]["check"] != "ok"
    assert f"/review/{waiting}" in by_key["review"]["data"]


def test_while_a_person_looks_the_answer_is_taken_at_once(
    papertray: Installation, waiting: str
) -> None:
    answer = papertray.api.post(f"/tasks/{waiting}/complete", json={"values": {"total": "119.00"}})
    assert answer.status_code == 200
    task = papertray.until(waiting, "completed", seconds=10)
    assert task["result"]["documents"][0]["fields"] == RIGHT
    run = papertray.until_run(waiting, "Completed")
    assert len(wait_for_task_runs(papertray, run["id"], "read-pages", 1)) == 1


def test_a_parked_task_goes_on_where_it_was(papertray: Installation, waiting: str) -> None:
    run = papertray.until_run(waiting, "Suspended")
    assert run["state"]["state_details"]["pause_reschedule"] is True
    papertray.api.post(f"/tasks/{waiting}/complete", json={"values": {"total": "119.00"}})
    papertray.until(waiting, "completed", seconds=15)
    names = [one["state_name"] for one in wait_for_task_runs(papertray, run["id"], "read-pages", 2)]
    assert sorted(names) == ["Cached", "Completed"]


def wait_for_task_runs(
    papertray: Installation, run_id: str, name: str, count: int
) -> list[dict[str, Any]]:
    """The task runs of one operation: Prefect writes them some time after they happened."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        body = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200}
        rows = papertray.prefect.post("/task_runs/filter", json=body).json()
        found[:] = [row for row in rows if row["name"].startswith(name)]
        return len(found) >= count and all(row["state_type"] == "COMPLETED" for row in found)

    wait_until(there, 30, lambda: f"{name}: {[row['state_name'] for row in found]}")
    return found


def test_wrong_values_are_refused_with_reasons_and_nothing_changes(
    papertray: Installation, waiting: str
) -> None:
    answer = papertray.api.post(f"/tasks/{waiting}/complete", json={"values": {"total": "1.00"}})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "fields_invalid"
    assert "total" in answer.json()["fields"]
    assert papertray.task(waiting)["state"] == "in_review"


def test_discard_ends_the_task_and_its_run_with_that_word(
    papertray: Installation, waiting: str
) -> None:
    answer = papertray.api.post(f"/tasks/{waiting}/discard", json={"reason": "not ours"})
    assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    assert papertray.until_run(waiting, "Discarded")["state"]["type"] == "COMPLETED"


# The same, from the Prefect UI


def test_an_operator_completes_in_the_form_of_prefect(
    papertray: Installation, waiting: str
) -> None:
    run = papertray.until_run(waiting, "Paused", "Suspended")
    keyset = run["state"]["state_details"]["run_input_keyset"]
    schema = papertray.prefect.get(f"/flow_runs/{run['id']}/input/{keyset['schema']}").json()
    assert schema["required"] == ["decision"]
    assert schema["properties"]["value_total"]["title"] == "Total"
    assert "AB-1001" not in json.dumps(schema)
    empty = papertray.resume_in_prefect(run["id"])
    assert empty["status"] == "REJECT"
    taken = papertray.resume_in_prefect(run["id"], decision="complete", value_total="119.00")
    assert taken["status"] == "ACCEPT"
    assert papertray.until(waiting, "completed")["result"]["documents"][0]["fields"] == RIGHT
    assert "task.answered" in papertray.events(waiting)


def test_a_form_that_is_not_valid_leaves_the_task_in_review_and_says_why(
    papertray: Installation, waiting: str
) -> None:
    run = papertray.until_run(waiting, "Paused", "Suspended")
    papertray.resume_in_prefect(run["id"], decision="complete")

    def asked_again() -> bool:
        review = papertray.task(waiting)["review"]
        return review["round"] == 2 and "total" in review["reason"]

    wait_until(asked_again, 30, lambda: str(papertray.task(waiting)))
    run = papertray.until_run(waiting, "Paused", "Suspended")
    wait_until(
        lambda: (
            papertray.resume_in_prefect(run["id"], decision="discard", note="hopeless")["status"]
            == "ACCEPT"
        ),
        20,
        lambda: "the second round cannot be resumed",
    )
    papertray.until(waiting, "discarded")
    papertray.until_run(waiting, "Discarded")


def test_an_issue_reported_in_the_form_leaves_the_task_in_review(
    papertray: Installation, waiting: str
) -> None:
    run = papertray.until_run(waiting, "Paused", "Suspended")
    papertray.resume_in_prefect(run["id"], decision="report", note="bad scan")
    wait_until(
        lambda: papertray.task(waiting)["review"]["round"] == 2, 30, lambda: "no second round"
    )
    assert "task.reported" in papertray.events(waiting)
    assert papertray.task(waiting)["state"] == "in_review"


def test_a_run_started_in_prefect_makes_its_own_task(papertray: Installation) -> None:
    inbox = papertray.home / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "from-prefect.pdf").write_bytes(invoice(number="PF-7"))
    run = papertray.start_in_prefect("process-task", project="bills", input="from-prefect.pdf")
    task = papertray.until_adopted(run)
    done = papertray.until(task, "completed", "failed")
    assert done["result"]["documents"][0]["fields"]["number"] == "PF-7"
    papertray.until_run(task, "Completed")
    assert papertray.run(task)["id"] == run


@pytest.mark.parametrize(
    "parameters",
    [
        {"project": "bills", "input": "../papertray.db"},
        {"project": "bills", "input": "/etc/passwd"},
        {"project": "nothing", "input": "from-prefect.pdf"},
        {"project": "bills"},
        {},
    ],
)
def test_a_run_started_with_wrong_parameters_fails_and_makes_no_task(
    papertray: Installation, parameters: dict[str, str]
) -> None:
    run = papertray.start_in_prefect("process-task", **parameters)

    def ended() -> bool:
        return papertray.prefect.get(f"/flow_runs/{run}").json()["state"]["type"] == "FAILED"

    wait_until(ended, 20, lambda: str(papertray.prefect.get(f"/flow_runs/{run}").json()["state"]))
    assert all(
        run not in str(task["links"]["prefect"])
        for task in papertray.api.get("/tasks", params={"take": 100}).json()["data"]
    )


def test_a_schedule_makes_tasks(papertray: Installation) -> None:
    inbox = papertray.home / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / "scheduled.pdf").write_bytes(invoice(number="SC-9"))
    deployment = papertray.deployment_id("process-task")
    made = papertray.prefect.post(
        f"/deployments/{deployment}/schedules",
        json=[
            {
                "schedule": {"interval": 20},
                "parameters": {"project": "bills", "input": "scheduled.pdf"},
                "active": True,
            }
        ],
    )
    made.raise_for_status()

    def numbers() -> list[str]:
        tasks = papertray.api.get("/tasks", params={"take": 100, "state": "completed"}).json()
        return [
            task["result"]["documents"][0]["fields"]["number"]
            for task in tasks["data"]
            if task["operation"] == "process"
        ]

    try:
        wait_until(lambda: "SC-9" in numbers(), 180, lambda: f"only {numbers()}")
    finally:
        papertray.prefect.delete(
            f"/deployments/{deployment}/schedules/{made.json()[0]['id']}"
        ).raise_for_status()


# Ends


def cancel_by_api(papertray: Installation, task: str) -> None:
    answer = papertray.api.post(f"/tasks/{task}/cancel", json={"reason": "withdrawn"})
    assert (answer.status_code, answer.json()["state"]) == (200, "canceled")


def cancel_by_the_button_of_prefect(papertray: Installation, task: str) -> None:
    papertray.force_state(papertray.run(task)["id"], "CANCELLING", "Cancelling")
    papertray.until(task, "canceled", seconds=10)


@pytest.mark.parametrize("cancel", [cancel_by_api, cancel_by_the_button_of_prefect])
def test_cancel_reaches_a_task_that_runs_waits_or_is_parked(
    papertray: Installation, cancel: Callable[[Installation, str], None]
) -> None:
    running = papertray.submit(scan(invoice(pages=12)))
    papertray.until(running, "running")
    wait_until(lambda: bool(tesseract_pids(papertray)), TURN_SECONDS, lambda: "nothing is read")
    cancel(papertray, running)
    papertray.until_run(running, "Cancelled", seconds=10)
    wait_until(lambda: not tesseract_pids(papertray), 5, lambda: "tesseract goes on")
    assert papertray.api.post(f"/tasks/{running}/cancel", json={}).status_code == 409

    parked = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until_run(parked, "Suspended")
    waiting = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until(waiting, "in_review")
    for task in (waiting, parked):
        cancel(papertray, task)
        papertray.until_run(task, "Cancelled", seconds=10)


def test_cancel_reaches_a_task_in_the_queue_at_once(papertray: Installation) -> None:
    pool = "/work_pools/papertray"
    papertray.prefect.patch(pool, json={"is_paused": True}).raise_for_status()
    try:
        ours, theirs = papertray.submit(invoice()), papertray.submit(invoice())
        for task in (ours, theirs):
            papertray.until_run(task, "Scheduled")
        papertray.api.post(f"/tasks/{ours}/cancel", json={}).raise_for_status()
        papertray.force_state(papertray.run(theirs)["id"], "CANCELLING", "Cancelling")
        for task in (ours, theirs):
            papertray.until(task, "canceled", seconds=5)
            papertray.until_run(task, "Cancelled", seconds=5)
            assert "task.started" not in papertray.events(task)
    finally:
        papertray.prefect.patch(pool, json={"is_paused": False}).raise_for_status()


def test_housekeeping_that_was_missed_is_not_made_up_for(papertray: Installation) -> None:
    found = papertray.prefect.get("/deployments/name/reconcile/reconcile").json()
    long_ago = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}}
    papertray.prefect.patch("/work_pools/papertray", json={"is_paused": True}).raise_for_status()
    try:
        made = [
            papertray.prefect.post(
                f"/deployments/{found['id']}/create_flow_run", json={"state": long_ago}
            ).json()["id"]
            for _ in range(60)
        ]
        papertray.kill("worker")

        def left() -> int:
            body = {"flow_runs": {"id": {"any_": made}}}
            return papertray.prefect.post("/flow_runs/count", json=body).json()

        wait_until(lambda: left() == 0, 60, lambda: f"{left()} are left")
    finally:
        papertray.prefect.patch(
            "/work_pools/papertray", json={"is_paused": False}
        ).raise_for_status()


def tesseract_pids(papertray: Installation) -> list[int]:
    """Every process below the worker that reads a page."""
    import psutil

    found: list[int] = []
    for one in psutil.Process(papertray.pid("worker")).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # gone while it was looked at
            if "tesseract" in one.name():
                found.append(one.pid)
    return found


def test_a_task_that_takes_too_long_times_out(papertray: Installation) -> None:
    papertray.install(project("hasty", "timeout: 3s\n"))
    running = papertray.submit(scan(invoice(pages=12)), project="hasty")
    waiting = papertray.submit(invoice(total=WRONG_TOTAL), project="hasty")
    for task in (running, waiting):
        papertray.until(task, "timed_out", seconds=60)
        assert papertray.until_run(task, "TimedOut")["state"]["type"] == "FAILED"
    wait_until(lambda: not tesseract_pids(papertray), 5, lambda: "tesseract goes on")


@pytest.mark.parametrize(
    ("then", "end", "word"),
    [("time_out", "timed_out", "TimedOut"), ("discard", "discarded", "Discarded")],
)
def test_a_review_that_nobody_does_ends_as_the_project_says(
    papertray: Installation, then: str, end: str, word: str
) -> None:
    name = f"impatient-{then.replace('_', '-')}"
    papertray.install(project(name, f"review: {{timeout: 2s, then: {then}}}\n"))
    task = papertray.submit(invoice(total=WRONG_TOTAL), project=name)
    papertray.until(task, end, seconds=60)
    papertray.until_run(task, word)


def test_a_failed_task_can_be_tried_again_also_in_prefect(papertray: Installation) -> None:
    task = papertray.submit(b"%PDF-1.7 but not really")
    failed = papertray.until(task, "failed")
    assert failed["result"]["details"]["code"] == "file_damaged"
    papertray.until_run(task, "Failed")
    assert papertray.api.post(f"/tasks/{task}/retry", json={}).json()["state"] == "queued"
    wait_until(lambda: papertray.events(task).count("task.failed") == 2, 30, lambda: "no 2nd try")
    papertray.until_run(task, "Failed")
    papertray.force_state(papertray.run(task)["id"], "SCHEDULED", "AwaitingRetry")
    wait_until(lambda: papertray.events(task).count("task.failed") == 3, 30, lambda: "no 3rd try")


def test_a_discarded_task_is_unlocked_corrected_and_completed(
    papertray: Installation, waiting: str
) -> None:
    papertray.api.post(f"/tasks/{waiting}/discard", json={})
    papertray.until_run(waiting, "Discarded")
    assert papertray.api.post(f"/tasks/{waiting}/unlock", json={}).json()["state"] == "in_review"
    answer = papertray.api.post(f"/tasks/{waiting}/complete", json={"values": {"total": "119.00"}})
    assert answer.status_code == 200
    assert papertray.until(waiting, "completed")["result"]["documents"][0]["fields"] == RIGHT
    papertray.until_run(waiting, "Completed")


# Bad input


def no_pages() -> bytes:
    buffer = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.save(buffer)
    return buffer.getvalue()


SAMPLES = Path(__file__).parents[1] / "samples"
BAD = {
    "no document": (b"just some words\n" * 20, "file_type_unsupported"),
    "a list of files for tesseract": (b"/etc/passwd\n", "file_type_unsupported"),
    "cut off": (invoice()[:600], "file_damaged"),
    "only a header": (b"%PDF-1.4\n%%EOF\n", "file_damaged"),
    "a file with a password": (
        (SAMPLES / "enc_r6-user-password.pdf").read_bytes(),
        "file_encrypted",
    ),
    "no pages": (no_pages(), "file_has_no_pages"),
    "a huge page": (
        invoice().replace(b"595.2756 841.8898", b"50000.00 50000.00"),
        "limit_exceeded",
    ),
}


def test_bad_files_fail_with_their_code_and_the_worker_goes_on(papertray: Installation) -> None:
    worker = papertray.pid("worker")
    tasks = {what: papertray.submit(content) for what, (content, _) in BAD.items()}
    codes = {
        what: papertray.until(task, "failed", "completed", "in_review")["result"]["details"]["code"]
        for what, task in tasks.items()
    }
    assert codes == {what: code for what, (_, code) in BAD.items()}
    for task in tasks.values():
        result = papertray.task(task)["result"]
        assert result["error"].endswith(".")
        papertray.until_run(task, "Failed")
    assert (
        papertray.until(papertray.submit(invoice()), "completed", "failed")["state"] == "completed"
    )
    assert papertray.pid("worker") == worker


def test_what_cannot_be_taken_in_is_refused_and_leaves_nothing(papertray: Installation) -> None:
    before = papertray.api.get("/files", params={"take": 1}).json()["data"][0]["id"]
    answers = {
        "empty": papertray.api.post(
            "/tasks", files={"file": ("a.pdf", b"")}, data={"project": "bills"}
        ),
        "no project": papertray.api.post(
            "/tasks", files={"file": ("a.pdf", invoice())}, data={"project": "nothing"}
        ),
        "no file": papertray.api.post("/tasks", json={"input": "file_nothing", "project": "bills"}),
        "wrong type": papertray.api.post("/tasks", json={"input": 7, "project": "bills"}),
    }
    assert {what: answer.status_code for what, answer in answers.items()} == {
        "empty": 422,
        "no project": 404,
        "no file": 404,
        "wrong type": 422,
    }
    assert papertray.api.get("/files", params={"take": 1}).json()["data"][0]["id"] == before


# Operations


def test_extract_text_of_a_pdf_and_an_image(papertray: Installation) -> None:
    for kind, content in (("pdf", invoice()), ("pdf", scan(invoice()))):
        file = papertray.api.post("/files", files={"file": ("a.pdf", content)}).json()
        answer = papertray.api.post(
            f"/{kind}-operations/extract-text", json={"input": file["id"], "format": "markdown"}
        )
        assert answer.status_code == 202
        assert answer.json()["status"] == "pending"
        assert answer.json()["operation"] == "extract-text"
        task = papertray.until(answer.json()["id"], "completed", "failed")
        assert task["status"] == "completed", task["result"]
        assert task["result"]["format"] == "markdown"
        assert "AB-1001" in task["result"]["content"]
        papertray.until_run(task["id"], "Completed")


def test_an_operation_on_the_wrong_kind_or_on_nothing_is_accepted_and_fails(
    papertray: Installation,
) -> None:
    file = papertray.api.post("/files", files={"file": ("a.pdf", invoice())}).json()
    for kind, given, error in (
        ("image", file["id"], "another kind"),
        ("pdf", "file_0000000000000000", "Source file not found."),
    ):
        answer = papertray.api.post(
            f"/{kind}-operations/extract-text", json={"input": given, "format": "plain"}
        )
        assert answer.status_code == 202
        task = papertray.until(answer.json()["id"], "failed", "completed")
        assert task["status"] == "failed"
        assert error in task["result"]["error"]
        assert task["result"]["details"]["file_id"] == given


# Prefect away


def test_tasks_are_taken_in_and_decided_while_prefect_is_away(
    papertray: Installation, waiting: str
) -> None:
    papertray.until_run(waiting, "Suspended")
    papertray.kill("prefect")
    began = time.monotonic()
    tasks = [papertray.submit(invoice(number=f"AW-{n}")) for n in range(5)]
    done = papertray.api.post(f"/tasks/{waiting}/complete", json={"values": {"total": "119.00"}})
    assert done.status_code == 200
    assert time.monotonic() - began < 20  # a call to Prefect is tried for longer
    for task in (*tasks, waiting):
        assert papertray.until(task, "completed", seconds=90)["state"] == "completed"
    with pytest.raises(httpx.HTTPStatusError):
        papertray.api.get("/tasks/task_0000000000000000").raise_for_status()
