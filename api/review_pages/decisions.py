"""What a person does with a task: each button ends in a verb of `flows/verbs.py`."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.sessions import SignedIn, Visitor, read_form, text_of
from api.review_pages.task_page import task_page
from api.review_pages.task_view import Typed
from api.review_pages.words import spoken
from flows import verbs
from store.access import Caller
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    ConflictError,
    FieldsInvalidError,
    IllegalTransitionError,
    NotClaimedError,
    NotFoundError,
)
from store.finding import find_task
from store.models import Task

router = APIRouter(route_class=PageRoute)

Values = Mapping[int, Mapping[str, str]]
"""document number -> field name -> text."""


async def _save(caller: Caller, task_id: str, values: Values) -> None:
    # Who saves is at work on it: others should see that.
    await verbs.claim(caller, task_id)
    for document_number, texts in values.items():
        await verbs.save(caller, task_id, texts, document_number)


async def _complete(caller: Caller, task_id: str, values: Values) -> None:
    *others, last = sorted(values) or [1]
    for document_number in others:
        await verbs.save(caller, task_id, values[document_number], document_number)
    await verbs.complete(caller, task_id, values.get(last), document_number=last)


FORM_VERBS: Mapping[str, tuple[Callable[[Caller, str, Values], Awaitable[None]], str]] = {
    "save": (_save, "saved"),
    "complete": (_complete, "completed"),
}
"""Buttons that send the fields -> what they do, and the notice when it is done."""

BUTTON_VERBS: Mapping[str, tuple[Callable[[Caller, str, str], Awaitable[Task]], str]] = {
    "claim": (lambda caller, task_id, _: verbs.claim(caller, task_id), ""),
    "release": (lambda caller, task_id, _: verbs.release(caller, task_id), "released"),
    "discard": (verbs.discard, "discarded"),
    "cancel": (verbs.cancel, "canceled"),
    "unlock": (verbs.unlock, "unlocked"),
    "retry": (lambda caller, task_id, _: verbs.retry(caller, task_id), "retried"),
}
"""Buttons that send a reason at most -> what they do, and the notice when it is done."""


@router.post("/review/{task_id}/{verb}")
async def decide(request: Request, visitor: SignedIn, task_id: str, verb: str) -> Response:
    """Do what a button says, and show the task as it then is."""
    visitor.caller.require("task.edit")
    form = text_of(await read_form(request))
    typed = Typed()
    try:
        if verb in FORM_VERBS:
            do, notice = FORM_VERBS[verb]
            typed = Typed(_values(form))
            await do(visitor.caller, task_id, typed.values)
        elif verb in BUTTON_VERBS:
            press, notice = BUTTON_VERBS[verb]
            await press(visitor.caller, task_id, form["reason"].strip())
        else:
            raise NotFoundError("There is no such button.")
    except FieldsInvalidError as error:
        typed = Typed(typed.values, error.details["fields"])
        return await task_page(request, visitor, task_id, status=422, typed=typed)
    except ConflictError as error:
        problem = await _words_for(error, visitor, task_id)
        return await task_page(request, visitor, task_id, status=409, problem=problem, typed=typed)
    if "HX-Request" in request.headers:
        return Response(status_code=204)  # a page that renews its claim stays as it is
    query = f"?notice={notice}" if notice else ""
    return RedirectResponse(f"/review/{task_id}{query}", status_code=303)


def _values(form: Mapping[str, str]) -> Values:
    """The fields of a form, as `task_view.input_name` named them."""
    values: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for key, text in form.items():
        kind, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if kind == "field" and number.isdecimal():
            # Browsers send line ends as CR LF; the store has them as LF.
            values[int(number)][name] = text.replace("\r\n", "\n")
    return values


async def _words_for(error: ConflictError, visitor: Visitor, task_id: str) -> str:
    """Why it was not done, and by whose doing."""
    async with database().reading() as session:
        task = await find_task(session, visitor.caller, task_id)
    state = spoken(task.state.value).lower()
    if isinstance(error, AlreadyClaimedError):
        return (
            f"{verbs.holder(task) or 'Somebody else'} has claimed this task. Nothing was changed."
        )
    if isinstance(error, NotClaimedError):
        return "You do not hold this task any more. Nothing was changed."
    if isinstance(error, AlreadyDecidedError):
        who = (task.decision or {}).get("actor", "")
        if who == visitor.name:
            return f"You decided this task already. It is {state} now."
        return f"{who or 'Somebody else'} decided this task before you. It is {state} now."
    if isinstance(error, IllegalTransitionError):
        return f"This is not possible now: the task is {state}. Nothing was changed."
    return "Somebody else changed this task at the same moment. Nothing was changed: try again."
