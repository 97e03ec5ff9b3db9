"""/v1/users and /v1/teams: who works in the organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Admin
from api.bodies import Body, Text
from api.problems import described
from api.v1 import examples, words
from api.v1.lists import TEAMS, USERS, From, Listed, Take
from api.v1.route import V1Route
from store import models, people
from store.database import database
from store.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NotFoundError,
    UnauthenticatedError,
)
from store.finding import find_team, find_user
from store.models import Membership

router = APIRouter(prefix="/v1", tags=["people"], route_class=V1Route)

UserId = Annotated[str, Path(description="Id or e-mail of a person.", examples=["ada@example.com"])]
TeamId = Annotated[str, Path(description="Id or name of a team.", examples=["claims"])]

_READING: Final = (UnauthenticatedError, ForbiddenError, NotFoundError, 422)
_CHANGING: Final = (*_READING, 413, 415)

PersonName = Annotated[Text, Field(max_length=people.MAX_NAME_CHARACTERS)]


class Member(words.Shape):
    """A person in a team."""

    id: UUID
    email: str
    is_admin: bool
    """May say who is in the team."""


class Team(words.Shape):
    """People who work on the same projects."""

    id: UUID
    name: str
    members: list[Member]
    created_at: datetime


class TeamOfUser(words.Shape):
    """A team that a person is in."""

    id: UUID
    name: str
    is_admin: bool
    """May say who is in the team."""


class User(words.Shape):
    """A person; what they decide is signed with their e-mail."""

    id: UUID
    number: int
    """Their id where ids are whole numbers."""
    email: str
    name: str
    is_admin: bool
    """May administer the organization, as far as their key lets them."""
    teams: list[TeamOfUser]
    created_at: datetime


class UserBody(Body):
    """A person."""

    email: Annotated[Text, Field(max_length=254, json_schema_extra={"format": "email"})]
    name: PersonName = ""
    is_admin: bool = False


class UserChanges(Body):
    """What is to be different about a person; what is left out stays."""

    name: PersonName | None = None
    is_admin: bool | None = None


class TeamBody(Body):
    """A team."""

    name: Annotated[Text, Field(min_length=1, max_length=people.MAX_NAME_CHARACTERS)]


class MemberBody(Body):
    """What a person is in a team."""

    is_admin: bool = False


_ID: Final = "6f1c1a52-7a3e-4f0e-9d0c-0b8b6d0f6a11"
_TEAM_ID: Final = "c383d5a5-4cff-473f-b820-b53bb70abb78"
_USER: Final[dict[str, Any]] = {
    "id": _ID,
    "number": 3,
    "email": "ada@example.com",
    "name": "Ada",
    "is_admin": False,
    "teams": [{"id": _TEAM_ID, "name": "claims", "is_admin": True}],
    "created_at": "2021-05-01T12:00:00Z",
}
_TEAM: Final[dict[str, Any]] = {
    "id": _TEAM_ID,
    "name": "claims",
    "members": [{"id": _ID, "email": "ada@example.com", "is_admin": True}],
    "created_at": "2021-05-01T12:00:00Z",
}


@router.post(
    "/users",
    status_code=201,
    summary="Add a person",
    responses={
        201: examples.answer("The person.", {**_USER, "teams": []}),
        **described(*_CHANGING, ConflictError, InputError),
    },
)
async def create_user(
    caller: Admin,
    body: Annotated[UserBody, examples.body({"email": "ada@example.com", "name": "Ada"})],
) -> User:
    """Add a person to the organization. `POST /v1/keys` makes a key for them."""
    user = await people.create_user(caller, body.email, name=body.name, is_admin=body.is_admin)
    return (await _users([user]))[0]


@router.get(
    "/users",
    summary="List people",
    responses={
        200: examples.answer("A page of people.", examples.listed(_USER, "users")),
        **described(*_READING),
    },
)
async def list_users(
    request: Request, caller: Admin, take: Take = 20, start: From = None
) -> Listed[User]:
    """List the people of the organization, the newest first. `from` takes an e-mail."""
    async with database().reading() as session:
        rows, links = await USERS.page(session, caller, request, take, start)
    return Listed(data=await _users(rows), links=links)


@router.get(
    "/users/{user}",
    summary="Show a person",
    responses={200: examples.answer("The person.", _USER), **described(*_READING)},
)
async def show_user(user: UserId, caller: Admin) -> User:
    """Show a person, and the teams they are in."""
    async with database().reading() as session:
        row = await find_user(session, caller, user)
    return (await _users([row]))[0]


@router.patch(
    "/users/{user}",
    summary="Change a person",
    responses={200: examples.answer("The person.", _USER), **described(*_CHANGING)},
)
async def change_user(
    user: UserId, caller: Admin, body: Annotated[UserChanges, examples.body({"name": "Ada L."})]
) -> User:
    """Change what is given; the e-mail stays, since decisions are signed with it."""
    row = await people.change_user(caller, user, name=body.name, is_admin=body.is_admin)
    return (await _users([row]))[0]


@router.delete(
    "/users/{user}",
    status_code=204,
    response_class=Response,
    summary="Remove a person",
    responses={204: {"description": "The person is gone."}, **described(*_READING)},
)
async def delete_user(user: UserId, caller: Admin) -> Response:
    """Remove a person with all of their keys. What they decided stays signed with their e-mail."""
    await people.delete_user(caller, user)
    return Response(status_code=204)


@router.post(
    "/teams",
    status_code=201,
    summary="Make a team",
    responses={
        201: examples.answer("The team.", {**_TEAM, "members": []}),
        **described(*_CHANGING, ConflictError),
    },
)
async def create_team(
    caller: Admin, body: Annotated[TeamBody, examples.body({"name": "claims"})]
) -> Team:
    """Make a team, with nobody in it yet."""
    return (await _teams([await people.create_team(caller, body.name)]))[0]


@router.get(
    "/teams",
    summary="List teams",
    responses={
        200: examples.answer("A page of teams.", examples.listed(_TEAM, "teams")),
        **described(*_READING),
    },
)
async def list_teams(
    request: Request, caller: Admin, take: Take = 20, start: From = None
) -> Listed[Team]:
    """List the teams of the organization, the newest first. `from` takes a name."""
    async with database().reading() as session:
        rows, links = await TEAMS.page(session, caller, request, take, start)
    return Listed(data=await _teams(rows), links=links)


@router.get(
    "/teams/{team}",
    summary="Show a team",
    responses={200: examples.answer("The team.", _TEAM), **described(*_READING)},
)
async def show_team(team: TeamId, caller: Admin) -> Team:
    """Show a team, and who is in it."""
    async with database().reading() as session:
        row = await find_team(session, caller, team)
    return (await _teams([row]))[0]


@router.delete(
    "/teams/{team}",
    status_code=204,
    response_class=Response,
    summary="Remove a team",
    responses={
        204: {"description": "The team is gone."},
        **described(*_READING, ConflictError),
    },
)
async def delete_team(team: TeamId, caller: Admin) -> Response:
    """Remove a team with its keys. One that has projects stays: give those to another first."""
    await people.delete_team(caller, team)
    return Response(status_code=204)


@router.put(
    "/teams/{team}/members/{user}",
    summary="Put a person into a team",
    responses={200: examples.answer("The team.", _TEAM), **described(*_CHANGING)},
)
async def put_into_team(
    team: TeamId,
    user: UserId,
    caller: Admin,
    body: Annotated[MemberBody | None, examples.body({"is_admin": True})] = None,
) -> Team:
    """Put a person into a team, or change what they are in it."""
    await people.put_into_team(caller, team, user, is_admin=bool(body and body.is_admin))
    return await show_team(team, caller)


@router.delete(
    "/teams/{team}/members/{user}",
    status_code=204,
    response_class=Response,
    summary="Take a person out of a team",
    responses={204: {"description": "The person is not in it."}, **described(*_READING)},
)
async def take_out_of_team(team: TeamId, user: UserId, caller: Admin) -> Response:
    """Take a person out of a team; of one who is not in it nothing changes."""
    await people.take_out_of_team(caller, team, user)
    return Response(status_code=204)


async def _users(rows: Sequence[models.User]) -> list[User]:
    async with database().reading() as session:
        found = await _memberships(session, col(Membership.user_id).in_([row.id for row in rows]))
    return [
        User(
            id=row.id,
            number=row.number,
            email=row.email,
            name=row.name,
            is_admin=row.is_admin,
            created_at=row.created_at,
            teams=[
                TeamOfUser(id=team.id, name=team.name, is_admin=membership.is_admin)
                for membership, team, user in found
                if user.id == row.id
            ],
        )
        for row in rows
    ]


async def _teams(rows: Sequence[models.Team]) -> list[Team]:
    async with database().reading() as session:
        found = await _memberships(session, col(Membership.team_id).in_([row.id for row in rows]))
    return [
        Team(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            members=[
                Member(id=user.id, email=user.email, is_admin=membership.is_admin)
                for membership, team, user in found
                if team.id == row.id
            ],
        )
        for row in rows
    ]


async def _memberships(
    session: AsyncSession, condition: Any
) -> Sequence[tuple[Membership, models.Team, models.User]]:
    query = (
        select(Membership, models.Team, models.User)
        .join(models.Team, col(models.Team.id) == col(Membership.team_id))
        .join(models.User, col(models.User.id) == col(Membership.user_id))
        .where(condition)
        .order_by(col(models.Team.name), col(models.User.email))
    )
    return (await session.execute(query)).tuples().all()
