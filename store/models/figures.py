"""The tables of figures, kept as they come to be."""

import uuid
from datetime import date
from typing import Final

from sqlalchemy import Index
from sqlmodel import Field

from store.row import Row


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


NO_PROJECT: Final = NOBODY
"""What stands in the place of the project of tasks that have none."""


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


class StateCount(Row, table=True):
    """How many tasks are in a state; deleted ones do not count. Kept likewise."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    organization_id: uuid.UUID = Field(foreign_key="organization.id", primary_key=True)
    project_id: uuid.UUID = Field(primary_key=True)
    """NO_PROJECT where they are of none."""
    is_private: bool = Field(primary_key=True)
    state: str = Field(primary_key=True)
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

    __table_args__ = (
        Index("ix_personday_day", "project_id", "day"),  # of all people
        {"sqlite_with_rowid": False},
    )

    project_id: uuid.UUID = Field(foreign_key="project.id", primary_key=True)
    actor: str = Field(primary_key=True)
    """Who decided last."""
    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole days since 1970, UTC."""
    counted: int
    handling_seconds: float
    """How long people held those, all together."""
    audited: int
    correct: int
    """Of those that were audited, how many were decided right."""


ALL_FIELDS: Final = ""
"""What stands in the place of a name where the decisions themselves are counted."""


class FieldDay(Row, table=True):
    """In how many of the tasks that were settled on a day a field was wrong, as audits found.

    Under ALL_FIELDS: how many were judged field by field, which are the right ones, and those
    wrong ones of which it was said where. Private ones do not count. Kept likewise.
    """

    __table_args__ = ({"sqlite_with_rowid": False},)

    project_id: uuid.UUID = Field(foreign_key="project.id", primary_key=True)
    field: str = Field(primary_key=True)
    day: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    """Whole days since 1970, UTC."""
    slot: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
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
