"""The worker and the wait for a person, against a real Prefect server."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import engine
from flows.engine import Outcome
from flows.heartbeat import dead_workers, living_workers
from flows.worker import LOOK_AGAIN_SECONDS
from store.database import database
from store.errors import PrefectUnreachableError
from tests.bad_network import Fault, bad_network
from tests.conftest import forget_process_state
from tests.e2e.prefect_server_fixture import (
    Server,
    ToyRun,
    Toys,
    WorkerProcess,
    is_alive,
    until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("prefect_server")]

CANCELLING = {"type": "CANCELLING", "name": "Cancelling"}
STEPS = ["one", "two", "three"]
REVIEWED = ["one", "complete", "three"]

StartWorker = Callable[..., Awaitable[WorkerProcess]]


@pytest.fixture
async def toys(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Toys]:
    pool = f"pool-{time.time_ns()}"
    async with engine.connected():
        yield await Toys(pool, home).ready()


@pytest.fixture
async def start_worker(toys: Toys, home: Path) -> AsyncIterator[StartWorker]:
    """Start a worker of the toys' pool; the store is shared, the log is its own."""
    started: list[WorkerProcess] = []

    async def start(prefect_url: str = "", **settings: Any) -> WorkerProcess:
        environment = {f"PAPERTRAY_{name.upper()}": str(value) for name, value in settings.items()}
        environment.setdefault("PAPERTRAY_HEARTBEAT_SECONDS", "0.5")
        if prefect_url:
            environment["PREFECT_API_URL"] = prefect_url
        worker = WorkerProcess(toys.pool, engine.POOL_TYPE, home, environment)
        started.append(worker)
        return await worker.start()

    yield start
    for worker in started:
        await worker.kill()


async def take_over_from_the_dead(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `reconcile` does."""
    monkeypatch.setenv("PAPERTRAY_HEARTBEAT_SECONDS", "0.5")
    await database().close()
    forget_process_state()
    dead = await until(dead_workers, 10)
    for run, worker in (await engine.runs_held(toys.pool)).items():
        if worker in dead:
            await engine.take_over(run)


async def test_a_flow_of_three_steps_completes(toys: Toys, start_worker: StartWorker) -> None:
    await start_worker()
    (warm,) = await toys.submit("three_steps")
    await warm.reaches("Completed")
    (run,) = await toys.submit("three_steps")
    await run.reaches("Completed")
    assert run.trace == STEPS
    assert await run.history() == ["Scheduled", "Pending", "Running", "Completed"]


async def test_an_attended_run_goes_on_in_memory_with_the_answer(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(review_attended_seconds=60)
    (run,) = await toys.submit("reviewed")
    await run.reaches("Paused")
    begun = time.monotonic()
    assert await run.resume(decision="discard", note="x") is Outcome.ACCEPTED
    await run.reaches("Completed")
    print(f"resume to completed: {time.monotonic() - begun:.2f} s")
    assert run.trace == ["one", "discard", "three"]
    assert "Suspended" not in await run.history()


async def test_a_parked_run_is_resumed_and_does_no_step_twice(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(review_attended_seconds=0.2)
    (run,) = await toys.submit("reviewed")
    parked = await run.reaches("Suspended")
    assert parked.is_parked
    assert parked.details["pause_key"] == "review-1"
    assert await run.resume() is Outcome.ACCEPTED
    await run.reaches("Completed")
    assert run.trace == REVIEWED


async def test_an_answer_that_does_not_fit_the_form_changes_nothing(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(review_attended_seconds=60)
    (run,) = await toys.submit("reviewed")
    await run.reaches("Paused")
    assert await run.resume(decision="maybe") is Outcome.INVALID
    assert await run.resume(note="only") is Outcome.INVALID
    assert await engine.resume(run.id, {}, pause_key="review-2") is Outcome.NOT_PAUSED
    assert (await run.read()).name == "Paused"
    assert await run.resume() is Outcome.ACCEPTED
    await run.reaches("Completed")
    assert await run.resume() is Outcome.NOT_PAUSED


async def test_a_run_can_be_resumed_in_the_moment_in_which_it_pauses(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(review_attended_seconds=60)
    runs = await toys.submit("reviewed", 10)

    async def resume_at_once(run: ToyRun) -> None:
        # The very first answer to a Paused run must be accepted: no "schema not found".
        await run.reaches("Paused")
        answer = await engine.call(
            "POST", f"/flow_runs/{run.id}/resume", {"run_input": {"decision": "complete"}}
        )
        assert answer["status"] == "ACCEPT", answer

    await asyncio.gather(*(resume_at_once(run) for run in runs))
    for run in runs:
        await run.reaches("Completed")
        assert run.trace == REVIEWED


async def test_a_resume_in_the_moment_of_parking_is_never_lost(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(review_attended_seconds=0.5)
    runs = await toys.submit("reviewed", 20)

    async def resume_while_it_parks(number: int, run: ToyRun) -> None:
        # On a busy machine it may be parked before anybody has looked.
        paused = await run.reaches("Paused", "Suspended", seconds=60)
        due = paused.at.timestamp() + 0.4 + 0.02 * number
        await asyncio.sleep(max(0.0, due - time.time()))
        assert await run.resume() is Outcome.ACCEPTED

    await asyncio.gather(*(resume_while_it_parks(*one) for one in enumerate(runs)))
    ways: dict[str, int] = {}
    for run in runs:
        await run.reaches("Completed", seconds=150)
        assert run.trace == REVIEWED
        way = "-".join((await run.history())[3:-1])
        ways[way] = ways.get(way, 0) + 1
    print(ways)


async def test_runs_of_a_killed_worker_are_taken_over(
    toys: Toys, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await start_worker(review_attended_seconds=4)
    parked = await toys.submit("reviewed", 2)
    for run in parked:
        await run.reaches("Suspended")
    await first.kill()
    first = await start_worker(review_attended_seconds=600)  # it dies before it parks anything
    paused = await toys.submit("reviewed", 3)
    running = await toys.submit("slow", 2, seconds=6)
    for run in paused:
        await run.reaches("Paused")
    for run in running:
        await until(lambda run=run: "slow begins" in run.trace)
    await first.kill()
    resumed_while_dead = paused[0]
    assert await resumed_while_dead.resume() is Outcome.ACCEPTED
    assert (await resumed_while_dead.read()).name == "Running"

    await start_worker(review_attended_seconds=4)
    await take_over_from_the_dead(toys, monkeypatch)
    for run in paused[1:]:
        assert (await run.read()).is_parked
    for run in [*parked, *paused[1:]]:
        assert await run.resume() is Outcome.ACCEPTED
    for run in [*parked, *paused]:
        await run.reaches("Completed")
        assert run.trace == REVIEWED
    for run in running:
        await run.reaches("Completed")
        assert run.trace == ["one", "slow begins", "slow begins", "slow", "three"]


async def test_a_run_whose_claim_was_never_answered_is_executed(
    toys: Toys, start_worker: StartWorker
) -> None:
    """As when Prefect dies between the commit of a claim and its answer."""
    worker = await start_worker()
    (warm,) = await toys.submit("three_steps")
    await warm.reaches("Completed")
    (worker_id,) = await living_workers()
    assert worker.process is not None
    worker.process.send_signal(signal.SIGSTOP)
    runs = await toys.submit("three_steps", 3)
    claimed = await engine.claim([run.id for run in runs], worker_id)
    assert claimed == {run.id for run in runs}
    worker.process.send_signal(signal.SIGCONT)
    for run in runs:
        await run.reaches("Completed")
        assert run.trace == STEPS


async def test_whatever_the_network_to_prefect_loses_runs_end_right_and_do_no_step_twice(
    toys: Toys, start_worker: StartWorker, prefect_server: Server
) -> None:
    """Of each kind of call one is lost after it was carried out, one cut, one refused, one late."""
    async with (
        bad_network(prefect_server.port) as of_worker,
        bad_network(prefect_server.port) as of_decisions,
    ):
        await start_worker(prefect_url=of_worker.url, review_attended_seconds=2)
        reviewed = await toys.submit("reviewed", 8)

        async def resume_all() -> None:
            with temporary_settings({PREFECT_API_URL: of_decisions.url}):
                async with engine.connected():
                    for run in reviewed:
                        while True:
                            with suppress(PrefectUnreachableError):
                                answer = {"decision": "complete"}
                                await engine.resume(run.id, answer, pause_key="review-1")
                            with suppress(PrefectUnreachableError):
                                if (one := await engine.read_run(run.id)) and one.type != "PAUSED":
                                    break
                            await asyncio.sleep(0.2)

        for run in reviewed:
            await run.reaches("Paused", "Suspended", seconds=120)
        await asyncio.to_thread(lambda: asyncio.run(resume_all()))
        for run in reviewed:
            await run.reaches("Completed", seconds=120)
            assert run.trace == REVIEWED
        print(dict(of_worker.calls), of_worker.faults, dict(of_decisions.calls))
        assert all(of_worker.faults[fault] >= 3 for fault in Fault)


async def test_a_cancel_reaches_a_run_wherever_it_is(toys: Toys, start_worker: StartWorker) -> None:
    worker = await start_worker(review_attended_seconds=2)
    parked = await toys.submit("reviewed", 3)
    for run in parked:
        await run.reaches("Suspended")
    running = await toys.submit("slow", 3)
    for run in running:
        await until(lambda run=run: "slow begins" in run.trace and (run.folder / "child").exists())
    paused = await toys.submit("reviewed", 3)
    for run in paused:
        await run.reaches("Paused")

    took: dict[str, float] = {}
    for kind, runs in {"paused": paused, "running": running, "parked": parked}.items():
        for run in runs:
            begun = time.monotonic()
            if run is runs[0]:
                await run.set_state(CANCELLING)
            else:
                await engine.cancel(run.id)
            await run.reaches("Cancelled", seconds=5)
            took[kind] = max(took.get(kind, 0), time.monotonic() - begun)
    assert await worker.stop() == 0
    queued = await toys.submit("reviewed", 3)
    for run in queued:
        begun = time.monotonic()
        await engine.cancel(run.id)
        assert (await run.read()).name == "Cancelled"
        took["queued"] = max(took.get("queued", 0), time.monotonic() - begun)
    print({kind: f"{seconds:.2f} s" for kind, seconds in took.items()})
    assert max(took.values()) < 5
    for run in running:
        assert not is_alive(run.child)
        assert "three" not in run.trace


async def test_a_worker_that_is_told_to_stop_parks_and_gives_back_its_runs(
    toys: Toys, start_worker: StartWorker
) -> None:
    first = await start_worker(review_attended_seconds=60)
    paused = await toys.submit("reviewed", 4)
    running = await toys.submit("slow", 2, seconds=8)
    for run in paused:
        await run.reaches("Paused")
    for run in running:
        await until(lambda run=run: "slow begins" in run.trace and (run.folder / "child").exists())
    begun = time.monotonic()
    assert await first.stop() == 0
    print(f"stopped in {time.monotonic() - begun:.2f} s")
    for run in paused:
        assert (await run.read()).is_parked
    for run in running:
        assert (await run.read()).name == "AwaitingRetry"
        assert not is_alive(run.child)

    await start_worker(review_attended_seconds=60)
    for run in paused:
        assert await run.resume() is Outcome.ACCEPTED
    for run in [*paused, *running]:
        await run.reaches("Completed")
    for run in running:
        assert run.trace.count("one") == 1


async def test_a_run_that_is_paused_in_the_ui_stops_and_can_be_resumed(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker()
    (run,) = await toys.submit("slow", seconds=1)
    await until(lambda: "slow begins" in run.trace and (run.folder / "child").exists())
    child = run.child
    await run.set_state(
        {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}}
    )
    await until(lambda: not is_alive(child), 3)
    await asyncio.sleep(1)
    assert (await run.read()).name == "Suspended"
    assert await engine.resume(run.id, {}) is Outcome.ACCEPTED
    await run.reaches("Completed")
    assert run.trace == ["one", "slow begins", "slow begins", "slow", "three"]


async def test_whatever_goes_wrong_in_a_flow_is_the_end_of_that_run_only(
    toys: Toys, start_worker: StartWorker
) -> None:
    worker = await start_worker()
    (failing,) = await toys.submit("failing")
    (too_slow,) = await toys.submit("too_slow")
    (leaving,) = await toys.submit("leaving")
    (not_async,) = await toys.submit("not_async")
    (unknown,) = await toys.submit("three_steps", unknown_parameter=1)
    assert (await failing.reaches("Failed")).type == "FAILED"
    assert (await too_slow.reaches("TimedOut")).type == "FAILED"
    assert not is_alive(too_slow.child)
    await leaving.reaches("Crashed")
    await not_async.reaches("Failed")
    await unknown.reaches("Failed")
    (good,) = await toys.submit("three_steps")
    await good.reaches("Completed")
    assert await worker.stop() == 0


async def test_a_run_waits_its_turn_where_a_worker_is_full_but_those_in_review_take_no_place(
    toys: Toys, start_worker: StartWorker
) -> None:
    await start_worker(worker_limit=1, review_attended_seconds=60)
    waiting = await toys.submit("reviewed", 3)
    for run in waiting:
        await run.reaches("Paused")
    first, second = await toys.submit("slow", 2, seconds=1.5)
    await until(lambda: "slow begins" in first.trace or "slow begins" in second.trace)
    await asyncio.sleep(0.5)
    assert "slow begins" not in first.trace or "slow begins" not in second.trace
    for run in (first, second):
        await run.reaches("Completed")


async def test_a_full_worker_asks_for_more_when_a_quarter_of_its_places_is_free(
    toys: Toys, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "600")
    await start_worker(worker_limit=8)
    runs = await toys.submit("slow", 11, seconds=600)

    def begun() -> int:
        return sum("slow begins" in run.trace for run in runs)

    async def end_one() -> None:
        run = next(one for one in runs if "slow begins" in one.trace and is_alive(one.child))
        os.kill(run.child, signal.SIGKILL)
        await run.reaches("Completed")

    await until(lambda: begun() == 8)
    await asyncio.sleep(sum(LOOK_AGAIN_SECONDS) + 1)
    await end_one()  # something came in while it was full: it does not wait for a second place
    await until(lambda: begun() == 9)
    await end_one()
    await asyncio.sleep(1)
    assert begun() == 9
    await end_one()
    await until(lambda: begun() == 11)


async def test_what_the_limit_of_a_queue_holds_back_is_taken_when_the_others_have_ended(
    toys: Toys, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_WORKER_QUERY_SECONDS", "600")
    path = f"/work_pools/{toys.pool}/queues/default"
    await engine.call("PATCH", path, {"concurrency_limit": 2})
    await start_worker()
    slow = await toys.submit("slow", 2, seconds=2)
    await until(lambda: all("slow begins" in run.trace for run in slow))
    for run in await toys.submit("three_steps", 6):
        await run.reaches("Completed")


async def test_runs_go_on_and_are_followed_after_the_server_was_gone(
    toys: Toys, start_worker: StartWorker, prefect_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_worker(review_attended_seconds=60)
    (running,) = await toys.submit("slow", seconds=2)
    (paused,) = await toys.submit("reviewed")
    monkeypatch.setattr("flows.engine.following.TASK_FLOWS", ("slow", "reviewed"))
    ended: list[UUID] = []
    stop = asyncio.Event()

    async def note(run_id: UUID) -> None:
        ended.append(run_id)

    following = asyncio.create_task(engine.follow(note, stop))
    await until(lambda: "slow begins" in running.trace)
    await paused.reaches("Paused")
    await asyncio.to_thread(prefect_server.stop, 9)
    await asyncio.sleep(3)
    await asyncio.to_thread(prefect_server.start)
    await running.reaches("Completed", seconds=60)
    assert await paused.resume() is Outcome.ACCEPTED
    await paused.reaches("Completed", seconds=60)
    assert running.trace == ["one", "slow begins", "slow", "three"]
    await until(lambda: paused.id in ended)
    stop.set()
    await asyncio.wait_for(following, 2)


async def test_of_two_workers_one_gets_a_run(toys: Toys, start_worker: StartWorker) -> None:
    first, second = await asyncio.gather(start_worker(worker_limit=4), start_worker(worker_limit=4))
    runs = await toys.submit("three_steps", 30)
    for run in runs:
        await run.reaches("Completed", seconds=60)
        assert run.trace == STEPS
    assert await first.stop() == 0
    assert await second.stop() == 0


async def test_what_happens_to_runs_of_tasks_is_told_at_once(
    toys: Toys, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_worker(review_attended_seconds=60)
    (first,) = await toys.submit("reviewed")
    await first.reaches("Paused")
    monkeypatch.setattr("flows.engine.following.TASK_FLOWS", ("reviewed", "three-steps"))
    told: dict[UUID, float] = {}
    stop = asyncio.Event()

    async def note(run_id: UUID) -> None:
        told.setdefault(run_id, time.monotonic())

    (other,) = await toys.submit("three_steps")
    following = asyncio.create_task(engine.follow(note, stop))
    await until(lambda: other.id in told)
    begun = time.monotonic()
    await first.set_state(CANCELLING)
    await until(lambda: first.id in told)
    print(f"told after {told[first.id] - begun:.2f} s")
    assert told[first.id] - begun < 1
    stop.set()
    await asyncio.wait_for(following, 2)


async def test_the_same_flow_parks_itself_on_a_stock_process_pool(
    home: Path, prefect_server: Server
) -> None:
    async with engine.connected():
        toys = await Toys(f"stock-{time.time_ns()}", home).ready("process")
        (run,) = await toys.submit("reviewed")
        worker = WorkerProcess(
            toys.pool,
            "process",
            home,
            {"PAPERTRAY_REVIEW_ATTENDED_SECONDS": "1", "PREFECT_WORKER_QUERY_SECONDS": "1"},
        )
        try:
            await worker.start()
            await run.reaches("Suspended", seconds=120)
            assert await run.resume() is Outcome.ACCEPTED
            await run.reaches("Completed", seconds=120)
            assert run.trace == REVIEWED
        finally:
            await worker.kill()
