"""What the addresses of queues have in common: the key, the organization, and the queue."""

from typing import Annotated, Final

from fastapi import Path, Request, Security
from fastapi.responses import Response

from api.auth import TOKEN_KEY, caller_by
from api.idempotency import Answering
from api.route import SurfaceRoute
from flows.queue_words import Queue
from store.access import Caller
from store.database import database
from store.errors import ForbiddenError, NotFoundError
from store.finding import find_project_numbered, find_task_numbered, find_user_numbered
from store.models import Task
from store.organizations import number_of

LARGEST_ID: Final = 2**31 - 1
"""Of a queue, and of a person."""

LARGEST_TASK_ID: Final = 2**63 - 1


class HumanLambdasRoute(SurfaceRoute):
    """An address below /orgs."""

    surface = "human-lambdas"
    spellings = (TOKEN_KEY,)

    async def respond(self, request: Request, answer: Answering) -> Response:
        """Let nobody into another organization, not even to learn whether there is one."""
        caller: Caller = request.state.caller
        own = str(await number_of(caller.organization_id))
        if request.path_params["organization_id"] != own:
            raise ForbiddenError(
                f"The key is of the organization {own}, and the address names another."
            )
        return await super().respond(request, answer)


OrganizationId = Annotated[
    str,
    Path(
        alias="organization_id",
        description="Id of the organization of the key: a whole number.",
        examples=["1"],
    ),
]
QueueId = Annotated[str, Path(description="Id of a queue: a whole number.", examples=["79"])]
TaskId = Annotated[str, Path(description="Id of a task: a whole number.", examples=["169578"])]

_known: Final = caller_by(TOKEN_KEY)


async def _caller(
    _organization_id: OrganizationId,
    caller: Annotated[Caller, Security(_known)],
) -> Caller:
    """The caller; the route has looked at the organization."""
    return caller


TaskReader = Annotated[Caller, Security(_caller, scopes=["task.read"])]
TaskCreator = Annotated[Caller, Security(_caller, scopes=["task.create"])]
TaskEditor = Annotated[Caller, Security(_caller, scopes=["task.edit"])]
QueueReader = Annotated[Caller, Security(_caller, scopes=["project.read"])]
QueueEditor = Annotated[Caller, Security(_caller, scopes=["project.edit"])]
WebhookReader = Annotated[Caller, Security(_caller, scopes=["webhook.read"])]
WebhookEditor = Annotated[Caller, Security(_caller, scopes=["webhook.edit"])]


async def find_queue(caller: Caller, queue_id: str) -> Queue:
    """The queue of that id.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    number = whole_number(queue_id, LARGEST_ID)
    try:
        async with database().reading() as session:
            return Queue.of(*await find_project_numbered(session, caller, number or 0))
    except NotFoundError:
        raise NotFoundError("There is no queue with that id.") from None


async def find_queue_task(caller: Caller, queue_id: str, task_id: str) -> tuple[Queue, Task]:
    """The task of that id, and its queue.

    Raises:
        NotFoundError: there is no such queue, or no such task in it.
    """
    queue = await find_queue(caller, queue_id)
    number = whole_number(task_id, LARGEST_TASK_ID)
    if number is None:
        raise NotFoundError("There is no task with that id.")
    async with database().reading() as session:
        return queue, await find_task_numbered(session, caller, queue.project, number)


async def email_of(caller: Caller, wanted: str) -> str:
    """The e-mail of a person who is named by it, or by a number.

    Raises:
        NotFoundError: nobody has that number.
    """
    number = whole_number(wanted, LARGEST_ID)
    if number is None:
        return wanted
    async with database().reading() as session:
        return (await find_user_numbered(session, caller, number)).email


def whole_number(text: str, largest: int) -> int | None:
    """What an id says; None where it is none that the database could have."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(largest))):
        return None
    return int(text) if int(text) <= largest else None
