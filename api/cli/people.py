"""`papertray users` and `papertray teams`: who works in an organization."""

from typing import Annotated, Any

from cyclopts import App, Parameter
from sqlalchemy import select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from store import people
from store.access import visible
from store.database import database
from store.models import Membership, Team, User

users = App(name="users", help="See, add and remove people.")
teams = App(name="teams", help="See, make and fill teams; give projects to them.")

_Flag = Annotated[bool, Parameter(negative="")]


@users.command(name="list")
async def list_users(*, options: Options = DEFAULTS) -> Answer:
    """List the people of the organization, and their teams.

    Args:
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        query = visible(User, caller).order_by(col(User.email))
        rows = (await session.execute(query)).scalars().all()
        of = select(col(Membership.user_id), col(Team.name)).join(
            Team, col(Team.id) == col(Membership.team_id)
        )
        of = of.where(col(Team.organization_id) == caller.organization_id)
        memberships = (await session.execute(of.order_by(col(Team.name)))).tuples().all()
    found: list[dict[str, Any]] = [
        {
            "id": row.id,
            "email": row.email,
            "name": row.name,
            "is_admin": row.is_admin,
            "teams": [name for user_id, name in memberships if user_id == row.id],
        }
        for row in rows
    ]
    lines = (
        (one["email"], one["name"], "admin" if one["is_admin"] else "", ", ".join(one["teams"]))
        for one in found
    )
    return Answer(found, table(("e-mail", "name", "", "teams"), lines))


@users.command(name="add")
async def add_user(
    email: str, *, name: str = "", admin: _Flag = False, options: Options = DEFAULTS
) -> Answer:
    """Add a person. `papertray key create --user` makes their key.

    Args:
        email: Their address, with which decisions are signed.
        name: As people call them.
        admin: They may administer the organization.
        options: Common options.
    """
    async with operator(options, make=True) as caller:
        user = await people.create_user(caller, email, name=name, is_admin=admin)
    return Answer({"id": user.id, "email": user.email}, f"Added {user.email}.")


@users.command(name="remove")
async def remove_user(email: str, *, options: Options = DEFAULTS) -> Answer:
    """Remove a person and all of their keys; what they decided stays signed with their address.

    Args:
        email: Their address or id.
        options: Common options.
    """
    async with operator(options) as caller:
        await people.delete_user(caller, email)
    return Answer({"email": email, "state": "removed"}, f"Removed {email}.")


@teams.command(name="list")
async def list_teams(*, options: Options = DEFAULTS) -> Answer:
    """List the teams of the organization, and who is in them.

    Args:
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        query = visible(Team, caller).order_by(col(Team.name))
        rows = (await session.execute(query)).scalars().all()
        of = select(col(Membership.team_id), col(User.email)).join(
            User, col(User.id) == col(Membership.user_id)
        )
        of = of.where(col(User.organization_id) == caller.organization_id)
        members = (await session.execute(of.order_by(col(User.email)))).tuples().all()
    found: list[dict[str, Any]] = [
        {
            "id": row.id,
            "name": row.name,
            "members": [email for team_id, email in members if team_id == row.id],
        }
        for row in rows
    ]
    lines = ((one["id"], one["name"], ", ".join(one["members"])) for one in found)
    return Answer(found, table(("id", "team", "members"), lines))


@teams.command
async def create(name: str, *, options: Options = DEFAULTS) -> Answer:
    """Make a team.

    Args:
        name: As it is called; no two of an organization have one name.
        options: Common options.
    """
    async with operator(options, make=True) as caller:
        team = await people.create_team(caller, name)
    return Answer({"id": team.id, "name": team.name}, f"Made the team {team.name}.")


@teams.command
async def delete(team: str, *, options: Options = DEFAULTS) -> Answer:
    """Remove a team and its keys; one that has projects stays.

    Args:
        team: Its name or id.
        options: Common options.
    """
    async with operator(options) as caller:
        await people.delete_team(caller, team)
    return Answer({"team": team, "state": "deleted"}, f"Removed the team {team}.")


@teams.command
async def add(team: str, user: str, *, admin: _Flag = False, options: Options = DEFAULTS) -> Answer:
    """Put a person into a team.

    Args:
        team: Its name or id.
        user: Their address or id.
        admin: They may say who else is in the team.
        options: Common options.
    """
    async with operator(options) as caller:
        await people.put_into_team(caller, team, user, is_admin=admin)
    return Answer({"team": team, "user": user}, f"{user} is in the team {team}.")


@teams.command
async def remove(team: str, user: str, *, options: Options = DEFAULTS) -> Answer:
    """Take a person out of a team.

    Args:
        team: Its name or id.
        user: Their address or id.
        options: Common options.
    """
    async with operator(options) as caller:
        await people.take_out_of_team(caller, team, user)
    return Answer({"team": team, "user": user}, f"{user} is not in the team {team}.")


@teams.command
async def give(project: str, *, team: str = "", options: Options = DEFAULTS) -> Answer:
    """Give a project to a team, which alone sees it then, or to the whole organization.

    Args:
        project: Its name.
        team: Name or id of the team; omit it for the whole organization.
        options: Common options.
    """
    async with operator(options) as caller:
        await people.give_project(caller, project, team or None)
    whose = f"of the team {team}" if team else "of the whole organization"
    return Answer({"project": project, "team": team or None}, f"{project} is {whose}.")
