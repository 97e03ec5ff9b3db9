"""What people say of a task without deciding it: comments, and whether a decision was right."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from store.access import Caller
from store.activity import record
from store.database import database
from store.errors import FieldsInvalidError, IllegalTransitionError, InputError
from store.finding import documents_of, find_task, project_file_of
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


async def audit(
    caller: Caller, public_id: str, *, is_correct: bool | None, wrong_fields: Sequence[str] = ()
) -> Task:
    """Say whether the decision on a task was right; None: nobody has judged it.

    Args:
        caller: who judges.
        public_id: of the task.
        is_correct: the verdict.
        wrong_fields: of a wrong one, names of the fields or blocks that are wrong; none: it is
            not said which, and it does not count for any field.

    Raises:
        IllegalTransitionError: nobody has decided on it yet, or its content was erased.
        InputError: a field is wrong, and yet the decision is not.
        FieldsInvalidError: a name is no field of the task.
    """
    if wrong_fields and is_correct is not False:
        raise InputError("Only of a wrong decision there are wrong fields.")
    async with database().writing() as session:
        task = await _find_decided(session, caller, public_id)
        known = set(await judged_fields(session, task)) if wrong_fields else set[str]()
        if unknown := set(wrong_fields) - known:
            raise FieldsInvalidError(fields=dict.fromkeys(sorted(unknown), "The task has none."))
        word = {True: "correct", False: "wrong", None: "not judged"}[is_correct]
        named = sorted(set(wrong_fields))
        return await amend(
            session,
            task,
            "task.audited",
            caller.actor,
            data={"verdict": word, **({"fields": named} if named else {})},
            is_correct=is_correct,
            wrong_fields=named or None,
        )


async def judged_fields(session: AsyncSession, task: Task) -> Sequence[str]:
    """Names of the fields or blocks of a task that an audit can find wrong, in their order."""
    if task.project_version_id is None:
        return []
    project = await project_file_of(session, task)
    if project.blocks:
        return [block.name for block in project.blocks if not block.read_only]
    documents = await documents_of(session, task)
    return list(dict.fromkeys(name for document in documents for name in document.fields))


async def _find_decided(session: AsyncSession, caller: Caller, public_id: str) -> Task:
    task = await find_task(session, caller, public_id, lock=True)
    if task.decided_by is None:
        raise IllegalTransitionError(
            "Nobody has decided on the task; there is nothing to judge.", state=task.state.value
        )
    return task
