"""Erasing: everything, whatever interrupts it, and nothing that is still needed."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from flows import engine, erase, purge, verbs
from flows.engine import Run
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.erasing import scrub_answers
from store.errors import IllegalTransitionError, NotFoundError, PrefectUnreachableError
from store.finding import find_file, find_task
from store.ids import now
from store.lifecycle import advance
from store.models import (
    Activity,
    Delivery,
    DeliveryOutcome,
    Document,
    File,
    IdempotencyRecord,
    Outbox,
    Page,
    Task,
)
from store.states import Actor, Event
from tests.canary import CANARY, places_of
from tests.unit.flows.conftest import PROJECT, bytes_of

FLOW = Actor("flow", "system")


class Prefect:
    """What Prefect is asked to forget."""

    def __init__(self) -> None:
        self.emptied: list[UUID] = []
        self.deleted: list[UUID] = []
        self.runs: dict[UUID, Run] = {}

    async def empty(self, flow_run_id: UUID, *, task_id: UUID, name: str) -> None:
        self.emptied.append(flow_run_id)

    async def delete_run(self, flow_run_id: UUID) -> None:
        self.deleted.append(flow_run_id)

    async def read_runs(self, flow_run_ids: list[UUID]) -> dict[UUID, Run]:
        return {one: self.runs[one] for one in flow_run_ids if one in self.runs}


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    fake = Prefect()
    for name in ("empty", "delete_run", "read_runs"):
        monkeypatch.setattr(engine, name, getattr(fake, name))
    return fake


async def ended(
    alice: Caller,
    *,
    retention: str = "data: final",
    file: File | None = None,
    name: str = "invoices",
    callback_url: str | None = None,
) -> Task:
    """A completed task that has the word wherever a task can have one."""
    source = PROJECT.replace("invoices", name) + f"retention: {{{retention}}}\n"
    await verbs.install_project(alice, source)
    sent = file or await verbs.take_file(
        alice, name=f"{CANARY}.pdf", chunks=bytes_of(f"%PDF-1.7 {CANARY}".encode())
    )
    task = await verbs.submit_process(
        alice,
        project=name,
        file_id=sent.id,
        name=CANARY,
        metadata={CANARY: [CANARY * 2000]},
        callback_url=callback_url,
    )
    await blobs().write_stream(f"tasks/{task.id}/read/page-1.txt", bytes_of(CANARY.encode()))
    async with database().writing() as session:
        await session.execute(delete(Outbox))
        task = await advance(session, task, Event.START, FLOW, flow_run_id=uuid4())
        session.add_all(
            [
                Document(
                    task_id=task.id, number=1, document_type="x", fields={"a": {"value": CANARY}}
                ),
                Page(
                    task_id=task.id,
                    number=1,
                    width_pixels=1,
                    height_pixels=1,
                    method="ocr",
                    confidence=1,
                    image_blob="",
                    words_blob="",
                ),
                File(
                    organization_id=alice.organization_id,
                    name=f"{CANARY}.json",
                    blob=f"tasks/{task.id}/data.json",
                    type="application/json",
                    size_bytes=1,
                    sha256="",
                    task_id=task.id,
                    role="data",
                ),
                IdempotencyRecord(
                    organization_id=alice.organization_id,
                    route="/v1/tasks",
                    key=str(task.id),
                    request_sha256="",
                    status=202,
                    body=f'{{"id": "{task.public_id}", "name": "{CANARY}", "result": {{"a": 1}}}}',
                ),
            ]
        )
        await session.flush()
        return await advance(
            session,
            task,
            Event.FINISH,
            FLOW,
            reason=CANARY,
            data={"issues": [CANARY]},
            result={"documents": [CANARY]},
            decision={"round": 1, "decision": "complete", "actor": "alice", "note": CANARY},
            finished_at=now(),
        )


async def read(task: Task) -> Task | None:
    async with database().reading() as session:
        return await session.get(Task, task.id)


async def must_be(task: Task) -> Task:
    found = await read(task)
    assert found is not None
    return found


async def test_a_task_is_erased_everywhere_and_its_record_stays(
    alice: Caller, home: Path, prefect: Prefect
) -> None:
    task = await ended(alice)
    assert {Path(one).parts[0] for one in places_of(CANARY, home)} >= {"papertray.db-wal", "blobs"}
    assert await erase.erase_due() == 1
    assert places_of(CANARY, home) == []
    left = await must_be(task)
    assert (left.state, left.erase_after, left.parameters) == (
        task.state,
        None,
        {"project": "invoices"},
    )
    assert left.erased_at
    assert left.forget_after == left.erased_at + timedelta(hours=72)
    assert prefect.emptied == [task.flow_run_id]
    async with database().reading() as session:
        happened = (
            await session.execute(select(Activity).where(col(Activity.task_id) == task.id))
        ).scalars()
        types = [(one.type, one.actor, one.reason) for one in happened]
    assert types == [
        ("task.created", "alice@example.com", ""),
        ("task.started", "flow", ""),
        ("task.completed", "flow", ""),
        ("task.erased", "retain", ""),
    ]
    assert await erase.erase_due() == 0


async def test_what_filled_many_pages_of_the_database_is_in_none(
    alice: Caller, home: Path, prefect: Prefect
) -> None:
    sent = await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(b"%PDF-1.7"))
    kept = [await ended(alice, retention="data: keep", file=sent, name="kept") for _ in range(3)]
    for _ in range(30):
        await ended(alice, file=sent)
    async with database().writing() as session:
        # What stays is spread among what goes, so that pages of the database are split and joined.
        await session.execute(
            update(Task)
            .where(col(Task.id).in_([one.id for one in kept]))
            .values(task_metadata={}, name="", callback_url=None, result={}, decision=None)
        )
    while await erase.erase_due():
        pass
    assert places_of(CANARY * 3, home) == []


class Crash(BaseException):
    """The process is gone."""


STEPS: dict[str, tuple[Any, str]] = {
    "before Prefect": (engine, "empty"),
    "before the bytes": (blobs, "delete"),
    "before the rows": (erase, "scrub_task"),
    "before the files": (erase, "take_files"),
    "before the logs of the databases": (erase, "empty_logs"),
    "before it is written down": (erase, "record_period"),
}


@pytest.mark.parametrize("step", STEPS)
async def test_what_a_crash_interrupts_is_finished_afterwards(
    step: str, alice: Caller, home: Path, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await ended(alice)
    owner, name = STEPS[step]
    owner = blobs() if owner is blobs else owner

    async def crash(*_: Any, **__: Any) -> None:
        raise Crash

    with monkeypatch.context() as crashing:
        crashing.setattr(owner, name, crash)
        with pytest.raises(Crash):
            await erase.erase_due()
        assert (await must_be(task)).erased_at is None
    assert await erase.erase_due() == 1
    assert places_of(CANARY, home) == []
    assert (await must_be(task)).erased_at


async def test_a_crash_between_bytes_and_rows_leaves_no_bytes_without_a_row(
    alice: Caller, home: Path, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(alice)
    real, calls = blobs().delete, 0

    async def second_fails(key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("the storage is away")
        await real(key)

    with monkeypatch.context() as failing:
        failing.setattr(blobs(), "delete", second_fails)
        assert await erase.erase_due() == 0
    assert calls == 2
    assert await erase.erase_due() == 1
    assert places_of(CANARY, home) == []


async def test_an_input_goes_with_the_last_task_that_has_it(
    alice: Caller, prefect: Prefect
) -> None:
    first = await ended(alice)
    async with database().reading() as session:
        sent = await session.get_one(File, first.input_file_id)
    second = await ended(alice, file=sent, retention="data: keep", name="kept")
    third = await verbs.submit_operation(
        alice, operation="merge", kind="pdf", parameters={"input": [sent.id]}
    )
    assert await erase.erase_due() == 1
    async with database().reading() as session:
        assert await session.get(File, sent.id)
    for last in (third, second):
        async with database().reading() as session:
            assert await session.get(File, sent.id)
        await erase.delete_task(alice, last.public_id)
        await without_calls()
        assert await erase.erase_due() == 1
    async with database().reading() as session:
        assert await session.get(File, sent.id) is None


async def without_calls() -> None:
    """Prefect was called, and no call to it waits any more."""
    async with database().writing() as session:
        await session.execute(delete(Outbox))


async def test_nothing_is_erased_while_its_run_may_still_write(
    alice: Caller, prefect: Prefect, home: Path
) -> None:
    task = await ended(alice)
    assert task.flow_run_id
    prefect.runs[task.flow_run_id] = run_of(task.flow_run_id, "RUNNING")
    assert await erase.erase_due() == 0
    prefect.runs[task.flow_run_id] = run_of(task.flow_run_id, "FAILED")
    assert await erase.erase_due() == 0, "its worker may not yet know that a deadline ended it"
    prefect.runs[task.flow_run_id] = run_of(task.flow_run_id, "COMPLETED")
    await erase.delete_task(alice, task.public_id)
    async with database().writing() as session:
        session.add(Outbox(kind="cancel", task_id=task.id))  # pyright: ignore[reportArgumentType]  # its value
    assert await erase.erase_due() == 0, "a call to Prefect still waits"
    assert places_of(CANARY, home)
    await without_calls()
    assert await erase.erase_due() == 1
    assert places_of(CANARY, home) == []
    assert prefect.deleted == [task.flow_run_id]


def run_of(flow_run_id: UUID, kind: str) -> Run:
    return Run(
        id=flow_run_id,
        type=kind,
        name=kind,
        at=now(),
        message="",
        state_id="",
        details={},
        run_count=1,
        infrastructure_pid=None,
        policy={},
    )


async def test_nothing_is_erased_while_prefect_is_away(
    alice: Caller, prefect: Prefect, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(alice)

    async def away(_: Any) -> None:
        raise PrefectUnreachableError

    monkeypatch.setattr(engine, "read_runs", away)
    with pytest.raises(PrefectUnreachableError):
        await erase.erase_due()
    assert places_of(CANARY, home)


async def test_who_opens_a_task_again_keeps_its_data(alice: Caller, prefect: Prefect) -> None:
    task = await ended(alice, retention="data: 1h")
    assert await erase.erase_due() == 0
    opened = await verbs.unlock(alice, task.public_id)
    assert opened.erase_after is None
    async with database().writing() as session:
        ended_again = await advance(session, opened, Event.DISCARD, FLOW)
    assert ended_again.erase_after
    assert timedelta(minutes=59) < ended_again.erase_after - now() <= timedelta(hours=1)


Verb = Callable[[Caller, str], Awaitable[Task]]


async def report(caller: Caller, public_id: str) -> Task:
    return (await verbs.report(caller, public_id, [], CANARY)).task


@pytest.mark.parametrize("verb", [verbs.unlock, report])
@pytest.mark.parametrize("is_erased", [False, True])
async def test_nothing_is_done_with_a_task_whose_time_has_come(
    verb: Verb, is_erased: bool, alice: Caller, prefect: Prefect
) -> None:
    task = await ended(alice)
    if is_erased:
        assert await erase.erase_due() == 1
    with pytest.raises(IllegalTransitionError, match="was erased"):
        await verb(alice, task.public_id)


async def test_nobody_sees_a_deleted_task_nor_what_it_made(
    alice: Caller, stranger: Caller, prefect: Prefect
) -> None:
    task = await ended(alice, retention="data: keep")
    async with database().reading() as session:
        query = select(col(File.id)).where(col(File.task_id) == task.id)
        output = (await session.execute(query)).scalar_one()
        await find_file(session, alice, output)
    with pytest.raises(NotFoundError):
        await erase.delete_task(stranger, task.public_id)
    await erase.delete_task(alice, task.public_id)
    async with database().reading() as session:
        with pytest.raises(NotFoundError):
            await find_task(session, alice, task.public_id)
        with pytest.raises(NotFoundError):
            await find_file(session, alice, output)
    with pytest.raises(NotFoundError):
        await erase.delete_task(alice, task.public_id)


async def test_an_erased_task_can_be_deleted_with_its_run(alice: Caller, prefect: Prefect) -> None:
    task = await ended(alice)
    assert await erase.erase_due() == 1
    await erase.delete_task(alice, task.public_id)
    assert await erase.erase_due() == 1
    assert prefect.deleted == [task.flow_run_id]


async def test_the_record_goes_once_all_have_been_told(alice: Caller, prefect: Prefect) -> None:
    told = f"https://example.com/{CANARY}"
    task = await ended(alice, retention="data: final, record: 1s", callback_url=told)
    assert await erase.erase_due() == 1
    async with database().writing() as session:
        await session.execute(update(Task).values(forget_after=now()))
    assert await erase.forget_due() == 0, "the callback was not told yet"
    async with database().reading() as session:
        callback = (await session.execute(select(Delivery))).scalar_one()
        assert callback.url == told
    async with database().writing() as session:
        await session.execute(
            update(Delivery).values(
                due_at=None, outcome=DeliveryOutcome.DELIVERED, answer=f"thanks for {CANARY}"
            )
        )
        await session.execute(update(Task).values(forget_after=None))
    await erase.retain_once()
    async with database().writing() as session:
        delivery = (await session.execute(select(Delivery))).scalar_one()
        assert (delivery.url, delivery.answer) == (None, "")
        await session.execute(update(Task).values(forget_after=now()))
    assert await erase.forget_due() == 1
    assert await read(task) is None
    async with database().reading() as session:
        for kind in (Delivery, Activity):
            query = select(func.count()).select_from(kind)
            if kind is Activity:
                query = query.where(col(Activity.task_id) == task.id)
            assert (await session.execute(query)).scalar_one() == 0
    assert prefect.deleted == [task.flow_run_id]


async def test_an_answer_that_is_kept_for_a_repeated_request_loses_its_content(
    alice: Caller, home: Path
) -> None:
    bodies = {
        "one": '{"id": "task_a", "state": "queued", "name": "N", "metadata": {"k": "v"}, "n": 7}',
        "two": '{"payload": {"id": "task_a", "name": "N", "pages": [1]}, "message": "M"}',
        "three": "task_a, but no JSON",
        "other": '{"id": "task_b", "name": "N"}',
    }
    async with database().writing() as session:
        for key, body in bodies.items():
            session.add(
                IdempotencyRecord(
                    organization_id=alice.organization_id,
                    route="/v1/tasks",
                    key=key,
                    request_sha256="",
                    status=202,
                    body=body,
                )
            )
    async with database().writing() as session:
        await scrub_answers(session, alice.organization_id, ["task_a"], since=now())
    async with database().reading() as session:
        records = (await session.execute(select(IdempotencyRecord))).scalars()
        after = {record.key: record.body for record in records}
    assert after == {
        "one": '{"id": "task_a", "state": "queued", "name": "", "metadata": {}, "n": null}',
        "two": '{"payload": {"id": "task_a", "name": "", "pages": []}, "message": ""}',
        "three": "",
        "other": bodies["other"],
    }


async def test_what_dead_processes_left_is_removed(alice: Caller, home: Path) -> None:
    coming_in = home / "blobs" / ".incoming"
    coming_in.mkdir(parents=True)
    (coming_in / "new").write_text(CANARY)
    (coming_in / "old").write_text(CANARY)
    os.utime(coming_in / "old", (0, 0))
    left = home / "scratch" / "123-left"
    left.mkdir(parents=True)
    (left / ".lock").touch()
    (left / "page.pgm").write_text(CANARY)
    await erase.retain_once()
    assert [path.name for path in coming_in.iterdir()] == ["new"]
    assert not left.exists()


async def test_a_purge_tells_beforehand_what_goes(
    alice: Caller, stranger: Caller, prefect: Prefect
) -> None:
    await ended(alice)
    old = await ended(alice, retention="data: keep", name="kept")
    async with database().writing() as session:
        await session.execute(
            update(Task)
            .where(col(Task.id) == old.id)
            .values(finished_at=now() - timedelta(days=40))
        )
    size = len(f"%PDF-1.7 {CANARY}") + len(CANARY)
    invoices, kept = purge.Purge("invoices", 1, size, 0), purge.Purge("kept", 1, size, 0)
    month = timedelta(days=30)
    assert await purge.to_go(alice) == [invoices]
    assert await purge.to_go(alice, older_than=month) == [invoices, kept]
    assert await purge.to_go(alice, older_than=month, project="kept") == [kept]
    assert await purge.to_go(stranger, older_than=month) == []
    assert await purge.make_due(alice, older_than=month, project="kept") == 1
    assert await erase.retain_once() == 2
    assert await purge.to_go(alice, older_than=month) == []
    async with database().writing() as session:
        await session.execute(update(Task).values(forget_after=now()))
    assert [one.records for one in await purge.to_go(alice)] == [1, 1]


async def test_the_eraser_works_until_it_is_told_to_stop(
    alice: Caller, prefect: Prefect, home: Path
) -> None:
    await ended(alice)
    stop = asyncio.Event()
    running = asyncio.create_task(erase.run_eraser(stop))
    async with asyncio.timeout(60):
        while places_of(CANARY, home):
            await asyncio.sleep(0.05)
    stop.set()
    await running


async def test_a_task_that_is_deleted_while_it_is_erased_loses_its_run_too(
    alice: Caller, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await ended(alice)

    async def meanwhile(flow_run_id: UUID, **_: Any) -> None:
        await erase.delete_task(alice, task.public_id)

    monkeypatch.setattr(engine, "empty", meanwhile)
    await erase.erase_due()
    await erase.erase_due()
    assert prefect.deleted == [task.flow_run_id]
    assert (await must_be(task)).erased_at
