"""The steps in which a person looks: at the documents of a file, at values, at data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from prefect.input import RunInput

from flows.artifacts import show_fields, show_review_link
from flows.form import (
    Decision,
    arrangement_of,
    corrections_of,
    data_form,
    data_of,
    sorting_form,
    values_form,
    with_reason,
)
from flows.review import wait_out
from flows.task_run import PREFECT_UI, TaskRun
from flows.verbs import ARRANGE, arrange, complete, discard, field_key, report
from operations.validate_fields import BY_PEOPLE
from store.access import Caller
from store.blocks import faults_of
from store.database import TROUBLE, database
from store.errors import ConflictError, FieldsInvalidError, InputError, UnavailableError
from store.finding import documents_of, field_values
from store.ids import now
from store.models import Document, Task
from store.project_file import ProjectFile, WhenReview
from store.project_sorting import UNKNOWN, Automation
from store.settings import settings
from store.states import Event, State

SORT = "sort"
"""The step in which a person looks at pages and types."""

EXTRACT = "extract"
"""The step in which a person looks at values."""

EXPORT = "export"
"""The step in which a person looks why the files do not get to their place."""

_STEPS = (SORT, EXTRACT, EXPORT)
"""In their order."""


async def have_sorting_reviewed(run: TaskRun) -> None:
    """Wait for a person where it is not sure which documents a file has."""
    project = await run.project()
    await _have_reviewed(run, project, SORT, _reason_in_sorting)


async def have_it_reviewed(run: TaskRun, extract_again: Callable[[], Awaitable[None]]) -> None:
    """Wait for a person where one is needed, until the decision stands.

    Args:
        run: of the task.
        extract_again: for when the person found that the file has other documents.
    """
    project = await run.project()
    await _have_reviewed(run, project, EXTRACT, _reason_in_values)
    while _was_arranged(run.task):
        round_ = run.task.review_round
        await extract_again()
        await _have_reviewed(run, project, EXTRACT, _reason_in_values)
        if run.task.review_round == round_:
            return  # what was found then is sure, so nobody was asked


async def have_data_reviewed(run: TaskRun) -> None:
    """Wait for a person to fill in the data of a task, where its project has one do it."""
    project = await run.project()
    await _have_reviewed(run, project, EXTRACT, _reason_in_data)


async def have_export_reviewed(run: TaskRun, leave: Callable[[], Awaitable[None]]) -> None:
    """Let the files get to their place; where they do not, a person says when to try again.

    Also where the project has nobody look at values: to fail could be to erase what did not get
    to its place.

    Args:
        run: of the task.
        leave: lets the files get there, or raises an UnavailableError.
    """
    if run.task.is_test:
        await leave()
        return
    project = await run.project()
    has_left = False

    async def reason(run: TaskRun, _: ProjectFile) -> str:
        nonlocal has_left
        try:
            await leave()
        except UnavailableError as error:
            if run.is_patient and isinstance(error, TROUBLE):
                raise
            return f"the export failed: {error.message}"
        has_left = True
        return ""

    while not has_left:
        await _have_reviewed(run, project, EXPORT, reason)


async def _have_reviewed(
    run: TaskRun,
    project: ProjectFile,
    step: str,
    reason_for: Callable[[TaskRun, ProjectFile], Awaitable[str]],
) -> None:
    task = await run.reload()
    if task.state is State.RUNNING and not _is_past(task, step):
        reason = await reason_for(run, project)
        if not reason or task.is_test:
            return
        await show_review_link(task.public_id)
        await _ask(run, project, step, reason)
    if run.task.state is not State.IN_REVIEW or run.task.review_step != step:
        return

    async def form_of() -> type[RunInput]:
        form = with_reason(await _form(run, project, step), run.task.review_reason)
        return form.with_initial_data(description=_what_to_do(run.task))

    await wait_out(run, form_of, lambda answer: _take_answer(run, project, answer))


def _is_past(task: Task, step: str) -> bool:
    """Whether a person has decided on this step, or on a later one; an export is tried again."""
    if task.review_step not in _STEPS or step == EXPORT:
        return False
    if task.review_step != step:
        return _STEPS.index(task.review_step) > _STEPS.index(step)
    return _is_decided(task) and not (step == EXTRACT and _was_arranged(task))


def _is_decided(task: Task) -> bool:
    return bool(task.decision) and task.decision["round"] == task.review_round


def _was_arranged(task: Task) -> bool:
    """Whether the last decision was that the file has other documents than were found."""
    if task.state is not State.RUNNING or task.review_step != EXTRACT or not task.decision:
        return False
    return _is_decided(task) and task.decision["decision"] == ARRANGE


def _what_to_do(task: Task) -> str:
    """What stands above the form in the Prefect UI; names of fields, never their values."""
    page = f"{settings().effective_public_url}/review/{task.public_id}"
    again = " To complete is to try again." if task.review_step == EXPORT else ""
    return f"**Why:** {task.review_reason}{again}\n\n[Look at the task and its fields]({page})"


async def _form(run: TaskRun, project: ProjectFile, step: str) -> type[RunInput]:
    if project.blocks:
        return data_form(project)
    if step == SORT:
        return sorting_form(project)
    return values_form(project, await _documents(run))


async def _documents(run: TaskRun) -> Sequence[Document]:
    async with database().reading() as session:
        return await documents_of(session, run.task)


# Why a person must look; empty when nobody must


async def _reason_in_sorting(run: TaskRun, project: ProjectFile) -> str:
    if project.when_review is WhenReview.NEVER:
        return ""
    documents = await _documents(run)
    reasons = {
        "documents to be told apart": asks_for_pages(project, documents),
        "types to be confirmed": _asks_for_types(project, documents),
    }
    return "; ".join(
        f"{why}: {', '.join(f'document {number}' for number in numbers)}"
        for why, numbers in reasons.items()
        if numbers
    )


def asks_for_pages(project: ProjectFile, documents: Sequence[Document]) -> list[int]:
    """Numbers of the documents of which a person must see whether their pages are one."""
    how = project.segment
    if how is None:
        return []
    always = how.automation is not Automation.PROCESS
    return [
        document.number
        for document in documents
        if always or document.pages_confidence < how.confidence_threshold
    ]


def _asks_for_types(project: ProjectFile, documents: Sequence[Document]) -> list[int]:
    how = project.classify
    if not project.sorts:
        return []
    always = how.automation is not Automation.PROCESS
    keeps_unknown = how.unknown == "keep"
    return [
        document.number
        for document in documents
        if always
        or (
            document.type_confidence < how.confidence_threshold
            and not (keeps_unknown and document.document_type == UNKNOWN)
        )
    ]


async def _reason_in_values(run: TaskRun, project: ProjectFile) -> str:
    """Why a person must look at the values.

    Raises:
        FieldsInvalidError: the data is not valid and the project has nobody look.
    """
    documents = await _documents(run)
    values = {document.number: field_values(document) for document in documents}
    await show_fields(run.task.public_id, list(values.items()))
    named = {
        field_key(documents, number, name): value
        for number, fields in values.items()
        for name, value in fields.items()
    }
    invalid = {key: value.message for key, value in named.items() if not value.valid}
    # No field may be required, but a document without any is of another kind or language.
    empty = [
        number
        for number, fields in values.items()
        if fields and not any(value.text or value.method in BY_PEOPLE for value in fields.values())
    ]
    unsure = [key for key, value in named.items() if value.needs_confirmation]
    if project.when_review is WhenReview.NEVER:
        nothing = {
            field_key(documents, number, name): "is not found, and no other field is"
            for number in empty
            for name in values[number]
        }
        if invalid or nothing:
            raise FieldsInvalidError(fields=nothing | invalid)
        return ""
    if invalid:
        return f"not valid: {', '.join(invalid)}"
    if empty:
        return f"no field found: {', '.join(f'document {number}' for number in empty)}"
    if unsure:
        return f"to be confirmed: {', '.join(unsure)}"
    if project.when_review is WhenReview.ALWAYS:
        return "the project asks for it"
    if project.extract.automation is not Automation.PROCESS:
        return f"the project asks for it: extract is {project.extract.automation.value}"
    if project.group and project.group.automation is not Automation.PROCESS:
        return f"the project asks for it: group is {project.group.automation.value}"
    return ""


async def _reason_in_data(run: TaskRun, project: ProjectFile) -> str:
    """Why a person must look at the data.

    Raises:
        FieldsInvalidError: it is not valid and the project has nobody look.
    """
    faults = faults_of(project.blocks, run.task.task_data or {}, is_final=True)
    if project.when_review is WhenReview.NEVER:
        if faults:
            raise FieldsInvalidError(fields=faults)
        return ""
    if project.when_review is WhenReview.ALWAYS:
        return "the project asks for it"
    return f"to be filled in: {', '.join(faults)}" if faults else ""


# Asking, and what is answered in Prefect


async def _ask(run: TaskRun, project: ProjectFile, step: str, reason: str) -> None:
    await run.happen(
        Event.ASK,
        reason=reason,
        review_round=run.task.review_round + 1,
        review_step=step,
        review_reason=reason,
        review_since=now(),
        review_due_at=now() + project.review.timeout,
        step="review",
        **({"export_failed_at": now()} if step == EXPORT else {}),
    )


async def _take_answer(run: TaskRun, project: ProjectFile, answer: RunInput) -> None:
    """Do what the form says; where that is not possible, ask again and say why."""
    caller = Caller(run.task.organization_id, PREFECT_UI)
    try:
        choice = _CHOICES[Decision(answer.decision)]  # pyright: ignore[reportAttributeAccessIssue]  # a field of the form
        reason = await choice(caller, run.task, project, answer)
    except FieldsInvalidError as error:
        reason = f"not valid: {', '.join(error.details['fields'])}"
    except (ConflictError, InputError) as error:
        reason = error.message
    await run.reload()
    if run.task.state is State.IN_REVIEW:
        await _ask_again(run, project, reason)


async def _complete(caller: Caller, task: Task, project: ProjectFile, answer: Any) -> str:
    if project.blocks:
        values = data_of(project, answer)
        await complete(caller, task.public_id, values, answer.note)
    elif task.review_step == SORT:
        if arrangement := arrangement_of(answer):
            await arrange(caller, task.public_id, arrangement, answer.note)
        else:
            await complete(caller, task.public_id, note=answer.note)
    else:
        async with database().reading() as session:
            documents = await documents_of(session, task)
        corrections = corrections_of(project, documents, answer)
        await complete(caller, task.public_id, note=answer.note, documents=corrections)
    return ""


async def _discard(caller: Caller, task: Task, project: ProjectFile, answer: Any) -> str:  # noqa: ARG001  # one signature
    await discard(caller, task.public_id, answer.note)
    return ""


async def _report(caller: Caller, task: Task, project: ProjectFile, answer: Any) -> str:  # noqa: ARG001  # one signature
    await report(caller, task.public_id, [{"label": "prefect-ui", "value": answer.note}])
    return "an issue was reported"


_CHOICES: Mapping[Decision, Any] = {
    Decision.COMPLETE: _complete,
    Decision.DISCARD: _discard,
    Decision.REPORT: _report,
}


async def _ask_again(run: TaskRun, project: ProjectFile, reason: str) -> None:
    """Begin the next round of the same wait: each pause of a run has its own key."""
    await run.amend(
        "task.in_review",
        reason=reason,
        review_round=run.task.review_round + 1,
        review_reason=reason,
        review_due_at=now() + project.review.timeout,
    )
