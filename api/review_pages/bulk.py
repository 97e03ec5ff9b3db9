"""What is done with several tasks of the queue at once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.queue import PAGE_SIZE, read_filter
from api.review_pages.sessions import SignedIn, read_form, text_of
from flows import verbs
from store.access import Caller
from store.errors import ConflictError, ForbiddenError, InputError, NotFoundError

router = APIRouter(route_class=PageRoute)

BULK_VERBS: Mapping[str, Callable[[Caller, str, str], Awaitable[Any]]] = {
    "claim": lambda caller, task_id, _: verbs.claim(caller, task_id),
    "release": lambda caller, task_id, _: verbs.release(caller, task_id),
    "discard": verbs.discard,
}
"""Buttons -> what they do with each task, for a reason."""


@router.post("/review/bulk")
async def decide_several(request: Request, visitor: SignedIn) -> Response:
    """Do one thing with each task that is chosen; what is refused of one does not stop the rest."""
    visitor.caller.require("task.edit")
    form = await read_form(request)
    texts = text_of(form)
    chosen = list(dict.fromkeys(str(one) for one in form.getlist("task")))
    if texts["verb"] not in BULK_VERBS:
        raise NotFoundError("There is no such button.")
    if not 0 < len(chosen) <= PAGE_SIZE:
        raise InputError(f"Choose 1 to {PAGE_SIZE} tasks.")
    done = 0
    for task_id in chosen:
        try:
            await BULK_VERBS[texts["verb"]](visitor.caller, task_id, texts["reason"].strip())
        except (ConflictError, NotFoundError, ForbiddenError):
            continue  # decided, or taken by another, since the queue was shown: it is counted
        done += 1
    more = {"notice": texts["verb"], "done": str(done), "refused": str(len(chosen) - done)}
    return RedirectResponse(read_filter(texts).href(**more), status_code=303)
