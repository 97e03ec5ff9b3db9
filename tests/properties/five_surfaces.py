"""What the machine of test_five_surfaces.py does, and what must come of it.

The calls are a table: what each asks of the state of a task and of who holds it, and what happens
then. What an event makes of a state is `store.lifecycle.LIFECYCLE`, and nothing else.
"""

from dataclasses import dataclass
from typing import Any, Final

from api.vocabulary import VOCABULARY, Standing, Words
from store.lifecycle import FINAL, LIFECYCLE, WAITING
from store.states import Event, State


@dataclass
class Known:
    """What the machine knows of a task; it asks no surface for it."""

    names: dict[str, str]
    """What the surfaces call it, by the names in their addresses."""
    is_of_file: bool
    owner: str | None
    """Who alone sees it; None: everybody of the organization."""
    is_alone_in_upload: bool = False
    state: State = State.QUEUED
    claimed_by: str | None = None
    is_live: bool = False
    """Whether the lease of that claim has not run out."""
    was_claimed: bool = False
    is_settled: bool = False
    is_exported: bool = False
    is_decided: bool = False
    is_gone: bool = False

    @property
    def holder(self) -> str | None:
        return self.claimed_by if self.is_live else None

    @property
    def standing(self) -> Standing:
        match self.state:
            case State.RUNNING:
                return Standing.ANSWERED if self.is_settled else Standing.RUNNING
            case State.IN_REVIEW if self.holder:
                return Standing.CLAIMED
            case State.IN_REVIEW:
                return Standing.RELEASED if self.was_claimed else Standing.WAITING
            case State.EXPORTING if not self.holder:
                return Standing.AWAITING_EXPORT
            case _:
                return Standing(self.state.value)

    @property
    def words(self) -> Words:
        return VOCABULARY[self.standing]

    def hold(self, who: str) -> None:
        self.claimed_by, self.is_live, self.was_claimed = who, True, True

    def let_go(self) -> None:
        self.claimed_by, self.is_live = None, False

    def happen(self, event: Event, who: str = "") -> None:
        """Let an event happen that the table allows."""
        before, self.state = self.state, LIFECYCLE[self.state, event]
        if before in WAITING and self.state not in WAITING:
            self.let_go()
        if self.state in {State.QUEUED, State.IN_REVIEW}:
            self.is_settled = False
        elif self.state is not State.RUNNING:
            self.is_settled = True
        match event:
            case Event.ANSWER | Event.DISCARD:
                self.is_decided = True
                # Who completes data has done with it; a file goes on through its steps.
                self.is_settled = self.is_settled or not self.is_of_file
            case Event.TAKE_EXPORT:
                self.claimed_by, self.is_live = who, True
            case Event.RETURN_EXPORT:
                self.let_go()
            case Event.CONFIRM_EXPORT:
                self.is_exported = True
            case Event.UNLOCK:
                self.is_exported = False
            case _:
                pass


@dataclass(frozen=True)
class Doing:
    """One call about a task."""

    surface: str
    method: str
    path: str
    needs: str = ""
    """Who may: `nobody` while nobody holds it, `free` while no other does, `held` who holds it,
    `begun` who has begun the export, though the lease ran out."""
    within: frozenset[State] = frozenset(State)
    does: Event | str = ""
    """An event, or `hold`, `let go`, `begin` an export, `go` for good, or nothing."""
    body: Any = None
    """JSON."""

    def is_allowed(self, task: Known, who: str) -> bool:
        """Whether the table and the holder let it happen."""
        holds = {
            "": True,
            "nobody": task.holder is None,
            "free": task.holder in {None, who},
            "held": task.holder == who,
            "begun": task.claimed_by == who,
        }[self.needs]
        if self.does == "begin":
            is_silent = task.state is State.EXPORTING and task.holder is None
            return task.state is State.AWAITING_EXPORT or is_silent
        if self.path.endswith("/audit"):
            return task.is_decided
        if self.surface == "send_ai" and self.does is Event.UNLOCK:
            holds = not task.is_exported and not task.is_alone_in_upload
        is_legal = not isinstance(self.does, Event) or (task.state, self.does) in LIFECYCLE
        return task.state in self.within and is_legal and holds

    def apply(self, task: Known, who: str) -> None:
        """What it makes of a task."""
        match self.does:
            case Event():
                task.happen(self.does, who)
            case "hold":
                task.hold(who)
            case "let go":
                task.let_go()
            case "begin":
                if task.state is State.EXPORTING:
                    task.happen(Event.RETURN_EXPORT)
                task.happen(Event.TAKE_EXPORT, who)
            case "go":
                if task.state not in FINAL:
                    task.happen(Event.CANCEL)
                task.is_gone = True
            case _:
                pass


REVIEW: Final = frozenset({State.IN_REVIEW})
HELD: Final = frozenset({State.IN_REVIEW, State.EXPORTING})
EXPORT: Final = frozenset({State.EXPORTING})
_V1, _ALUMA = "/v1/tasks/{v1}", "/tasks/{aluma}"
_VALIDATION = f"{_ALUMA}/client_actions/validation"
_EXPORT = f"{_ALUMA}/client_actions/export"
_SEND_AI = "/v2/{team}/project/{project}/task/{v1}"
_QUEUE = "/orgs/{organization}/queues/{queue}/tasks/{number}"
_JOB = "/jobs/{job}"
_ISSUES = {"issues": [{"label": "a", "value": "b"}]}

DOINGS: Final = (
    Doing("v1", "POST", f"{_V1}/claim", "free", REVIEW, "hold"),
    Doing("v1", "POST", f"{_V1}/release", "held", HELD, "let go"),
    Doing("v1", "POST", f"{_V1}/save", "free", REVIEW, body={"values": {}}),
    Doing("v1", "POST", f"{_V1}/complete", "free", REVIEW, Event.ANSWER),
    Doing("v1", "POST", f"{_V1}/discard", "free", REVIEW, Event.DISCARD),
    Doing("v1", "POST", f"{_V1}/report", body=_ISSUES),
    Doing("v1", "POST", f"{_V1}/cancel", does=Event.CANCEL),
    Doing("v1", "POST", f"{_V1}/retry", does=Event.RETRY),
    Doing("v1", "POST", f"{_V1}/unlock", does=Event.UNLOCK),
    Doing("v1", "POST", f"{_V1}/audit", body={"correct": True}),
    Doing("v1", "POST", f"{_V1}/export/start", does="begin"),
    Doing("v1", "POST", f"{_V1}/export/complete", "begun", EXPORT, Event.CONFIRM_EXPORT),
    Doing("v1", "POST", f"{_V1}/export/cancel", "begun", EXPORT, Event.RETURN_EXPORT),
    Doing("v1", "POST", f"{_V1}/export/fail", "begun", EXPORT, Event.FAIL),
    Doing("v1", "DELETE", _V1, does="go"),
    Doing("aluma", "POST", f"{_VALIDATION}/start", "nobody", REVIEW, "hold"),
    Doing("aluma", "POST", f"{_VALIDATION}/complete", "held", REVIEW, Event.ANSWER, {}),
    Doing("aluma", "POST", f"{_VALIDATION}/cancel", "held", REVIEW, "let go"),
    Doing("aluma", "POST", f"{_VALIDATION}/fail", "held", REVIEW, Event.FAIL),
    Doing("aluma", "POST", f"{_EXPORT}/start", does="begin"),
    Doing("aluma", "POST", f"{_EXPORT}/complete", "begun", EXPORT, Event.CONFIRM_EXPORT),
    Doing("aluma", "POST", f"{_EXPORT}/cancel", "begun", EXPORT, Event.RETURN_EXPORT),
    Doing("aluma", "POST", f"{_EXPORT}/fail", "begun", EXPORT, Event.FAIL),
    Doing("aluma", "POST", f"{_ALUMA}/cancel", does=Event.CANCEL),
    Doing("send_ai", "POST", f"{_SEND_AI}/complete", "free", REVIEW, Event.ANSWER),
    Doing("send_ai", "PUT", f"{_SEND_AI}/discard", "free", REVIEW, Event.DISCARD),
    Doing("send_ai", "POST", f"{_SEND_AI}/unlock", does=Event.UNLOCK),
    Doing("send_ai", "POST", f"{_SEND_AI}/report", body=_ISSUES),
    Doing("human_lambdas", "PATCH", _QUEUE, "held", REVIEW, Event.ANSWER, {"data": {}}),
    Doing("human_lambdas", "POST", f"{_QUEUE}/save", "held", REVIEW, body={"data": {}}),
    Doing(
        "human_lambdas", "POST", f"{_QUEUE}/assign", within=REVIEW, does="let go",
        body={"assigned_to": None},
    ),
    Doing("human_lambdas", "POST", f"{_QUEUE}/activity", body={"comment": "Look."}),
    Doing("human_lambdas", "PUT", f"{_QUEUE}/audit", body={"correct": None}),
    Doing("innodata", "PUT", f"{_JOB}/contents/data-points", "free", REVIEW, body={}),
    Doing("innodata", "PUT", f"{_JOB}/contents/output", "free", REVIEW, Event.ANSWER, {}),
    Doing("innodata", "POST", f"{_JOB}/cancel", does=Event.CANCEL),
    Doing("innodata", "POST", f"{_JOB}/rewind", does=Event.UNLOCK),
    Doing("innodata", "DELETE", _JOB, does="go"),
)  # fmt: skip

REFUSED: Final = {"v1": 409, "aluma": 409, "send_ai": 400, "human_lambdas": 400, "innodata": 409}
"""What a surface says of a call that is out of order."""

SHOWN: Final = {
    "v1": _V1,
    "aluma": _ALUMA,
    "send_ai": _SEND_AI,
    "human_lambdas": _QUEUE,
    "innodata": _JOB,
}
"""Where a surface shows a task."""

SCHEMES: Final = {
    "v1": "ApiKey",
    "aluma": "OAuth",
    "send_ai": "Bearer",
    "human_lambdas": "Token",
    "innodata": "Basic",
}
WORKERS_EVENTS: Final = (
    Event.START,
    Event.ASK,
    Event.OFFER_EXPORT,
    Event.FINISH,
    Event.FILTER,
    Event.FAIL,
    Event.TIME_OUT,
)
