"""What a task of data shows that is no text: pictures, recordings, films, PDFs."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Response
from fastapi import Path as Parameter

from api.review_pages.block_view import media_of
from api.review_pages.page_route import PageRoute
from api.review_pages.sending import send_blob
from api.review_pages.sessions import SignedIn, Visitor
from api.v1.files import SAFE_HEADERS, attachment
from flows.public_http import UNANSWERED, PublicHttp, check_url, why_refused, why_unanswered
from operations.tools.scratch import scratch_folder
from store.blobs import blobs
from store.database import database
from store.errors import NotFoundError, UnavailableError
from store.finding import find_file, find_task, project_file_of
from store.models import File

router = APIRouter(route_class=PageRoute)

SHOWN: Final = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"),
        *("audio/mpeg", "audio/wav", "audio/x-wav", "audio/ogg", "audio/mp4", "audio/webm"),
        *("video/mp4", "video/webm", "video/ogg"),
    }
)
"""Types that browsers show without running anything: no SVG, which may have scripts in it."""

MOST_BYTES: Final = 32 * 2**20
"""Of what is fetched from another machine."""

FETCH_SECONDS: Final = 20.0
"""For all of it."""

MOST_AT_ONCE: Final = 4
"""So many things are fetched at once by this process; each is held in memory meanwhile."""

KEPT_SECONDS: Final = 60.0
"""How long a PDF from another machine is kept in memory: its pages are asked for one by one."""

PDF: Final = "application/pdf"

BlockIndex = Annotated[int, Parameter(ge=0, le=10_000)]

_fetching = asyncio.Semaphore(MOST_AT_ONCE)

_fetched: dict[str, asyncio.Task[bytes]] = {}
"""PDFs by their addresses, fetched or being fetched."""

HEADERS: Final = {**SAFE_HEADERS, "Cache-Control": "private, max-age=600"}


@router.get("/review/{task_id}/media/{index}")
async def send_media(visitor: SignedIn, task_id: str, index: BlockIndex) -> Response:
    """What a block of a task shows, from the storage or from where it is.

    Papertray fetches it, not the browser: so the policy of the pages needs no exception, and who
    put an address into a task does not learn who looks at it. What is not shown is saved.
    """
    carrier = await find_carrier(visitor, task_id, index)
    if isinstance(carrier, str):
        content, media_type = await _fetch(carrier, {*SHOWN, PDF})
        saved = {"Content-Disposition": attachment("document.pdf")} if media_type == PDF else {}
        return Response(content, media_type=media_type, headers={**HEADERS, **saved})
    saved = {} if carrier.type in SHOWN else {"Content-Disposition": attachment(carrier.name)}
    return await send_blob(carrier.blob, carrier.type, {**HEADERS, **saved})


async def find_carrier(visitor: Visitor, task_id: str, index: int) -> File | str:
    """The file that a block of a task shows, or the address where it is.

    Raises:
        NotFoundError: the task has no such block, or it shows nothing.
    """
    visitor.caller.require("task.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        blocks = (await project_file_of(session, task)).blocks if task.project_version_id else []
        value = (task.task_data or {}).get(blocks[index].name) if index < len(blocks) else None
        carrier = media_of(blocks[index], value) if value is not None else ""
        if not carrier:
            raise NotFoundError("There is nothing to be shown here.")
        if not carrier.startswith("file_"):
            return carrier
        visitor.caller.require("file.read")
        return await find_file(session, visitor.caller, carrier)


@asynccontextmanager
async def as_file(carrier: File | str) -> AsyncIterator[Path]:
    """A PDF that a block shows, as a file of this machine.

    Raises:
        NotFoundError: its bytes are gone.
        UnavailableError: it cannot be had from where it is.
    """
    if isinstance(carrier, File):
        async with blobs().as_local(carrier.blob) as path:
            yield path
        return
    if carrier not in _fetched:
        _fetched[carrier] = asyncio.create_task(_fetch_pdf(carrier))
    content = await asyncio.shield(_fetched[carrier])
    with scratch_folder() as folder:
        path = folder / "document.pdf"
        path.write_bytes(content)
        yield path


async def _fetch_pdf(url: str) -> bytes:
    forget = partial(_fetched.pop, url, None)
    try:
        content, _ = await _fetch(url, {PDF})
    except BaseException:
        forget()
        raise
    asyncio.get_running_loop().call_later(KEPT_SECONDS, forget)
    return content


async def _fetch(url: str, wanted: Collection[str]) -> tuple[bytes, str]:
    """What is at an address, and its type.

    Raises:
        UnavailableError: it cannot be had, is of no type that is wanted, or is too large.
    """
    check_url(url)
    try:
        async with (
            asyncio.timeout(FETCH_SECONDS),
            _fetching,
            PublicHttp() as http,
            http.stream("GET", url, headers={}, timeout_seconds=FETCH_SECONDS) as answer,
        ):
            if answer.status != 200:
                raise UnavailableError(f"It cannot be shown. {why_refused(answer.status)}")
            headers = {
                name.decode().lower(): text.decode("latin-1") for name, text in answer.headers
            }
            media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type not in wanted:
                raise UnavailableError(
                    "It cannot be shown: it is no picture, recording, film or PDF."
                )
            content = bytearray()
            async for chunk in answer.aiter_stream():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise UnavailableError("It cannot be shown: it is too large.")
    except UNANSWERED as error:
        raise UnavailableError(
            f"It cannot be shown. {why_unanswered(error, FETCH_SECONDS)}"
        ) from None
    return bytes(content), media_type
