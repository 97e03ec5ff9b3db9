"""Who is signed in: the session of a browser, and the token that its forms carry."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from sqlalchemy import delete
from sqlmodel import col, select
from starlette.datastructures import FormData

from api.bodies import MAX_BODY_BYTES
from api.rate_limits import count_request
from store.access import Caller
from store.database import database
from store.errors import FileTooLargeError, ForbiddenError, UnauthenticatedError
from store.ids import now
from store.keys import caller_of_key, find_key, is_usable
from store.models import ApiKey, Session
from store.settings import settings

COOKIE = "papertray_session"
LIFETIME = timedelta(hours=12)
SAFE_METHODS = {"GET", "HEAD"}


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in."""

    caller: Caller
    csrf_token: str

    @property
    def name(self) -> str:
        """By which the history knows this person."""
        return self.caller.actor.name


async def begin_session(key: str) -> str:
    """Sign in with an API key.

    Returns:
        The value of the cookie; only its hash is kept.

    Raises:
        UnauthenticatedError: the key is not valid.
    """
    row = (await find_key(key)).row
    token = secrets.token_urlsafe(32)
    async with database().writing() as session:
        await session.execute(delete(Session).where(col(Session.expires_at) < now()))
        session.add(
            Session(
                sha256=_sha256(token),
                key_id=row.id,
                csrf_token=secrets.token_urlsafe(32),
                expires_at=now() + LIFETIME,
            )
        )
    return token


async def end_session(request: Request) -> None:
    """Sign out: the cookie opens nothing any more, wherever it may still be."""
    async with database().writing() as session:
        digest = _sha256(request.cookies.get(COOKIE, ""))
        await session.execute(delete(Session).where(col(Session.sha256) == digest))


async def signed_in(request: Request) -> Visitor:
    """Who is signed in; a request that changes something must carry the session's token too.

    Raises:
        UnauthenticatedError: nobody, or the session or its key has ended.
        ForbiddenError: the token is missing or not the session's.
        RateLimitedError: its key asks for too much.
    """
    digest = _sha256(request.cookies.get(COOKIE, ""))
    async with database().reading() as session:
        query = (
            select(Session, ApiKey)
            .join(ApiKey, col(Session.key_id) == col(ApiKey.id))
            .where(col(Session.sha256) == digest, col(Session.expires_at) > now())
        )
        found = (await session.execute(query)).one_or_none()
    if found is None or not is_usable(found[1]):
        raise UnauthenticatedError
    visitor = Visitor(await caller_of_key(found[1], "pages"), found[0].csrf_token)
    request.state.visitor = visitor
    count_request(request, visitor.caller)
    if request.method not in SAFE_METHODS:
        sent = (
            request.headers.get("X-CSRF-Token") or text_of(await read_form(request))["csrf_token"]
        )
        must_match(sent, visitor.csrf_token)
    return visitor


SignedIn = Annotated[Visitor, Depends(signed_in)]


def must_match(sent: str, expected: str) -> None:
    """Refuse a form that was not made for this browser.

    Raises:
        ForbiddenError: it was not.
    """
    if not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
        raise ForbiddenError(
            "The form is too old, or it came from another site. Go back, load the page again,"
            " and send it once more."
        )


MAX_INPUTS = 50_000
"""Of a form."""


async def read_form(request: Request) -> FormData:
    """The form that was sent.

    Raises:
        FileTooLargeError: it is larger than any form of these pages, or does not say how large.
    """
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise FileTooLargeError("The form is too large.", limit_bytes=MAX_BODY_BYTES)
    # A table has an input for each cell.
    return await request.form(max_fields=MAX_INPUTS)


class Texts(dict[str, str]):
    """The texts of a form by name; what was not sent is empty."""

    def __missing__(self, name: str) -> str:
        return ""


def text_of(form: FormData) -> Mapping[str, str]:
    """The fields of a form that are text; none of ours takes files."""
    return Texts({name: value for name, value in form.items() if isinstance(value, str)})


def set_cookie(
    request: Request, response: Response, name: str, value: str, lifetime: timedelta
) -> None:
    """Set a cookie that no script reads and that other sites' forms do not send."""
    response.set_cookie(
        name,
        value,
        max_age=int(lifetime.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )


def is_https(request: Request) -> bool:
    """Whether people reach the pages by https, behind a proxy too."""
    return "https" in {request.url.scheme, urlsplit(settings().effective_public_url).scheme}


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
