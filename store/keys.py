"""API keys: made once, shown once, found again by their hash."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlmodel import col

from store.access import SCOPES, Caller
from store.database import database
from store.errors import InputError, NotFoundError, UnauthenticatedError
from store.ids import now
from store.models import ApiKey, User
from store.organizations import DEFAULT_NAME, organization_named, user_of
from store.states import Actor

KEY_PREFIX = "ptk_"
"""By which programs that look for leaked secrets know a key of Papertray."""

RANDOM_BYTES = 32
SHOWN_CHARACTERS = 12
"""How much of a key its owner may see again: 8 random characters, enough to tell two apart."""

LAST_USED_SECONDS = 60
"""How exact `last_used_at` is: a write for every request would make every read a write."""


_noted: dict[UUID, datetime] = {}


@dataclass(frozen=True)
class NewKey:
    """A key, the one time it is there to be read."""

    key: str
    id: UUID
    organization_id: UUID
    scopes: tuple[str, ...]


async def create_key(
    scopes: Iterable[str],
    *,
    organization: str = DEFAULT_NAME,
    user: str = "",
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key; the organization and the person are made when they are not there yet.

    Args:
        scopes: what it allows, of `store.access.SCOPES`.
        organization: name of the organization whose rows it opens.
        user: e-mail of the person who decides with it; empty for a program.
        expires_at: when it ends; never when omitted.

    Raises:
        InputError: there is no such scope, or none was named.
    """
    wanted = set(scopes)
    if unknown := sorted(wanted - set(SCOPES)):
        raise InputError(
            f"There is no scope {', '.join(unknown)}. Scopes are: {', '.join(SCOPES)}.",
            scopes=unknown,
        )
    if not wanted:
        raise InputError(f"A key needs at least one scope: {', '.join(SCOPES)}.")
    organization_id = await organization_named(organization)
    user_id = await user_of(organization_id, user) if user else None
    key = KEY_PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    row = ApiKey(
        organization_id=organization_id,
        user_id=user_id,
        sha256=_sha256(key),
        prefix=key[:SHOWN_CHARACTERS],
        scopes=[scope for scope in SCOPES if scope in wanted],
        expires_at=expires_at,
    )
    async with database().writing() as session:
        session.add(row)
    return NewKey(key, row.id, organization_id, tuple(row.scopes))


async def find_key(key: str) -> ApiKey:
    """The row of a key that may be used now.

    Raises:
        UnauthenticatedError: there is none, it has expired, or it was revoked. The message is
            the same for all three: a stranger learns nothing about a key.
    """
    digest = _sha256(key)
    async with database().reading() as session:
        query = select(ApiKey).where(col(ApiKey.sha256) == digest)
        row = (await session.execute(query)).scalar_one_or_none()
    # The index compares as it likes; who can measure that learns bits of a hash, not of a key.
    if row is None or not hmac.compare_digest(row.sha256, digest) or not is_usable(row):
        raise UnauthenticatedError
    return row


def is_usable(row: ApiKey, at: datetime | None = None) -> bool:
    """Whether a key opens anything at that time, now when omitted."""
    at = at or now()
    return row.revoked_at is None and (row.expires_at is None or at < row.expires_at)


async def caller_of_key(row: ApiKey, surface: str) -> Caller:
    """Who asks with a key: its person, or the program that the key stands for.

    Args:
        row: a key that may be used.
        surface: the way in: `v1`, `pages` ...
    """
    name = f"key:{row.prefix}"
    if row.user_id is not None:
        async with database().reading() as session:
            name = (await session.get_one(User, row.user_id)).email
    return Caller(row.organization_id, Actor(name, surface), frozenset(row.scopes))


async def note_use(row: ApiKey) -> None:
    """Write down that a key was used, at most once a minute."""
    at = now()
    before = at - timedelta(seconds=LAST_USED_SECONDS)
    # The row may be older than a write that is under way: of many requests at once one writes.
    known = max(filter(None, (row.last_used_at, _noted.get(row.id))), default=None)
    if known is not None and known > before:
        return
    _noted[row.id] = at
    async with database().writing() as session:
        await session.execute(
            update(ApiKey)
            .where(
                col(ApiKey.id) == row.id,
                col(ApiKey.last_used_at).is_(None) | (col(ApiKey.last_used_at) <= before),
            )
            .values(last_used_at=at)
        )


async def revoke_key(organization_id: UUID, key_id: UUID) -> None:
    """End a key; ending it again changes nothing.

    Raises:
        NotFoundError: the organization has no such key.
    """
    async with database().writing() as session:
        query = select(ApiKey).where(
            col(ApiKey.id) == key_id, col(ApiKey.organization_id) == organization_id
        )
        row = (await session.execute(query)).scalar_one_or_none()
        if row is None:
            raise NotFoundError("There is no key with that id.", id=str(key_id))
        row.revoked_at = row.revoked_at or now()


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
