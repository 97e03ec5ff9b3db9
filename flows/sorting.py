"""The steps that find out which documents a file has: segment, classify, filter, group."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import col

from flows.task_run import TaskRun
from flows.verbs.duplicates import first_with
from operations import classify, filter_documents, group_documents, segment
from operations.classify import ClassifyParams, ClassifyResult
from operations.filter_documents import Candidate, FilterDocumentsParams, FilterDocumentsResult
from operations.group_documents import GroupDocumentsParams, GroupDocumentsResult
from operations.read_pages import ReadPagesResult
from operations.registry import Blob
from operations.segment import NEEDS_IMAGES, SegmentParams, SegmentResult
from operations.tools.find_segments import Segment
from operations.tools.tell_types import FoundType
from store.database import database
from store.errors import DuplicateFileError, InputError, LimitExceededError
from store.finding import documents_of
from store.models import Document, Task
from store.project_file import ProjectFile, WhenReview
from store.project_limits import Duplicates
from store.project_sorting import UNKNOWN, Automation, FilterPart
from store.states import Event

MAX_DOCUMENTS = 2000
"""In one file."""


async def turn_away_duplicate(run: TaskRun) -> None:
    """End a task whose very file came to its project before; before any work is done on it.

    Raises:
        DuplicateFileError: the project takes no second one.
    """
    await run.reload()
    project = await run.project()
    task = run.task
    if task.duplicate_of and project.limits.duplicates is Duplicates.REJECT:
        # It came in by a surface whose callers expect that (`FAILS_LATER`).
        raise DuplicateFileError(task=f"task_{task.duplicate_of}")
    if not project.filter.duplicates or _was_wanted_back(task):
        return
    file = await run.input_file(task.input_file_id or "")
    earlier = select(Task).where(
        col(Task.organization_id) == task.organization_id,
        col(Task.project_id) == task.project_id,
        (col(Task.created_at) < task.created_at)
        | ((col(Task.created_at) == task.created_at) & (col(Task.id) < task.id)),
    )
    async with database().reading() as session:
        first = await first_with(session, earlier, file.sha256)
    if first is not None:
        await _filter(run, [{"page_numbers": [], "reason": "duplicate"}])


def _was_wanted_back(task: Task) -> bool:
    """A person opened the task again, or looked at it already: no rule takes it from them."""
    return task.review_round > 0


async def sort(run: TaskRun, pages: ReadPagesResult) -> None:
    """Find the documents in the file, and of which type they are; what a person said is kept.

    Raises:
        InputError: every page is a separator.
        LimitExceededError: it has too many documents, or a pattern takes too long.
    """
    await run.reload()
    project = await run.project()
    async with database().reading() as session:
        if await documents_of(session, run.task):
            return
    segments = await _segments(run, project, pages)
    types = await _types(run, project, pages, segments)
    found = list(zip(segments, types, strict=True))
    if not _was_wanted_back(run.task):
        reasons = await _unwanted(run, project, pages, segments, types)
        left = [one for one, reason in zip(found, reasons, strict=True) if not reason]
        if not left:
            await _filter(
                run,
                [
                    {"page_numbers": one.page_numbers, "reason": reason}
                    for one, reason in zip(segments, reasons, strict=True)
                ],
            )
            return
        found = left
    async with database().writing() as session:
        session.add_all(
            Document(
                task_id=run.task.id,
                number=number,
                document_type=one_type.document_type,
                page_numbers=one.page_numbers,
                pages_confidence=one.confidence,
                type_confidence=one_type.confidence,
                is_extracted=False,
            )
            for number, (one, one_type) in enumerate(found, 1)
        )


def _words(run: TaskRun, pages: ReadPagesResult, numbers: Sequence[int]) -> list[Blob]:
    by_number = {page.number: page.words_file for page in pages.pages}
    return [run.blob(f"read/{by_number[number]}") for number in numbers]


def _images(run: TaskRun, pages: ReadPagesResult, numbers: Sequence[int]) -> list[Blob]:
    by_number = {page.number: page.image_file for page in pages.pages}
    return [run.blob(f"read/{by_number[number]}") for number in numbers]


async def _segments(
    run: TaskRun, project: ProjectFile, pages: ReadPagesResult
) -> Sequence[Segment]:
    numbers = [page.number for page in pages.pages]
    how = project.segment
    if how is None:
        return [Segment(page_numbers=numbers, confidence=1.0)]
    if how.automation is Automation.NONE:
        return [Segment(page_numbers=numbers, confidence=0.0)]
    async with run.step("segment"):
        images = _images(run, pages, numbers) if how.by in NEEDS_IMAGES else []
        found: SegmentResult = await segment(
            [*_words(run, pages, numbers), *images], SegmentParams(page_numbers=numbers, how=how)
        )
    if not found.segments:
        raise InputError(
            "Every page of the file separates documents, so that none is left. Send the documents"
            " too, or correct `segment` in the project file.",
            page_count=len(numbers),
        )
    if len(found.segments) > MAX_DOCUMENTS:
        raise LimitExceededError(
            f"The file has more than {MAX_DOCUMENTS} documents. Send it in parts, or correct"
            " `segment` in the project file.",
            document_count=len(found.segments),
            limit=MAX_DOCUMENTS,
        )
    return found.segments


async def _types(
    run: TaskRun, project: ProjectFile, pages: ReadPagesResult, segments: Sequence[Segment]
) -> Sequence[FoundType]:
    if not project.sorts:
        return [FoundType(document_type=project.types[0].name, confidence=1.0)] * len(segments)
    if project.classify.automation is Automation.NONE:
        return [FoundType(document_type=UNKNOWN, confidence=0.0)] * len(segments)
    numbers = [number for one in segments for number in one.page_numbers]
    async with run.step("classify"):
        found: ClassifyResult = await classify(
            _words(run, pages, numbers),
            ClassifyParams(
                page_counts=[len(one.page_numbers) for one in segments],
                types=project.document_types,
            ),
        )
    if project.when_review is not WhenReview.NEVER:
        return found.documents
    # Nobody is asked, so what is not sure is not said.
    return [
        one
        if one.confidence >= project.classify.confidence_threshold
        else FoundType(document_type=UNKNOWN, confidence=one.confidence)
        for one in found.documents
    ]


async def _unwanted(
    run: TaskRun,
    project: ProjectFile,
    pages: ReadPagesResult,
    segments: Sequence[Segment],
    types: Sequence[FoundType],
) -> Sequence[str]:
    """For each document why it is taken out; empty where it stays."""
    rules = project.filter.model_copy(update={"duplicates": False})
    if rules == FilterPart():
        return [""] * len(segments)
    numbers = [number for one in segments for number in one.page_numbers]
    async with run.step("filter"):
        found: FilterDocumentsResult = await filter_documents(
            [
                *_words(run, pages, numbers),
                *(_images(run, pages, numbers) if rules.blank else []),
            ],
            FilterDocumentsParams(
                documents=[
                    Candidate(
                        document_type=_sure_type(project, one_type),
                        page_count=len(one.page_numbers),
                    )
                    for one, one_type in zip(segments, types, strict=True)
                ],
                rules=rules,
            ),
        )
    return found.reasons


def _sure_type(project: ProjectFile, found: FoundType) -> str:
    """The type by which a rule may take a document out without anybody looking at it."""
    wanted = project.filter.document_types
    is_sure = found.confidence >= project.classify.confidence_threshold
    if is_sure or not wanted or found.document_type in wanted:
        return found.document_type
    # It may be of a type that is wanted: a person looks, unless nobody is to be asked.
    return found.document_type if project.when_review is WhenReview.NEVER else wanted[0]


async def _filter(run: TaskRun, taken_out: Sequence[dict[str, object]]) -> None:
    reasons = list(dict.fromkeys(str(one["reason"]) for one in taken_out))
    await run.happen(
        Event.FILTER,
        reason=", ".join(reasons),
        result={"filtered_documents": list(taken_out)},
    )


async def group(run: TaskRun, after: str) -> None:
    """Find out which documents belong together, by their values as they are now.

    Args:
        run: of the task.
        after: the step after which it is done: what a later one finds out is its own.
    """
    project = await run.project()
    if project.group is None:
        return
    async with database().reading() as session:
        documents = await documents_of(session, run.task)
    # Values change in a round of review alone, so each round has its own file.
    source = await run.write_json(
        f"group-{after}-{run.task.review_round}/documents.json",
        [{"fields": document.fields} for document in documents],
    )
    async with run.step("group"):
        found: GroupDocumentsResult = await group_documents(
            source, GroupDocumentsParams(by=project.group.by)
        )
    async with database().writing() as session:
        for document, number in zip(
            await documents_of(session, run.task), found.groups, strict=True
        ):
            document.group_number = number
