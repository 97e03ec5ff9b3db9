"""The words for where a task is and for what can happen to it."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a task is; the database, JSON and the pages show the value."""

    QUEUED = "queued"  #: accepted; a worker takes it up next
    RUNNING = "running"  #: a worker is on it, or takes it up again after a decision
    IN_REVIEW = "in_review"  #: waits for a person's decision; a claim tells who is on it
    AWAITING_EXPORT = "awaiting_export"  #: waits for a client that fetches the data
    EXPORTING = "exporting"  #: a client has the data and must confirm
    COMPLETED = "completed"  #: ended well
    FILTERED = "filtered"  #: ended by a filter rule of its project
    DISCARDED = "discarded"  #: ended by a person who threw it out
    FAILED = "failed"  #: ended by an error, which `result` names
    TIMED_OUT = "timed_out"  #: ended by its deadline
    CANCELED = "canceled"  #: ended by its sender or an operator


class Event(StrEnum):
    """What can happen to a task."""

    START = "start"
    ASK = "ask"
    ANSWER = "answer"
    DISCARD = "discard"
    OFFER_EXPORT = "offer_export"
    TAKE_EXPORT = "take_export"
    RETURN_EXPORT = "return_export"
    CONFIRM_EXPORT = "confirm_export"
    FINISH = "finish"
    FILTER = "filter"
    FAIL = "fail"
    TIME_OUT = "time_out"
    CANCEL = "cancel"
    UNLOCK = "unlock"
    RETRY = "retry"


@dataclass(frozen=True)
class Actor:
    """Who does something, and by which way in."""

    name: str
    """E-mail of a person, `key:<prefix>` of a program, `flow`, `prefect-ui`, `expire` ..."""
    surface: str
    """`v1`, `pages`, `cli`, `prefect` or `system`."""
