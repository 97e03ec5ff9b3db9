"""The words the pages use for states, times and people, and the colours that go with them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from operations.validate_fields import BY_PEOPLE, PICKED
from store.fields import FieldValue
from store.ids import now
from store.models import Task
from store.project_fields import FieldPart
from store.states import State


@dataclass(frozen=True)
class Mark:
    """A word and its tone; the tone is never the only thing that tells them apart."""

    word: str
    tone: str
    """`invalid`, `confirm`, `sure`, `live` or `quiet`: a colour and an icon of the pages."""


TONE_OF = {
    State.QUEUED: "live",
    State.RUNNING: "live",
    State.IN_REVIEW: "confirm",
    State.AWAITING_EXPORT: "live",
    State.EXPORTING: "live",
    State.COMPLETED: "sure",
    State.FILTERED: "quiet",
    State.DISCARDED: "quiet",
    State.FAILED: "invalid",
    State.TIMED_OUT: "invalid",
    State.CANCELED: "quiet",
}

# How an actor came in, as the history says it after the name.
SURFACES = {
    "v1": "over the API",
    "pages": "on the review pages",
    "cli": "on the command line",
    "prefect": "in Prefect",
}

# What happened, where the last part of its type does not say it to a reader.
ACTIVITIES = {
    "task.created": "Taken in",
    "task.started": "Work started",
    "task.in_review": "Put up for review",
    "task.answered": "Review completed",
    "task.retried": "Tried again",
    "task.unlocked": "Opened again",
    "task.awaiting_export": "Offered to a client",
    "task.exporting": "Taken by a client",
    "task.audited": "Judged",
    "task.assigned": "Handed over",
    "task.report_not_told": "Report not passed on",
    "task.left": "Left the page",
}

# What is going on in a step of the flow.
STEPS = {
    "read": "Reading the pages",
    "segment": "Telling the documents apart",
    "classify": "Finding out what they are",
    "filter": "Taking out what is not wanted",
    "extract": "Looking for the fields",
    "group": "Finding out what belongs together",
    "export": "Writing the export",
}


def spoken(word: str) -> str:
    """An identifier as a person reads it: `in_review` is "In review"."""
    return word.replace("_", " ").replace("-", " ").capitalize()


def activity_words(activity: str) -> str:
    """What happened."""
    return ACTIVITIES.get(activity) or spoken(activity.rpartition(".")[2])


def actor_words(actor: str, surface: str) -> str:
    """Who did it, and by which way in."""
    if surface == "system":
        return "Papertray"
    who = "Somebody" if actor == "prefect-ui" else actor
    return f"{who} {SURFACES.get(surface, '')}".rstrip()


def sentence(text: str) -> str:
    """A reason as a person reads it."""
    text = text.replace("_", " ")
    return text[:1].upper() + text[1:]


def state_mark(state: State) -> Mark:
    """The word for a state, the same as everywhere else."""
    return Mark(spoken(state.value), TONE_OF[state])


def verdict_mark(task: Task) -> Mark | None:
    """What an audit found of the decision; None where nobody decided."""
    if task.decided_by is None:
        return None
    if task.is_correct is None:
        return Mark("Not judged", "quiet")
    return Mark("Correct", "sure") if task.is_correct else Mark("Wrong", "invalid")


def field_mark(value: FieldValue) -> Mark:
    """Whether a person must look at a field."""
    if not value.valid:
        return Mark("Invalid", "invalid")
    if value.needs_confirmation:
        return Mark("To be confirmed", "confirm")
    if value.value is None:
        return Mark("Not found", "quiet")
    return Mark("Sure", "sure")


def fault(label: str, message: str) -> str:
    """What is wrong with a field, as a sentence; the rules say it without its subject."""
    return f"{label} {message}." if message[:1].islower() else message


def confidence_words(value: FieldValue, part: FieldPart | None) -> str:
    """How sure the machine was, in words and as a number."""
    if value.method in BY_PEOPLE:
        return (
            "Taken from the page by a person" if value.method == PICKED else "Entered by a person"
        )
    if value.value is None and not value.text:
        return ""
    percent = f"{value.confidence:.0%}".replace("%", " %")
    if part is not None and value.confidence < part.confidence_threshold:
        asked = f"{part.confidence_threshold:.0%}".replace("%", " %")
        return f"Low confidence: {percent} (asked: {asked})"
    return f"High confidence: {percent}" if value.confidence >= 0.9 else f"Confidence: {percent}"


def length(span: timedelta) -> str:
    """A length of time in its largest unit: `3 h`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("day", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}s" if unit == "day" and number > 1 else f"{number} {unit}"
    return f"{seconds} s"


def age(moment: datetime) -> str:
    """How long ago."""
    return length(now() - moment)


def due(moment: datetime) -> str:
    """How long until, or that it is past."""
    left = moment - now()
    return f"in {length(left)}" if left > timedelta(0) else f"{length(-left)} overdue"


def clock(moment: datetime) -> str:
    """A moment for those whose browser does not turn it into their own time."""
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def size(size_bytes: int) -> str:
    """The size of a file."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"
