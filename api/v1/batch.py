"""/v1/tasks:batch: one verb on many tasks, a result for each."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from api.auth import TaskEditor
from api.bodies import Body, Text
from api.problems import answer_to, described
from api.v1 import examples, words
from api.v1.route import V1Route
from api.v1.tasks import Reason
from flows import erase, verbs
from store.access import Caller
from store.errors import ForbiddenError, PapertrayError, UnauthenticatedError
from store.models import Task

router = APIRouter(prefix="/v1/tasks:batch", tags=["tasks"], route_class=V1Route)

MOST_TASKS: Final = 100

Verb = Literal[
    "claim", "release", "complete", "discard", "report", "unlock", "cancel", "retry", "delete"
]


async def _delete(caller: Caller, task_id: str, _: str) -> None:
    await erase.delete_task(caller, task_id)


async def _report(caller: Caller, task_id: str, why: str) -> Task:
    return (await verbs.report(caller, task_id, [], why)).task


VERBS: Final[Mapping[Verb, Callable[[Caller, str, str], Awaitable[Task | None]]]] = {
    "claim": lambda caller, task_id, _: verbs.claim(caller, task_id),
    "release": lambda caller, task_id, _: verbs.release(caller, task_id),
    "complete": lambda caller, task_id, why: verbs.complete(caller, task_id, note=why),
    "discard": verbs.discard,
    "report": _report,
    "unlock": verbs.unlock,
    "cancel": verbs.cancel,
    "retry": lambda caller, task_id, _: verbs.retry(caller, task_id),
    "delete": _delete,
}


class BatchBody(Body):
    """One verb, and the tasks it is done on."""

    verb: Verb
    ids: Annotated[list[Text], Field(min_length=1, max_length=MOST_TASKS)]
    """Each once."""
    reason: Reason = ""
    """Why; kept with each task."""


class BatchResult(words.Shape):
    """What became of one task."""

    id: str
    status: int
    """What the verb alone would have answered."""
    task: words.Task | None
    """As it is now; null where it went wrong, or is deleted."""
    error: dict[str, Any] | None
    """The problem, where it went wrong."""


class BatchResults(words.Shape):
    """What became of each task, in the order of the ids."""

    results: list[BatchResult]


_EXAMPLE: Final[dict[str, Any]] = {
    "results": [
        {"id": "task_euyrvozb9302uwhq", "status": 200, "task": examples.TASK, "error": None},
        {
            "id": "task_k3v9x0c1b2n4m5q7",
            "status": 404,
            "task": None,
            "error": {
                "type": "urn:papertray:error:not_found",
                "title": "Not found",
                "status": 404,
                "detail": "There is no task with that id.",
                "message": "There is no task with that id.",
                "code": "not_found",
            },
        },
    ]
}


@router.post(
    "",
    status_code=207,
    summary="Do one thing with many tasks",
    responses={
        207: examples.answer("A result for each task.", _EXAMPLE),
        **described(UnauthenticatedError, ForbiddenError, 413, 415, 422),
    },
)
async def do_with_many(
    request: Request,
    caller: TaskEditor,
    body: Annotated[
        BatchBody, examples.body({"verb": "discard", "ids": ["task_euyrvozb9302uwhq"]})
    ],
) -> BatchResults:
    """Do one verb on up to 100 tasks, one after the other; one that fails stops no other."""
    results: list[BatchResult] = []
    for task_id in dict.fromkeys(body.ids):
        try:
            row = await VERBS[body.verb](caller, task_id, body.reason)
        except PapertrayError as error:
            answer = answer_to(error, request.url.path)
            told = json.loads(bytes(answer.body))
            results.append(
                BatchResult(id=task_id, status=answer.status_code, task=None, error=told)
            )
        else:
            status, task = (200, words.task_of(row)) if row else (204, None)
            results.append(BatchResult(id=task_id, status=status, task=task, error=None))
    return BatchResults(results=results)
