"""The waits of a task: under which key its run is paused, and what wakes it."""

from typing import Any

from store.models import Task
from store.states import State


def review_key(task: Task) -> str:
    """The pause key of the last wait for a person."""
    return f"review-{task.review_round}"


def pickup_key(task: Task) -> str:
    """The pause key of the last wait for a client."""
    return f"export-{task.export_round}"


def pause_key(task: Task) -> str | None:
    """The pause key under which the task waits now; None while it does not wait."""
    if task.state is State.IN_REVIEW:
        return review_key(task)
    if task.state in {State.AWAITING_EXPORT, State.EXPORTING}:
        return pickup_key(task)
    return None


def resumption(task: Task) -> dict[str, Any] | None:
    """What wakes the run after the last wait: its `key` and the `decision` for its form.

    None where nothing was decided. The run reads in the store what was: this is only how the
    form is filled in.
    """
    if task.exported_at is not None and task.export_round:
        return {"key": pickup_key(task), "decision": "complete"}
    if task.decision is None:
        return None
    return {"key": f"review-{task.decision['round']}", "decision": task.decision["decision"]}
