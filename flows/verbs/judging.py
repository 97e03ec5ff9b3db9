"""What people say of a task without deciding it: comments, and whether a decision was right."""

from sqlalchemy.ext.asyncio import AsyncSession

from store.access import Caller
from store.activity import record
from store.database import database
from store.errors import IllegalTransitionError, InputError
from store.finding import find_task
from store.lifecycle import amend, is_past
from store.models import Activity, Task

MAX_COMMENT_CHARACTERS = 2000


async def comment(caller: Caller, public_id: str, text: str) -> Activity:
    """Write something down about a task, in any state; whoever sees the task can read it.

    Raises:
        InputError: nothing is said, or too much.
        IllegalTransitionError: the content of the task was erased.
    """
    if not 0 < len(text.strip()) <= MAX_COMMENT_CHARACTERS:
        raise InputError(f"A comment has 1 to {MAX_COMMENT_CHARACTERS} characters.")
    async with database().writing() as session:
        task = await find_task(session, caller, public_id)
        if is_past(task):
            raise IllegalTransitionError(
                "The content of the task was erased; nothing can be written down about it."
            )
        # The version of the task stays: whoever decides just now decides about the same data.
        return record(session, "task.commented", caller.actor, task=task, reason=text)


async def audit(caller: Caller, public_id: str, *, is_correct: bool | None) -> Task:
    """Say whether the decision on a task was right; None: nobody has judged it.

    Raises:
        IllegalTransitionError: nobody has decided on it yet, or its content was erased.
    """
    async with database().writing() as session:
        task = await _find_decided(session, caller, public_id)
        word = {True: "correct", False: "wrong", None: "not judged"}[is_correct]
        return await amend(
            session,
            task,
            "task.audited",
            caller.actor,
            data={"verdict": word},
            is_correct=is_correct,
        )


async def _find_decided(session: AsyncSession, caller: Caller, public_id: str) -> Task:
    task = await find_task(session, caller, public_id, lock=True)
    if task.decided_by is None:
        raise IllegalTransitionError(
            "Nobody has decided on the task; there is nothing to judge.", state=task.state.value
        )
    return task
