"""/orgs/{id}/queues: queues, and the blocks that their tasks have."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Text
from api.human_lambdas import examples, words
from api.human_lambdas.blocks import BlockBody, block_of
from api.human_lambdas.route import (
    HumanLambdasRoute,
    QueueEditor,
    QueueId,
    QueueReader,
    find_queue,
)
from api.v1.examples import answer, body
from flows import verbs
from flows.queue_words import Queue
from store.access import Caller
from store.database import database
from store.errors import ConflictError, FieldsInvalidError, ProjectFileError
from store.finding import projects_of
from store.project_tasks import count_unsettled

router = APIRouter(route_class=HumanLambdasRoute)

Blocks = Annotated[list[BlockBody], Field(min_length=1, max_length=200)]
Name = Annotated[Text, Field(min_length=1, max_length=verbs.MAX_TITLE_CHARACTERS)]


class _Body(BaseModel):
    """Names that are not known are passed over, as Human Lambdas does."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class QueueBody(_Body):
    """A queue to be made."""

    name: Name
    description: Text = ""
    """What people who work on its tasks should know."""
    data: Blocks
    """Its blocks."""


class QueueChanges(_Body):
    """What is left out stays as it is."""

    name: Name | None = None
    description: Text | None = None
    data: Blocks | None = None
    """In the place of the blocks before; tasks that are there keep those they were made with."""


@router.get(
    "",
    summary="List queues",
    responses={200: answer("The queues.", [examples.QUEUE]), **examples.problems()},
)
async def list_queues(caller: QueueReader) -> list[words.QueueWithBlocks]:
    """List the queues, the oldest first."""
    async with database().reading() as session:
        queues = [Queue.of(*found) for found in await projects_of(session, caller)]
        waiting = await count_unsettled(session, caller, [queue.project for queue in queues])
    return [words.queue_of(queue, waiting) for queue in queues]


@router.get(
    "/{queue_id}",
    summary="Show a queue",
    responses={200: answer("The queue.", examples.QUEUE), **examples.problems()},
)
async def show_queue(queue_id: QueueId, caller: QueueReader) -> words.QueueWithBlocks:
    """Show a queue, with its blocks in `data`."""
    return await _shown(caller, await find_queue(caller, queue_id))


@router.post(
    "",
    status_code=201,
    summary="Create a queue",
    responses={
        201: answer("The queue.", {**examples.QUEUE, "n_tasks": 0}),
        **examples.problems(413, ConflictError),
    },
)
async def create_queue(
    sent: Annotated[QueueBody, body(examples.QUEUE_BODY)], caller: QueueEditor
) -> words.QueueWithBlocks:
    """Make a queue: a project of data, which is there in every other way in, too."""
    blocks = _blocks(sent.data)
    try:
        made = await verbs.create_queue(
            caller, title=sent.name, description=sent.description, blocks=blocks
        )
    except ProjectFileError as error:
        raise _in_words(error) from None
    return await _shown(caller, Queue.of(*made))


@router.patch(
    "/{queue_id}",
    summary="Change a queue",
    responses={
        200: answer("The queue.", examples.QUEUE),
        **examples.problems(413, ConflictError),
    },
)
async def change_queue(
    queue_id: QueueId,
    sent: Annotated[QueueChanges, body({"description": "Be kind."})],
    caller: QueueEditor,
) -> words.QueueWithBlocks:
    """Change name, description or blocks of a queue; what else its project has is kept."""
    queue = await find_queue(caller, queue_id)
    blocks = None if sent.data is None else _blocks(sent.data)
    try:
        changed = await verbs.change_queue(
            caller,
            queue.project.name,
            title=sent.name,
            description=sent.description,
            blocks=blocks,
        )
    except ProjectFileError as error:
        raise _in_words(error) from None
    return await _shown(caller, Queue.of(*changed))


async def _shown(caller: Caller, queue: Queue) -> words.QueueWithBlocks:
    async with database().reading() as session:
        return words.queue_of(queue, await count_unsettled(session, caller, [queue.project]))


def _blocks(sent: Sequence[BlockBody]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for index, block in enumerate(sent):
        try:
            blocks.append(block_of(block))
        except ValueError as error:
            raise FieldsInvalidError(fields={f"data.{index}": str(error)}) from None
    return blocks


def _in_words(error: ProjectFileError) -> FieldsInvalidError:
    """What is wrong with a project file, by the members of the body it was made of."""
    named = {"blocks": "data", "title": "name"}
    faults: dict[str, str] = {}
    for problem in error.details.get("problems", []):
        first, *rest = str(problem["key"]).split(".")
        faults[".".join([named.get(first, first) or "data", *rest])] = problem["message"]
    return FieldsInvalidError(fields=faults)
