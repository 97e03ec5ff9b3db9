"""Who may see what: every query of a caller starts here."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    cast,
    exists,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.errors import ForbiddenError, NotFoundError
from store.models import (
    NOBODY,
    Activity,
    ApiKey,
    Collaboration,
    Delivery,
    File,
    FileDay,
    Folder,
    Project,
    StateCount,
    Task,
    TaskDay,
    Team,
    Upload,
    User,
    Webhook,
)
from store.states import Actor

SCOPES = (
    "task.read",
    "task.create",
    "task.edit",
    "file.read",
    "file.create",
    "file.delete",
    "upload.read",
    "upload.create",
    "upload.edit",
    "upload.delete",
    "project.read",
    "project.edit",
    "webhook.read",
    "webhook.edit",
    "admin",
)
"""What a key can be allowed; `admin` allows all."""

ALL_STEPS: Final = "*"
"""What a collaborator on every step has in the place of their names."""

REVIEW: Final = "review"
"""The step of a private task in which people decide."""

EXPORT: Final = "export"
"""The step of a private task in which a client fetches what it made."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: an organization, an actor, and what its key allows.

    One without a key and without a person is Papertray itself, or whoever has the machine: it
    sees all of its organization.
    """

    organization_id: uuid.UUID
    actor: Actor
    scopes: frozenset[str] = frozenset({"admin"})
    user_id: uuid.UUID | None = None
    """The person; none for a program."""
    team_ids: frozenset[uuid.UUID] = frozenset()
    """Teams of the person, or the one that the key belongs to."""
    key_id: uuid.UUID | None = None
    is_test: bool = False
    """What it makes is not reviewed, and is gone after a day."""

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything that is not private to another."""
        return "admin" in self.scopes

    @property
    def owner_id(self) -> uuid.UUID | None:
        """To whom belongs what it makes: the person, or else the key."""
        return self.user_id or self.key_id

    def may(self, scope: str) -> bool:
        """Whether the key allows it."""
        if scope not in SCOPES:
            raise ValueError(f"no such scope: {scope}")
        return scope in self.scopes or self.is_admin

    def require(self, scope: str) -> None:
        """Go on only if the key allows it.

        Raises:
            ForbiddenError: it does not; the details name the scope that is missing.
        """
        if not self.may(scope):
            raise ForbiddenError(
                f"The key does not allow this: the scope {scope} is missing.", scope=scope
            )


Owned = TypeVar(
    "Owned",
    Task,
    File,
    Project,
    Activity,
    Webhook,
    Delivery,
    User,
    Team,
    ApiKey,
    Upload,
    Folder,
)


def visible(kind: type[Owned], caller: Caller) -> Select[tuple[Owned]]:
    """The rows of one kind that the caller may see; none of a deleted task, nor what it made.

    A task that is private is seen by its owner and by its collaborators, and by nobody else; the
    others are seen as their project is: by its team, or else by all of the organization. Files
    and activities are seen as the task is that they belong to.
    """
    table: Any = kind  # pyright does not take the class of a table for something with a hash
    return _visible(table, caller)


def visible_among(
    kind: type[Owned], caller: Caller, *found_by: ColumnElement[bool]
) -> Select[tuple[Owned]]:
    """The same of a few rows, which are found by what is true of them alone, like their task.

    SQLite does not know that an organization has more rows than a task: left the choice, it looks
    through all of those. A column inside of `coalesce` it cannot look up.
    """
    table: Any = kind  # as above
    mine = func.coalesce(table.organization_id, NOBODY) == caller.organization_id
    rules = _RULES[table](caller) if table in _RULES else ()
    return select(table).where(mine, *rules, *found_by)


@lru_cache(maxsize=1024)  # to build it takes about as long as to run it
def _visible(kind: Any, caller: Caller) -> Select[Any]:
    mine = select(kind).where(col(kind.organization_id) == caller.organization_id)
    return mine.where(*_RULES[kind](caller)) if kind in _RULES else mine


def _of_tasks(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    return (col(Task.deleted_at).is_(None), sees_task(caller))


def _of_files(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    made_by_seen = exists().where(col(Task.id) == col(File.task_id), *_of_tasks(caller))
    return (or_(col(File.task_id).is_(None), made_by_seen), _sees_sent(caller))


def _of_projects(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    gone = col(Project.deleted_at)
    if caller.is_admin:
        return (gone.is_(None),)
    team = col(Project.team_id)
    return (gone.is_(None), or_(team.is_(None), team.in_(caller.team_ids)))


def _of_uploads(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    return (_is_in_seen(Upload.project_id, caller),)


def _of_folders(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    return (_is_in_seen(Folder.project_id, caller),)


def _is_in_seen(project_id: Any, caller: Caller) -> ColumnElement[bool]:
    return exists().where(col(Project.id) == project_id, *_of_projects(caller))


def _of_activities(caller: Caller) -> tuple[ColumnElement[bool], ...]:
    """Those of deleted tasks are seen on: they tell that there was a task."""
    if _is_operator(caller):
        return ()
    task = col(Task.id) == col(Activity.task_id)
    sent = and_(col(File.id) == col(Activity.subject), col(File.owner_id) == caller.owner_id)
    rules = [
        or_(
            ~col(Activity.is_private),
            exists().where(task, sees_task(caller)),
            exists().where(sent),
        )
    ]
    if not caller.is_admin:
        closed = exists().where(task, ~col(Task.is_private), ~is_open_to(caller))
        rules.append(or_(col(Activity.task_id).is_(None), ~closed))
    return tuple(rules)


_RULES: Final[Mapping[type[Any], Callable[[Caller], tuple[ColumnElement[bool], ...]]]] = {
    Task: _of_tasks,
    File: _of_files,
    Project: _of_projects,
    Activity: _of_activities,
    Upload: _of_uploads,
    Folder: _of_folders,
}
"""What must be true of rows beside that they are of the organization."""


def sees_task(caller: Caller, step: str | None = None) -> ColumnElement[bool]:
    """Whether the caller sees a task of its organization.

    Args:
        caller: who asks.
        step: whether it may also work on this step.
    """
    if _is_operator(caller):
        return true()
    return or_(
        and_(~col(Task.is_private), is_open_to(caller)),
        col(Task.owner_id) == caller.owner_id,
        col(Task.id).in_(_collaborations(caller, step)),
    )


def private_lists(caller: Caller, private: Select[tuple[Task]]) -> tuple[Select[tuple[Task]], ...]:
    """The private tasks of its organization that a caller sees, in lists that each have an index.

    Args:
        caller: who asks.
        private: private tasks of the organization, whoever owns them.

    Returns:
        Those that are counted as its own (`counts_own`), and those of others.
    """
    if _is_operator(caller):
        return (private,)
    owner, shared = col(Task.owner_id), col(Task.id).in_(_collaborations(caller))
    others = owner.is_distinct_from(caller.owner_id)
    return private.where(owner == caller.owner_id), private.where(others, shared)


def private_file_lists(caller: Caller) -> tuple[Select[tuple[File]], ...]:
    """The private files that were sent to its organization and that a caller sees, likewise."""
    private = select(File).where(
        col(File.organization_id) == caller.organization_id,
        col(File.task_id).is_(None),
        col(File.is_private),
    )
    if _is_operator(caller):
        return (private,)
    # These are found by their ids: by an index of the rest all files would be looked through.
    of, made_by = (func.coalesce(col(one), NOBODY) for one in (File.organization_id, File.task_id))
    shared = select(File).where(
        col(File.id).in_(_inputs(caller)),
        of == caller.organization_id,
        made_by == NOBODY,
        col(File.is_private),
        col(File.owner_id).is_distinct_from(caller.owner_id),
    )
    return private.where(col(File.owner_id) == caller.owner_id), shared


def counts_shared(kind: type[TaskDay] | type[FileDay]) -> ColumnElement[bool]:
    """Whether what is counted in a row is nobody's alone."""
    return and_(~col(kind.is_private), col(kind.owner_id) == NOBODY)


def counts_own(kind: type[TaskDay] | type[FileDay], caller: Caller) -> ColumnElement[bool]:
    """Whether what is counted in a row is private, and the caller's own."""
    if _is_operator(caller):
        return col(kind.is_private).is_(True)
    return and_(col(kind.is_private), col(kind.owner_id) == caller.owner_id)


def _is_operator(caller: Caller) -> bool:
    return caller.owner_id is None


def is_open_to(caller: Caller) -> ColumnElement[bool]:
    """Whether the project of a task is one that the caller sees; a task may have none."""
    if caller.is_admin:
        return true()
    closed = _closed_projects(caller)
    return or_(col(Task.project_id).is_(None), col(Task.project_id).not_in(closed))


def counts_open(caller: Caller) -> ColumnElement[bool]:
    """Whether what is counted in a StateCount is seen by the caller: shared, in an open project."""
    shared = and_(
        col(StateCount.organization_id) == caller.organization_id, ~col(StateCount.is_private)
    )
    if caller.is_admin:
        return shared
    return and_(shared, col(StateCount.project_id).not_in(_closed_projects(caller)))


def _closed_projects(caller: Caller) -> Select[tuple[uuid.UUID]]:
    return select(col(Project.id)).where(
        col(Project.organization_id) == caller.organization_id,
        col(Project.team_id).is_not(None),
        col(Project.team_id).not_in(caller.team_ids),
    )


def collaborates(caller: Caller) -> ColumnElement[bool]:
    """Whether there is any task on which the caller collaborates."""
    return exists(select(col(Collaboration.task_id)).where(_collaborates(caller)))


def _collaborations(caller: Caller, step: str | None = None) -> Select[tuple[uuid.UUID]]:
    """Ids of the tasks on which the caller collaborates."""
    query = select(col(Collaboration.task_id)).where(_collaborates(caller))
    if step is None:
        return query
    steps = cast(col(Collaboration.steps), String)  # JSON: each name stands in quotes
    return query.where(or_(*(steps.contains(f'"{one}"') for one in (step, ALL_STEPS))))


def _collaborates(caller: Caller) -> ColumnElement[bool]:
    by_team = col(Collaboration.team_id).in_(caller.team_ids) if caller.team_ids else false()
    by_user = col(Collaboration.user_id) == caller.user_id if caller.user_id else false()
    return or_(by_team, by_user)


def _sees_sent(caller: Caller) -> ColumnElement[bool]:
    """Whether the caller sees a file that may be private to who sent it."""
    if _is_operator(caller):
        return true()
    return or_(
        col(File.task_id).is_not(None),
        ~col(File.is_private),
        col(File.owner_id) == caller.owner_id,
        col(File.id).in_(_inputs(caller)),
    )


def _inputs(caller: Caller) -> Select[tuple[str | None]]:
    """Ids of the files of the tasks on which the caller collaborates."""
    return select(col(Task.input_file_id)).where(col(Task.id).in_(_collaborations(caller)))


async def require_step(session: AsyncSession, caller: Caller, task: Task, step: str) -> None:
    """Go on only if the caller may work on this step of a task it sees.

    Raises:
        ForbiddenError: the task is private, and the caller collaborates on other steps.
    """
    if _owns(caller, task):
        return
    query = _collaborations(caller, step).where(col(Collaboration.task_id) == task.id)
    if (await session.execute(query.limit(1))).first() is None:
        raise ForbiddenError(
            f"You collaborate on this task, but not on its step {step}. Ask its owner.", step=step
        )


def require_owner(caller: Caller, row: Task | File) -> None:
    """Go on only if a task or a file is the caller's to change, cancel or delete.

    Raises:
        ForbiddenError: it is private, and the caller only collaborates on it.
    """
    if not _owns(caller, row):
        raise ForbiddenError("This is private, and another's. Ask its owner to do it.")


def _owns(caller: Caller, row: Task | File) -> bool:
    """Whether something is the caller's, as far as it is anybody's alone."""
    return not row.is_private or _is_operator(caller) or row.owner_id == caller.owner_id


def code_of(public_id: str, prefix: str = "task_") -> str:
    """The variable part of a public id.

    Raises:
        NotFoundError: it is no such id.
    """
    if not public_id.startswith(prefix):
        raise NotFoundError(f"There is no {prefix.rstrip('_')} with that id.", id=public_id)
    return public_id.removeprefix(prefix)
