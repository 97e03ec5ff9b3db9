"""`Idempotency-Key`: a POST that is sent twice is done once and answered twice the same."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from starlette.datastructures import UploadFile

from api import problems
from api.bodies import Upload, headers_of_file, media_type, parts_of, read_file
from api.error_shapes import JSON, shape_of
from store.access import Caller
from store.database import TROUBLE, database
from store.errors import InputError, KeyReusedError, RequestUnderWayError
from store.ids import now
from store.models import IdempotencyRecord

Answering = Callable[[Request], Awaitable[Response]]

HEADER: Final = "idempotency-key"
REPLAYED: Final = "Idempotent-Replayed"
KEPT: Final = timedelta(hours=24)
ABANDONED: Final = timedelta(seconds=60)
"""After this a request without an answer is one whose server died; the next one is done."""

SETTLE_SECONDS: Final = 1.0
"""How often a database that is away is asked, for so long, whether it made a commit."""

MAX_KEY_CHARACTERS: Final = 255

# Answers about the caller or the moment: the same request may fare better the next time.
_NOT_KEPT: Final = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, problems.CLIENT_CLOSED_REQUEST}
)


async def once(request: Request, answer: Answering) -> Response:
    """Answer a request that has an Idempotency-Key.

    What it does and the answer that is kept are one transaction: whenever the server dies, the
    request was not done, or is answered as it was.

    Args:
        request: of a known caller; its body is read here and kept with it.
        answer: does the work; its answers are small and whole, never streams.

    Raises:
        KeyReusedError: the key came before with another body.
        RequestUnderWayError: the request with this key is still being answered.
    """
    caller: Caller = request.state.caller
    key = request.headers[HEADER]
    if not (0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise InputError(
            f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters."
        )
    record = IdempotencyRecord(
        organization_id=caller.organization_id,
        route=request.url.path,
        key=key,
        request_sha256=await _digest(request),
    )
    try:
        earlier = await _reserve(record)
    except BaseException as error:
        if database().is_in_doubt_after(error):
            await asyncio.shield(_give_back(record))
        raise
    if earlier is not None:
        return _replay(request, earlier, record)
    try:
        async with database().together():
            response = _right(await _answered(request, answer))
            if response.status_code not in _NOT_KEPT:
                await _keep(record, response.status_code, _sealed(request, response))
    except _UndoneError as undone:
        response = undone.response
        await _give_back(record)
    except BaseException:
        await asyncio.shield(_give_back(record))
        raise
    if response.status_code in _NOT_KEPT:
        await _give_back(record)
    return response


class _UndoneError(Exception):
    """The answer is a mistake of ours: what was done until then is undone."""

    def __init__(self, response: Response):
        self.response = response


def _right(response: Response) -> Response:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _UndoneError(response)
    return response


async def _answered(request: Request, answer: Answering) -> Response:
    """The answer, errors included: they too are given again."""
    try:
        return await answer(request)
    except problems.ANSWERED as error:
        return problems.answer_to(error, request.url.path)


async def _digest(request: Request) -> str:
    """What tells two requests apart: who asks, the query and the body.

    Of a form the parts count, not its bytes: the boundary between them is a new random one each
    time a client sends it.
    """
    caller: Caller = request.state.caller
    digest = hashlib.sha256(f"{caller.actor.name}\0{request.url.query}".encode())
    if (told := headers_of_file(request.method, request.url.path)) is not None:
        digest.update(repr([request.headers.getlist(name) for name in told]).encode())
        async for chunk in (await read_file(request)).chunks():
            digest.update(chunk)
        return digest.hexdigest()
    if media_type(request) != "multipart/form-data":
        digest.update(b"\0" + await request.body())
        return digest.hexdigest()
    for name, value in await parts_of(request):
        if isinstance(value, UploadFile):
            content = hashlib.sha256()
            async for chunk in Upload("", value).chunks():
                content.update(chunk)
            part = (name, value.filename or "", content.hexdigest())
        else:
            part = (name, value)
        digest.update(repr(part).encode())
    return digest.hexdigest()


async def _reserve(record: IdempotencyRecord) -> IdempotencyRecord | None:
    """Take the key for this request; answers the record of an earlier one that has it."""
    at = now()
    created, status = col(IdempotencyRecord.created_at), col(IdempotencyRecord.status)
    try:
        async with database().writing() as session:
            await session.execute(
                delete(IdempotencyRecord).where(
                    (created < at - KEPT)
                    # Or ahead: the clock was put back since.
                    | (status.is_(None) & ~created.between(at - ABANDONED, at + ABANDONED))
                )
            )
            query = select(IdempotencyRecord).where(
                col(IdempotencyRecord.organization_id) == record.organization_id,
                col(IdempotencyRecord.route) == record.route,
                col(IdempotencyRecord.key) == record.key,
            )
            earlier = (await session.execute(query)).scalar_one_or_none()
            if earlier is None:
                session.add(record)
            return earlier
    except IntegrityError:  # another process took the key between the two statements
        raise RequestUnderWayError from None


def _replay(request: Request, earlier: IdempotencyRecord, record: IdempotencyRecord) -> Response:
    if earlier.request_sha256 != record.request_sha256:
        raise KeyReusedError
    if earlier.status is None:
        raise RequestUnderWayError
    ok = earlier.status < HTTPStatus.BAD_REQUEST
    headers = {REPLAYED: "true"}
    body = earlier.body
    if body.startswith(_SEALED):
        headers |= SHOWN_ONCE
        body = _opened(request, body.removeprefix(_SEALED))
    return Response(
        body,
        earlier.status,
        media_type=JSON if ok else shape_of(record.route).media_type,
        headers=headers,
    )


SHOWN_ONCE: Final = {"Cache-Control": "no-store"}
"""Headers of an answer with a secret of which else only a hash is kept: for nobody to keep."""

_SEALED: Final = "sealed:"
"""Before the body of an answer that only its caller can read. No JSON begins so."""


def _sealed(request: Request, response: Response) -> str:
    """The body of an answer as it is kept.

    What nobody may keep is encrypted by the key that the caller sent, which is not kept either:
    who has the database reads no secret in it.
    """
    body = bytes(response.body)
    if response.headers.get("cache-control") != SHOWN_ONCE["Cache-Control"]:
        return body.decode()
    return _SEALED + _cipher(request).encrypt(body).decode()


def _opened(request: Request, sealed: str) -> str:
    try:
        return _cipher(request).decrypt(sealed).decode()
    except InvalidToken:
        raise KeyReusedError(
            "The answer holds a secret, which is shown again only to the key that asked for it"
            " first. Take a new Idempotency-Key to make another."
        ) from None


def _cipher(request: Request) -> Fernet:
    # A key has 256 random bits: no slow derivation is needed. The table of keys has another hash.
    digest = hashlib.sha256(b"answer to " + request.state.credential.encode(errors="replace"))
    return Fernet(base64.urlsafe_b64encode(digest.digest()))


async def _keep(record: IdempotencyRecord, status: int, body: str) -> None:
    """Write the answer down with the work.

    Raises:
        RequestUnderWayError: this took so long that another request took the key.
    """
    async with database().writing() as session:
        kept = await session.execute(
            update(IdempotencyRecord)
            .where(col(IdempotencyRecord.id) == record.id)
            .values(status=status, body=body)
            .returning(col(IdempotencyRecord.id))
        )
    if kept.first() is None:
        raise RequestUnderWayError


_settling: set[asyncio.Task[None]] = set()
"""The loop itself holds them weakly."""


async def _give_back(record: IdempotencyRecord) -> None:
    """Give the key of a request back that was not done; as soon as the database answers."""
    try:
        await _forget(record)
    except TROUBLE:
        settling = asyncio.create_task(_settle(record))
        _settling.add(settling)
        settling.add_done_callback(_settling.discard)


async def _settle(record: IdempotencyRecord) -> None:
    while now() < record.created_at + ABANDONED:  # from then on whoever comes next does it
        await asyncio.sleep(SETTLE_SECONDS)
        with suppress(*TROUBLE):
            await _forget(record)
            break


async def _forget(record: IdempotencyRecord) -> None:
    """Give the key back, unless the answer was kept: who was cancelled may not know.

    Nor who lost the database over a commit. The answer is written in the transaction itself: one
    that is still open has the record locked, and is waited for; one that broke off before the
    answer was written is never committed.
    """
    async with database().writing() as session:
        await session.execute(
            delete(IdempotencyRecord).where(
                col(IdempotencyRecord.id) == record.id, col(IdempotencyRecord.status).is_(None)
            )
        )
