"""API keys and the tokens of OAuth clients: made once, shown once, found again by their hash."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from store.access import SCOPES, Caller
from store.database import database
from store.errors import InputError, UnauthenticatedError
from store.ids import now
from store.models import AccessToken, ApiKey, Membership, User
from store.organizations import DEFAULT_NAME, organization_named, team_named, user_of
from store.states import Actor

KEY_PREFIX: Final = "ptk_"
"""By which programs that look for leaked secrets know a key of Papertray."""

TEST_KEY_PREFIX: Final = "ptk_test_"
CLIENT_SECRET_PREFIX: Final = "pts_"  # noqa: S105  # what every secret begins with
ACCESS_TOKEN_PREFIX: Final = "ptt_"  # noqa: S105  # what every token begins with

RANDOM_BYTES = 32
SHOWN_CHARACTERS = 8
"""How many random characters of a key its owner may see again: enough to tell two apart."""

LAST_USED_SECONDS = 60
"""How exact `last_used_at` is: a write for every request would make every read a write."""

ACCESS_TOKEN_LIFETIME: Final = timedelta(hours=24)


_noted: dict[UUID, datetime] = {}


@dataclass(frozen=True)
class NewKey:
    """A key, the one time it is there to be read."""

    key: str
    row: ApiKey
    client_secret: str | None = None
    """Of an OAuth client; its `client_id` is the id of the key."""


async def create_key(
    scopes: Iterable[str],
    *,
    organization: str = DEFAULT_NAME,
    user: str = "",
    team: str = "",
    name: str = "",
    is_test: bool = False,
    is_client: bool = False,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key; organization, person and team are made when they are not there yet.

    Args:
        scopes: what it allows, of `store.access.SCOPES`.
        organization: name of the organization whose rows it opens.
        user: e-mail of the person who decides with it; empty for a program.
        team: name of the team whose projects it opens, too.
        name: what it is for.
        is_test: what is made with it is not reviewed, and is gone after a day.
        is_client: whether it is an OAuth client, too.
        expires_at: when it ends; never when omitted.

    Raises:
        InputError: there is no such scope, none was named, or the e-mail address is none.
    """
    wanted = valid_scopes(scopes)
    organization_id = await organization_named(organization)
    return await add_key(
        organization_id,
        wanted,
        user_id=await user_of(organization_id, user) if user else None,
        team_id=await team_named(organization_id, team) if team else None,
        name=name,
        is_test=is_test,
        is_client=is_client,
        expires_at=expires_at,
    )


def valid_scopes(scopes: Iterable[str]) -> list[str]:
    """The scopes in their order.

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
    return [scope for scope in SCOPES if scope in wanted]


async def add_key(
    organization_id: UUID,
    scopes: list[str],
    *,
    user_id: UUID | None = None,
    team_id: UUID | None = None,
    name: str = "",
    is_test: bool = False,
    is_client: bool = False,
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key of an organization; the arguments are those of `create_key`, by their ids."""
    prefix = TEST_KEY_PREFIX if is_test else KEY_PREFIX
    key = _new_secret(prefix)
    client_secret = _new_secret(CLIENT_SECRET_PREFIX) if is_client else None
    row = ApiKey(
        organization_id=organization_id,
        user_id=user_id,
        team_id=team_id,
        name=name,
        is_test=is_test,
        sha256=_sha256(key),
        client_secret_sha256=_sha256(client_secret) if client_secret else None,
        prefix=key[: len(prefix) + SHOWN_CHARACTERS],
        scopes=scopes,
        expires_at=expires_at,
    )
    async with database().writing() as session:
        session.add(row)
    return NewKey(key, row, client_secret)


@dataclass(frozen=True)
class FoundKey:
    """A key that may be used now, and whose it is."""

    row: ApiKey
    email: str | None
    """Of its person; None: it is a program's."""
    team_ids: frozenset[UUID]
    """The teams of its person."""

    @classmethod
    def of(cls, found: Sequence[tuple[ApiKey, str | None, UUID | None]]) -> "FoundKey":
        """Of the rows that were found, one for each team.

        Raises:
            UnauthenticatedError: there is none, or it has ended.
        """
        if not found or not is_usable(found[0][0]):
            raise UnauthenticatedError
        row, email, _ = found[0]
        return cls(row, email, frozenset(team_id for *_, team_id in found if team_id))

    def caller(self, surface: str) -> Caller:
        """Who asks with it: its person, or the program that it stands for.

        Args:
            surface: the way in: `v1`, `pages` ...
        """
        own = {self.row.team_id} if self.row.team_id else set[UUID]()
        return Caller(
            self.row.organization_id,
            Actor(self.email or f"key:{self.row.prefix}", surface),
            frozenset(self.row.scopes),
            user_id=self.row.user_id,
            team_ids=self.team_ids | own,
            key_id=self.row.id,
            is_test=self.row.is_test,
        )


# Made once: every request asks it.
_WITH_PERSON: Final = (
    select(ApiKey, col(User.email), col(Membership.team_id))
    .outerjoin(User, col(User.id) == col(ApiKey.user_id))
    .outerjoin(Membership, col(Membership.user_id) == col(ApiKey.user_id))
)
_KEY_OF_DIGEST: Final = _WITH_PERSON.where(col(ApiKey.sha256) == bindparam("digest"))


async def find_key(key: str) -> FoundKey:
    """A key that may be used now.

    Raises:
        UnauthenticatedError: there is none, it has expired, or it was revoked. The message is
            the same for all three: a stranger learns nothing about a key.
    """
    digest = _sha256(key)
    async with database().reading() as session:
        rows = (await session.execute(_KEY_OF_DIGEST, {"digest": digest})).tuples().all()
    # The index compares as it likes; who can measure that learns bits of a hash, not of a key.
    return FoundKey.of([row for row in rows if hmac.compare_digest(row[0].sha256, digest)])


def is_usable(row: ApiKey, at: datetime | None = None) -> bool:
    """Whether a key opens anything at that time, now when omitted."""
    at = at or now()
    return row.revoked_at is None and (row.expires_at is None or at < row.expires_at)


@dataclass(frozen=True)
class NewToken:
    """A token of an OAuth client, the one time it is there to be read."""

    token: str
    expires_in_seconds: int


async def issue_token(client_id: str, client_secret: str) -> NewToken:
    """Give an OAuth client a token for its secret (RFC 6749, section 4.4).

    Raises:
        UnauthenticatedError: there is no such client, its key has ended, or it is another secret.
    """
    try:
        key_id = UUID(client_id)
    except ValueError:
        raise UnauthenticatedError from None
    async with database().writing() as session:
        row = await session.get(ApiKey, key_id)
        expected = row.client_secret_sha256 if row and is_usable(row) else None
        if not hmac.compare_digest(expected or "", _sha256(client_secret)):
            raise UnauthenticatedError
        await session.execute(delete(AccessToken).where(col(AccessToken.expires_at) < now()))
        token = _new_secret(ACCESS_TOKEN_PREFIX)
        expires_at = now() + ACCESS_TOKEN_LIFETIME
        session.add(AccessToken(sha256=_sha256(token), key_id=key_id, expires_at=expires_at))
    return NewToken(token, int(ACCESS_TOKEN_LIFETIME.total_seconds()))


async def find_key_of_token(token: str) -> FoundKey:
    """The key of an OAuth client whose token may be used now.

    Raises:
        UnauthenticatedError: there is none, it has expired, or its key has ended.
    """
    query = _WITH_PERSON.join(AccessToken, col(AccessToken.key_id) == col(ApiKey.id)).where(
        col(AccessToken.sha256) == _sha256(token), col(AccessToken.expires_at) > now()
    )
    async with database().reading() as session:
        return FoundKey.of((await session.execute(query)).tuples().all())


async def caller_of_key(row: ApiKey, surface: str) -> Caller:
    """Who asks with a key that may be used, by its row; as `FoundKey.caller`."""
    query = _WITH_PERSON.where(col(ApiKey.id) == row.id)
    async with database().reading() as session:
        return FoundKey.of((await session.execute(query)).tuples().all()).caller(surface)


async def caller_of_user(session: AsyncSession, user: User) -> Caller:
    """What a person may see, whatever their keys allow beside."""
    query = select(col(Membership.team_id)).where(col(Membership.user_id) == user.id)
    team_ids = frozenset((await session.execute(query)).scalars())
    actor = Actor(user.email, "system")
    return Caller(user.organization_id, actor, frozenset(), user_id=user.id, team_ids=team_ids)


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


def _new_secret(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(RANDOM_BYTES)


def _sha256(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()
