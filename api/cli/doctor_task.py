"""`papertray doctor TASK`: where a task is, what it waits for, and what to do about that."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.cli.findings import START_A_WORKER, Finding, Health
from api.cli.local import operator, pages_url
from api.cli.output import Options
from api.cli.servers import use_known_prefect
from flows.heartbeat import living_workers
from flows.verbs import holder
from store.database import database
from store.errors import PrefectUnreachableError
from store.finding import find_task
from store.ids import now
from store.lifecycle import FINAL
from store.models import Activity, Delivery, Outbox, Task, Webhook
from store.states import State


@dataclass(frozen=True)
class Facts:
    """What is known of a task and of all that it may wait for."""

    task: Task
    call: Outbox | None
    """The first call to Prefect that is still to be made for it."""
    workers: int
    """How many are alive."""
    has_live_worker: bool
    """Whether the one on which its run was last seen is alive."""
    deliveries: int
    """Messages of it that receivers are still to get."""
    failing: Sequence[str]
    """Why the last tries of those failed."""
    run: str | None
    """State of its run in Prefect; None: it has none."""
    prefect_answers: bool
    repair: str
    """What `reconcile` is about to do; empty: nothing."""


async def examine(options: Options, task_id: str) -> list[Finding]:
    """What there is to say about one task.

    Raises:
        NotFoundError: there is none, or it is of another organization.
    """
    use_known_prefect()
    async with operator(options) as caller:
        async with database().reading() as session:
            task = await find_task(session, caller, task_id)
            call = await _first_call(session, task)
            deliveries, failing = await _deliveries(session, task)
        alive = await living_workers()
        run, prefect_answers, repair = await _in_prefect(task)
    facts = Facts(
        task=task,
        call=call,
        workers=len(alive),
        has_live_worker=task.worker_id in alive,
        deliveries=deliveries,
        failing=failing,
        run=run,
        prefect_answers=prefect_answers,
        repair=repair,
    )
    step = f", {task.step} {task.progress_current}/{task.progress_total}" if task.step else ""
    run_said = run or ("none yet" if prefect_answers else "not known: Prefect does not answer")
    return [
        Finding("task", Health.OK, f"{task.state.value} since {_since(task.updated_at)}{step}"),
        Finding("run", Health.OK if prefect_answers else Health.PROBLEM, run_said),
        _finding_of_call(facts),
        _finding_of_deliveries(facts),
        next(finding for case in _CASES if (finding := case(facts)) is not None),
    ]


async def _first_call(session: AsyncSession, task: Task) -> Outbox | None:
    query = select(Outbox).where(col(Outbox.task_id) == task.id).order_by(col(Outbox.id)).limit(1)
    return (await session.execute(query)).scalar_one_or_none()


async def _deliveries(session: AsyncSession, task: Task) -> tuple[int, list[str]]:
    """How many are still due, and why the last tries failed."""
    due = (
        select(col(Delivery.error), col(Webhook.disabled_reason), func.count())
        .join(Activity, col(Activity.number) == col(Delivery.activity_number))
        .join(Webhook, col(Webhook.id) == col(Delivery.webhook_id), isouter=True)
        .where(col(Activity.task_id) == task.id, col(Delivery.due_at).is_not(None))
        .group_by(col(Delivery.error), col(Webhook.disabled_reason))
    )
    rows = (await session.execute(due)).tuples().all()
    reasons = {disabled or error for error, disabled, _ in rows}
    return sum(count for _, _, count in rows), sorted(reasons - {""})


async def _in_prefect(task: Task) -> tuple[str | None, bool, str]:
    """The state of the run, whether Prefect answers, and what `reconcile` will do."""
    from flows import engine, reconcile  # imports Prefect: seconds

    try:
        if task.flow_run_id is None:
            await engine.call("GET", "/health")
            return None, True, ""
        run = await engine.read_run(task.flow_run_id)
    except PrefectUnreachableError:
        return None, False, ""
    repair = reconcile.repair_of(task, run)
    return run.name if run else "missing", True, repair.value if repair else ""


def _finding_of_call(facts: Facts) -> Finding:
    if facts.call is None:
        return Finding("calls to Prefect", Health.OK, "none is waiting")
    call = facts.call
    tries = f" after {call.attempts} tries ({call.last_error or 'not now'})" * bool(call.attempts)
    said = f"{call.kind} waits since {_since(call.created_at)}{tries}"
    return Finding("calls to Prefect", Health.OK, said, "papertray up or serve makes them.")


def _finding_of_deliveries(facts: Facts) -> Finding:
    if not facts.deliveries:
        return Finding("webhooks", Health.OK, "nothing is waiting")
    said = f"{facts.deliveries} waiting"
    if not facts.failing:
        return Finding("webhooks", Health.OK, said)
    remedy = "papertray webhooks list shows which; they are tried again for 48 hours."
    return Finding("webhooks", Health.PROBLEM, f"{said}: {'; '.join(facts.failing)}", remedy)


# What it waits for, and what to do: the first that fits

_RECONCILES: Final = (
    "Wait a minute. If this stays, see that the deployment reconcile is not paused."
)


def _ended(facts: Facts) -> Finding | None:
    task = facts.task
    if task.state not in FINAL:
        return None
    error = task.result.get("error")
    if not error:
        return _verdict("nothing: it has ended")
    code = (task.result.get("details") or {}).get("code", "")
    remedy = f"papertray tasks retry {task.public_id} tries it again."
    return _verdict(f"nothing: it has ended ({code}). {error}", remedy)


def _no_prefect(facts: Facts) -> Finding | None:
    if facts.prefect_answers or facts.task.state in {State.IN_REVIEW, State.AWAITING_EXPORT}:
        return None
    address = os.environ.get("PREFECT_API_URL", "")
    remedy = "Start it with papertray up, or correct PREFECT_API_URL. It goes on by itself then."
    return _problem(f"Prefect, which does not answer {address}".rstrip(), remedy)


def _no_worker(facts: Facts) -> Finding | None:
    if facts.workers or facts.task.state not in {State.QUEUED, State.RUNNING}:
        return None
    return _problem("a worker: none is alive", START_A_WORKER)


def _call(facts: Facts) -> Finding | None:
    if facts.call is None:
        return None
    remedy = "It goes on by itself. See serve.log in the folder logs if this stays."
    return _verdict(f"the call `{facts.call.kind}` to Prefect", remedy)


def _repair(facts: Facts) -> Finding | None:
    if not facts.repair:
        return None
    return _verdict(f"reconcile, which is about to {facts.repair}", _RECONCILES)


def _person(facts: Facts) -> Finding | None:
    task = facts.task
    if task.state is not State.IN_REVIEW:
        return None
    page = f"{pages_url()}/review/{task.public_id}"
    if who := holder(task):
        remedy = f"papertray tasks release {task.public_id} frees it. {page}"
        return _verdict(f"{who}, who holds it until {_clock(task.claimed_until)}", remedy)
    return _verdict(f"a person, until {_clock(task.review_due_at)}: {task.review_reason}", page)


def _client(facts: Facts) -> Finding | None:
    task = facts.task
    if task.state is State.AWAITING_EXPORT:
        remedy = f"papertray tasks export start {task.public_id} begins it by hand."
        return _verdict("a client that fetches its files", remedy)
    if task.state is State.EXPORTING:
        return _verdict(f"{task.claimed_by}, until {_clock(task.claimed_until)}", "")
    return None


def _dead_worker(facts: Facts) -> Finding | None:
    if facts.task.state is not State.RUNNING or facts.has_live_worker:
        return None
    return _verdict("another worker: the one that had it is gone", _RECONCILES)


def _worked_on(facts: Facts) -> Finding | None:
    if facts.task.state is not State.RUNNING:
        return None
    remedy = f"papertray tasks cancel {facts.task.public_id} ends it, if it takes too long."
    return _verdict("the step that is being done", remedy)


def _its_turn(facts: Facts) -> Finding | None:
    said = f"its turn; workers that are alive: {facts.workers}"
    return _verdict(said, "More slots: PAPERTRAY_WORKER_LIMIT, or another papertray worker.")


_CASES: Final[Sequence[Callable[[Facts], Finding | None]]] = (
    *(_ended, _no_prefect, _no_worker, _call, _repair),
    *(_person, _client, _dead_worker, _worked_on, _its_turn),
)


def _verdict(what: str, remedy: str = "") -> Finding:
    return Finding("waits for", Health.OK, what, remedy)


def _problem(what: str, remedy: str) -> Finding:
    return Finding("waits for", Health.PROBLEM, what, remedy)


def _since(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S} ({(now() - at).total_seconds():.0f} s)"


def _clock(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else "whenever"
