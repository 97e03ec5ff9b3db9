"""`papertray tasks claim`, `complete`, `cancel` ...: the verbs of a task, for a shell."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options, facts_of_error
from api.cli.tasks import facts_of
from flows import verbs
from flows.erase import delete_task
from store.access import Caller
from store.errors import InputError, PapertrayError
from store.models import Task


async def claim(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Take a task that waits for a person, so that nobody else does.

    Args:
        task_id: The task.
        options: Common options.
    """
    return await _each((task_id,), options, verbs.claim)


async def release(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Give back a task that was claimed.

    Args:
        task_id: The task.
        options: Common options.
    """
    return await _each((task_id,), options, verbs.release)


async def complete(
    task_id: str,
    *,
    field: Annotated[tuple[str, ...], Parameter(name=["--field", "-f"])] = (),
    document: int = 1,
    note: str = "",
    options: Options = DEFAULTS,
) -> Answer:
    """Decide a review: the fields are right, with these changes.

    Args:
        task_id: The task.
        field: NAME=VALUE, the right value of a field; may be given several times. Rows are
            written as JSON: `lines=[{...}, ...]`.
        document: Whose fields they are, counted from 1.
        note: For the record.
        options: Common options.
    """
    values = dict(_name_and_value(one) for one in field)
    return await _each(
        (task_id,), options, lambda caller, one: verbs.complete(caller, one, values, note, document)
    )


async def discard(
    task_id: tuple[str, ...], *, reason: str = "", options: Options = DEFAULTS
) -> Answer:
    """Throw out tasks that wait for a person.

    Args:
        task_id: The tasks.
        reason: For the record.
        options: Common options.
    """
    return await _each(task_id, options, lambda caller, one: verbs.discard(caller, one, reason))


async def cancel(
    task_id: tuple[str, ...], *, reason: str = "", options: Options = DEFAULTS
) -> Answer:
    """End tasks, wherever they are.

    Args:
        task_id: The tasks.
        reason: For the record.
        options: Common options.
    """
    return await _each(task_id, options, lambda caller, one: verbs.cancel(caller, one, reason))


async def delete(task_id: tuple[str, ...], *, options: Options = DEFAULTS) -> Answer:
    """Erase all of tasks, wherever they are; those that have not ended are cancelled first.

    Their content is gone once their runs have ended, mostly in a second.

    Args:
        task_id: The tasks.
        options: Common options.
    """

    async def deleted(caller: Caller, one: str) -> Answer:
        await delete_task(caller, one)
        return Answer({"id": one, "deleted": True}, f"Deleted {one}.")

    return _together(await _one_by_one(task_id, options, deleted))


async def unlock(task_id: str, *, reason: str = "", options: Options = DEFAULTS) -> Answer:
    """Open an ended task for a person again.

    Args:
        task_id: The task.
        reason: For the record.
        options: Common options.
    """
    return await _each((task_id,), options, lambda caller, one: verbs.unlock(caller, one, reason))


async def retry(task_id: tuple[str, ...], *, options: Options = DEFAULTS) -> Answer:
    """Try failed, timed-out or cancelled tasks again.

    Args:
        task_id: The tasks.
        options: Common options.
    """
    return await _each(task_id, options, verbs.retry)


async def start_export(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Take a task whose files a client fetches: copy them, then complete, cancel or fail it.

    Args:
        task_id: The task.
        options: Common options.
    """
    async with operator(options) as caller:
        offer = await verbs.start_export(caller, task_id)
    files = [{"id": file.id, "name": file.name, "type": file.type} for file in offer.files]
    told = "\n".join(f"{file.id}  {file.name}" for file in offer.files)
    return Answer({**facts_of(offer.task), "files": files}, f"{_told(offer.task)}\n{told}")


async def complete_export(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Say that the files of a task are fetched; it goes on.

    Args:
        task_id: The task.
        options: Common options.
    """
    return await _each((task_id,), options, verbs.complete_export)


async def cancel_export(task_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Give a task back without its files; it waits for a client again.

    Args:
        task_id: The task.
        options: Common options.
    """
    return await _each((task_id,), options, verbs.cancel_export)


async def fail_export(task_id: str, *, message: str = "", options: Options = DEFAULTS) -> Answer:
    """Say that the files of a task cannot be used; it ends as failed.

    Args:
        task_id: The task.
        message: Why, for the result of the task.
        options: Common options.
    """
    return await _each(
        (task_id,), options, lambda caller, one: verbs.fail_export(caller, one, message)
    )


async def report(
    task_id: str,
    *,
    issue: tuple[str, ...] = (),
    message: str = "",
    options: Options = DEFAULTS,
) -> Answer:
    """Report that a task's data is wrong; its state stays what it is.

    Args:
        task_id: The task.
        issue: FIELD=WHAT, what is wrong with a field; may be given several times.
        message: What is wrong with the whole.
        options: Common options.
    """
    if not issue and not message:
        raise InputError("Say what is wrong: --issue FIELD=WHAT, or --message.")
    issues = [{"field": name, "problem": what} for name, what in (_pair(one) for one in issue)]

    async def reported(caller: Caller, one: str) -> Task:
        return (await verbs.report(caller, one, issues, message)).task

    return await _each((task_id,), options, reported)


async def _each(
    task_ids: Sequence[str], options: Options, verb: Callable[[Caller, str], Awaitable[Task]]
) -> Answer:
    """Do one thing to some tasks; the answer for a single one is no list."""

    async def done(caller: Caller, task_id: str) -> Answer:
        task = await verb(caller, task_id)
        return Answer(facts_of(task), _told(task))

    answers = await _one_by_one(task_ids, options, done)
    return answers[0] if len(answers) == 1 else _together(answers)


async def _one_by_one(
    task_ids: Sequence[str], options: Options, do: Callable[[Caller, str], Awaitable[Answer]]
) -> list[Answer]:
    """Do one thing to some tasks, one after the other; one that is refused does not end it.

    Raises:
        PapertrayError: there is a single task, and it is refused.
    """
    answers: list[Answer] = []
    async with operator(options) as caller:
        for task_id in task_ids:
            try:
                answers.append(await do(caller, task_id))
            except PapertrayError as error:
                if len(task_ids) == 1:
                    raise
                refused = f"{task_id} is refused: {error.message} ({error.code})"
                facts = {"id": task_id, "error": facts_of_error(error)}
                answers.append(Answer(facts, refused, error.exit_code))
    return answers


def _together(answers: Sequence[Answer]) -> Answer:
    """The exit status is that of the first that was refused."""
    return Answer(
        [one.data for one in answers],
        "\n".join(str(one.view) for one in answers),
        next((one.exit_code for one in answers if one.exit_code), 0),
    )


def _told(task: Task) -> str:
    holder = f", claimed by {task.claimed_by}" if task.claimed_by else ""
    return f"{task.public_id} is {task.state}{holder}."


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InputError(f"{text!r} has no `=`. Write NAME=VALUE.")
    return name, value


def _name_and_value(text: str) -> tuple[str, Any]:
    name, value = _pair(text)
    if not value.startswith(("[", "{")):
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        raise InputError(f"The value of {name} begins like JSON and is none.", field=name) from None
