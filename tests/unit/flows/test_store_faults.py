"""The store fails, or the process dies, at every point of a task's life: nothing is lost of it.

SQLite's own method (https://sqlite.org/testing.html, section 3): let the n-th call fail, for
n = 1, 2, 3 ... until all is done without.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from sqlmodel import col

from flows import engine, erase, task_run, verbs, webhooks
from store.access import Caller
from store.blobs import blobs
from store.database import TROUBLE, database
from store.errors import (
    ConflictError,
    DatabaseAwayError,
    PrefectUnreachableError,
    StorageFullError,
)
from store.lifecycle import advance
from store.models import Activity, Delivery, ExportedFile, File, Outbox, Task
from store.settings import settings
from store.states import Actor, Event, State
from tests.faults import AWAY, FULL, Killed, all_rows, counted, disk_below, killed_at_commits
from tests.flow_driver import Driver

PROJECT = """\
name: moderation
blocks:
  - {name: comment, type: text, read_only: true}
  - {name: approve, type: binary, required: true}
review: always
export: {formats: [json, csv], to: moderated, name: "{task}"}
"""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


async def started(caller: Caller) -> Task:
    await verbs.install_project(caller, PROJECT)
    task = await verbs.submit_process(caller, project="moderation", data={"comment": "Hello"})
    async with database().writing() as session:
        return await advance(session, task, Event.START, Actor("flow", "system"))


def decides(caller: Caller) -> Callable[[Task], Awaitable[Any]]:
    """A person who decides, and asks again where no answer came."""

    async def decide(waiting: Task) -> None:
        for _ in range(200):
            try:
                with suppress(ConflictError):  # the decision is there, and its answer was lost
                    await verbs.complete(caller, waiting.public_id, {"approve": True})
            except TROUBLE:
                continue
            return

    return decide


async def is_right(task: Task, *, asked: int = 1) -> None:
    """Completed once: its files are there once, and each event and each message.

    Args:
        task: any.
        asked: how often a person was; a place that does not take files is a person's matter.
    """
    async with database().reading() as session:
        done = await session.get_one(Task, task.id)
        mine = select(File).where(col(File.task_id) == task.id)
        files = (await session.execute(mine)).scalars().all()
        happened = select(col(Activity.type)).where(col(Activity.task_id) == task.id)
        events = Counter((await session.execute(happened)).scalars().all())
        names = (await session.execute(select(col(ExportedFile.name)))).scalars().all()
        told = (await session.execute(select(Delivery))).scalars().all()
        calls = (await session.execute(select(col(Outbox.kind)))).scalars().all()
    assert (done.state, done.result["data"]) == (
        State.COMPLETED,
        {"comment": "Hello", "approve": True},
    )
    assert sorted(file.name for file in files) == [
        f"{task.public_id}.csv",
        f"{task.public_id}.json",
    ]
    for file in files:
        assert len(await blobs().read(file.blob)) == file.size_bytes
    once = {"created", "started", "exported", "completed"}
    wanted = dict.fromkeys(once, 1) | dict.fromkeys(("in_review", "answered"), asked)
    assert {f"task.{one}": times for one, times in wanted.items()} == dict(events)
    folder = settings().home / "exports/acme/moderated"
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert sorted(names) == sorted(file.name for file in files)
    assert len(told) == 1
    assert sorted(calls) == [*["resume"] * asked, "submit"]


async def test_a_life_in_which_each_statement_fails_once_ends_right(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0,) * 500)
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed"]
    )
    task = await started(alice)
    with counted() as statements:
        statements.each_fails_once = True
        for _ in range(50):
            with suppress(*TROUBLE):  # of what is read at the end, by the driver itself
                await driver.process(task, *[decides(alice)] * 100)
                break
    print(f"{len(statements.failed)} statements failed in one life")
    assert len(statements.failed) > 20
    await is_right(task)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_killed_at_any_commit_of_its_life_a_task_goes_on_and_ends_right(
    is_after: bool, alice: Caller, driver: Driver
) -> None:
    kills = 0
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed"]
    )
    with killed_at_commits() as commits:
        task = await started(alice)
        commits.is_after = is_after
        # One life, in which each run gets one commit further than the one before it.
        for kills in range(60):
            commits.count, commits.kills_at = 0, kills + 1
            try:
                task = await driver.process(task, *[decides(alice)] * 100)
            except Killed:
                continue
            break
    print(f"killed at {kills} commits of one life")
    assert kills >= 6
    await is_right(task)


async def test_while_a_disk_stays_full_a_person_says_when_to_try_again(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0, 0.0))
    task = await started(alice)
    tries = 0

    async def make_room(waiting: Task) -> None:
        assert tries == 3
        monkeypatch.setattr(blobs(), "write_stream", write)
        await verbs.complete(alice, waiting.public_id)

    async def full(*_: Any, **__: Any) -> Any:
        nonlocal tries
        tries += 1
        raise StorageFullError

    write = blobs().write_stream
    monkeypatch.setattr(blobs(), "write_stream", full)
    done = await driver.process(task, decides(alice), make_room)
    assert driver.asked[1].startswith("the export failed: There is no room left in the storage.")
    assert (done.state, done.result["data"]["approve"]) == (State.COMPLETED, True)


async def test_a_disk_that_was_full_for_a_while_is_waited_for(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0,) * 10)
    write, left = blobs().write_stream, 4

    async def full(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise StorageFullError
        return await write(*arguments, **options)

    task = await started(alice)
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed"]
    )
    monkeypatch.setattr(blobs(), "write_stream", full)
    await driver.process(task, *[decides(alice)] * 10)
    assert left == 0
    await is_right(task)


async def test_a_task_outlives_an_outage_of_prefect_that_is_longer_than_all_patience(
    alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0, 0.0))
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed"]
    )
    task = await started(alice)

    async def nobody_answers(_: Task) -> None:
        raise PrefectUnreachableError

    await driver.process(task, *[nobody_answers] * 10, decides(alice))
    await is_right(task)


Verb = Callable[[Caller, Task], Awaitable[Any]]

VERBS: dict[str, tuple[tuple[Event, ...], Verb]] = {
    "submit": ((), lambda who, _: verbs.submit_process(who, project="moderation", data={})),
    "cancel": ((), lambda who, task: verbs.cancel(who, task.public_id)),
    "report": ((), lambda who, task: verbs.report(who, task.public_id, [{"problem": "x"}])),
    "comment": ((), lambda who, task: verbs.comment(who, task.public_id, "look")),
    "claim": ((Event.ASK,), lambda who, task: verbs.claim(who, task.public_id)),
    "save": ((Event.ASK,), lambda who, task: verbs.save(who, task.public_id, {"approve": True})),
    "complete": (
        (Event.ASK,),
        lambda who, task: verbs.complete(who, task.public_id, {"approve": True}),
    ),
    "discard": ((Event.ASK,), lambda who, task: verbs.discard(who, task.public_id)),
    "unlock": ((Event.FINISH,), lambda who, task: verbs.unlock(who, task.public_id)),
    "retry": ((Event.FAIL,), lambda who, task: verbs.retry(who, task.public_id)),
}
"""What happens first to a task that runs, and the verb."""


@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_of_which_any_statement_fails_did_nothing_and_is_done_by_the_next_try(
    name: str, alice: Caller
) -> None:
    before, verb = VERBS[name]
    task = await started(alice)
    async with database().writing() as session:
        for one in before:
            rounds: dict[str, Any] = {"review_round": 1} if one is Event.ASK else {}
            task = await advance(session, task, one, Actor("flow", "system"), **rounds)
    rows, failures = await all_rows(), 0
    for number in range(1, 100):
        code, expected = ((AWAY, DatabaseAwayError), (FULL, StorageFullError))[number % 2]
        with counted() as statements:
            statements.fails_at, statements.code = number, code
            try:
                await verb(alice, task)
            except expected:
                failures += 1
            else:
                assert statements.count == failures
                break
        assert await all_rows() == rows
    print(f"{name}: {failures} statements failed")
    assert failures >= 3
    assert await all_rows() != rows


async def test_a_life_in_which_the_disk_refuses_each_thing_once_ends_right_and_is_erased(
    home: Path, alice: Caller, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_run, "TROUBLE_WAITS_SECONDS", (0.0,) * 500)
    await webhooks.create_webhook(
        alice, url="https://example.com/hook", event_types=["task.completed"]
    )
    task = await started(alice)
    take_up = task_run._take_up

    async def no_runs(_: object) -> dict[UUID, Any]:
        return {}

    monkeypatch.setattr(engine, "read_runs", no_runs)
    with disk_below(home) as disk:
        disk.fails_at, disk.gets_further = 1, True

        async def begun(task_id: UUID) -> Task:
            disk.count = 0
            return await take_up(task_id)

        async def decide(waiting: Task) -> None:
            disk.count = 0
            await decides(alice)(waiting)

        monkeypatch.setattr(task_run, "_take_up", begun)
        await driver.process(task, *[decide] * 100)
        of_life, disk.fails_at = len(disk.refused), None
        await is_right(task, asked=len(driver.asked))

        await erase.delete_task(alice, task.public_id)
        async with database().writing() as session:
            await session.execute(delete(Outbox))  # what Prefect was to be told, it was
        disk.fails_at = 1
        for _ in range(100):
            disk.count = 0
            if await erase.erase_due():
                break
        of_end = len(disk.refused) - of_life
    print(f"the disk refused {of_life} things of one life, and {of_end} of its end")
    assert of_life >= 30
    assert of_end >= 1
    assert [path for path in (home / "blobs" / "tasks").rglob("*") if path.is_file()] == []
