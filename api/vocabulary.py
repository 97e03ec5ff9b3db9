"""What every surface calls a task that is where it is: one table, from which each takes its words.

No surface keeps a state of its own (wire/README.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final, Literal

from sqlalchemy import ColumnElement, and_, false, or_
from sqlmodel import col

from flows.verbs import holder
from store.ids import now
from store.models import Task
from store.states import State

V1Word = Literal["pending", "processing", "completed", "failed"]
AlumaWord = Literal[
    "queued",
    "running",
    "pending:start_client_action",
    "pending:complete_client_action",
    "completed",
    "failed",
    "timed-out",
    "canceled",
]
ClientAction = Literal["validation", "export"]
SendAiWord = Literal["PROCESSING", "REVIEWING", "COMPLETED", "FAILED", "DISCARDED", "FILTERED"]
HumanLambdasWord = Literal["new", "open", "in_progress", "completed"]
InnodataWord = Literal["running", "blocked", "completed", "cancelled", "failed"]


class Standing(StrEnum):
    """Where a task is, and whether somebody is on it: all that any surface tells apart."""

    QUEUED = auto()
    RUNNING = auto()
    ANSWERED = auto()  #: running; a person has completed its data, and the files are made
    WAITING = auto()  #: in review; nobody has been on it yet
    RELEASED = auto()  #: in review; somebody was on it and let it go
    CLAIMED = auto()  #: in review, and somebody is on it
    AWAITING_EXPORT = auto()
    EXPORTING = auto()
    COMPLETED = auto()
    FILTERED = auto()
    DISCARDED = auto()
    FAILED = auto()
    TIMED_OUT = auto()
    CANCELED = auto()


@dataclass(frozen=True)
class Words:
    """The words of all surfaces for one standing."""

    prefect: str
    """Types of the state of its run, and the name where that says how the task ended."""
    aluma: AlumaWord
    client_action: ClientAction | None
    """Aluma's: which action it is that is pending."""
    send_ai: SendAiWord
    v1: V1Word
    human_lambdas: HumanLambdasWord
    innodata: InnodataWord


_VALIDATION: Final = "validation"
_EXPORT: Final = "export"
_START: Final = "pending:start_client_action"
_COMPLETE: Final = "pending:complete_client_action"

# fmt: off
VOCABULARY: Final[Mapping[Standing, Words]] = {
    # where it is             Prefect               Aluma                      Send AI       v1            Human Lambdas  Innodata  # noqa: E501  # a table
    Standing.QUEUED:          Words("SCHEDULED, PENDING", "queued", None,      "PROCESSING", "pending",    "new",         "running"),  # noqa: E501  # as above
    Standing.RUNNING:         Words("RUNNING",      "running", None,           "PROCESSING", "processing", "new",         "running"),  # noqa: E501  # as above
    Standing.ANSWERED:        Words("RUNNING",      "running", None,           "PROCESSING", "processing", "completed",   "running"),  # noqa: E501  # as above
    Standing.WAITING:         Words("PAUSED",       _START, _VALIDATION,       "REVIEWING",  "processing", "new",         "blocked"),  # noqa: E501  # as above
    Standing.RELEASED:        Words("PAUSED",       _START, _VALIDATION,       "REVIEWING",  "processing", "open",        "blocked"),  # noqa: E501  # as above
    Standing.CLAIMED:         Words("PAUSED",       _COMPLETE, _VALIDATION,    "REVIEWING",  "processing", "in_progress", "blocked"),  # noqa: E501  # as above
    Standing.AWAITING_EXPORT: Words("PAUSED",       _START, _EXPORT,           "COMPLETED",  "processing", "completed",   "running"),  # noqa: E501  # as above
    Standing.EXPORTING:       Words("PAUSED",       _COMPLETE, _EXPORT,        "COMPLETED",  "processing", "completed",   "running"),  # noqa: E501  # as above
    Standing.COMPLETED:       Words("COMPLETED / Completed", "completed", None, "COMPLETED", "completed",  "completed",   "completed"),  # noqa: E501  # as above
    Standing.FILTERED:        Words("COMPLETED / Filtered", "completed", None, "FILTERED",   "completed",  "completed",   "completed"),  # noqa: E501  # as above
    Standing.DISCARDED:       Words("COMPLETED / Discarded", "canceled", None, "DISCARDED",  "failed",     "completed",   "cancelled"),  # noqa: E501  # as above
    Standing.FAILED:          Words("FAILED, CRASHED", "failed", None,         "FAILED",     "failed",     "completed",   "failed"),  # noqa: E501  # as above
    Standing.TIMED_OUT:       Words("FAILED / TimedOut", "timed-out", None,    "FAILED",     "failed",     "completed",   "failed"),  # noqa: E501  # as above
    Standing.CANCELED:        Words("CANCELLED / Cancelled", "canceled", None, "DISCARDED",  "failed",     "completed",   "cancelled"),  # noqa: E501  # as above
}
# fmt: on

_PARTS: Final[Mapping[State, frozenset[Standing]]] = {
    State.RUNNING: frozenset({Standing.RUNNING, Standing.ANSWERED}),
    State.IN_REVIEW: frozenset({Standing.WAITING, Standing.RELEASED, Standing.CLAIMED}),
    State.EXPORTING: frozenset({Standing.AWAITING_EXPORT, Standing.EXPORTING}),
}
"""States in which tasks stand differently."""


def standing_of(task: Task) -> Standing:
    """Where a task is now; a claim that ran out is none."""
    if task.state is State.RUNNING:
        return Standing.RUNNING if task.settled_at is None else Standing.ANSWERED
    if task.state is State.EXPORTING and holder(task) is None:
        return Standing.AWAITING_EXPORT
    if task.state is not State.IN_REVIEW:
        return Standing(task.state.value)
    if holder(task) is not None:
        return Standing.CLAIMED
    return Standing.RELEASED if task.claimed_at is not None else Standing.WAITING


def words_of(task: Task) -> Words:
    """What the surfaces call a task now."""
    return VOCABULARY[standing_of(task)]


def is_called(wanted: Callable[[Words], bool]) -> ColumnElement[bool]:
    """The condition on tasks that are called so, for the filters of lists.

    Args:
        wanted: of words, whether they are meant: `lambda words: words.aluma == "queued"`.
    """
    meant = {standing for standing, words in VOCABULARY.items() if wanted(words)}
    return or_(false(), *_conditions(meant))


def states_called(wanted: Callable[[Words], bool]) -> frozenset[State]:
    """The states in which tasks are called so, for surfaces with one word for all of a state."""
    return frozenset(
        state for state in State if all(wanted(VOCABULARY[one]) for one in _standings_of(state))
    )


def _conditions(meant: set[Standing]) -> list[ColumnElement[bool]]:
    # Where all of a state is meant, the index of the states is enough.
    whole = {state for state in State if _standings_of(state) <= meant}
    at = now()
    until, taken, settled = col(Task.claimed_until), col(Task.claimed_at), col(Task.settled_at)
    is_free = or_(until.is_(None), until < at)
    further: dict[Standing, ColumnElement[bool]] = {
        Standing.RUNNING: settled.is_(None),
        Standing.ANSWERED: settled.is_not(None),
        Standing.WAITING: and_(is_free, taken.is_(None)),
        Standing.RELEASED: and_(is_free, taken.is_not(None)),
        Standing.CLAIMED: until >= at,
        Standing.AWAITING_EXPORT: is_free,
        Standing.EXPORTING: until >= at,
    }
    found = [col(Task.state).in_(sorted(whole))] if whole else []
    return found + [
        and_(col(Task.state) == state, further[one])
        for state, parts in _PARTS.items()
        if state not in whole
        for one in parts & meant
    ]


def _standings_of(state: State) -> frozenset[Standing]:
    return _PARTS.get(state) or frozenset({Standing(state.value)})
