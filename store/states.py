"""The words for where a task is and for what can happen to it."""

from dataclasses import dataclass
from enum import StrEnum, auto


class _Word(StrEnum):
    """An enum whose name, JSON value and database value are one word."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        return name.lower()


class State(_Word):
    """Where a task is. SQLAlchemy stores the name, JSON shows the value."""

    QUEUED = auto()  #: accepted; a worker takes it up next
    RUNNING = auto()  #: a worker is on it, or takes it up again after a decision
    IN_REVIEW = auto()  #: waits for a person's decision; a claim tells who is on it
    AWAITING_EXPORT = auto()  #: waits for a client that fetches the data
    EXPORTING = auto()  #: a client has the data and must confirm
    COMPLETED = auto()  #: ended well
    FILTERED = auto()  #: ended by a filter rule of its project
    DISCARDED = auto()  #: ended by a person who threw it out
    FAILED = auto()  #: ended by an error, which `result` names
    TIMED_OUT = auto()  #: ended by its deadline
    CANCELED = auto()  #: ended by its sender or an operator


class Event(_Word):
    """What can happen to a task."""

    START = auto()
    ASK = auto()
    ANSWER = auto()
    DISCARD = auto()
    OFFER_EXPORT = auto()
    TAKE_EXPORT = auto()
    RETURN_EXPORT = auto()
    CONFIRM_EXPORT = auto()
    FINISH = auto()
    FILTER = auto()
    FAIL = auto()
    TIME_OUT = auto()
    CANCEL = auto()
    UNLOCK = auto()
    RETRY = auto()


@dataclass(frozen=True)
class Actor:
    """Who does something, and by which way in."""

    name: str
    """E-mail of a person, `key:<prefix>` of a program, `flow`, `prefect-ui`, `expire` ..."""
    surface: str
    """`v1`, `pages`, `cli`, `prefect` or `system`."""
