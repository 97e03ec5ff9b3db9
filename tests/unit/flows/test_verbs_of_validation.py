"""The verbs of a client that validates: who may do what, and how a task is failed."""

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from flows import verbs
from store.access import Caller
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    IllegalTransitionError,
    NotClaimedError,
    NotFoundError,
)
from store.finding import find_project
from store.ids import now
from store.models import Outbox, OutboxKind, Task
from store.states import State


async def let_the_lease_run_out(task: Task) -> None:
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.id) == task.id).values(claimed_until=now())
        )


async def test_what_somebody_holds_is_not_started_again_not_even_by_them(
    alice: Caller, bob: Caller, waiting: Task
):
    started = await verbs.start_review(alice, waiting.public_id)
    assert verbs.holder(started) == "alice@example.com"
    for caller in (alice, bob):
        with pytest.raises(AlreadyClaimedError):
            await verbs.start_review(caller, waiting.public_id)
    await let_the_lease_run_out(waiting)
    assert verbs.holder(await verbs.start_review(bob, waiting.public_id)) == "bob@example.com"


async def test_only_who_started_holds_a_task_and_only_while_it_waits(
    alice: Caller, bob: Caller, waiting: Task
):
    with pytest.raises(NotClaimedError):
        await verbs.must_hold_review(alice, waiting.public_id)
    await verbs.start_review(alice, waiting.public_id)
    await verbs.must_hold_review(alice, waiting.public_id)
    with pytest.raises(NotClaimedError):
        await verbs.must_hold_review(bob, waiting.public_id)
    await verbs.discard(alice, waiting.public_id)
    with pytest.raises(AlreadyDecidedError):
        await verbs.must_hold_review(alice, waiting.public_id)


async def test_who_holds_a_task_can_fail_it_and_its_run_ends(alice: Caller, waiting: Task):
    with pytest.raises(NotClaimedError):
        await verbs.fail_review(alice, waiting.public_id, "unreadable")
    await verbs.start_review(alice, waiting.public_id)
    failed = await verbs.fail_review(alice, waiting.public_id, "unreadable")
    assert (failed.state, failed.claimed_by) == (State.FAILED, None)
    assert failed.result == {"error": "unreadable", "details": {"code": "input_rejected"}}
    async with database().reading() as session:
        query = select(col(Outbox.kind)).where(col(Outbox.task_id) == failed.id)
        assert OutboxKind.END in (await session.execute(query)).scalars().all()
    with pytest.raises(IllegalTransitionError):
        await verbs.fail_review(alice, waiting.public_id)


async def test_a_project_that_was_taken_away_takes_no_tasks_and_keeps_those_it_has(
    alice: Caller, bob: Caller, waiting: Task
):
    await verbs.delete_project(alice, "invoices")
    async with database().reading() as session:
        with pytest.raises(NotFoundError):
            await find_project(session, bob, "invoices")
    decided = await verbs.complete(alice, waiting.public_id, {"net": "9.00", "total": "9.00"})
    assert decided.state is State.RUNNING
    with pytest.raises(NotFoundError):
        await verbs.delete_project(alice, "invoices")
