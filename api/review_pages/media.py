"""What a task of data shows that is no text: pictures, recordings, films."""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response

from api.review_pages.block_view import media_of
from api.review_pages.page_route import PageRoute
from api.review_pages.sending import send_blob
from api.review_pages.sessions import SignedIn
from api.v1.files import SAFE_HEADERS, attachment
from flows.public_http import UNANSWERED, PublicHttp, check_url, why_refused, why_unanswered
from store.database import database
from store.errors import NotFoundError, UnavailableError
from store.finding import find_file, find_task, project_file_of

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

_fetching = asyncio.Semaphore(MOST_AT_ONCE)

_HEADERS: Final = {**SAFE_HEADERS, "Cache-Control": "private, max-age=600"}


@router.get("/review/{task_id}/media/{index}")
async def send_media(
    visitor: SignedIn, task_id: str, index: Annotated[int, Path(ge=0, le=10_000)]
) -> Response:
    """What a block of a task shows, from the storage or from where it is.

    Papertray fetches it, not the browser: so the policy of the pages needs no exception, and who
    put an address into a task does not learn who looks at it.
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
            file = None
        else:
            visitor.caller.require("file.read")
            file = await find_file(session, visitor.caller, carrier)
    if file is None:
        return await _fetch(carrier)
    if file.type in SHOWN:
        return await send_blob(file.blob, file.type, _HEADERS)
    saved = {**_HEADERS, "Content-Disposition": attachment(file.name)}
    return await send_blob(file.blob, file.type, saved)


async def _fetch(url: str) -> Response:
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
            if media_type not in SHOWN:
                raise UnavailableError("It cannot be shown: it is no picture, recording or film.")
            content = bytearray()
            async for chunk in answer.aiter_stream():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise UnavailableError("It cannot be shown: it is too large.")
    except UNANSWERED as error:
        raise UnavailableError(
            f"It cannot be shown. {why_unanswered(error, FETCH_SECONDS)}"
        ) from None
    return Response(bytes(content), media_type=media_type, headers=_HEADERS)
