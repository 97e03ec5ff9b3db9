"""The page of a task, its live status, its page images and its files."""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from sqlmodel import col, select
from starlette.responses import FileResponse, StreamingResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sessions import SignedIn, Visitor
from api.review_pages.task_view import Typed, view_task
from store.blobs import CHUNK_BYTES, blobs
from store.database import database
from store.errors import NotFoundError
from store.finding import find_file, find_task
from store.models import Page, Task
from store.settings import settings

router = APIRouter(route_class=PageRoute)

PageNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]  # what a database takes for an integer

RENEWALS_PER_LEASE = 3
"""How often an open page renews its claim: one renewal may be lost, and one be late."""

NOTICES = {
    "saved": "Saved. The task still waits for a decision.",
    "completed": "Completed. The task goes on by itself.",
    "arranged": "Taken over. The fields of the documents are looked for.",
    "discarded": "Discarded.",
    "released": "Released. Others can take the task now.",
    "canceled": "Canceled.",
    "retried": "The task is tried again.",
    "unlocked": "Open for correction again.",
}
"""What the address of a task can make its page say; never text from the address itself."""


@router.get("/review/{task_id}")
async def show_task(request: Request, visitor: SignedIn, task_id: str) -> Response:
    """The page of a task."""
    notice = NOTICES.get(request.query_params.get("notice", ""), "")
    return await task_page(request, visitor, task_id, notice=notice)


async def task_page(
    request: Request,
    visitor: Visitor,
    task_id: str,
    *,
    status: int = 200,
    notice: str = "",
    problem: str = "",
    typed: Typed | None = None,
) -> Response:
    """The page of a task as it is now.

    Args:
        request: what is answered.
        visitor: who looks.
        task_id: public id.
        status: HTTP status of the answer.
        notice: what was done.
        problem: why something was not done.
        typed: what was sent with it, to be shown again.
    """
    view = await view_task(visitor, task_id, typed)
    return render(
        request,
        "task.html",
        status=status,
        view=view,
        task=view.task,
        address=f"/review/{view.task.public_id}",
        notice=notice,
        problem=problem,
        renew_seconds=max(1, int(settings().claim_lease_seconds / RENEWALS_PER_LEASE)),
    )


@router.get("/review/{task_id}/status")
async def show_status(request: Request, visitor: SignedIn, task_id: str) -> Response:
    """How far a task is that moves on by itself; asked again and again by its page."""
    view = await view_task(visitor, task_id)
    if not view.is_live:
        return Response(headers={"HX-Refresh": "true"})
    if request.query_params.get("seen") == view.fingerprint:
        return Response(status_code=204)  # htmx then changes nothing, and nothing is read out
    return render(request, "status.html", view=view, address=f"/review/{view.task.public_id}")


@router.get("/review/{task_id}/pages/{page_number:int}.png")
async def send_page_image(
    request: Request, visitor: SignedIn, task_id: str, page_number: PageNumber
) -> Response:
    """The image of a page."""
    visitor.caller.require("task.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        query = select(Page).where(col(Page.task_id) == task.id, col(Page.number) == page_number)
        page = (await session.execute(query)).scalar_one_or_none()
    if page is None:
        raise NotFoundError("The task has no such page.", page_number=page_number)
    # The browser keeps the image, but asks each time whether it may still show it.
    headers = {"ETag": _tag(task, page), "Cache-Control": "private, no-cache"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return await _send(page.image_blob, "image/png", headers)


def _tag(task: Task, page: Page) -> str:
    facts = f"{task.id} {task.attempt} {page.id} {page.image_blob}"
    return f'"{hashlib.sha256(facts.encode()).hexdigest()[:32]}"'


@router.get("/review/{task_id}/files/{file_id}")
async def send_file(visitor: SignedIn, task_id: str, file_id: str) -> Response:
    """A file that a task took in or made, to be saved."""
    visitor.caller.require("file.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        file = await find_file(session, visitor.caller, file_id)
    if file.task_id != task.id and file.id != task.input_file_id:
        raise NotFoundError("The task has no such file.", id=file_id)
    headers = {
        # Never shown in the window: a file may be a page of somebody else's making.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return await _send(file.blob, file.type, headers)


async def _send(blob: str, media_type: str, headers: dict[str, str]) -> Response:
    path = blobs().local_path(blob)
    if path is None:
        stream = _stream(blob)
        first = await anext(stream)  # a blob that is gone must be found out before the 200
        return StreamingResponse(_after(first, stream), media_type=media_type, headers=headers)
    if not path.is_file():
        raise NotFoundError("The bytes are gone from the storage.")
    return FileResponse(path, media_type=media_type, headers=headers)


async def _stream(blob: str) -> AsyncIterator[bytes]:
    async with blobs().as_local(blob) as path:
        with path.open("rb") as source:
            yield source.read(CHUNK_BYTES)
            while chunk := source.read(CHUNK_BYTES):
                yield chunk


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
