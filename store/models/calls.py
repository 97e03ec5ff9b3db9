"""The tables of what is still to be told, and by whom."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import AutoString, Field

from store import columns
from store.ids import new_code
from store.row import Row


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
