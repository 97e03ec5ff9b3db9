"""The verbs of a client that fetches files: who may do what, when, and what becomes of a lease."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from flows import verbs
from flows.expire import expire_once
from store.access import Caller
from store.database import database
from store.errors import (
    ConflictError,
    IllegalTransitionError,
    NotClaimedError,
    NotFoundError,
)
from store.ids import now
from store.lifecycle import advance
from store.models import Activity, File, Outbox, Task
from store.settings import settings
from store.states import Actor, Event, State

FLOW = Actor("flow", "system")

Verb = Callable[[Caller, str], Awaitable[Any]]
AFTER_START: list[Verb] = [verbs.complete_export, verbs.cancel_export, verbs.fail_export]


@pytest.fixture
async def offered(alice: Caller, queued: Task) -> Task:
    async with database().writing() as session:
        task = await advance(session, queued, Event.START, FLOW)
        session.add(
            File(
                organization_id=task.organization_id,
                name="data.json",
                blob=f"tasks/{task.id}/export-0/data.json",
                type="application/json",
                size_bytes=2,
                sha256="",
                task_id=task.id,
                role="data",
            )
        )
        return await advance(session, task, Event.OFFER_EXPORT, FLOW, export_round=1)


async def again(task: Task) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, task.id)


async def let_the_lease_run_out(task: Task) -> None:
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.id) == task.id).values(claimed_until=now())
        )


async def calls_of(task: Task) -> Sequence[tuple[str, dict[str, Any]]]:
    async with database().reading() as session:
        query = select(col(Outbox.kind), col(Outbox.payload)).where(col(Outbox.task_id) == task.id)
        return list((await session.execute(query.order_by(col(Outbox.id)))).tuples())[1:]


async def test_start_holds_the_task_and_tells_what_is_to_be_fetched(
    alice: Caller, offered: Task
) -> None:
    offer = await verbs.start_export(alice, offered.public_id)
    assert (offer.task.state, verbs.holder(offer.task)) == (State.EXPORTING, alice.actor.name)
    assert offer.task.claimed_until is not None
    left = (offer.task.claimed_until - now()).total_seconds()
    assert settings().claim_lease_seconds - 60 < left <= settings().claim_lease_seconds
    assert [file.name for file in offer.files] == ["data.json"]
    assert await calls_of(offered) == []


async def test_complete_wakes_the_run(alice: Caller, offered: Task) -> None:
    await verbs.start_export(alice, offered.public_id)
    task = await verbs.complete_export(alice, offered.public_id)
    assert (task.state, task.claimed_by) == (State.RUNNING, None)
    assert task.exported_at is not None
    wake = {"key": "export-1", "decision": "complete"}
    assert await calls_of(offered) == [("resume", wake)]


async def test_cancel_lets_the_next_client_come(alice: Caller, bob: Caller, offered: Task) -> None:
    await verbs.start_export(alice, offered.public_id)
    task = await verbs.cancel_export(alice, offered.public_id)
    assert (task.state, task.claimed_by, task.export_round) == (State.AWAITING_EXPORT, None, 1)
    assert (await verbs.start_export(bob, offered.public_id)).task.claimed_by == bob.actor.name


async def test_fail_ends_the_task_and_its_run(alice: Caller, offered: Task) -> None:
    await verbs.start_export(alice, offered.public_id)
    task = await verbs.fail_export(alice, offered.public_id, "no room")
    assert (task.state, task.result["error"]) == (State.FAILED, "no room")
    assert [kind for kind, _ in await calls_of(offered)] == ["end"]


@pytest.mark.parametrize("verb", AFTER_START)
async def test_only_who_started_it_can_go_on(
    alice: Caller, bob: Caller, stranger: Caller, offered: Task, verb: Verb
) -> None:
    with pytest.raises(IllegalTransitionError, match="is awaiting_export"):
        await verb(alice, offered.public_id)
    started = (await verbs.start_export(alice, offered.public_id)).task
    with pytest.raises(NotClaimedError):
        await verb(bob, offered.public_id)
    with pytest.raises(NotFoundError):
        await verb(stranger, offered.public_id)
    assert (await again(offered)).version == started.version
    await verb(alice, offered.public_id)
    with pytest.raises(ConflictError):
        await verb(alice, offered.public_id)


async def test_start_needs_a_task_that_waits_for_a_client(
    alice: Caller, bob: Caller, queued: Task
) -> None:
    with pytest.raises(IllegalTransitionError, match="is queued"):
        await verbs.start_export(alice, queued.public_id)


async def test_of_two_that_start_one_has_it(alice: Caller, bob: Caller, offered: Task) -> None:
    await verbs.start_export(alice, offered.public_id)
    for caller in (alice, bob):
        with pytest.raises(IllegalTransitionError, match="is exporting"):
            await verbs.start_export(caller, offered.public_id)


async def test_a_lease_that_ran_out_goes_back_by_itself(alice: Caller, offered: Task) -> None:
    await verbs.start_export(alice, offered.public_id)
    assert await expire_once() == 0
    await let_the_lease_run_out(offered)
    assert await expire_once() == 1
    task = await again(offered)
    assert (task.state, task.claimed_by) == (State.AWAITING_EXPORT, None)
    with pytest.raises(IllegalTransitionError):
        await verbs.complete_export(alice, offered.public_id)
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.task_id) == offered.id)
        last = (
            (await session.execute(query.order_by(col(Activity.number).desc()))).scalars().first()
        )
    assert last is not None
    assert (last.type, last.actor) == ("task.awaiting_export", "expire")
    assert await expire_once() == 0


async def test_a_lease_that_ran_out_keeps_nobody_waiting(
    alice: Caller, bob: Caller, offered: Task
) -> None:
    await verbs.start_export(alice, offered.public_id)
    await let_the_lease_run_out(offered)
    assert (await verbs.start_export(bob, offered.public_id)).task.claimed_by == bob.actor.name
    with pytest.raises(NotClaimedError):
        await verbs.complete_export(alice, offered.public_id)


@pytest.mark.parametrize("is_started", [False, True])
async def test_a_task_that_nobody_fetches_times_out_at_its_deadline(
    alice: Caller, offered: Task, is_started: bool
) -> None:
    if is_started:
        await verbs.start_export(alice, offered.public_id)
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.id) == offered.id).values(deadline_at=now())
        )
    await expire_once()
    assert (await again(offered)).state is State.TIMED_OUT


async def test_a_task_that_waits_for_a_client_can_be_canceled(alice: Caller, offered: Task) -> None:
    assert (await verbs.cancel(alice, offered.public_id)).state is State.CANCELED
