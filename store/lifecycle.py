"""The life of a task: one table of states and `advance()`, the one writer of `Task.state`."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.activity import call_back, record
from store.errors import ConflictError, IllegalTransitionError
from store.ids import now
from store.models import Task
from store.retention import erase_time
from store.states import Actor, Event, State
from store.uploads import note_change, part_of

# fmt: off
LIFECYCLE: Final[Mapping[tuple[State, Event], State]] = {
    # while it is            this happens          it becomes               because
    (State.QUEUED,           Event.START):         State.RUNNING,          # a worker took it up
    (State.QUEUED,           Event.FAIL):          State.FAILED,           # it cannot be taken up
    (State.QUEUED,           Event.TIME_OUT):      State.TIMED_OUT,        # its deadline passed
    (State.QUEUED,           Event.CANCEL):        State.CANCELED,         # it was withdrawn
    (State.RUNNING,          Event.ASK):           State.IN_REVIEW,        # a person must look
    (State.RUNNING,          Event.OFFER_EXPORT):  State.AWAITING_EXPORT,  # a client fetches it
    (State.RUNNING,          Event.FINISH):        State.COMPLETED,        # every step is done
    (State.RUNNING,          Event.FILTER):        State.FILTERED,         # a rule took it out
    (State.RUNNING,          Event.FAIL):          State.FAILED,           # a step gave up
    (State.RUNNING,          Event.TIME_OUT):      State.TIMED_OUT,        # its deadline passed
    (State.RUNNING,          Event.CANCEL):        State.CANCELED,         # it was withdrawn
    (State.IN_REVIEW,        Event.ANSWER):        State.RUNNING,          # a person completed it
    (State.IN_REVIEW,        Event.DISCARD):       State.DISCARDED,        # a person threw it out
    (State.IN_REVIEW,        Event.FAIL):          State.FAILED,           # its run is lost
    (State.IN_REVIEW,        Event.TIME_OUT):      State.TIMED_OUT,        # nobody came in time
    (State.IN_REVIEW,        Event.CANCEL):        State.CANCELED,         # it was withdrawn
    (State.AWAITING_EXPORT,  Event.TAKE_EXPORT):   State.EXPORTING,        # a client fetches it
    (State.AWAITING_EXPORT,  Event.FAIL):          State.FAILED,           # its run is lost
    (State.AWAITING_EXPORT,  Event.TIME_OUT):      State.TIMED_OUT,        # nobody came in time
    (State.AWAITING_EXPORT,  Event.CANCEL):        State.CANCELED,         # it was withdrawn
    (State.EXPORTING,        Event.CONFIRM_EXPORT): State.RUNNING,         # the client has it
    (State.EXPORTING,        Event.RETURN_EXPORT): State.AWAITING_EXPORT,  # the client gave it back
    (State.EXPORTING,        Event.FAIL):          State.FAILED,           # the client refuses it
    (State.EXPORTING,        Event.TIME_OUT):      State.TIMED_OUT,        # the client went silent
    (State.EXPORTING,        Event.CANCEL):        State.CANCELED,         # it was withdrawn
    (State.COMPLETED,        Event.UNLOCK):        State.IN_REVIEW,        # a person corrects it
    (State.FILTERED,         Event.UNLOCK):        State.IN_REVIEW,        # a person wants it back
    (State.DISCARDED,        Event.UNLOCK):        State.IN_REVIEW,        # a person wants it back
    (State.FAILED,           Event.RETRY):         State.QUEUED,           # somebody tries again
    (State.TIMED_OUT,        Event.RETRY):         State.QUEUED,           # somebody tries again
    (State.CANCELED,         Event.RETRY):         State.QUEUED,           # somebody tries again
}
# fmt: on

FINAL: Final = frozenset(
    state
    for state in State
    if all(event in {Event.UNLOCK, Event.RETRY} for source, event in LIFECYCLE if source is state)
)
"""States that are left only because somebody asks for it by name (unlock, retry)."""

WAITING: Final = frozenset({State.IN_REVIEW, State.AWAITING_EXPORT, State.EXPORTING})
"""States in which the run is paused."""

# The type of the activity row that a transition writes; what callers read in /v1/events.
ACTIVITY_OF: Final[Mapping[Event, str]] = {
    Event.START: "task.started",
    Event.ASK: "task.in_review",
    Event.ANSWER: "task.answered",
    Event.DISCARD: "task.discarded",
    Event.OFFER_EXPORT: "task.awaiting_export",
    Event.TAKE_EXPORT: "task.exporting",
    Event.RETURN_EXPORT: "task.awaiting_export",
    Event.CONFIRM_EXPORT: "task.exported",
    Event.FINISH: "task.completed",
    Event.FILTER: "task.filtered",
    Event.FAIL: "task.failed",
    Event.TIME_OUT: "task.timed_out",
    Event.CANCEL: "task.canceled",
    Event.UNLOCK: "task.unlocked",
    Event.RETRY: "task.retried",
}


async def advance(
    session: AsyncSession,
    task: Task,
    event: Event,
    actor: Actor,
    *,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Task:
    """Let one thing happen to a task: its state, its activity row, nothing else.

    A compare-and-set: the row must still have the version that `task` has. Nothing is
    committed here; the caller's transaction carries what must be true together.

    Args:
        session: inside a write transaction.
        task: as it was read; not changed.
        event: what happens.
        actor: who lets it happen.
        reason: for the activity row, in words; no text of a document.
        data: for the activity row.
        changes: further columns of the task to set with it.

    Returns:
        The task as it is now.

    Raises:
        IllegalTransitionError: the event cannot happen in the task's state, or to a task whose
            content was erased.
        ConflictError: the task was changed since it was read.
    """
    target = LIFECYCLE.get((task.state, event))
    if target is None:
        allowed = sorted(e.value for s, e in LIFECYCLE if s is task.state)
        raise IllegalTransitionError(
            f"The task is {task.state.value}; {event.value} is not possible now."
            f" Possible now: {', '.join(allowed) or 'nothing'}.",
            state=task.state.value,
            event=event.value,
        )
    changes = {**_columns_after(task, target), **changes}
    ends_at = changes["finished_at"]
    changes["erase_after"] = await erase_time(session, task, ends_at) if ends_at else None
    before = part_of(task)  # the row may be read anew into the same object
    changed = await _write(session, task, state=target, **changes)
    activity = record(
        session,
        ACTIVITY_OF[event],
        actor,
        task=changed,
        reason=reason,
        data={"state": target.value, **(data or {})},
    )
    if target in FINAL:
        await call_back(session, changed, activity)
    await note_change(session, before, changed, actor)
    return changed


def _columns_after(task: Task, target: State) -> dict[str, Any]:
    """What goes with every way into a state, whoever takes it."""
    columns: dict[str, Any] = {"finished_at": None}
    if target in {State.QUEUED, State.IN_REVIEW}:
        columns["settled_at"] = None
    elif target is not State.RUNNING:
        columns["settled_at"] = task.settled_at or now()
    if task.state in WAITING and target not in WAITING:
        columns |= {
            "claimed_by": None,
            "claimed_until": None,
            "review_since": None,
            "review_due_at": None,
        }
    if target in FINAL:
        columns |= {"finished_at": now(), "secrets": {}}
    return columns


async def amend(
    session: AsyncSession,
    task: Task,
    activity: str,
    actor: Actor,
    *,
    reason: str = "",
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Task:
    """Change columns of a task other than its state, and write down that it happened.

    Args:
        session: inside a write transaction.
        task: as it was read; not changed.
        activity: type of the activity row, `task.claimed` and so on.
        actor: who changes it.
        reason: for the activity row, in words; no text of a document.
        data: for the activity row.
        changes: columns and their new values; never `state`.

    Returns:
        The task as it is now.

    Raises:
        IllegalTransitionError: the content of the task was erased.
        ConflictError: the task was changed since it was read.
    """
    if "state" in changes:
        raise TypeError("only advance() writes the state of a task")
    changed = await _write(session, task, **changes)
    record(session, activity, actor, task=changed, reason=reason, data=data)
    return changed


def is_past(task: Task) -> bool:
    """Whether the content of a task is erased, or about to be: nobody may change it any more."""
    return (
        task.deleted_at is not None
        or task.erased_at is not None
        or (task.erase_after is not None and task.erase_after <= now())
    )


async def _write(session: AsyncSession, task: Task, **changes: Any) -> Task:
    if is_past(task):
        raise IllegalTransitionError(
            "The content of the task was erased; nothing can be done with it any more."
            " Send the document again.",
            state=task.state.value,
        )
    changes |= {"version": task.version + 1, "updated_at": now()}
    written = await session.execute(
        update(Task)
        .where(col(Task.id) == task.id, col(Task.version) == task.version)
        .values(**changes)
        .returning(Task)
        .execution_options(populate_existing=True, synchronize_session=False)
    )
    changed = written.scalar_one_or_none()
    if changed is None:
        raise ConflictError(version=task.version)
    return changed
