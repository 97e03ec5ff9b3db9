"""What a person does with a task: each button ends in a verb of `flows/verbs/`."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from api.review_pages.page_route import PageRoute
from api.review_pages.sessions import SignedIn, Visitor, read_form, text_of
from api.review_pages.task_page import task_page
from api.review_pages.task_view import BLOCK_PREFIX, Entered, Typed
from api.review_pages.words import spoken
from flows import verbs
from flows.form import read_arrangement, written_arrangement
from store.access import Caller
from store.database import database
from store.errors import (
    AlreadyClaimedError,
    AlreadyDecidedError,
    ConflictError,
    FieldsInvalidError,
    IllegalTransitionError,
    InputError,
    NotClaimedError,
    NotFoundError,
)
from store.finding import documents_of, find_task, project_file_of
from store.models import Task

router = APIRouter(route_class=PageRoute)


async def _save(caller: Caller, task_id: str, sent: Typed) -> None:
    # Who saves is at work on it: others should see that.
    await verbs.claim(caller, task_id)
    if sent.arrangement is None:
        await verbs.save(caller, task_id, await _data(caller, task_id, sent), documents=_of(sent))


async def _complete(caller: Caller, task_id: str, sent: Typed) -> None:
    if sent.arrangement is not None and await _is_rearranged(caller, task_id, sent.arrangement):
        await _arrange(caller, task_id, sent)
        return
    await verbs.complete(caller, task_id, await _data(caller, task_id, sent), documents=_of(sent))


async def _arrange(caller: Caller, task_id: str, sent: Typed) -> None:
    try:
        documents = read_arrangement(sent.arrangement or "")
    except InputError as error:
        raise FieldsInvalidError(fields={"documents": error.message}) from None
    await verbs.arrange(caller, task_id, documents)


async def _is_rearranged(caller: Caller, task_id: str, arrangement: str) -> bool:
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        now = written_arrangement(await documents_of(session, task))
    return now.split() != arrangement.split()


def _of(sent: Typed) -> Mapping[int, Mapping[str, Entered]]:
    return {number: texts for number, texts in sent.values.items() if number}


async def _data(caller: Caller, task_id: str, sent: Typed) -> Mapping[str, Any]:
    """What was written into the blocks of a task of data."""
    if 0 not in sent.values:
        return {}
    async with database().reading() as session:
        project = await project_file_of(session, await find_task(session, caller, task_id))
    blocks = {block.name: block for block in project.blocks}
    return {
        name: blocks[name].from_text(text) if isinstance(text, str) and name in blocks else text
        for name, text in sent.values[0].items()
    }


FORM_VERBS: Mapping[str, tuple[Callable[[Caller, str, Typed], Awaitable[None]], str]] = {
    "save": (_save, "saved"),
    "complete": (_complete, "completed"),
    "arrange": (_arrange, "arranged"),
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
            typed = _typed(form)
            await do(visitor.caller, task_id, typed)
        elif verb in BUTTON_VERBS:
            press, notice = BUTTON_VERBS[verb]
            await press(visitor.caller, task_id, form["reason"].strip())
        else:
            raise NotFoundError("There is no such button.")
    except FieldsInvalidError as error:
        typed = replace(typed, reasons=error.details["fields"])
        return await task_page(request, visitor, task_id, status=422, typed=typed)
    except ConflictError as error:
        problem = await _words_for(error, visitor, task_id)
        return await task_page(request, visitor, task_id, status=409, problem=problem, typed=typed)
    if "HX-Request" in request.headers:
        return Response(status_code=204)  # a page that renews its claim stays as it is
    query = f"?notice={notice}" if notice else ""
    return RedirectResponse(f"/review/{task_id}{query}", status_code=303)


def _typed(form: Mapping[str, str]) -> Typed:
    """What is in a form, its fields as `task_view.input_name` named them."""
    values: defaultdict[int, dict[str, Entered]] = defaultdict(dict)
    tables: defaultdict[tuple[int, str], defaultdict[int, dict[str, str]]]
    tables = defaultdict(lambda: defaultdict(dict))
    for key, text in form.items():
        if key.startswith(BLOCK_PREFIX):
            values[0][key.removeprefix(BLOCK_PREFIX)] = _plain(text)
            continue
        kind, number, name, *cell = [*key.split("."), "", ""][:5]
        if kind != "field" or not number.isdecimal():
            continue
        plain = _plain(text)
        if len(cell) == 2 and cell[0].isdecimal():
            tables[int(number), name][int(cell[0])][cell[1]] = plain
        else:
            values[int(number)][name] = plain
    for (number, name), rows in tables.items():
        values[number][name] = [rows[index] for index in sorted(rows)]
    return Typed(values, arrangement=_plain(form["arrangement"]) if "arrangement" in form else None)


def _plain(text: str) -> str:
    """Browsers send line ends as CR LF; the store has them as LF."""
    return text.replace("\r\n", "\n")


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
