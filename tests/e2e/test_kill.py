"""kill -9 of worker, Prefect server and API at each step of a task's life; then all is right."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.documents import invoice, project, scan
from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

WRONG_TOTAL = "120.00"
VALUES = {"total": "119.00"}
PARTS = ("worker", "prefect", "serve")
RECOVERY_SECONDS = 90
"""Time to start the part again, plus the minute in which nothing may stay wrong."""


@pytest.fixture(scope="module")
def papertray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("papertray"))
    installation.start()
    installation.install(project())
    yield installation
    installation.stop()


def patiently(
    call: Callable[[], httpx.Response], seconds: float = RECOVERY_SECONDS
) -> httpx.Response:
    """Make a call, as a client that tries again while the API is away."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answers.append(call())
        return bool(answers)

    wait_until(answered, seconds, lambda: "the API stays away")
    return answers[-1]


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
def test_killed_as_soon_as_the_task_is_accepted(papertray: Installation, part: str) -> None:
    task = papertray.submit(invoice())
    papertray.kill(part)
    is_as_it_should_be(papertray, task)


@pytest.mark.parametrize("part", PARTS)
def test_killed_while_pages_are_read(papertray: Installation, part: str) -> None:
    task = papertray.submit(scan(invoice(pages=3)))
    wait_until(
        lambda: papertray.task(task)["progress"]["step"] == "read", 60, lambda: "never reads"
    )
    papertray.kill(part)
    is_as_it_should_be(papertray, task)


@pytest.mark.parametrize("part", PARTS)
def test_killed_in_the_moment_a_person_is_asked(papertray: Installation, part: str) -> None:
    task = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until(task, "in_review")
    papertray.kill(part)
    answer = patiently(
        lambda: papertray.api.post(f"/tasks/{task}/complete", json={"values": VALUES})
    )
    assert answer.status_code == 200, answer.text
    is_as_it_should_be(papertray, task)


@pytest.mark.parametrize("part", PARTS)
def test_killed_while_the_task_is_parked(papertray: Installation, part: str) -> None:
    task = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until_run(task, "Suspended")
    papertray.kill(part)
    answer = patiently(
        lambda: papertray.api.post(f"/tasks/{task}/complete", json={"values": VALUES})
    )
    assert answer.status_code == 200, answer.text
    is_as_it_should_be(papertray, task)


@pytest.mark.parametrize("part", PARTS)
def test_killed_right_after_the_decision(papertray: Installation, part: str) -> None:
    task = papertray.submit(invoice(total=WRONG_TOTAL))
    papertray.until(task, "in_review")
    answer = papertray.api.post(f"/tasks/{task}/complete", json={"values": VALUES})
    papertray.kill(part)
    assert answer.status_code == 200
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


def test_all_killed_at_random_while_many_tasks_come_and_go(papertray: Installation) -> None:
    chance = random.Random(8460)
    clear = [papertray.submit(invoice(number=f"CH-{n}")) for n in range(12)]
    unclear = [papertray.submit(invoice(number=f"RV-{n}", total=WRONG_TOTAL)) for n in range(6)]
    for _ in range(6):
        papertray.kill(chance.choice(PARTS))
        time.sleep(chance.uniform(0.5, 3))
    for task in unclear:
        papertray.until(task, "in_review", seconds=RECOVERY_SECONDS)
        answer = patiently(
            lambda task=task: papertray.api.post(f"/tasks/{task}/complete", json={"values": VALUES})
        )
        assert answer.status_code == 200, answer.text
    papertray.kill("worker")
    for task in clear + unclear:
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
