"""Who works in an organization: people, teams, who is in which, and their keys."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import Caller
from store.activity import record
from store.database import database
from store.errors import ConflictError, InputError
from store.finding import find_key_row, find_project, find_team, find_user
from store.ids import now
from store.keys import NewKey, add_key, is_usable, valid_scopes
from store.models import ApiKey, Membership, Project, Team, User
from store.organizations import has_address, require_email

MAX_NAME_CHARACTERS = 200


async def create_user(
    caller: Caller, email: str, *, name: str = "", is_admin: bool = False
) -> User:
    """Add a person to the organization.

    Raises:
        ForbiddenError: the caller is no admin.
        InputError: it is no e-mail address.
        ConflictError: there is one with that address.
    """
    caller.require("admin")
    require_email(email)
    async with database().writing() as session:
        query = select(User).where(
            col(User.organization_id) == caller.organization_id, has_address(email)
        )
        await _must_be_none(session, query, f"There is a person with the address {email}.")
        user = User(
            organization_id=caller.organization_id, email=email, name=name, is_admin=is_admin
        )
        session.add(user)
        _tell(session, caller, "user.created", user.email)
    return user


async def change_user(
    caller: Caller, wanted: str, *, name: str | None = None, is_admin: bool | None = None
) -> User:
    """Change what is given of a person.

    Raises:
        ForbiddenError: the caller is no admin.
        NotFoundError: there is no such person.
    """
    caller.require("admin")
    async with database().writing() as session:
        user = await find_user(session, caller, wanted)
        user.name = user.name if name is None else name
        user.is_admin = user.is_admin if is_admin is None else is_admin
        _tell(session, caller, "user.changed", user.email)
    return user


async def delete_user(caller: Caller, wanted: str) -> None:
    """Remove a person, with all of their keys; what they did stays signed with their address.

    Raises:
        ForbiddenError: the caller is no admin.
        NotFoundError: there is no such person.
    """
    caller.require("admin")
    async with database().writing() as session:
        user = await find_user(session, caller, wanted)
        await session.execute(delete(ApiKey).where(col(ApiKey.user_id) == user.id))
        await session.delete(user)
        _tell(session, caller, "user.deleted", user.email)


async def create_team(caller: Caller, name: str) -> Team:
    """Add a team to the organization.

    Raises:
        ForbiddenError: the caller is no admin.
        InputError: the name is empty or too long.
        ConflictError: there is one of that name.
    """
    caller.require("admin")
    if not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS:
        raise InputError(f"A team has a name of 1 to {MAX_NAME_CHARACTERS} characters.")
    async with database().writing() as session:
        query = select(Team).where(
            col(Team.organization_id) == caller.organization_id, col(Team.name) == name
        )
        await _must_be_none(session, query, f"There is a team named {name!r}.")
        team = Team(organization_id=caller.organization_id, name=name)
        session.add(team)
        _tell(session, caller, "team.created", name)
    return team


async def delete_team(caller: Caller, wanted: str) -> None:
    """Remove a team, with its keys.

    Raises:
        ForbiddenError: the caller is no admin.
        NotFoundError: there is no such team.
        ConflictError: it has projects, which all of the organization would see then.
    """
    caller.require("admin")
    async with database().writing() as session:
        team = await find_team(session, caller, wanted)
        query = select(Project).where(col(Project.team_id) == team.id)
        await _must_be_none(session, query, "The team has projects. Give them to another first.")
        await session.execute(delete(ApiKey).where(col(ApiKey.team_id) == team.id))
        await session.delete(team)
        _tell(session, caller, "team.deleted", team.name)


async def put_into_team(
    caller: Caller, team: str, user: str, *, is_admin: bool = False
) -> Membership:
    """Put a person into a team, or change what they are in it.

    Raises:
        ForbiddenError: the caller administers neither the organization nor the team.
        NotFoundError: there is no such team or person.
    """
    async with database().writing() as session:
        of, member = await _team_to_change(session, caller, team, user)
        membership = await session.get(Membership, (of.id, member.id))
        if membership is None:
            membership = Membership(team_id=of.id, user_id=member.id)
            session.add(membership)
        membership.is_admin = is_admin
        _tell(session, caller, "team.member_added", of.name, user=member.email)
    return membership


async def take_out_of_team(caller: Caller, team: str, user: str) -> None:
    """Take a person out of a team; of one who is not in it nothing changes.

    Raises:
        ForbiddenError: the caller administers neither the organization nor the team.
        NotFoundError: there is no such team or person.
    """
    async with database().writing() as session:
        of, member = await _team_to_change(session, caller, team, user)
        membership = await session.get(Membership, (of.id, member.id))
        if membership is not None:
            await session.delete(membership)
            _tell(session, caller, "team.member_removed", of.name, user=member.email)


async def _team_to_change(
    session: AsyncSession, caller: Caller, team: str, user: str
) -> tuple[Team, User]:
    of = await find_team(session, caller, team)
    mine = await session.get(Membership, (of.id, caller.user_id)) if caller.user_id else None
    if mine is None or not mine.is_admin:
        caller.require("admin")
    return of, await find_user(session, caller, user)


async def give_project(caller: Caller, project: str, team: str | None) -> Project:
    """Give a project to a team, or to the whole organization.

    Raises:
        ForbiddenError: the caller is no admin.
        NotFoundError: there is no such project or team.
    """
    caller.require("admin")
    async with database().writing() as session:
        found, _ = await find_project(session, caller, project)
        found.team_id = (await find_team(session, caller, team)).id if team else None
        _tell(session, caller, "project.given", found.name, team=team or "")
    return found


async def issue_key(
    caller: Caller,
    scopes: Iterable[str],
    *,
    user: str | None = None,
    team: str | None = None,
    name: str = "",
    is_test: bool = False,
    is_client: bool = False,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key of the organization; it is there to be read this one time.

    Args:
        caller: an admin.
        scopes: what it allows, of `store.access.SCOPES`.
        user: id or e-mail of the person who decides with it; none for a program.
        team: id or name of the team whose projects it opens, too.
        name: what it is for.
        is_test: what is made with it is not reviewed, and is gone after a day.
        is_client: whether it is an OAuth client, too.
        expires_at: when it ends; never when omitted.

    Raises:
        ForbiddenError: the caller is no admin.
        InputError: there is no such scope, none was named, or the time has passed.
        NotFoundError: there is no such person or team.
    """
    caller.require("admin")
    wanted = valid_scopes(scopes)
    if expires_at is not None and expires_at <= now():
        raise InputError("The key would have ended already. Name a time to come.")
    async with database().reading() as session:
        user_id = (await find_user(session, caller, user)).id if user else None
        team_id = (await find_team(session, caller, team)).id if team else None
    made = await add_key(
        caller.organization_id,
        wanted,
        user_id=user_id,
        team_id=team_id,
        name=name,
        is_test=is_test,
        is_client=is_client,
        expires_at=expires_at,
    )
    async with database().writing() as session:
        _tell(session, caller, "key.created", made.row.prefix)
    return made


async def change_key(
    caller: Caller, key_id: str, *, name: str | None = None, expires_at: datetime | None = None
) -> ApiKey:
    """Change what is given of a key: its name, when it ends.

    Raises:
        ForbiddenError: the caller is no admin.
        NotFoundError: there is no such key.
        ConflictError: it has ended already; an ended key opens nothing again.
    """
    caller.require("admin")
    async with database().writing() as session:
        key = await find_key_row(session, caller, key_id)
        if not is_usable(key):
            raise ConflictError("The key has ended. Make a new one.", id=str(key.id))
        key.name = key.name if name is None else name
        key.expires_at = expires_at or key.expires_at
        _tell(session, caller, "key.changed", key.prefix)
    return key


async def revoke_key(caller: Caller, key_id: str) -> ApiKey:
    """End a key now; ending it again changes nothing.

    Raises:
        ForbiddenError: the caller is no admin, and it is not the caller's own.
        NotFoundError: there is no such key.
    """
    async with database().writing() as session:
        key = await find_key_row(session, caller, key_id)
        if key.id != caller.key_id:
            caller.require("admin")
        if key.revoked_at is None:
            key.revoked_at = now()
            _tell(session, caller, "key.revoked", key.prefix)
    return key


async def _must_be_none(session: AsyncSession, query: Select[Any], otherwise: str) -> None:
    if (await session.execute(query.limit(1))).first() is not None:
        raise ConflictError(otherwise)


def _tell(session: AsyncSession, caller: Caller, activity: str, subject: str, **data: str) -> None:
    record(
        session,
        activity,
        caller.actor,
        organization_id=caller.organization_id,
        subject=subject,
        data=data,
    )
