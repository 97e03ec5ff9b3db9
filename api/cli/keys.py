"""`papertray key`: API keys, made and revoked by whoever has the machine."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter
from sqlalchemy import select
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, table
from store.database import database
from store.errors import InputError, NotFoundError
from store.ids import now
from store.keys import create_key, is_usable, revoke_key
from store.models import ApiKey, User

app = App(name="key", help="Make, see and revoke API keys.")

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@app.command
async def create(
    *,
    scope: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("admin",),
    user: str = "",
    expires: str = "",
    options: Options = DEFAULTS,
) -> Answer:
    """Make a key. It is shown now and never again.

    Args:
        scope: What it allows; may be given several times. `admin` allows all.
        user: E-mail of the person who decides with it; omit it for a program.
        expires: When it ends: a date (2027-01-31), a time, or a span (12h, 30d, 8w).
        options: Common options.
    """
    wanted = [one for given in scope for one in given.split(",")]
    expires_at = _time(expires) if expires else None
    async with operator(options, make=True):
        made = await create_key(wanted, organization=options.org, user=user, expires_at=expires_at)
    return Answer(
        {
            "key": made.key,
            "id": made.id,
            "organization_id": made.organization_id,
            "scopes": made.scopes,
            "expires_at": expires_at,
        },
        f"[bold]{made.key}[/bold]\nThis key is shown now and never again."
        f" It allows: {', '.join(made.scopes)}.",
    )


@app.command(name="list")
async def list_keys(*, options: Options = DEFAULTS) -> Answer:
    """List the keys: their beginning, never the whole."""
    async with operator(options) as caller, database().reading() as session:
        query = (
            select(ApiKey, col(User.email))
            .join(User, col(User.id) == col(ApiKey.user_id), isouter=True)
            .where(col(ApiKey.organization_id) == caller.organization_id)
            .order_by(col(ApiKey.created_at))
        )
        rows = (await session.execute(query)).all()
    keys: list[dict[str, Any]] = [
        {
            "id": key.id,
            "prefix": key.prefix,
            "user": email,
            "scopes": key.scopes,
            "state": _state(key),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "last_used_at": key.last_used_at,
        }
        for key, email in rows
    ]
    headings = ("id", "key", "user", "scopes", "state", "last used")
    return Answer(
        keys,
        table(
            headings,
            (
                (
                    *(key["id"], f"{key['prefix']}…", key["user"], ", ".join(key["scopes"])),
                    *(key["state"], key["last_used_at"] or "never"),
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
        found = await _find(caller.organization_id, key_id.rstrip("…"))
        await revoke_key(caller.organization_id, found)
    return Answer({"id": found, "state": "revoked"}, f"Revoked the key {found}.")


async def has_keys() -> bool:
    """Whether a key was ever made, for any organization."""
    async with database().reading() as session:
        return (await session.execute(select(col(ApiKey.id)).limit(1))).first() is not None


async def _find(organization_id: UUID, wanted: str) -> UUID:
    async with database().reading() as session:
        query = select(ApiKey).where(col(ApiKey.organization_id) == organization_id)
        keys = (await session.execute(query)).scalars().all()
    found = [key.id for key in keys if wanted in (str(key.id), key.prefix)]
    if len(found) != 1:
        raise NotFoundError(f"There is no key {wanted!r}, or more than one.", id=wanted)
    return found[0]


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
