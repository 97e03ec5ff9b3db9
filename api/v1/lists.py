"""Lists, newest first: a page begins at the item that `from` names, and links to its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlmodel import col

from api.bodies import Text
from store.access import Caller, visible
from store.errors import NotFoundError
from store.models import (
    Activity,
    ApiKey,
    Delivery,
    File,
    Project,
    Task,
    Team,
    Upload,
    User,
    Webhook,
)
from store.settings import settings
from store.uploads import UPLOAD_PREFIX

R = TypeVar("R", File, Task, Activity, Project, Webhook, Delivery, User, Team, ApiKey, Upload)
T = TypeVar("T")

Take = Annotated[int, Query(ge=1, le=100, description="How many items the page has at most.")]
From = Annotated[Text | None, Query(alias="from", description="Id of the item the page begins at.")]


LOOKED_AT: Final = 5_000
"""Rows that one page of a search looks at."""


class Links(BaseModel):
    """The neighbouring pages."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    previous: str | None
    """Whole address of the page before, with newer items; null on the first page."""
    next: str | None
    """Whole address of the page after, with older items; null on the last page."""


class Listed(BaseModel, Generic[T]):
    """A page of a list."""

    data: list[T]
    links: Links


@dataclass(frozen=True)
class Listing(Generic[R]):
    """How rows of one kind are listed."""

    kind: type[R]
    sort: tuple[Any, ...]
    """Columns by which they are sorted, the newest first; together no two rows are equal."""
    code: Any
    """The column that names a row from outside."""
    prefix: str = ""
    """What stands before it in the public id."""

    def public_id(self, row: R) -> str:
        """What `from` names the row by."""
        return self.prefix + getattr(row, self.code.key)

    async def page(
        self,
        session: AsyncSession,
        caller: Caller,
        request: Request,
        take: int,
        start: str | None,
        *filters: ColumnElement[bool],
        among: Select[tuple[R]] | None = None,
        search: ColumnElement[bool] | None = None,
    ) -> tuple[Sequence[R], Links]:
        """One page of the rows that the caller may see.

        Args:
            session: any.
            caller: who asks.
            request: its address is the one of the links.
            take: how many rows.
            start: public id of the row to begin at; the newest when omitted.
            filters: what must be true of the rows.
            among: rows that the caller may see; all that there are when omitted.
            search: what no index knows of them. A page has those among the next `LOOKED_AT` rows,
                perhaps none, and its links go on from there: it costs the same wherever it is.

        Raises:
            NotFoundError: there is no such row any more, so there is no such page.
        """
        query = (visible(self.kind, caller) if among is None else among).where(*filters)
        within, newer = query, None
        if start is not None:
            first = await self._find(session, caller, start)
            place = tuple_(*(literal(getattr(first, c.key), c.type) for c in self.sort))
            within = query.where(tuple_(*self.sort) <= place)
            newer = query.where(tuple_(*self.sort) > place)
        rows, after = await self._read(session, within, take + 1, search, falls=True)
        if len(rows) > take:
            after = self.public_id(rows[take])
        before = None
        if newer is not None:
            found, before = await self._read(session, newer, take, search, falls=False)
            if len(found) == take or (found and before is None):
                before = self.public_id(found[-1])
        return rows[:take], Links(
            previous=self._link(request, take, before), next=self._link(request, take, after)
        )

    async def _read(
        self,
        session: AsyncSession,
        query: Select[tuple[R]],
        count: int,
        search: ColumnElement[bool] | None,
        *,
        falls: bool,
    ) -> tuple[Sequence[R], str | None]:
        """The first rows of a query; and the id of the one at which the search for more ended."""
        order = [column.desc() if falls else column.asc() for column in self.sort]
        end = None
        if search is not None:
            places = query.with_only_columns(*self.sort, self.code).order_by(*order)
            end = (await session.execute(places.offset(LOOKED_AT).limit(1))).first()
            query = query.where(search)
        if end is not None:
            place = tuple_(*(literal(v, c.type) for v, c in zip(end, self.sort, strict=False)))
            key = tuple_(*self.sort)
            query = query.where(key > place if falls else key < place)
        rows = (await session.execute(query.order_by(*order).limit(count))).scalars().all()
        return rows, None if end is None else f"{self.prefix}{end[-1]}"

    async def _find(self, session: AsyncSession, caller: Caller, start: str) -> R:
        """The row that `from` names, also where it no longer fits the filters."""
        if start.startswith(self.prefix):
            named = visible(self.kind, caller).where(self.code == start.removeprefix(self.prefix))
            row = (await session.execute(named)).scalar_one_or_none()
            if row is not None:
                return row
        raise NotFoundError("There is no item with the id in `from`. Start at the first page.")

    def _link(self, request: Request, take: int, start: str | None) -> str | None:
        if start is None:
            return None
        url = request.url.include_query_params(take=take, **{"from": start})
        return f"{base_of(request)}{url.path}?{url.query}"


def base_of(request: Request) -> str:
    """The address of this server, as the caller knows it, without a final slash."""
    return (settings().public_url or str(request.base_url)).rstrip("/")


def _c(column: Any) -> InstrumentedAttribute[Any]:
    return col(column)  # pyright: ignore[reportReturnType]  # what SQLModel hands out at run time


FILES = Listing(File, (_c(File.created_at), _c(File.id)), _c(File.id))
TASKS = Listing(Task, (_c(Task.created_at), _c(Task.code)), _c(Task.code), "task_")
EVENTS = Listing(Activity, (_c(Activity.number),), _c(Activity.code), "event_")
PROJECTS = Listing(Project, (_c(Project.created_at), _c(Project.name)), _c(Project.name))
WEBHOOKS = Listing(
    Webhook, (_c(Webhook.created_at), _c(Webhook.code)), _c(Webhook.code), "webhook_"
)
DELIVERIES = Listing(Delivery, (_c(Delivery.id),), _c(Delivery.code), "delivery_")
USERS = Listing(User, (_c(User.created_at), _c(User.email)), _c(User.email))
TEAMS = Listing(Team, (_c(Team.created_at), _c(Team.name)), _c(Team.name))
KEYS = Listing(ApiKey, (_c(ApiKey.created_at), _c(ApiKey.prefix)), _c(ApiKey.prefix))
UPLOADS = Listing(Upload, (_c(Upload.created_at), _c(Upload.code)), _c(Upload.code), UPLOAD_PREFIX)
