"""/v1/keys: the keys of the organization, made and ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import select
from sqlmodel import col

from api.auth import Admin
from api.bodies import Body, Text, UtcTime
from api.idempotency import SHOWN_ONCE
from api.problems import described
from api.v1 import examples, words
from api.v1.lists import KEYS, From, Listed, Take
from api.v1.people import PersonName
from api.v1.route import V1Route
from store import people
from store.access import SCOPES
from store.database import database
from store.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
)
from store.finding import find_key_row
from store.keys import is_usable
from store.models import ApiKey, Team, User

router = APIRouter(prefix="/v1/keys", tags=["people"], route_class=V1Route)

KeyId = Annotated[
    str, Path(description="Id of a key, or how it begins.", examples=["ptk_Jz3x9QmA"])
]
Scope = Annotated[str, Field(json_schema_extra={"enum": list(SCOPES)})]

_READING: Final = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
_CHANGING: Final = (*_READING, 413, 415)


class Key(words.Shape):
    """A key, but for the key itself."""

    id: UUID
    """Also the `client_id`, where the key is an OAuth client."""
    prefix: str
    """How it begins."""
    name: str
    """What it is for."""
    user: str | None
    """E-mail of the person who decides with it; null for a program."""
    team: str | None
    """The team whose projects it opens, too."""
    scopes: list[str]
    is_test: bool
    """What is made with it is not reviewed, and is gone after a day."""
    is_client: bool
    """It is an OAuth client, too."""
    status: Literal["valid", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Exact to the minute."""


class NewKey(Key):
    """A key, the one time it is there to be read."""

    key: str
    client_id: UUID | None
    client_secret: str | None
    """Both null where the key is no OAuth client."""


class KeyBody(Body):
    """A key to be made."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    name: PersonName = ""
    user: Text | None = None
    """Id or e-mail of the person who decides with it; omit it for a program."""
    team: Text | None = None
    """Id or name of the team whose projects it opens, too."""
    is_test: bool = False
    is_client: bool = False
    expires_at: UtcTime | None = None
    """When it ends; never when omitted."""


class KeyChanges(Body):
    """What is to be different about a key; what is left out stays."""

    name: PersonName | None = None
    expires_at: UtcTime | None = None


_KEY: Final[dict[str, Any]] = {
    "id": "0d6f5b1e-2a0b-4d53-8a1e-0a54c8a3c9f7",
    "prefix": "ptk_Jz3x9QmA",
    "name": "the mail room",
    "user": None,
    "team": "claims",
    "scopes": ["task.read", "task.create"],
    "is_test": False,
    "is_client": False,
    "status": "valid",
    "created_at": "2021-05-01T12:00:00Z",
    "expires_at": "2022-05-01T12:00:00Z",
    "last_used_at": "2021-05-03T10:05:00Z",
}
_NEW_KEY: Final = {
    **_KEY,
    "last_used_at": None,
    "key": "ptk_Jz3x9QmA...",
    "client_id": None,
    "client_secret": None,
}


@router.post(
    "",
    status_code=201,
    summary="Make a key",
    responses={
        201: examples.answer("The key. It is shown now and never again.", _NEW_KEY),
        **described(*_CHANGING, InputError),
    },
)
async def create_key(
    caller: Admin,
    response: Response,
    body: Annotated[
        KeyBody, examples.body({"scopes": ["task.read", "task.create"], "name": "the mail room"})
    ],
) -> NewKey:
    """Make a key of the organization: of a program, of a person, or of a team.

    The answer is the one place where the key can be read; only its hash is kept.
    """
    response.headers.update(SHOWN_ONCE)
    made = await people.issue_key(
        caller,
        body.scopes,
        user=body.user,
        team=body.team,
        name=body.name,
        is_test=body.is_test,
        is_client=body.is_client,
        expires_at=body.expires_at,
    )
    return NewKey(
        **(await _keys([made.row]))[0].model_dump(),
        key=made.key,
        client_id=made.row.id if made.client_secret else None,
        client_secret=made.client_secret,
    )


@router.get(
    "",
    summary="List keys",
    responses={
        200: examples.answer("A page of keys.", examples.listed(_KEY, "keys")),
        **described(*_READING),
    },
)
async def list_keys(
    request: Request, caller: Admin, take: Take = 20, start: From = None
) -> Listed[Key]:
    """List the keys of the organization, the newest first. `from` takes how a key begins."""
    async with database().reading() as session:
        rows, links = await KEYS.page(session, caller, request, take, start)
    return Listed(data=await _keys(rows), links=links)


@router.get(
    "/{key_id}",
    summary="Show a key",
    responses={200: examples.answer("The key.", _KEY), **described(*_READING)},
)
async def show_key(key_id: KeyId, caller: Admin) -> Key:
    """Show what a key allows, and when it was used last."""
    async with database().reading() as session:
        row = await find_key_row(session, caller, key_id)
    return (await _keys([row]))[0]


@router.patch(
    "/{key_id}",
    summary="Change a key",
    responses={
        200: examples.answer("The key.", _KEY),
        **described(*_CHANGING, InputError, ConflictError),
    },
)
async def change_key(
    key_id: KeyId,
    caller: Admin,
    body: Annotated[KeyChanges, examples.body({"expires_at": "2022-05-01T12:00:00Z"})],
) -> Key:
    """Change the name of a key, or when it ends. One that has ended stays so."""
    row = await people.change_key(caller, key_id, name=body.name, expires_at=body.expires_at)
    return (await _keys([row]))[0]


@router.delete(
    "/{key_id}",
    status_code=204,
    response_class=Response,
    summary="Revoke a key",
    responses={204: {"description": "The key opens nothing any more."}, **described(*_READING)},
)
async def revoke_key(key_id: KeyId, caller: Admin) -> Response:
    """End a key now, with its OAuth tokens and the browsers that are signed in with it."""
    await people.revoke_key(caller, key_id)
    return Response(status_code=204)


async def _keys(rows: Sequence[ApiKey]) -> list[Key]:
    async with database().reading() as session:
        users = select(col(User.id), col(User.email)).where(
            col(User.id).in_({row.user_id for row in rows})
        )
        teams = select(col(Team.id), col(Team.name)).where(
            col(Team.id).in_({row.team_id for row in rows})
        )
        emails = dict((await session.execute(users)).tuples().all())
        names = dict((await session.execute(teams)).tuples().all())
    return [
        Key(
            id=row.id,
            prefix=row.prefix,
            name=row.name,
            user=emails.get(row.user_id) if row.user_id else None,
            team=names.get(row.team_id) if row.team_id else None,
            scopes=row.scopes,
            is_test=row.is_test,
            is_client=row.client_secret_sha256 is not None,
            status="valid" if is_usable(row) else "revoked" if row.revoked_at else "expired",
            created_at=row.created_at,
            expires_at=row.expires_at,
            last_used_at=row.last_used_at,
        )
        for row in rows
    ]
