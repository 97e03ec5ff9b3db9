"""Nothing is left behind: a word that is in every place of a task is found in none afterwards."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.canary import (
    CANARY,
    ERASED_SECONDS,
    complete,
    is_clean,
    paper,
    places_of,
    submit,
    write_everywhere,
)
from tests.documents import invoice, project, scan
from tests.e2e.installation import Installation, wait_until
from tests.e2e.program import listening

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FORGOTTEN_SECONDS = 90


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(
        tmp_path_factory.mktemp("papertray"), PAPERTRAY_ALLOWED_NETWORKS="127.0.0.1/32"
    )
    installation.start()
    installation.install(project("final", "retention: {data: final}\n"))
    installation.install(project("short", "retention: {data: final, record: 1s}\n"))
    installation.install(project("kept"))
    yield installation
    installation.stop()


def record_of(papertray: Installation, task: str) -> dict[str, Any]:
    """What is left of a task: how it ended, and nothing else."""
    left = papertray.task(task)
    assert (left["name"], left["metadata"], left["result"]) == ("", {}, {})
    assert papertray.api.get(f"/tasks/{task}/outputs").json()["data"] == []
    assert papertray.api.get(f"/tasks/{task}/documents").json() == {"documents": [], "pages": []}
    return left


def test_a_final_state_leaves_a_record_and_nothing_else(papertray: Installation) -> None:
    canary = f"{CANARY}A"
    with listening(lambda _: 200, answer=f"We have {canary}.") as program:
        events = ["file.created", "task.in_review", "task.completed"]
        body = {"url": program.url("/all"), "events": events}
        webhook = papertray.api.post("/webhooks", json=body).json()["id"]
        leaves_a_record(papertray, canary)
        deliveries = papertray.api.get(f"/webhooks/{webhook}/deliveries").json()["data"]
        assert {one["status"] for one in deliveries} == {"delivered"}
    assert papertray.api.delete(f"/webhooks/{webhook}").status_code == 204


def leaves_a_record(papertray: Installation, canary: str) -> None:
    straight = submit(papertray, canary, "final", paper(canary, total="119.00"))
    by_api, in_prefect = (submit(papertray, canary, "final") for _ in range(2))
    for task in (by_api, in_prefect):
        papertray.until(task, "in_review")
    write_everywhere(papertray, canary, by_api)
    run = papertray.until_run(in_prefect, "Suspended")
    # Were it not found where it is, its absence would say nothing.
    before = {
        place.split("/")[0].removesuffix("-wal") for place in places_of(canary, papertray.home)
    }
    assert before >= {"papertray.db", "blobs", "prefect"}
    complete(papertray, canary, by_api)
    papertray.resume_in_prefect(
        run["id"], decision="complete", note=canary, value_total="119.00", value_number=canary
    )
    for task in (straight, by_api, in_prefect):
        papertray.until(task, "completed")
    is_clean(papertray, canary)
    for task in (straight, by_api, in_prefect):
        wait_until(
            lambda task=task: "task.erased" in papertray.events(task), 30, lambda: "not erased"
        )
        assert record_of(papertray, task)["state"] == "completed"
        assert papertray.run_state(task) == ("COMPLETED", "Completed")
        again = papertray.api.post(f"/tasks/{task}/unlock")
        assert (again.status_code, again.json()["code"]) == (409, "illegal_transition")


def test_what_ends_badly_leaves_nothing_either(papertray: Installation) -> None:
    canary = f"{CANARY}B"
    damaged = submit(papertray, canary, "final", f"%PDF-1.7 {canary} is all there is".encode())
    discarded = submit(papertray, canary, "final")
    papertray.until(discarded, "in_review")
    answer = papertray.api.post(f"/tasks/{discarded}/discard", json={"reason": canary})
    assert answer.status_code == 200, answer.text
    canceled = submit(papertray, canary, "final")
    papertray.until(canceled, "in_review")
    papertray.api.post(f"/tasks/{canceled}/cancel", json={"reason": canary}).raise_for_status()
    papertray.until(damaged, "failed")
    papertray.until(discarded, "discarded")
    is_clean(papertray, canary)
    wait_until(
        lambda: "task.erased" in papertray.events(damaged), ERASED_SECONDS, lambda: "not erased"
    )
    left = papertray.task(damaged)
    assert left["result"]["details"] == {"code": "file_damaged"}
    assert papertray.api.post(f"/tasks/{damaged}/retry").status_code == 409


def test_a_run_that_was_started_in_prefect_leaves_no_file_name(papertray: Installation) -> None:
    canary = f"{CANARY}C"
    inbox = papertray.home / "inbox"
    inbox.mkdir(exist_ok=True)
    (inbox / f"{canary}.pdf").write_bytes(paper(canary, total="119.00"))
    found = papertray.prefect.get("/deployments/name/process-task/process-task").json()
    run = papertray.prefect.post(
        f"/deployments/{found['id']}/create_flow_run",
        json={"parameters": {"project": "final", "input": f"{canary}.pdf"}},
    ).json()
    wait_until(
        lambda: (
            papertray.prefect.get(f"/flow_runs/{run['id']}").json()["state"]["type"] == "COMPLETED"
        ),
        ERASED_SECONDS,
        lambda: str(papertray.prefect.get(f"/flow_runs/{run['id']}").json()["state"]),
    )
    shutil.rmtree(inbox)  # that file is whose who put it there
    is_clean(papertray, canary)
    left = papertray.prefect.get(f"/flow_runs/{run['id']}").json()
    assert set(left["parameters"]) == {"task_id"}


def test_the_record_goes_with_its_run(papertray: Installation) -> None:
    task = papertray.submit(invoice(), project="short")
    run = papertray.until_run(task, "Scheduled", "Pending", "Running", "Completed")
    wait_until(
        lambda: (
            papertray.api.get(f"/tasks/{task}").status_code == 404
            and papertray.prefect.get(f"/flow_runs/{run['id']}").status_code == 404
        ),
        FORGOTTEN_SECONDS,
        lambda: f"still there: {papertray.api.get(f'/tasks/{task}').text}",
    )


def test_a_deleted_task_is_gone_wherever_it_was(papertray: Installation) -> None:
    canary = f"{CANARY}D"
    done = submit(papertray, canary, "kept", paper(canary, total="119.00"))
    attended, parked = (submit(papertray, canary, "kept") for _ in range(2))
    papertray.until(done, "completed")
    papertray.until(parked, "in_review")
    write_everywhere(papertray, canary, parked)
    papertray.until_run(parked, "Suspended")
    papertray.until(attended, "in_review")
    operation = papertray.api.post(
        "/pdf-operations/extract-text",
        json={"input": one_file(papertray, canary), "format": "plain"},
    ).json()["id"]
    papertray.until(operation, "completed")
    running = submit(papertray, canary, "kept", scan(invoice(number=f"AB-{canary}", pages=4)))
    wait_until(
        lambda: papertray.task(running)["progress"]["step"] == "read", 60, lambda: "never reads"
    )
    tasks = (running, done, attended, parked, operation)
    runs = [papertray.run(task)["id"] for task in tasks]
    assert "papertray.db-wal" in places_of(canary, papertray.home)
    for task in tasks:
        assert papertray.api.delete(f"/tasks/{task}").status_code == 204
        assert papertray.api.get(f"/tasks/{task}").status_code == 404
    is_clean(papertray, canary)
    for run in runs:
        wait_until(
            lambda run=run: papertray.prefect.get(f"/flow_runs/{run}").status_code == 404,
            30,
            lambda: "the run is still there",
        )
    told = papertray.api.get("/events", params={"take": 100}).json()["data"]
    assert {one["data"]["id"] for one in told if one["type"] == "task.deleted"} >= set(tasks)


def one_file(papertray: Installation, canary: str) -> str:
    answer = papertray.api.post(
        "/files",
        files={"file": (f"{canary}.pdf", paper(canary))},
        headers={"idempotency-key": os.urandom(8).hex()},
    )
    return answer.json()["id"]


def test_a_deleted_file_leaves_nothing(papertray: Installation) -> None:
    canary = f"{CANARY}E"
    file = one_file(papertray, canary)
    assert places_of(canary, papertray.home)
    assert papertray.api.delete(f"/files/{file}").status_code == 204
    is_clean(papertray, canary)


def test_killed_while_it_erases_it_is_finished_after(papertray: Installation) -> None:
    canary = f"{CANARY}F"
    tasks = [submit(papertray, canary, "kept", paper(canary, total="119.00")) for _ in range(4)]
    for task in tasks:
        papertray.until(task, "completed")
    for task in tasks:
        assert papertray.api.delete(f"/tasks/{task}").status_code == 204
    papertray.kill("serve")
    papertray.kill("prefect")
    is_clean(papertray, canary)
