"""The page of a task, its live status, and its files."""

from fastapi import APIRouter, Request, Response

from api.review_pages.page_route import PageRoute
from api.review_pages.rendering import render
from api.review_pages.sent_form import Typed
from api.review_pages.sessions import SignedIn, Visitor, read_form, text_of
from api.review_pages.task_view import view_task
from api.v1.files import send_stored
from store.database import database
from store.errors import NotFoundError
from store.finding import find_file, find_task
from store.settings import settings

router = APIRouter(route_class=PageRoute)

RENEWALS_PER_LEASE = 3
"""How often an open page renews its claim: one renewal may be lost, and one be late."""

NOTICES = {
    "next": "Completed. This is the next task.",
    "saved": "Saved. The task still waits for a decision.",
    "completed": "Completed. The task goes on by itself.",
    "arranged": "Taken over. The fields of the documents are looked for.",
    "typed": "Saved. The fields of documents of another type are looked for.",
    "assigned": "Handed over. The task is held for a day.",
    "reported": "Reported. The task stays where it is.",
    "commented": "The comment is there for whoever sees the task.",
    "audited": "The verdict is kept.",
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
    project = request.query_params.get("project", "")
    if request.method == "POST":
        project = text_of(await read_form(request))["project"]
    view = await view_task(visitor, task_id, typed, project)
    return render(
        request,
        "task.html",
        status=status,
        view=view,
        task=view.task,
        address=f"/review/{view.task.public_id}",
        notice=notice,
        problem=problem,
        project=project,
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


@router.get("/review/{task_id}/files/{file_id}")
async def send_file(visitor: SignedIn, task_id: str, file_id: str) -> Response:
    """A file that a task took in or made, to be saved."""
    visitor.caller.require("file.read")
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
        file = await find_file(session, visitor.caller, file_id)
    if file.task_id != task.id and file.id != task.input_file_id:
        raise NotFoundError("The task has no such file.", id=file_id)
    # Never shown in the window: a file may be a page of somebody else's making.
    return await send_stored(file)
