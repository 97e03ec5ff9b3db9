"""What is made with a test key: nobody reviews it, and it is gone after a day."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from flows import erase, verbs
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import NotFoundError
from store.ids import now
from store.lifecycle import advance
from store.models import File, Task
from store.states import Actor, Event, State
from tests.flow_driver import Driver
from tests.unit.flows.conftest import bytes_of

WORDS = "name: words\nreview: {when: always}\nblocks: [{name: word, type: text, required: true}]\n"


@pytest.fixture
def tester(alice: Caller) -> Caller:
    return replace(alice, is_test=True)


async def test_nobody_is_asked_about_a_task_of_a_test_key(
    alice: Caller, tester: Caller, monkeypatch: pytest.MonkeyPatch
):
    driver = Driver(monkeypatch)
    await verbs.install_project(alice, WORDS)
    task = await verbs.submit_process(tester, project="words", data={"word": "yes"})
    assert (await driver.process(task)).state is State.COMPLETED
    assert driver.asked == []

    async def decide(task: Task) -> None:
        await verbs.discard(alice, task.public_id)

    real = await verbs.submit_process(alice, project="words", data={"word": "yes"})
    assert (await driver.process(real, decide)).state is State.DISCARDED
    assert len(driver.asked) == 1


async def test_a_task_of_a_test_key_ends_and_goes_within_a_day_of_when_it_was_made(
    alice: Caller, tester: Caller
):
    await verbs.install_project(alice, WORDS)
    task = await verbs.submit_process(tester, project="words", data={"word": "yes"})
    a_day = task.created_at + timedelta(days=1)
    assert task.deadline_at is not None
    assert task.deadline_at <= a_day + timedelta(minutes=1)
    async with database().writing() as session:
        ended = await advance(session, task, Event.CANCEL, Actor("flow", "system"))
    assert ended.erase_after == a_day


async def test_a_file_of_a_test_key_that_no_task_has_goes_after_a_day(
    alice: Caller, tester: Caller, monkeypatch: pytest.MonkeyPatch
):
    await verbs.install_project(alice, "name: letters\nfields: [{name: total, labels: [T]}]\n")

    async def send(caller: Caller, name: str) -> File:
        return await verbs.take_file(caller, name=name, chunks=bytes_of(b"%PDF-1.7 made up"))

    unused = await send(tester, "unused.pdf")
    used = await send(tester, "used.pdf")
    real = await send(alice, "real.pdf")
    await verbs.submit_process(tester, project="letters", file_id=used.id)
    async with database().writing() as session:
        before = now() - timedelta(days=1, seconds=1)
        await session.execute(update(File).values(created_at=before))
    fresh = await send(tester, "fresh.pdf")
    await erase.retain_once()
    async with database().reading() as session:
        left = set((await session.execute(select(col(File.id)))).scalars())
    assert left == {used.id, real.id, fresh.id}
    with pytest.raises(NotFoundError):
        await blobs().read(unused.blob)
