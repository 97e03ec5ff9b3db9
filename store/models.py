"""The tables."""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlmodel import AutoString, Field

from store import columns
from store.columns import Json, StateColumn
from store.columns import UtcDateTime as UtcDateTime  # the migrations know it by this name
from store.ids import new_code, short_of
from store.row import Row
from store.states import State


class Organization(Row, table=True):
    """A tenant: sees its own rows and no others."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("organization")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    name: str = Field(unique=True)
    created_at: datetime = columns.time()


class User(Row, table=True):
    """A person of an organization; reviews are signed with the e-mail."""

    __tablename__ = "user_account"  # pyright: ignore[reportAssignmentType]  # `user` is a reserved word in PostgreSQL
    __table_args__ = (UniqueConstraint("organization_id", "email"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("user_account")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    email: str
    name: str = ""
    """As people call them; nothing is decided by it."""
    is_admin: bool = False
    """May administer the organization, as far as their key lets them."""
    created_at: datetime = columns.time()


class Team(Row, table=True):
    """People of an organization who work on the same projects."""

    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    name: str
    created_at: datetime = columns.time()


class Membership(Row, table=True):
    """A person in a team."""

    team_id: uuid.UUID = Field(foreign_key="team.id", ondelete="CASCADE", primary_key=True)
    user_id: uuid.UUID = Field(
        foreign_key="user_account.id", ondelete="CASCADE", primary_key=True, index=True
    )
    is_admin: bool = False
    """May say who is in the team."""
    created_at: datetime = columns.time()


class ApiKey(Row, table=True):
    """A key of a program, a person or a team. Only its hash is kept."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    """Also the `client_id` of the OAuth client that the key may be."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    user_id: uuid.UUID | None = Field(default=None, foreign_key="user_account.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id")
    """Sees the projects of this team beside those of the whole organization."""
    name: str = ""
    """What it is for, in words."""
    is_test: bool = False
    """What is made with it is not reviewed, and is gone after a day."""
    client_secret_sha256: str | None = None
    """Hex digest of the secret of an OAuth client (RFC 6749, 4.4); none: the key is no client."""
    sha256: str = Field(unique=True)
    """Hex digest of the whole key; the key has 256 random bits, so no slow hash is needed."""
    prefix: str
    """The first characters of the key, by which its owner knows it."""
    scopes: list[str] = columns.json(list)
    created_at: datetime = columns.time()
    expires_at: datetime | None = columns.later()
    revoked_at: datetime | None = columns.later()
    last_used_at: datetime | None = columns.later()


class AccessToken(Row, table=True):
    """What an OAuth client got for its secret; opens for a while what its key opens."""

    sha256: str = Field(primary_key=True)
    key_id: uuid.UUID = Field(foreign_key="apikey.id", ondelete="CASCADE", index=True)
    created_at: datetime = columns.time()
    expires_at: datetime = columns.time(index=True)


class Session(Row, table=True):
    """A signed-in browser. Only the hash of its cookie is kept."""

    __tablename__ = "browser_session"  # pyright: ignore[reportAssignmentType]  # a plain name is what SQLModel wants

    sha256: str = Field(primary_key=True)
    key_id: uuid.UUID = Field(foreign_key="apikey.id", ondelete="CASCADE")
    csrf_token: str
    created_at: datetime = columns.time()
    expires_at: datetime = columns.time()


class Project(Row, table=True):
    """A named way of treating documents."""

    __table_args__ = (UniqueConstraint("organization_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    number: int = columns.number("project")
    """The id where ids are whole numbers (wire/human-lambdas.md)."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id")
    """The team that sees it; none: the whole organization."""
    name: str
    current_version_id: uuid.UUID | None = None
    created_at: datetime = columns.time()
    deleted_at: datetime | None = columns.later()
    """Since when nobody sees it any more; its tasks keep it."""


class ProjectVersion(Row, table=True):
    """One text of a project file. A task keeps the version it was made with."""

    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    project_id: uuid.UUID = Field(foreign_key="project.id")
    number: int
    source: str
    """The project file as it was sent."""
    created_at: datetime = columns.time()


INBOX: Final = "inbox"
"""Where an upload is until it is done with, or somebody moves it."""


class Folder(Row, table=True):
    """A place for uploads of a project, beside those that every project has."""

    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `folder_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    project_id: uuid.UUID = Field(foreign_key="project.id")
    name: str
    created_at: datetime = columns.time()


class Upload(Row, table=True):
    """Files that were sent together; each is the input of a task of its own."""

    __table_args__ = (
        Index("ix_upload_project", "project_id", "created_at", "code"),
        Index("ix_upload_folder", "project_id", "folder", "created_at", "code"),
    )

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `upl_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    project_id: uuid.UUID = Field(foreign_key="project.id")
    team_id: uuid.UUID | None = Field(default=None, foreign_key="team.id", ondelete="SET NULL")
    """The team at whose address it was sent."""
    name: str = ""
    """As its sender calls it; empty: it is called like its first file."""
    meta: list[dict[str, Any]] = columns.json(list)
    """What its sender wants to keep with it: `{name, value}` each, in order."""
    folder: str = INBOX
    """Where it is: one of the folders of every project, or the code of another."""
    created_at: datetime = columns.time()
    updated_at: datetime = columns.time()

    @property
    def public_id(self) -> str:
        """The id at every address."""
        return f"upl_{self.code}"


class TaskFigure(Row, table=True):
    """What happened to the tasks of a project in an hour; private and deleted ones do not count.

    Triggers of the database keep it, in the transaction that changes a task.
    """

    __table_args__ = ({"sqlite_with_rowid": False},)

    project_id: uuid.UUID = Field(foreign_key="project.id", primary_key=True)
    moment: str = Field(primary_key=True)
    """`created`, `settled` or `ended`: of which of its times the hour is."""
    hour: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole hours since 1970, UTC."""
    slot: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """A figure is the sum over these: who changes tasks at once need not wait for each other."""
    tasks: int
    completed: int
    """Of them, those that ended well. This and the next are 0 in `created`."""
    untouched: int
    """Of those, the ones that nobody had to decide."""
    decided: int
    """Those on which a person has decided."""
    handling_seconds: float
    """How long people held those, all together."""
    turnaround_seconds: float
    """From when they were made until then, all together."""
    audited: int
    correct: int
    """Of those that were audited, how many were decided right."""


NOBODY: Final = uuid.UUID(int=0)
"""Whose the tasks and files are, in the counts, that are nobody's alone."""


class TaskDay(Row, table=True):
    """How many tasks of a project came on a day, or were settled on it; deleted ones do not count.

    Triggers of the database keep it likewise.
    """

    __table_args__ = ({"sqlite_with_rowid": False},)

    project_id: uuid.UUID = Field(foreign_key="project.id", primary_key=True)
    is_private: bool = Field(primary_key=True)
    owner_id: uuid.UUID = Field(primary_key=True)
    """Of private ones; else NOBODY, as where they have none."""
    moment: str = Field(primary_key=True)
    """`created` or `settled`: of which of their times the day is."""
    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole days since 1970, UTC."""
    state: str = Field(primary_key=True)
    """In which they are now."""
    is_on_file: bool = Field(primary_key=True)
    """Whether they have a file; else they have data."""
    is_settled: bool = Field(primary_key=True)
    slot: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    counted: int


class FileDay(Row, table=True):
    """How many files were sent on a day; kept likewise."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    organization_id: uuid.UUID = Field(foreign_key="organization.id", primary_key=True)
    is_private: bool = Field(primary_key=True)
    owner_id: uuid.UUID = Field(primary_key=True)
    """Of private ones; else NOBODY, as where they have none."""
    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole days since 1970, UTC."""
    slot: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    counted: int


class PersonDay(Row, table=True):
    """How many tasks on which somebody decided were settled on a day; private ones do not count.

    Kept likewise, but in no slots: a row of which nothing is left has to go, since it tells of
    somebody. Who decides on tasks at once as one and the same is seldom.
    """

    __table_args__ = ({"sqlite_with_rowid": False},)

    project_id: uuid.UUID = Field(foreign_key="project.id", primary_key=True)
    actor: str = Field(primary_key=True)
    """Who decided last."""
    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole days since 1970, UTC."""
    counted: int


class ReportedDay(Row, table=True):
    """What happened in a day, as the daily report counted it when the day was over.

    It is not counted again: tasks are forgotten, and a report would read more of them each day.
    """

    day: date = Field(primary_key=True)
    """In UTC, of all organizations."""
    created: int
    completed: int
    ended_otherwise: int
    failed: int
    median_seconds: float | None
    slow_seconds: float | None
    untouched: float | None
    """This and those before: as `Day` in `flows/daily_report.py` has them."""


def _where(sqlite: str, postgresql: str | None = None) -> Mapping[str, Any]:
    """Which rows an index has."""
    return {"sqlite_where": text(sqlite), "postgresql_where": text(postgresql or sqlite)}


SENT: Final = ("organization_id", "created_at", "id", "owner_id", "is_private", "task_id")
ONLY_SENT: Final = _where("task_id IS NULL")
OWN_SENT: Final = ("owner_id", "created_at", "id", "organization_id", "is_private", "task_id")
ONLY_OWN: Final = _where("task_id IS NULL AND is_private = 1", "task_id IS NULL AND is_private")


class File(Row, table=True):
    """Bytes that came in or that a task made."""

    __table_args__ = (
        UniqueConstraint("task_id", "role", "name"),
        # What was sent: counted, and found far down its list, in the index alone.
        Index("ix_file_sent", *SENT, **ONLY_SENT),
        Index("ix_file_own", *OWN_SENT, **ONLY_OWN),
    )

    id: str = columns.made(lambda: f"file_{new_code()}", primary_key=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id", index=True)
    name: str
    blob: str
    """Key of the bytes in the storage."""
    type: str
    """Media type, found in the content."""
    size_bytes: int
    sha256: str = Field(index=True)
    properties: dict[str, Any] = columns.json()
    """width and height of an image, page_count of a PDF or TIFF."""
    task_id: uuid.UUID | None = Field(default=None, foreign_key="task.id", index=True)
    """The task that made the file; none for a file that was sent."""
    role: str | None = None
    """What it is to its task: `data`, `searchable_pdf`, `generated` ..."""
    owner_id: uuid.UUID | None = None
    """Who sent it: a person, or else a key."""
    is_private: bool = False
    """Only its owner sees it, and who works on a task with it."""
    is_test: bool = False
    """It is gone after a day."""
    created_at: datetime = columns.time(index=True)


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
    return _where(f"{both} is_private = 0", f"{both} NOT is_private")


WAITING_ONLY: Final = _where("state = 'in_review'")
SHARED_WAITING: Final = _kept("state = 'in_review'")
ONLY_PRIVATE: Final = _where("is_private = 1", "is_private")
ONLY_WITH_INPUT: Final = _where("input_file_id IS NOT NULL")
ONLY_UPLOADED: Final = _where("upload_id IS NOT NULL")
OPEN_ONLY: Final = _where("finished_at IS NULL")
ENDED_ONLY: Final = _where("finished_at IS NOT NULL")
JUDGED_ONLY: Final = _where("is_correct IS NOT NULL")
# The last two, which are alike in all rows, are there since SQLite looks at them nevertheless.
SETTLED: Final = (
    *("project_id", "settled_at", "code"),
    *("created_at", "decided_by", "is_correct", "source", "handling_seconds"),
    *("deleted_at", "is_private"),
)
COUNTED: Final = ("organization_id", "state", "project_id", "deleted_at", "is_private")
SHARED: Final = _where(
    "deleted_at IS NULL AND is_private = 0", "deleted_at IS NULL AND NOT is_private"
)
UNSHARED: Final = _where(
    "deleted_at IS NULL AND is_private = 1", "deleted_at IS NULL AND is_private"
)
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
        Index("ix_task_private", "project_id", "settled_at", **ONLY_PRIVATE),
        Index(
            "ix_task_held",
            *("organization_id", "claimed_by", "created_at", "code"),
            **_where("claimed_by IS NOT NULL"),
        ),
        # Who is next: small, since it has those alone that wait for a person.
        Index("ix_task_turn", "organization_id", *TURN, **WAITING_ONLY),
        Index("ix_task_turn_in_project", "organization_id", "project_id", *TURN, **WAITING_ONLY),
        Index(
            "ix_task_turn_held",
            *("organization_id", "project_id", "claimed_by", *TURN),
            **_where("state = 'in_review' AND claimed_by IS NOT NULL"),
        ),
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
    erased_at: datetime | None = columns.later()
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


class ExportedFile(Row, table=True):
    """A name that a task has at the place where its files are put: no other task gets it.

    Committed before the file is written, so that whoever writes it again writes it there.
    """

    location: str = Field(primary_key=True)
    """URL, in small letters: some file systems know no others."""
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE", index=True)
    name: str
    """In the letters in which it was written there."""
    blob: str
    """Key of the bytes that are there."""


class Document(Row, table=True):
    """A document found in the input of a task."""

    __table_args__ = (UniqueConstraint("task_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    number: int
    """1-based."""
    document_type: str
    page_numbers: list[int] = columns.json(list)
    pages_confidence: float = 1.0
    """0..1: how sure it is that these pages are one document."""
    type_confidence: float = 1.0
    """0..1: how sure it is that it is of this type."""
    is_extracted: bool = True
    """Its fields were looked for; not yet while only its pages and its type are known."""
    fields: dict[str, Any] = columns.json()
    """name -> FieldValue of store/fields.py."""
    group_number: int | None = None
    """1-based; documents of a task with the same number belong together."""


class Page(Row, table=True):
    """A page of the input of a task, as it was read."""

    __table_args__ = (UniqueConstraint("task_id", "number"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    number: int
    """1-based."""
    width_pixels: int
    height_pixels: int
    """Of the page image, in whose pixels all boxes are given."""
    method: str
    """`text_layer` or `ocr`."""
    confidence: float
    """0..1, mean over the words."""
    image_blob: str
    detail_blob: str = ""
    """The page in gray and in more pixels, for who zooms in; empty: there is no more to see."""
    words_blob: str


class Presence(Row, table=True):
    """Somebody who has the page of a task open; one that is not renewed is soon over."""

    task_id: uuid.UUID = Field(primary_key=True, foreign_key="task.id", ondelete="CASCADE")
    actor: str = Field(primary_key=True)
    seen_at: datetime = columns.time(index=True)


class ValueChange(Row, table=True):
    """What somebody made of a value; it goes when the content of its task goes."""

    __table_args__ = (Index("ix_valuechange_task", "task_id", "at"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE")
    document_number: int
    """1-based; 0: of the data of a task that has no documents."""
    name: str
    """Of the field or the block."""
    before: str
    """The value as people read it; empty: there was none."""
    after: str
    method: str = ""
    """How the value before was found; `person` when somebody had typed it."""
    actor: str
    surface: str
    at: datetime = columns.time()


class Collaboration(Row, table=True):
    """A team or a person who sees a private task, and works on some of its steps."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE", index=True)
    team_id: uuid.UUID | None = Field(
        default=None, foreign_key="team.id", ondelete="CASCADE", index=True
    )
    user_id: uuid.UUID | None = Field(
        default=None, foreign_key="user_account.id", ondelete="CASCADE", index=True
    )
    steps: list[str] = columns.json(list)
    """Names of steps; `*` for all."""


class Activity(Row, table=True):
    """One thing that happened, written in the transaction in which it happened."""

    __table_args__ = (
        Index("ix_activity_task", "task_id", "number"),
        Index("ix_activity_organization", "organization_id", "number"),
        {"sqlite_autoincrement": True},  # else the number of one that was forgotten came again
    )

    number: int | None = Field(default=None, primary_key=True)
    """Rises with every event; the order of events is the order of numbers."""
    code: str = columns.made(new_code, unique=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    type: str = Field(index=True)
    """`task.completed` and so on."""
    task_id: uuid.UUID | None = None
    is_private: bool = False
    """Only who sees its task, or sent its file, sees it; no webhook is told of it."""
    subject: str
    """Public id of what it happened to."""
    actor: str
    surface: str
    reason: str = ""
    data: dict[str, Any] = columns.json()
    at: datetime = columns.time()


class Webhook(Row, table=True):
    """An address of an organization that is told of events."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `webhook_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id", index=True)
    url: str
    event_types: list[str] = columns.json(list)
    """Types of the events it is told of; `*` for all."""
    project_id: uuid.UUID | None = Field(default=None, foreign_key="project.id", index=True)
    """Told only of tasks of this project, from when they are taken in; none: of everything."""
    wording: str = ""
    """Whose words what is sent has: a row of `flows/wordings.py`; empty: ours."""
    secret: str
    """Signs what is sent, so it cannot be kept as a hash."""
    previous_secret: str | None = None
    """The one before, which signs too, so that receivers can change over, until"""
    previous_secret_until: datetime | None = columns.later()
    disabled_at: datetime | None = columns.later()
    """Since when nothing is sent; what waits goes on waiting."""
    disabled_reason: str = ""
    resting_until: datetime | None = columns.later()
    """Before this the receiver asked to be left alone."""
    last_sequence: int = 0
    """The sequence number that was given out last."""
    created_at: datetime = columns.time()
    updated_at: datetime = columns.time()

    @property
    def public_id(self) -> str:
        """The id in the native API and the command line."""
        return f"webhook_{self.code}"


class DeliveryOutcome(StrEnum):
    """What became of a delivery so far."""

    WAITING = "waiting"  #: to be sent, for the first time or again
    DELIVERED = "delivered"  #: answered with 2xx
    FAILED = "failed"  #: given up


class Delivery(Row, table=True):
    """An event that a receiver is to be told of, and what became of it.

    Committed with the event. The row is the log too: it stays for a while.
    """

    __table_args__ = (Index("ix_delivery_webhook", "webhook_id", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    code: str = columns.made(new_code, unique=True)
    """The variable part of the public id `delivery_<code>`."""
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    webhook_id: uuid.UUID | None = Field(default=None, foreign_key="webhook.id", ondelete="CASCADE")
    """None: the `callback_url` of a task is told."""
    url: str | None = None
    """The `callback_url`; a webhook has its own."""
    lane: str
    """What must not hold up the others: the code of the webhook, or the host of `url`."""
    activity_number: int = Field(foreign_key="activity.number", ondelete="CASCADE", index=True)
    sequence: int | None = None
    """Counts what the webhook is sent, from 1; given when it is taken up the first time."""
    outcome: DeliveryOutcome = Field(default=DeliveryOutcome.WAITING, sa_type=AutoString)
    attempts: int = 0
    """Since it was made, or since somebody asked for it again."""
    due_at: datetime | None = columns.later(index=True)
    """Not before; taking the row moves it on, so that of two senders one has it. None: done."""
    until: datetime = columns.time()
    """The last try is made then."""
    tried_at: datetime | None = columns.later()
    status: int | None = None
    """HTTP status of the last answer."""
    error: str = ""
    """Why the last try failed."""
    answer: str = ""
    """How the body of the last answer began."""
    duration_seconds: float | None = None
    """How long the last try took."""
    created_at: datetime = columns.time(index=True)

    @property
    def public_id(self) -> str:
        """The id in the native API and the command line."""
        return f"delivery_{self.code}"


class OutboxKind(StrEnum):
    """Which call to Prefect must be made."""

    SUBMIT = "submit"  #: make the run
    RESUME = "resume"  #: wake the run after a decision
    CANCEL = "cancel"  #: cancel the run
    RESCHEDULE = "reschedule"  #: start the run again
    END = "end"  #: put the run, which nobody executes, into the final state of its task


class Outbox(Row, table=True):
    """A call to Prefect that must still be made, committed with the change that needs it."""

    id: int | None = Field(default=None, primary_key=True)
    kind: OutboxKind = Field(sa_type=AutoString)
    task_id: uuid.UUID = Field(foreign_key="task.id", ondelete="CASCADE", index=True)
    payload: dict[str, Any] = columns.json()
    attempts: int = 0
    available_at: datetime = columns.time(index=True)
    """Not before; taking the row moves it on, so that of two dispatchers one has it."""
    last_error: str = ""
    created_at: datetime = columns.time()


class Worker(Row, table=True):
    """A process that executes runs. It is alive while `seen_at` is fresh."""

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    name: str
    host: str
    pid: int
    started_at: datetime = columns.time()
    seen_at: datetime = columns.time()
    stopped_at: datetime | None = columns.later()


class IdempotencyRecord(Row, table=True):
    """The answer given to a POST with an `Idempotency-Key`."""

    __table_args__ = (UniqueConstraint("organization_id", "route", "key"),)

    id: uuid.UUID = columns.made(uuid.uuid4, primary_key=True)
    organization_id: uuid.UUID = Field(foreign_key="organization.id")
    route: str
    key: str
    request_sha256: str
    status: int | None = None
    """None while the first request is still being answered."""
    body: str = ""
    created_at: datetime = columns.time(index=True)
