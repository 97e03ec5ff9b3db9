"""Changes of the state of a run, from outside."""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final
from uuid import UUID

from prefect.client.schemas.objects import State

from flows.engine import client
from flows.engine.deployments import BULK_SET
from flows.engine.runs import FINAL_TYPES, Run, held_by, history, read_run, read_runs
from store.errors import (
    NotFoundError,
    PrefectUnreachableError,
    UnavailableError,
)
from store.ids import now

log = logging.getLogger("papertray.engine")

RESUME_TRIES: Final = 8

FIRST_PAUSE_SECONDS: Final = 0.05
"""Between two tries of a resume; doubled each time, 6 seconds in all."""


class Outcome(Enum):
    """What became of a call that is about a moment."""

    ACCEPTED = auto()
    NOT_PAUSED = auto()
    """The run does not wait, or not for this."""
    INVALID = auto()
    """The answer does not fit the form."""


class Parked(Enum):
    """What became of a run that was to be parked."""

    PARKED = auto()
    RESUMED = auto()
    """The answer came first; the run is still Running, and is the caller's to go on with."""
    RESCHEDULED = auto()
    """The answer came in the same moment; the run is scheduled and goes on with it."""
    OVER = auto()
    """The run has ended or was cancelled."""


async def resume(
    flow_run_id: UUID, run_input: dict[str, Any], *, pause_key: str | None = None
) -> Outcome:
    """Resume a run that waits, with the answer to its form.

    Args:
        flow_run_id: of the run.
        run_input: the fields of the form.
        pause_key: resume only if the run waits under this key; any when omitted.

    Raises:
        UnavailableError: Prefect is busy, or the form is not there yet; try again later.
    """
    if pause_key is not None:
        run = await read_run(flow_run_id)
        if run is None or run.type != "PAUSED" or run.details.get("pause_key") != pause_key:
            return Outcome.NOT_PAUSED
    pause = FIRST_PAUSE_SECONDS
    for tries_left in reversed(range(RESUME_TRIES)):
        try:
            answer = await client.call(
                "POST", f"/flow_runs/{flow_run_id}/resume", {"run_input": run_input}
            )
        except NotFoundError:
            return Outcome.NOT_PAUSED
        except PrefectUnreachableError:
            if not tries_left:
                raise
        else:
            reason = (answer.get("details") or {}).get("reason") or ""
            if answer["status"] == "ACCEPT":
                return Outcome.ACCEPTED
            if answer["status"] == "ABORT":
                return Outcome.NOT_PAUSED
            if reason != "Run input schema not found.":
                # What follows names the value that was sent, and stays out of the log.
                log.warning("run %s: %s", flow_run_id, reason.split(" Failure reason")[0])
                return Outcome.INVALID if reason.startswith("Reason: ") else Outcome.NOT_PAUSED
        await asyncio.sleep(pause)
        pause *= 2
    raise UnavailableError("The run waits, but its form is not there yet. Try again later.")


async def cancel(flow_run_id: UUID) -> None:
    """Cancel a run, as Prefect's UI does: at once where nobody executes it, else by its worker.

    A run that has ended stays as it is.
    """
    run = await read_run(flow_run_id)
    if run is None or run.is_final:
        return
    if run.type == "SCHEDULED" and run.infrastructure_pid:
        # Prefect would wait for a process that is gone to end itself.
        await client.call("PATCH", f"/flow_runs/{flow_run_id}", {"infrastructure_pid": None})
    await _set_state(flow_run_id, {"type": "CANCELLING", "name": "Cancelling"}, force=False)


async def end(flow_run_id: UUID, state: State[Any]) -> None:
    """Force a run to end in a state; one that is in it already stays as it is."""
    run = await read_run(flow_run_id)
    if run is None or (run.type, run.name) == (state.type.value, state.name):
        return
    wanted = {"type": state.type.value, "name": state.name, "message": state.message}
    await _set_state(flow_run_id, wanted, force=True)


async def reschedule(flow_run_id: UUID, *, even_if_final: bool = False) -> bool:
    """Have a run executed again, by any worker, from what it has done so far.

    Args:
        flow_run_id: of a run that nobody executes.
        even_if_final: also when it has ended; a retry.

    Returns:
        Whether it is scheduled now.
    """
    run = await read_run(flow_run_id)
    if run is None or (run.is_final and not even_if_final):
        return False
    if run.type == "SCHEDULED" and not run.is_ahead:
        return True
    if run.type == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return False
    if run.type == "PAUSED":
        return await park(flow_run_id) in {Parked.RESUMED, Parked.RESCHEDULED}
    await _make_pollable(run)
    between = await _force(run, _scheduled("AwaitingRetry"))
    return not await _is_over(flow_run_id, between, even_if_final=even_if_final)


async def _is_over(
    flow_run_id: UUID, between: dict[str, Any] | None, *, even_if_final: bool = False
) -> bool:
    """Put right what a forced change overwrote: the end of a run, or its cancel, stands."""
    if between and between["type"] in FINAL_TYPES and not even_if_final:
        await _set_state(flow_run_id, _copy(between), force=True)
        return True
    if between and between["type"] == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return True
    return False


async def _make_pollable(run: Run) -> None:
    """Clear what would keep a scheduled run from being found, or from being cancelled at once."""
    changes: dict[str, Any] = {}
    if run.infrastructure_pid:
        changes["infrastructure_pid"] = None
    if run.policy.get("retry_type") == "in_process":
        changes["empirical_policy"] = {**run.policy, "retry_type": "reschedule"}
    if changes:
        await client.call("PATCH", f"/flow_runs/{run.id}", changes)


async def park(flow_run_id: UUID) -> Parked:
    """Let a run wait without a process: from Paused, where one waits, to Suspended.

    The process must have let go of the run before. A resume in the same moment wins.
    """
    run = await read_run(flow_run_id)
    if run is None or run.is_final:
        return Parked.OVER
    if run.is_parked:
        return Parked.PARKED
    if run.type == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return Parked.OVER
    if not run.is_paused:
        return Parked.RESCHEDULED if run.type == "SCHEDULED" else Parked.RESUMED
    await _make_pollable(run)
    between = await _force(run, _suspended(run.details))
    if between is None:
        return Parked.PARKED
    if await _is_over(flow_run_id, between):
        return Parked.OVER
    if between["type"] == "PAUSED":
        return Parked.PARKED  # twice: the answer to the first time was lost
    # The answer came first, by a resume that thought the run to be in a process; or it came
    # between two times, of which the first got no answer.
    await _set_state(flow_run_id, _scheduled("Resuming"), force=True)
    return Parked.RESCHEDULED


async def suspend(
    flow_run_id: UUID, *, pause_key: str, keyset: dict[str, str], until: datetime
) -> None:
    """Let a running run wait for an answer under a key that it has used already.

    A cancel, or the end of the run, in the same moment stands.
    """
    run = await read_run(flow_run_id)
    if run is None or run.is_final:
        return
    if run.type == "CANCELLING":
        await finish_cancelling(flow_run_id)
        return
    details = {
        "pause_key": pause_key,
        "run_input_keyset": keyset,
        "pause_timeout": until.isoformat(),
    }
    await _is_over(flow_run_id, await _force(run, _suspended(details)))


async def finish_cancelling(flow_run_id: UUID) -> None:
    """End a run that is being cancelled and that nobody executes any more."""
    await _set_state(flow_run_id, {"type": "CANCELLED", "name": "Cancelled"}, force=True)


async def take_over(flow_run_id: UUID) -> None:
    """Free a run from a worker that is gone: any other can have it, or it goes on waiting."""
    run = await read_run(flow_run_id)
    if run is None or run.is_final or run.is_parked or run.type == "SCHEDULED":
        return
    if run.is_paused:
        if await park(flow_run_id) is Parked.RESUMED:
            await reschedule(flow_run_id)
    else:
        await reschedule(flow_run_id)


async def claim(flow_run_ids: Collection[UUID], worker_id: UUID) -> set[UUID]:
    """Claim scheduled runs for a worker, of two that try one gets a run; answers those it got."""
    ids = list(flow_run_ids)
    state = {"type": "PENDING", "name": "Pending", "message": held_by(worker_id)}
    mine: set[UUID] = set()
    for start in range(0, len(ids), BULK_SET):
        part = ids[start : start + BULK_SET]
        if len(part) == 1:
            # One by one it is cheaper for the server: no filter, no list.
            one = await _set_state(part[0], state, force=False)
            answers: list[dict[str, Any]] = [{**one, "flow_run_id": part[0]}]
        else:
            body = {
                "flow_runs": {"id": {"any_": [str(one) for one in part]}},
                "state": state,
                "limit": BULK_SET,
            }
            answers = (await client.call("POST", "/flow_runs/bulk_set_state", body))["results"]
        mine |= {
            UUID(str(answer["flow_run_id"])) for answer in answers if answer["status"] == "ACCEPT"
        }
    # An answer that was lost, and asked for again, says no to what it had said yes to.
    unclear = [one for one in ids if one not in mine]
    for run in (await read_runs(unclear)).values():
        if run.type == "PENDING" and run.worker_id == worker_id:
            mine.add(run.id)
    return mine


async def _force(run: Run, state: dict[str, Any]) -> dict[str, Any] | None:
    """Force a state upon a run; answers what happened to the run in the same moment, if anything.

    Prefect's forced change compares nothing, so that a resume, a cancel or the end of the run
    would be lost, and nothing but the history would tell. The times in it are those at which
    the changes were asked for, not their order: whatever is newer than what was known counts.
    """
    answer = await _set_state(run.id, state, force=True)
    known = {run.state_id, (answer["state"] or {}).get("id")}
    news = [
        entry
        for entry in await history(run.id)
        if entry["id"] not in known and datetime.fromisoformat(entry["timestamp"]) > run.at
    ]
    return news[-1] if news else None


async def _set_state(flow_run_id: UUID, state: dict[str, Any], *, force: bool) -> dict[str, Any]:
    body = {"state": state, "force": force}
    try:
        return await client.call("POST", f"/flow_runs/{flow_run_id}/set_state", body)
    except NotFoundError:
        return {"status": "ABORT", "state": None, "details": {"reason": "missing"}}


def _scheduled(name: str) -> dict[str, Any]:
    details = {"scheduled_time": now().isoformat()}
    return {"type": "SCHEDULED", "name": name, "state_details": details}


def _suspended(details: dict[str, Any]) -> dict[str, Any]:
    kept = {name: details.get(name) for name in ("pause_key", "run_input_keyset", "pause_timeout")}
    return {
        "type": "PAUSED",
        "name": "Suspended",
        "state_details": {**kept, "pause_reschedule": True},
    }


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    """A state to be set once more: without its id, and without the mark of its transition."""
    details = {k: v for k, v in (state["state_details"] or {}).items() if k != "transition_id"}
    return {
        "type": state["type"],
        "name": state["name"],
        "message": state["message"],
        "data": state["data"],
        "state_details": details,
    }
