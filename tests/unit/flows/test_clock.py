"""The clock is put forward and back: leases, repeats and repairs go on within a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from flows import clock, engine, reconcile, webhooks
from flows.engine import Run
from flows.heartbeat import beating, dead_workers, this_worker
from store.access import Caller
from store.database import database
from store.ids import now
from store.models import Delivery, Outbox, Task, Webhook, Worker
from store.settings import settings
from store.states import State

JUMP = timedelta(hours=3)


async def put_back(*kinds: type[Any]) -> None:
    """Let rows be as if the clock had been put back since they were written."""
    columns = {
        Outbox: ("available_at",),
        Delivery: ("due_at", "tried_at"),
        Worker: ("seen_at",),
        Task: ("updated_at",),
    }
    async with database().writing() as session:
        for kind in kinds:
            for row in (await session.execute(select(kind))).scalars():
                for column in columns[kind]:
                    at = getattr(row, column)
                    if at is not None:
                        setattr(row, column, at + JUMP)


async def all_of(kind: type[Any]) -> list[Any]:
    async with database().reading() as session:
        return list((await session.execute(select(kind))).scalars())


async def test_calls_and_messages_that_wait_for_a_time_that_was_are_due_at_once(
    alice: Caller, queued: Task
) -> None:
    hook = await webhooks.create_webhook(alice, url="https://example.com/hook")
    await webhooks.send_test(alice, hook.public_id)
    async with database().writing() as session:
        await session.execute(update(Outbox).values(available_at=now() + timedelta(seconds=30)))
        rest = now() + JUMP + clock.LONGEST_REST
        await session.execute(update(Webhook).values(resting_until=rest))
    await put_back(Outbox, Delivery)
    await clock.mend_times()
    (call,), (delivery,), (webhook,) = [await all_of(one) for one in (Outbox, Delivery, Webhook)]
    assert call.available_at <= now()
    assert delivery.due_at <= now()
    assert webhook.resting_until is None


async def test_a_message_whose_receiver_failed_waits_on_as_it_should(alice: Caller) -> None:
    hook = await webhooks.create_webhook(alice, url="https://example.com/hook")
    await webhooks.send_test(alice, hook.public_id)
    due = now() + timedelta(hours=2)
    async with database().writing() as session:
        await session.execute(update(Delivery).values(attempts=9, tried_at=now(), due_at=due))
    await clock.mend_times()
    assert [one.due_at for one in await all_of(Delivery)] == [due]


async def test_a_worker_that_died_before_the_clock_was_put_back_is_found_dead(
    home: Any,
) -> None:
    async with database().writing() as session:
        session.add(Worker(name="w", host="h", pid=1, seen_at=now() + JUMP))
    assert await dead_workers() == []
    await clock.mend_times()
    (worker,) = await all_of(Worker)
    assert abs(worker.seen_at - now()) < timedelta(seconds=30)


async def test_who_looks_dead_with_the_one_that_looks_has_time_to_beat(
    home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the clock was put forward, or the store was away: all look dead, and few are."""
    monkeypatch.setenv("PAPERTRAY_HEARTBEAT_SECONDS", "0.5")
    settings.cache_clear()
    taken: list[Any] = []

    async def take_over(flow_run_id: Any) -> None:
        taken.append(flow_run_id)

    living, dead = (Worker(name=name, host="h", pid=1) for name in ("living", "dead"))
    async with database().writing() as session:
        session.add_all([living, dead])
    forgotten = uuid4()  # a worker whose last claim came through after all else was given away

    async def held() -> dict[Any, Any]:
        # A run each, of the same id.
        return {one: one for one in (living.id, dead.id, this_worker().id, forgotten)}

    monkeypatch.setattr(engine, "take_over", take_over)
    monkeypatch.setattr(engine, "runs_held", held)
    async with beating("mine"):
        async with database().writing() as session:
            await session.execute(update(Worker).values(seen_at=now() - JUMP))
        assert len(await dead_workers()) == 3
        looking = asyncio.create_task(reconcile.take_over())
        await asyncio.sleep(0.5)
        async with database().writing() as session:
            beats = update(Worker).where(col(Worker.id) == living.id)
            await session.execute(beats.values(seen_at=now() + timedelta(seconds=60)))
        await looking
    assert sorted(taken) == sorted([dead.id, forgotten])


def run_at(scheduled: datetime) -> Run:
    return Run.of(
        {
            "id": str(uuid4()),
            "created": now().isoformat(),
            "state": {
                "type": "SCHEDULED",
                "name": "Scheduled",
                "timestamp": now().isoformat(),
                "state_details": {"scheduled_time": scheduled.isoformat()},
            },
            "run_count": 0,
            "infrastructure_pid": None,
            "empirical_policy": None,
        }
    )


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.IN_REVIEW])
def test_a_run_that_is_scheduled_for_a_time_that_was_is_started_again(state: State) -> None:
    task = Task(organization_id=uuid4(), operation="process", state=state)
    assert reconcile.repair_of(task, run_at(now() + JUMP)) is reconcile.Repair.START_AGAIN
    assert reconcile.repair_of(task, run_at(now())) is None


async def test_a_task_that_was_changed_at_a_time_to_come_is_looked_at(queued: Task) -> None:
    async with database().writing() as session:
        await session.execute(update(Task).values(flow_run_id=uuid4()))
    assert await reconcile._settled_tasks() == []
    await put_back(Task)
    assert [task.id for task in await reconcile._settled_tasks()] == [queued.id]


Count = Callable[[], Awaitable[int]]


def counting(counts: list[str], name: str) -> Count:
    async def count() -> int:
        counts.append(name)
        return 0

    return count


@pytest.mark.parametrize("is_restarted", [False, True], ids=["runs on", "restarted"])
async def test_until_the_clock_is_where_it_was_repairs_do_not_wait_for_schedules(
    is_restarted: bool, queued: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[str] = []
    monkeypatch.setattr(clock, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(clock, "reconcile_once", counting(rounds, "reconcile"))
    monkeypatch.setattr(clock, "expire_once", counting(rounds, "expire"))
    times = {"ahead": timedelta(0)}
    monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + times["ahead"])
    stop = asyncio.Event()
    if is_restarted:  # what is known is in the store
        times["ahead"] = -JUMP
    watching = asyncio.create_task(clock.run_clock_watch(stop))
    await asyncio.sleep(0.1)
    if not is_restarted:
        assert rounds == []
        times["ahead"] = -JUMP
    async with asyncio.timeout(30):
        while rounds.count("expire") < 3:
            await asyncio.sleep(0.01)
    times["ahead"] = timedelta(0)
    await asyncio.sleep(0.1)
    rounds.clear()
    await asyncio.sleep(0.1)
    assert rounds == []
    stop.set()
    await watching
