"""/healthz and /readyz: whether tasks can be taken in, and whether they are worked on."""

import asyncio
import os
from time import monotonic
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.problems import described
from api.v1 import examples
from flows import engine
from flows.heartbeat import living_workers
from store.blobs import blobs
from store.database import database
from store.errors import PapertrayError, UnavailableError

router = APIRouter(tags=["server"])

Word = Literal["ok", "unavailable"]

PREFECT_SECONDS = 1.0
"""How long Prefect's answer is waited for."""

REMEMBERED_SECONDS = 2.0
"""How old Prefect's last answer may be: a caller that asks in a loop costs Prefect nothing."""


class Health(BaseModel):
    """What works."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Word
    """`ok` as soon as tasks can be taken in."""
    database: Word
    storage: Word
    prefect: Word
    """Without Prefect tasks are taken in all the same, and wait for it."""


@router.get(
    "/healthz",
    summary="Say whether tasks can be taken in",
    responses={
        200: examples.answers(
            "Tasks can be taken in.",
            all_well={"status": "ok", "database": "ok", "storage": "ok", "prefect": "ok"},
            prefect_is_away={
                "status": "ok",
                "database": "ok",
                "storage": "ok",
                "prefect": "unavailable",
            },
        ),
        **described(UnavailableError),
    },
)
async def healthz() -> Health:
    """Answer 200 as soon as tasks can be taken in, also while Prefect is away.

    Database and storage are tried; the answer says of each part how it is. No key is needed.
    """
    database_word, storage_word, prefect_word = await asyncio.gather(
        _database(), _storage(), _prefect()
    )
    if database_word != "ok" or storage_word != "ok":
        raise UnavailableError(
            "Tasks cannot be taken in now. `papertray doctor` says what to do.",
            database=database_word,
            storage=storage_word,
            prefect=prefect_word,
        )
    return Health(status="ok", database=database_word, storage=storage_word, prefect=prefect_word)


class Readiness(Health):
    """What works, all that a task needs."""

    worker: Word
    """Whether a worker was heard of just now."""


@router.get(
    "/readyz",
    summary="Say whether tasks are worked on",
    responses={
        200: examples.answer(
            "All parts work.",
            {
                "status": "ok",
                "database": "ok",
                "storage": "ok",
                "prefect": "ok",
                "worker": "ok",
            },
        ),
        **described(UnavailableError),
    },
)
async def readyz() -> Readiness:
    """Answer 200 while all parts work that a task needs, from its file to its data.

    Unlike `/healthz` this wants Prefect and a worker, too. No key is needed.
    """
    words = dict(
        zip(
            ("database", "storage", "prefect", "worker"),
            await asyncio.gather(_database(), _storage(), _prefect(), _worker()),
            strict=True,
        )
    )
    if away := [name for name, word in words.items() if word != "ok"]:
        raise UnavailableError(
            f"Not available now: {', '.join(away)}. `papertray doctor` says what to do.", **words
        )
    return Readiness(status="ok", **words)


async def _worker() -> Word:
    try:
        return "ok" if await living_workers() else "unavailable"
    except (SQLAlchemyError, PapertrayError, OSError):
        return "unavailable"


async def _database() -> Word:
    try:
        async with database().reading() as session:
            await session.execute(text("SELECT 1 FROM task WHERE 1 = 0"))
    except (SQLAlchemyError, PapertrayError, OSError):
        return "unavailable"
    return "ok"


async def _storage() -> Word:
    """Whether a folder can be written to; a bucket is known to be there by listing it."""
    storage = blobs()

    def look() -> Word:
        try:
            if storage.is_local:
                storage.files.makedirs(storage.root, exist_ok=True)
                return "ok" if os.access(storage.root, os.W_OK | os.X_OK) else "unavailable"
            storage.files.ls(storage.root)
        except FileNotFoundError:
            return "ok"  # an empty prefix of a bucket
        except OSError:
            return "unavailable"
        return "ok"

    return await asyncio.to_thread(look)


_last: tuple[float, Word] = (float("-inf"), "unavailable")


async def _prefect() -> Word:
    global _last
    at, word = _last
    if monotonic() - at < REMEMBERED_SECONDS:
        return word
    try:
        async with asyncio.timeout(PREFECT_SECONDS):
            await engine.call("GET", "/health")
        word = "ok"
    except (PapertrayError, TimeoutError):
        word = "unavailable"
    _last = (monotonic(), word)
    return word
