"""What the pages of a task show and say: their images, and their words."""

import hashlib
import json
import mimetypes
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Request, Response

from api.review_pages.page_route import PageRoute
from api.review_pages.sending import send_blob
from api.review_pages.sessions import SignedIn
from store.blobs import blobs
from store.database import database
from store.errors import NotFoundError
from store.fields import PageWords
from store.finding import find_page, find_task
from store.models import Page, Task

router = APIRouter(route_class=PageRoute)

PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]  # what a database takes for an integer

KEPT_SECONDS: Final = 3600
"""How long a browser shows what it has without asking: what is at an address never changes, and
whoever signs out has it thrown away."""

_KEPT: Final = f"private, max-age={KEPT_SECONDS}, immutable"
_ASKED: Final = "private, no-cache"
"""Of an address that does not say what is at it."""


def image_address(task: Task, page: Page) -> str:
    """Where the image of a page is."""
    return _address(task, page, "image", page.image_blob)


def detail_address(task: Task, page: Page) -> str:
    """Where the page is in more pixels; empty where it has no more."""
    return _address(task, page, "detail", page.detail_blob) if page.detail_blob else ""


def words_address(task: Task, page: Page) -> str:
    """Where the words of a page are."""
    return _address(task, page, "words", page.words_blob)


def _address(task: Task, page: Page, what: str, blob: str) -> str:
    query = urlencode({"v": _tag(task, page, blob)})
    return f"/review/{task.public_id}/pages/{page.number}/{what}?{query}"


@router.get("/review/{task_id}/pages/{page_number}/image")
async def send_page_image(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """The image of a page, of as many pixels as a screen has for it."""
    task, page = await _find(visitor, task_id, page_number)
    return await _send_image(request, task, page, page.image_blob)


@router.get("/review/{task_id}/pages/{page_number}/detail")
async def send_page_detail(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """A page in gray, in all the pixels that were read."""
    task, page = await _find(visitor, task_id, page_number)
    if not page.detail_blob:
        raise NotFoundError("There is no more to see of this page than its image.")
    return await _send_image(request, task, page, page.detail_blob)


async def _send_image(request: Request, task: Task, page: Page, blob: str) -> Response:
    tag = _tag(task, page, blob)
    headers = _headers(request, tag)
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    media_type, _ = mimetypes.guess_type(blob)
    return await send_blob(blob, media_type or "application/octet-stream", headers)


@router.get("/review/{task_id}/pages/{page_number}/words")
async def send_words(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """The words of a page in reading order: `[text, left, top, right, bottom, line]` each.

    In pixels of the page image; a line is an index, 0-based.
    """
    task, page = await _find(visitor, task_id, page_number)
    tag = _tag(task, page, page.words_blob)
    headers = _headers(request, tag)
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    async with blobs().as_local(page.words_blob) as path:
        read = PageWords.model_validate_json(path.read_bytes())
    words = [[word.text, *(round(edge, 1) for edge in word.box), word.line] for word in read.words]
    content = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    return Response(content, media_type="application/json", headers=headers)


def _headers(request: Request, tag: str) -> dict[str, str]:
    is_named = request.query_params.get("v") == tag
    return {"ETag": f'"{tag}"', "Cache-Control": _KEPT if is_named else _ASKED}


def _has(request: Request, tag: str) -> bool:
    return request.headers.get("If-None-Match") == f'"{tag}"'


async def _find(visitor: SignedIn, task_id: str, page_number: int) -> tuple[Task, Page]:
    visitor.caller.require("task.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        return task, await find_page(session, task, page_number)


def _tag(task: Task, page: Page, blob: str) -> str:
    facts = f"{task.id} {task.attempt} {page.id} {blob}"
    return hashlib.sha256(facts.encode()).hexdigest()[:32]
