"""What a person does with a task: each button ends in a verb of `flows/verbs/`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse

from api.review_pages.block_view import value_of
from api.review_pages.field_view import Entered
from api.review_pages.page_route import PageRoute
from api.review_pages.sent_form import DATA, Typed, read_sent
from api.review_pages.sessions import SignedIn, Visitor, read_form, text_of
from api.review_pages.task_page import task_page
from api.review_pages.words import spoken
from flows import verbs
from flows.form import read_arrangement, written_arrangement
from operations.validate_fields import Picked
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

router = APIRouter(route_class=PageRoute)


@dataclass(frozen=True)
class Sent:
    """What came with a button."""

    texts: Mapping[str, str]
    """By the names of inputs; what was not sent is empty."""
    typed: Typed
    """The fields, where they were sent."""
    form: FormData

    @property
    def reason(self) -> str:
        """Why it is done, where somebody says so."""
        return self.texts["reason"].strip()


async def _save(caller: Caller, task_id: str, sent: Sent) -> None:
    # Who saves is at work on it: others should see that.
    await verbs.claim(caller, task_id)
    if sent.typed.arrangement is None:
        data = await _data(caller, task_id, sent.typed)
        await verbs.save(caller, task_id, data, documents=_of(sent.typed))


async def _complete(caller: Caller, task_id: str, sent: Sent) -> None:
    typed = sent.typed
    if typed.arrangement is not None and await _is_rearranged(caller, task_id, typed.arrangement):
        await _arrange(caller, task_id, sent)
        return
    data = await _data(caller, task_id, typed)
    await verbs.complete(caller, task_id, data, documents=_of(typed))


async def _arrange(caller: Caller, task_id: str, sent: Sent) -> None:
    try:
        documents = read_arrangement(sent.typed.arrangement or "")
    except InputError as error:
        raise FieldsInvalidError(fields={"documents": error.message}) from None
    await verbs.arrange(caller, task_id, documents)


async def _change_types(caller: Caller, task_id: str, sent: Sent) -> None:
    """Say of which types the documents are; what was typed into their fields is kept."""
    async with database().reading() as session:
        found = await documents_of(session, await find_task(session, caller, task_id))
    types = sent.typed.types
    arranged = [
        verbs.Arranged(one.page_numbers, types.get(one.number, one.document_type)) for one in found
    ]
    await _save(caller, task_id, sent)
    if any(
        new.document_type != old.document_type for new, old in zip(arranged, found, strict=True)
    ):
        await verbs.arrange(caller, task_id, arranged)


async def _is_rearranged(caller: Caller, task_id: str, arrangement: str) -> bool:
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        now_ = written_arrangement(await documents_of(session, task))
    return now_.split() != arrangement.split()


def _of(typed: Typed) -> Mapping[int, Mapping[str, Any]]:
    """What was typed and picked, by the numbers of documents and the names of fields."""
    return {
        number: {name: _with_places(typed, number, name, sent) for name, sent in texts.items()}
        for number, texts in typed.values.items()
        if number != DATA
    }


def _with_places(typed: Typed, number: int, name: str, sent: Entered) -> Any:
    if isinstance(sent, str):
        place = typed.places.get((number, name))
        return Picked(sent, place.page_number, place.box) if place else sent
    return [
        {
            key: _with_places(typed, number, f"{name}.{row}.{key}", text)
            for key, text in cells.items()
        }
        for row, cells in enumerate(sent)
    ]


async def _data(caller: Caller, task_id: str, typed: Typed) -> Mapping[str, Any]:
    """What was written into the blocks of a task of data."""
    if DATA not in typed.values:
        return {}
    async with database().reading() as session:
        task = await find_task(session, caller, task_id)
        project = await project_file_of(session, task)
    blocks = {block.name: block for block in project.blocks}
    before = task.task_data or {}
    return {
        name: value_of(blocks[name], entered, before.get(name)) if name in blocks else entered
        for name, entered in typed.values[DATA].items()
    }


async def _report(caller: Caller, task_id: str, sent: Sent) -> None:
    if not sent.reason:
        raise InputError("Say what is wrong with it.")
    await verbs.report(caller, task_id, [{"label": sent.texts["field"], "value": sent.reason}])


async def _judge(caller: Caller, task_id: str, sent: Sent) -> None:
    verdict = {"correct": True, "wrong": False}.get(sent.texts["verdict"])
    wrong = [str(name) for name in sent.form.getlist("wrong")] if verdict is False else []
    await verbs.audit(caller, task_id, is_correct=verdict, wrong_fields=wrong)


def _with_reason(verb: Callable[[Caller, str, str], Awaitable[Any]]) -> "Verb":
    async def do(caller: Caller, task_id: str, sent: Sent) -> None:
        await verb(caller, task_id, sent.reason)

    return do


def _plain(verb: Callable[[Caller, str], Awaitable[Any]]) -> "Verb":
    async def do(caller: Caller, task_id: str, _: Sent) -> None:
        await verb(caller, task_id)

    return do


async def _assign(caller: Caller, task_id: str, sent: Sent) -> None:
    if not (to := sent.texts["to"].strip()):
        raise InputError("Say to whom the task goes.")
    await verbs.assign(caller, task_id, to)


async def _comment(caller: Caller, task_id: str, sent: Sent) -> None:
    await verbs.comment(caller, task_id, sent.texts["text"].strip().replace("\r\n", "\n"))


Verb = Callable[[Caller, str, Sent], Awaitable[None]]

VERBS: Mapping[str, tuple[Verb, str]] = {
    "save": (_save, "saved"),
    "complete": (_complete, "completed"),
    "complete-next": (_complete, "completed"),
    "arrange": (_arrange, "arranged"),
    "types": (_change_types, "typed"),
    "claim": (_plain(verbs.claim), ""),
    "renew": (_plain(verbs.renew), ""),
    "leave": (_plain(verbs.leave), ""),
    "release": (_plain(verbs.release), "released"),
    "assign": (_assign, "assigned"),
    "report": (_report, "reported"),
    "comment": (_comment, "commented"),
    "audit": (_judge, "audited"),
    "discard": (_with_reason(verbs.discard), "discarded"),
    "cancel": (_with_reason(verbs.cancel), "canceled"),
    "unlock": (_with_reason(verbs.unlock), "unlocked"),
    "retry": (_plain(verbs.retry), "retried"),
}
"""Buttons -> what they do, and the notice when it is done."""

SILENT = frozenset({"renew", "leave"})
"""What a page does by itself: nobody waits for the answer."""


@router.post("/review/{task_id}/{verb}")
async def decide(request: Request, visitor: SignedIn, task_id: str, verb: str) -> Response:
    """Do what a button says, and show the task as it then is."""
    visitor.caller.require("task.edit")
    if verb not in VERBS:
        raise NotFoundError("There is no such button.")
    form = await read_form(request)
    sent = Sent(text_of(form), read_sent(form), form)
    do, notice = VERBS[verb]
    try:
        await do(visitor.caller, task_id, sent)
    except FieldsInvalidError as error:
        typed = replace(sent.typed, reasons=error.details["fields"])
        return await task_page(request, visitor, task_id, status=422, typed=typed)
    except ConflictError as error:
        if verb in SILENT:
            return Response(status_code=409)
        problem = await _words_for(error, visitor, task_id)
        return await task_page(
            request, visitor, task_id, status=409, problem=problem, typed=sent.typed
        )
    except InputError as error:
        return await task_page(
            request, visitor, task_id, status=422, problem=error.message, typed=sent.typed
        )
    if verb in SILENT:
        return Response(status_code=204)
    project = sent.texts["project"]
    if verb == "complete-next":
        following = await verbs.next_task(visitor.caller, project or None)
        if following is None:
            query = urlencode({"project": project, "notice": "all-done"})
            return RedirectResponse(f"/review?{query}", status_code=303)
        task_id, notice = following.public_id, "next"
    query = urlencode({k: v for k, v in (("notice", notice), ("project", project)) if v})
    return RedirectResponse(f"/review/{task_id}{'?' if query else ''}{query}", status_code=303)


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
