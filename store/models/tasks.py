"""The table of tasks."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from store import columns
from store.columns import Json, StateColumn
from store.ids import new_code, short_of
from store.row import Row
from store.states import State

LAST_DUE: Final = "'9999-12-31 23:59:59.999999+00'"
"""Where a task has no due date: SQLite would put it first, PostgreSQL last."""

TURN: Final = (
    text("priority DESC"),
    text(f"coalesce(due_at, {LAST_DUE})"),
    *("created_at", "code"),
)
"""Whose turn it is among the tasks that wait for a person, as `store/turn.py` asks for it."""


def _kept(which: str) -> Mapping[str, Any]:
    """Of tasks that are neither deleted nor private, those."""
    both = f"{which} AND deleted_at IS NULL AND"
    return columns.only(f"{both} is_private = 0", f"{both} NOT is_private")


WAITING_ONLY: Final = columns.only("state = 'in_review'")

SHARED_WAITING: Final = _kept("state = 'in_review'")

ONLY_PRIVATE: Final = columns.only("is_private = 1", "is_private")

ONLY_WITH_INPUT: Final = columns.only("input_file_id IS NOT NULL")

ONLY_UPLOADED: Final = columns.only("upload_id IS NOT NULL")

OPEN_ONLY: Final = columns.only("finished_at IS NULL")

ENDED_ONLY: Final = columns.only("finished_at IS NOT NULL")

JUDGED_ONLY: Final = columns.only("is_correct IS NOT NULL")

DECIDED_ONLY: Final = columns.only("decided_by IS NOT NULL")

# The last two, which are alike in all rows, are there since SQLite looks at them nevertheless.
SETTLED: Final = (
    *("project_id", "settled_at", "code"),
    *("created_at", "decided_by", "is_correct", "source", "handling_seconds"),
    *("deleted_at", "is_private"),
)

COUNTED: Final = ("organization_id", "state", "project_id", "deleted_at", "is_private")

SHARED: Final = columns.only(
    "deleted_at IS NULL AND is_private = 0", "deleted_at IS NULL AND NOT is_private"
)

UNSHARED: Final = columns.only(
    "deleted_at IS NULL AND is_private = 1", "deleted_at IS NULL AND is_private"
)

# By which a caller sees a task: so that they are counted in the index alone.
WHO_SEES: Final = ("deleted_at", "is_private", "owner_id", "id")

# The rest are what callers may see and ask for: a page far down is found in the index alone.
LISTED: Final = (
    *("organization_id", "created_at", "code"),
    *("project_id", "state", "input_file_id", "owner_id", "is_private", "deleted_at"),
)

OWN: Final = (
    *("owner_id", "created_at", "code"),
    *("project_id", "state", "input_file_id", "is_private", "deleted_at"),
)

UNSETTLED: Final = ("project_id", "created_at", "code", "settled_at", "deleted_at", "is_private")


class Task(Row, table=True):
    """One piece of work on one input: one flow run, seen from outside."""

    __table_args__ = (
        UniqueConstraint("flow_run_id"),
        # Each list is read in the order of an index, from the place where its page begins.
        Index("ix_task_organization", *LISTED),
        Index("ix_task_state", "organization_id", "state", "created_at", "code"),
        Index("ix_task_project", "organization_id", "project_id", "created_at", "code"),
        # What is done with, and what is not, of one project: a page far down such a list is
        # found, and the rows of it are counted, in the index alone.
        Index("ix_task_settled", *SETTLED, **_kept("settled_at IS NOT NULL")),
        Index("ix_task_unsettled", *UNSETTLED, **_kept("settled_at IS NULL")),
        Index("ix_task_private", "project_id", "owner_id", "settled_at", **ONLY_PRIVATE),
        Index(
            "ix_task_held",
            *("organization_id", "claimed_by", "created_at", "code"),
            **columns.only("claimed_by IS NOT NULL"),
        ),
        # Who is next: small, since it has those alone that wait for a person.
        Index("ix_task_turn", "organization_id", *TURN, **WAITING_ONLY),
        Index("ix_task_turn_in_project", "organization_id", "project_id", *TURN, **WAITING_ONLY),
        Index(
            "ix_task_turn_held",
            *("organization_id", "project_id", "claimed_by", *TURN),
            **columns.only("state = 'in_review' AND claimed_by IS NOT NULL"),
        ),
        # Who holds one now.
        Index("ix_task_claimed", "claimed_until", **columns.only("claimed_until IS NOT NULL")),
        # How many are in each state: the last two are there for the reason above.
        Index("ix_task_counted", *COUNTED, **SHARED),
        Index("ix_task_counted_private", *COUNTED, "owner_id", "id", **UNSHARED),
        Index("ix_task_own", *OWN, **ONLY_PRIVATE),
        # Since when the first one waits.
        Index("ix_task_waiting", "project_id", "review_since", **SHARED_WAITING),
        # What ended lately, and which of it came first.
        Index("ix_task_ended", "organization_id", "finished_at", "created_at", **ENDED_ONLY),
        # How right the decisions of some days were.
        Index("ix_task_judged", "organization_id", "finished_at", "is_correct", **JUDGED_ONLY),
        # What was judged so, and what somebody decided, the newest first.
        Index(
            "ix_task_verdict",
            *("organization_id", "state", "is_correct", "created_at", "code"),
            *WHO_SEES,
            **JUDGED_ONLY,
        ),
        Index(
            "ix_task_decided",
            *("organization_id", "state", "decided_by", "created_at", "code"),
            *WHO_SEES,
            **DECIDED_ONLY,
        ),
        # Who works on a file; whose bytes came before is found by it, too.
        Index("ix_task_input", "input_file_id", **ONLY_WITH_INPUT),
        # What may be over its time: only what has not ended.
        Index("ix_task_deadline", "deadline_at", **OPEN_ONLY),
        # Of an upload: small, since few tasks are of one.
        Index("ix_task_upload", "organization_id", "upload_id", **ONLY_UPLOADED),
    )

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `task_<code>`."""
    number: int | None = Field(default=None, sa_type=BigInteger, unique=True, index=True)
    """The id where ids are whole numbers (wire/human-lambdas.md): that of the activity row which
    tells that the task was made. None only before it is taken in."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    owner_id: uuid.UUID | None = None
    """Who made it: a person, or else a key; none: Papertray, or somebody at this machine."""
    is_private: bool = False
    """Only its owner sees it, and its collaborators."""
    is_test: bool = False
    """Nobody reviews it, and it is gone after a day."""
    operation: str
    """`process` for a task of a project, else the name of an operation."""
    project_id: uuid.UUID | None = Field(default=None, foreign_key="project.id")
    project_version_id: uuid.UUID | None = Field(default=None, foreign_key="projectversion.id")
    upload_id: uuid.UUID | None = Field(default=None, foreign_key="upload.id")
    """What its file was sent with; none: it was sent alone."""
    name: str = ""
    parameters: dict[str, Any] = columns.json()
    """As the caller sent them, secrets masked."""
    secrets: dict[str, Any] = columns.made(dict, sa_type=Json, repr=False)
    """The parameters that are masked: a password of a file. Kept here alone, where no answer and
    no run of Prefect has it, and erased when the task ends."""
    task_metadata: dict[str, Any] = columns.json()
    """What the caller wants to keep with the task."""
    input_file_id: str | None = None
    """No foreign key: the id may be of a file that is gone, and then the task fails."""
    duplicate_of: str | None = None
    """The variable part of the public id of the first task on the same bytes, where its project
    wants to know."""
    task_data: dict[str, Any] | None = Field(default=None, sa_type=Json)  # pyright: ignore[reportArgumentType, reportCallIssue]  # as above
    """Values by the names of blocks, of a task that has data and no file."""
    source: str = ""
    """How its data came: `api`, `manual`, or the name of the table it was a row of."""
    created_by: str = ""
    """The actor that made the task."""
    callback_url: str | None = None
    """Where its sender wants to be told of its end."""
    priority: int = 0
    """Higher comes first."""
    due_at: datetime | None = columns.later()
    """When its sender wants it decided; those of one priority come in this order."""

    state: State = Field(default=State.QUEUED, sa_type=StateColumn)  # pyright: ignore[reportArgumentType]  # as above
    version: int = 1
    """Counts the changes; every change names the version it is based on."""
    flow_run_id: uuid.UUID | None = None
    worker_id: uuid.UUID | None = Field(default=None, index=True)
    """The worker on which the run was last seen going."""
    attempt: int = 1
    """Counts the tries: retry begins the next."""

    review_round: int = 0
    """Counts the waits for a person; the pause key of the run is `review-<round>`."""
    review_step: str = ""
    """What the person looks at: `sort` (which pages, of which type), `extract` (the values), or
    `export` (why the files did not get to their place)."""
    review_reason: str = ""
    decision: dict[str, Any] | None = Field(default=None, sa_type=Json)  # pyright: ignore[reportArgumentType, reportCallIssue]  # as above
    """{round, decision, actor, note} of the last decided round."""
    claimed_by: str | None = None
    """The actor that holds the task."""
    claimed_until: datetime | None = columns.later()

    export_round: int = 0
    """Counts the times a client was offered the files; the pause key of the run is
    `export-<round>`."""
    exported_at: datetime | None = columns.later()
    """Since when the files are where they are wanted; none: they are not, or nowhere in
    particular."""
    export_failed_at: datetime | None = columns.later()
    """When they last did not get there."""

    step: str = ""
    """What is being done or was done last."""
    progress_current: int = 0
    progress_total: int = 0
    result: dict[str, Any] = columns.json()
    """The outcome, or {error, details} of a failed one."""
    claimed_at: datetime | None = columns.later()
    """When a person last took it; stays when it is given back."""
    handling_seconds: float = 0.0
    """How long people held it, all together."""
    decided_by: str | None = None
    """The actor of the last decision."""
    is_correct: bool | None = None
    """What an audit found of that decision; none: nobody has judged it."""
    wrong_fields: list[str] | None = Field(default=None, sa_type=Json)  # pyright: ignore[reportArgumentType, reportCallIssue]  # as above
    """Names of the fields that the audit found wrong; none: it did not say which."""

    created_at: datetime = columns.time()
    updated_at: datetime = columns.time(index=True)
    started_at: datetime | None = columns.later()
    review_since: datetime | None = columns.later()
    finished_at: datetime | None = columns.later()
    settled_at: datetime | None = columns.later()
    """Since when nobody is waited for: a person has completed its data, or it ended without."""
    deadline_at: datetime | None = columns.later()
    """When the whole task times out."""
    review_due_at: datetime | None = columns.later(index=True)
    """When the present wait for a person runs out."""
    deleted_at: datetime | None = columns.later()
    """Since when no caller sees it any more."""
    erase_after: datetime | None = columns.later(index=True)
    """When its content is to be erased; none: it is kept, or erased already."""
    erased_at: datetime | None = columns.later(index=True)
    """Since when nothing of its content is left; what is left is the record."""
    forget_after: datetime | None = columns.later(index=True)
    """When the record goes, too, with its run."""

    @property
    def public_id(self) -> str:
        """The id in the native API, the command line and the pages."""
        return f"task_{self.code}"

    @property
    def short_id(self) -> str:
        """The id in Aluma's API (docs/decisions/0009-tasks-of-aluma.md)."""
        return short_of(self.id)
