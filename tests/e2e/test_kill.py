"""kill -9 of worker, Prefect server and API at each step of a task's life; then all is right."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import invoice, project, scan
from tests.e2e.installation import RECOVERY_SECONDS, Installation, patiently, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WRONG_TOTAL = "120.00"
VALUES = {"total": "119.00"}
PARTS = ("worker", "prefect", "serve")


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    installation.install(project())
    yield installation
    installation.stop()


def is_as_it_should_be(papertray: Installation, task: str) -> None:
    """Completed once, its files there once, its run ended with the same word."""
    done = papertray.until(task, "completed", "failed", "canceled", seconds=RECOVERY_SECONDS)
    assert done["state"] == "completed", done
    assert done["result"]["documents"][0]["fields"]["total"] == "119.00"
    outputs = patiently(lambda: papertray.api.get(f"/tasks/{task}/outputs")).json()["data"]
    assert sorted(one["name"] for one in outputs) == ["data.csv", "data.json", "searchable.pdf"]
    for one in outputs:
        assert papertray.api.get(f"/files/{one['id']}/download").status_code == 200
    events = papertray.events(task)
    for once in ("task.created", "task.started", "task.completed"):
        assert events.count(once) == 1, events
    papertray.until_run(task, "Completed", seconds=RECOVERY_SECONDS)


@pytest.mark.parametrize("part", PARTS)
def test_killed_with_a_task_at_each_step(papertray: Installation, part: str) -> None:
    """One that is accepted, read, just about to wait, parked, and just decided."""
    parked, decided = (papertray.submit(invoice(total=WRONG_TOTAL)) for _ in range(2))
    papertray.until(decided, "in_review")
    papertray.until_run(parked, "Suspended")
    asked = papertray.submit(invoice(total=WRONG_TOTAL))
    read = papertray.submit(scan(invoice(pages=8)))
    wait_until(
        lambda: papertray.task(read)["progress"]["step"] == "read", 60, lambda: "never reads"
    )
    papertray.until(asked, "in_review")
    answer = papertray.api.post(f"/tasks/{decided}/complete", json={"values": VALUES})
    accepted = papertray.submit(invoice())
    papertray.kill(part)
    assert answer.status_code == 200
    for task in (asked, parked):
        answer = patiently(
            lambda task=task: papertray.api.post(f"/tasks/{task}/complete", json={"values": VALUES})
        )
        assert answer.status_code == 200, answer.text
    for task in (accepted, read, asked, parked, decided):
        is_as_it_should_be(papertray, task)


@pytest.mark.parametrize("part", PARTS)
def test_killed_while_files_are_made(papertray: Installation, part: str) -> None:
    task = papertray.submit(invoice(pages=40))
    with contextlib.suppress(AssertionError):
        wait_until(
            lambda: papertray.task(task)["progress"]["step"] == "export", 20, lambda: "too quick"
        )
    papertray.kill(part)
    is_as_it_should_be(papertray, task)


def test_killed_while_files_get_to_their_folder_each_is_there_once(
    papertray: Installation,
) -> None:
    papertray.install(_exporting("outgoing", "name: '{number}', to: outgoing"))
    numbers = [f"EX-{n}" for n in range(4)]
    tasks = [papertray.submit(invoice(number=number), "outgoing") for number in numbers]
    folder = papertray.home / "exports/default/outgoing"
    wait_until(lambda: bool(_files(folder)), 120, lambda: "nothing comes")
    papertray.kill("worker")
    for task in tasks:
        done = papertray.until(task, "completed", "failed", "in_review", seconds=RECOVERY_SECONDS)
        assert done["state"] == "completed", done
        assert papertray.events(task).count("task.exported") == 1
    endings = ("csv", "json", "pdf")
    assert _files(folder) == sorted(f"{number}.{end}" for number in numbers for end in endings)
    for number in numbers:
        data = json.loads((folder / f"{number}.json").read_bytes())
        assert data["documents"][0]["fields"]["number"]["value"] == number
        assert (folder / f"{number}.pdf").read_bytes().rstrip().endswith(b"%%EOF")


def _exporting(name: str, how: str) -> str:
    formats = "  formats: [json, csv, pdf]\n"
    return project(name).replace(formats, f"{formats}  {how.replace(', ', f'{chr(10)}  ')}\n")


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_killed_while_a_client_fetches_the_files(papertray: Installation) -> None:
    papertray.install(_exporting("fetched", "pickup: true"))
    task = papertray.submit(invoice(), "fetched")
    papertray.until(task, "awaiting_export")
    papertray.until_run(task, "Suspended")
    offer = papertray.api.post(f"/tasks/{task}/export/start").json()
    papertray.kill("worker")
    for file in offer["files"]:
        assert papertray.api.get(f"/files/{file['id']}/download").status_code == 200
    assert papertray.api.post(f"/tasks/{task}/export/complete").status_code == 200
    is_as_it_should_be(papertray, task)
    outputs = papertray.api.get(f"/tasks/{task}/outputs").json()["data"]
    assert {file["id"] for file in outputs} == {file["id"] for file in offer["files"]}


def test_no_process_of_the_killed_is_left(papertray: Installation) -> None:
    import psutil

    task = papertray.submit(scan(invoice(pages=6)))
    wait_until(
        lambda: papertray.task(task)["progress"]["step"] == "read", 60, lambda: "never reads"
    )
    worker = psutil.Process(papertray.pid("worker"))

    def readers() -> list[psutil.Process]:
        found = [worker, *worker.children(recursive=True)]
        return [one for one in found if one.is_running()]

    wait_until(lambda: len(readers()) > 2, 30, lambda: "no child process")
    below = readers()
    papertray.kill("worker")
    wait_until(
        lambda: not [p for p in below if p.is_running() and p.status() != "zombie"],
        10,
        lambda: f"left behind: {[p.cmdline() for p in below if p.is_running()]}",
    )
    is_as_it_should_be(papertray, task)


def test_up_itself_killed_and_started_again(papertray: Installation) -> None:
    task = papertray.submit(scan(invoice(pages=3)))
    waiting = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until(waiting, "in_review")
    assert papertray.process is not None
    papertray.process.kill()
    papertray.stop()
    papertray.start()
    answer = papertray.api.post(f"/tasks/{waiting}/complete", json={"values": VALUES})
    assert answer.status_code == 200
    is_as_it_should_be(papertray, task)
    is_as_it_should_be(papertray, waiting)
