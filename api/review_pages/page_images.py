"""What the pages of a task show and say: their images, and their words."""

import hashlib
import json
import mimetypes
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.review_pages.page_route import PageRoute
from api.review_pages.sending import send_blob
from api.review_pages.sessions import SignedIn
from store.blobs import blobs
from store.database import database
from store.fields import PageWords
from store.finding import find_page, find_task
from store.models import Page, Task

router = APIRouter(route_class=PageRoute)

PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]  # what a database takes for an integer

# The browser keeps what it got, but asks each time whether it may still show it.
_KEPT = "private, no-cache"


def image_address(task: Task, page: Page) -> str:
    """Where the image of a page is."""
    return f"/review/{task.public_id}/pages/{page.number}/image"


@router.get("/review/{task_id}/pages/{page_number}/image")
async def send_page_image(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """The image of a page."""
    task, page = await _find(visitor, task_id, page_number)
    headers = {"ETag": _tag(task, page, page.image_blob), "Cache-Control": _KEPT}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    media_type, _ = mimetypes.guess_type(page.image_blob)
    return await send_blob(page.image_blob, media_type or "application/octet-stream", headers)


@router.get("/review/{task_id}/pages/{page_number}/words")
async def send_words(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """The words of a page in reading order: `[text, left, top, right, bottom, line]` each.

    In pixels of the page image; a line is an index, 0-based.
    """
    task, page = await _find(visitor, task_id, page_number)
    headers = {"ETag": _tag(task, page, page.words_blob), "Cache-Control": _KEPT}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    async with blobs().as_local(page.words_blob) as path:
        read = PageWords.model_validate_json(path.read_bytes())
    words = [[word.text, *(round(edge, 1) for edge in word.box), word.line] for word in read.words]
    content = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    return Response(content, media_type="application/json", headers=headers)


async def _find(visitor: SignedIn, task_id: str, page_number: int) -> tuple[Task, Page]:
    visitor.caller.require("task.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        return task, await find_page(session, task, page_number)


def _tag(task: Task, page: Page, blob: str) -> str:
    facts = f"{task.id} {task.attempt} {page.id} {blob}"
    return f'"{hashlib.sha256(facts.encode()).hexdigest()[:32]}"'
