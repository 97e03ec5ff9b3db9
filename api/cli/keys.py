"""`papertray key`: API keys, made and revoked by whoever has the machine."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter
from sqlalchemy import select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from store.access import visible
from store.database import database
from store.errors import InputError
from store.ids import now
from store.keys import create_key, is_usable
from store.models import ApiKey, Team, User
from store.organizations import number_of
from store.people import revoke_key

app = App(name="key", help="Make, see and revoke API keys.")

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command
async def create(
    *,
    scope: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("admin",),
    user: str = "",
    team: str = "",
    name: str = "",
    expires: str = "",
    oauth: Annotated[bool, Parameter(negative="")] = False,
    test: Annotated[bool, Parameter(negative="")] = False,
    options: Options = DEFAULTS,
) -> Answer:
    """Make a key. It is shown now and never again.

    Args:
        scope: What it allows; may be given several times. `admin` allows all.
        user: E-mail of the person who decides with it, who is added when not there yet; omit it
            for a program.
        team: Name of the team whose projects it opens, too; it is made when not there yet.
        name: What it is for.
        expires: When it ends: a date (2027-01-31), a time, or a span (12h, 30d, 8w).
        oauth: Make it an OAuth client, too, with a client_id and a client_secret.
        test: What is made with it is not reviewed, and is gone after a day.
        options: Common options.
    """
    wanted = [one for given in scope for one in given.split(",")]
    expires_at = _time(expires) if expires else None
    async with operator(options, make=True):
        made = await create_key(
            wanted,
            organization=options.org,
            user=user,
            team=team,
            name=name,
            is_test=test,
            is_client=oauth,
            expires_at=expires_at,
        )
        number = await number_of(made.row.organization_id)
    row = made.row
    data: dict[str, Any] = {
        "key": made.key,
        "id": row.id,
        "organization_id": row.organization_id,
        "organization_number": number,
        "user_id": row.user_id,
        "team_id": row.team_id,
        "scopes": row.scopes,
        "is_test": row.is_test,
        "expires_at": expires_at,
    }
    view = f"{made.key}\nThis key is shown now and never again."
    if made.client_secret:
        data |= {"client_id": row.id, "client_secret": made.client_secret}
        view += f"\nclient_id      {row.id}\nclient_secret  {made.client_secret}"
    return Answer(data, f"{view}\nIt allows: {', '.join(row.scopes)}.")


@app.command(name="list")
async def list_keys(*, options: Options = DEFAULTS) -> Answer:
    """List the keys: their beginning, never the whole."""
    async with operator(options) as caller, database().reading() as session:
        query = (
            visible(ApiKey, caller)
            .join(User, col(User.id) == col(ApiKey.user_id), isouter=True)
            .join(Team, col(Team.id) == col(ApiKey.team_id), isouter=True)
            .add_columns(col(User.email), col(Team.name))
            .order_by(col(ApiKey.created_at))
        )
        rows = (await session.execute(query)).all()
    keys: list[dict[str, Any]] = [
        {
            "id": key.id,
            "prefix": key.prefix,
            "name": key.name,
            "user": email,
            "team": team,
            "scopes": key.scopes,
            "state": _state(key),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "last_used_at": key.last_used_at,
        }
        for key, email, team in rows
    ]
    headings = ("id", "key", "name", "user", "team", "scopes", "state", "last used")
    return Answer(
        keys,
        table(
            headings,
            (
                (
                    *(key["id"], f"{key['prefix']}…", key["name"], key["user"], key["team"]),
                    *(", ".join(key["scopes"]), key["state"], key["last_used_at"] or "never"),
                )
                for key in keys
            ),
        ),
    )


@app.command
async def revoke(key_id: str, *, options: Options = DEFAULTS) -> Answer:
    """End a key now.

    Args:
        key_id: Its id, or its beginning as `papertray key list` shows it.
        options: Common options.
    """
    async with operator(options) as caller:
        ended = await revoke_key(caller, key_id.rstrip("…"))
    return Answer({"id": ended.id, "state": "revoked"}, f"Revoked the key {ended.prefix}….")


async def has_keys() -> bool:
    """Whether a key was ever made, for any organization."""
    async with database().reading() as session:
        return (await session.execute(select(col(ApiKey.id)).limit(1))).first() is not None


def _state(key: ApiKey) -> str:
    if is_usable(key):
        return "valid"
    return "revoked" if key.revoked_at else "expired"


def _time(text: str) -> datetime:
    """A point in time from a date, a time or a span.

    Raises:
        InputError: it is none of them, or it has passed.
    """
    number, unit = text[:-1], _UNITS.get(text[-1:])
    try:
        if unit and number.isdecimal():
            at = now() + int(number) * unit
        else:
            at = datetime.fromisoformat(text)
            at = at.replace(tzinfo=at.tzinfo or UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is no time. Write a date (2027-01-31), a time (2027-01-31T12:00+01:00)"
            " or a span (12h, 30d, 8w).",
            expires=text,
        ) from None
    if at <= now():
        raise InputError(f"{text!r} has passed. Name a time to come.", expires=text)
    return at
