"""Who may see what: every query of a caller starts here."""

import uuid
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Select, exists, select
from sqlmodel import col

from store.errors import ForbiddenError, NotFoundError
from store.models import Activity, Delivery, File, Project, Task, Webhook
from store.states import Actor

SCOPES = (
    "task.read",
    "task.create",
    "task.edit",
    "file.read",
    "file.create",
    "file.delete",
    "project.read",
    "project.edit",
    "webhook.read",
    "webhook.edit",
    "admin",
)
"""What a key can be allowed; `admin` allows all."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: an organization, an actor, and what its key allows."""

    organization_id: uuid.UUID
    actor: Actor
    scopes: frozenset[str] = frozenset({"admin"})

    def require(self, scope: str) -> None:
        """Go on only if the key allows it.

        Raises:
            ForbiddenError: it does not; the details name the scope that is missing.
        """
        if scope not in SCOPES:
            raise ValueError(f"no such scope: {scope}")
        if scope not in self.scopes and "admin" not in self.scopes:
            raise ForbiddenError(
                f"The key does not allow this: the scope {scope} is missing.", scope=scope
            )


Owned = TypeVar("Owned", Task, File, Project, Activity, Webhook, Delivery)


def visible(kind: type[Owned], caller: Caller) -> Select[tuple[Owned]]:
    """The rows of one kind that the caller may see; none of a deleted task, nor what it made."""
    mine = select(kind).where(col(kind.organization_id) == caller.organization_id)
    if kind is Task:
        return mine.where(col(Task.deleted_at).is_(None))
    if kind is File:
        gone = exists().where(col(Task.id) == col(File.task_id), col(Task.deleted_at).is_not(None))
        return mine.where(~gone)
    return mine


def code_of(public_id: str, prefix: str = "task_") -> str:
    """The variable part of a public id.

    Raises:
        NotFoundError: it is no such id.
    """
    if not public_id.startswith(prefix):
        raise NotFoundError(f"There is no {prefix.rstrip('_')} with that id.", id=public_id)
    return public_id.removeprefix(prefix)
