"""What becomes of the files an operation makes, and where its input comes from."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, update
from sqlmodel import col

from flows import steps, verbs
from flows.steps import names_of_made
from flows.task_run import TaskRun
from operations.detect_documents import (
    BoundingBox,
    DetectDocumentsResult,
    FoundDocument,
    Vertex,
)
from operations.registry import OPERATIONS, Blob, MadeFiles, Params
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import ConflictError, InputError, NotFoundError, UnsupportedFileError
from store.lifecycle import advance
from store.models import Activity, File, Task
from store.states import Actor, Event, State
from tests.unit.flows.conftest import bytes_of


class CopyParams(Params):
    """How often."""

    times: int = 1
    """Copies of each source."""


class CopyResult(MadeFiles):
    """What was made."""

    source_count: int
    """How many sources there were."""


async def copies(sources: Sequence[Blob] | Blob, params: CopyParams, *, folder: Blob) -> CopyResult:
    """An operation as small as can be: it writes its first source some times."""
    sources = [sources] if isinstance(sources, Blob) else sources
    names = [f"page-{n}.png" for n in range(1, params.times + 1)]
    for name in names:
        async with blobs().as_local(sources[0]) as path:
            await blobs().write_file(f"{folder}/{name}", path)
    return CopyResult(files=names, source_count=len(sources))


@pytest.fixture(params=[False, True], ids=["of one", "of many"], autouse=True)
def takes_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    row = replace(
        OPERATIONS["extract-text"],
        name="copy",
        task=copies,  # pyright: ignore[reportArgumentType]  # called like one
        params=CopyParams,
        result=CopyResult,
        accepts=frozenset({"image"}),
        takes_many=request.param,
    )
    monkeypatch.setitem(OPERATIONS, "copy", row)
    return request.param


@pytest.fixture(autouse=True)
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, str]]:
    """In the place of Prefect: the names of the files of which a run showed where they are."""
    told: dict[str, Mapping[str, str]] = {}

    async def show(public_id: str, file_names: Mapping[str, str]) -> None:
        told[public_id] = file_names

    monkeypatch.setattr(steps, "show_output", show)
    return told


@pytest.fixture
async def picture(alice: Caller) -> File:
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(buffer, "PNG")
    return await verbs.take_file(alice, name="holiday 1.png", chunks=bytes_of(buffer.getvalue()))


async def submitted(caller: Caller, kind: str = "image", **parameters: Any) -> Task:
    task = await verbs.submit_operation(
        caller,
        operation="copy",
        kind=kind,
        parameters=parameters,
        name=parameters.get("name", ""),
    )
    async with database().writing() as session:
        return await advance(session, task, Event.START, Actor("flow", "system"))


async def done(caller: Caller, **parameters: Any) -> Task:
    run = TaskRun(await submitted(caller, **parameters))
    await steps.operate(run)
    return run.task


async def files_of(task: Task) -> list[File]:
    async with database().reading() as session:
        query = select(File).where(col(File.task_id) == task.id).order_by(col(File.created_at))
        return list((await session.execute(query)).scalars().all())


async def test_a_file_that_was_made_is_told_of_as_scan_documents_does(
    alice: Caller, picture: File, shown: Mapping[str, Mapping[str, str]]
) -> None:
    task = await done(alice, input=picture.id, name="Example Image")
    assert task.state is State.COMPLETED
    (file,) = await files_of(task)
    assert shown == {task.public_id: {file.id: "Example Image"}}
    assert task.result == {
        "generated_files": [
            {
                "id": file.id,
                "name": "Example Image",
                "type": "image/png",
                "properties": {"size": picture.size_bytes, "width": 30, "height": 20},
                "task_id": task.public_id,
                "created_at": file.created_at.isoformat().replace("+00:00", "Z"),
            }
        ],
        "source_count": 1,
    }
    assert (file.role, file.sha256) == ("generated", picture.sha256)
    assert await blobs().read(file.blob) == await blobs().read(picture.blob)


async def test_a_document_that_was_found_is_told_with_the_file_it_is_in(
    alice: Caller, picture: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = FoundDocument(
        bounding_box=BoundingBox(left=1, top=2, width=8, height=7),
        vertices=[Vertex(x=x, y=y) for x, y in ((1, 2), (9, 2), (9, 9), (1, 9))],
    )

    async def detect(source: Any, params: Params, *, folder: Blob) -> DetectDocumentsResult:
        return DetectDocumentsResult(documents=[found])

    row = replace(OPERATIONS["copy"], task=detect, takes_many=False)  # pyright: ignore[reportArgumentType]  # called like one
    monkeypatch.setitem(OPERATIONS, "copy", row)
    task = await done(alice, input=picture.id)
    assert task.result == {
        "documents": [
            {
                "bounding_box": {"left": 1, "top": 2, "width": 8, "height": 7},
                "vertices": [{"x": x, "y": y} for x, y in ((1, 2), (9, 2), (9, 9), (1, 9))],
                "file_id": picture.id,
            }
        ]
    }


async def test_each_file_that_was_made_is_an_event_and_in_order(
    alice: Caller, picture: File
) -> None:
    task = await done(alice, input=picture.id, times=12)
    made = await files_of(task)
    assert [file.name for file in made] == [f"holiday 1-page-{n}.png" for n in range(1, 13)]
    assert [one["id"] for one in task.result["generated_files"]] == [file.id for file in made]
    async with database().reading() as session:
        query = select(col(Activity.subject)).where(col(Activity.type) == "file.created")
        told = set((await session.execute(query)).scalars())
    assert told == {picture.id, *(file.id for file in made)}


async def test_the_output_of_a_task_is_an_input(
    alice: Caller, picture: File, takes_many: bool
) -> None:
    first = await done(alice, input=picture.id, name="A")
    given: Any = [first.public_id, picture.id] if takes_many else first.public_id
    second = await done(alice, input=given)
    assert second.result["source_count"] == (2 if takes_many else 1)
    assert [file.name for file in await files_of(second)] == ["A.png"]


async def test_several_files_are_an_input_where_several_are_taken(
    alice: Caller, picture: File, takes_many: bool
) -> None:
    first = await done(alice, input=picture.id, times=3)
    if takes_many:
        second = await done(alice, input=[first.public_id])
        assert second.result["source_count"] == 3
    else:
        with pytest.raises(InputError, match="takes one file, and these are 3") as caught:
            await done(alice, input=first.public_id)
        made = [file.id for file in await files_of(first)]
        assert caught.value.details["file_ids"] == made


async def test_a_task_at_work_is_waited_for(alice: Caller, picture: File) -> None:
    first = TaskRun(await submitted(alice, input=picture.id))
    second = TaskRun(await submitted(alice, input=first.task.public_id))
    waiting = asyncio.create_task(steps.operate(second))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await steps.operate(first)
    await waiting
    assert len(await files_of(second.task)) == 1


async def test_a_task_that_waits_for_a_person_is_not_waited_for(
    alice: Caller, waiting: Task
) -> None:
    with pytest.raises(ConflictError, match="has not ended") as caught:
        await done(alice, input=waiting.public_id)
    assert caught.value.details == {"task_id": waiting.public_id, "state": "in_review"}


async def test_a_task_that_made_nothing_is_no_input(alice: Caller, picture: File) -> None:
    task = await submitted(alice, input=picture.id)
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.id) == task.id).values(state=State.FAILED)
        )
    with pytest.raises(NotFoundError, match="has made no file"):
        await done(alice, input=task.public_id)


async def test_tasks_and_files_of_others_are_no_input(
    alice: Caller, stranger: Caller, picture: File
) -> None:
    task = await done(alice, input=picture.id)
    for given in (task.public_id, picture.id):
        with pytest.raises(NotFoundError):
            await done(stranger, input=given)


async def test_a_file_of_another_kind_is_refused(
    alice: Caller, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnsupportedFileError, match="another kind: application/pdf"):
        await done(alice, input=file.id)
    monkeypatch.setitem(
        OPERATIONS, "copy", replace(OPERATIONS["copy"], also_takes=frozenset({"pdf"}))
    )
    with pytest.raises(Exception, match="damaged"):  # taken, and found to be no real PDF
        await done(alice, input=file.id)


async def test_wrong_parameters_of_a_run_started_in_prefect_are_named(
    alice: Caller, picture: File
) -> None:
    with pytest.raises(InputError) as caught:
        await done(alice, input=picture.id, times="many", more=1)
    assert set(caught.value.details["fields"]) == {"times", "more"}


@pytest.mark.parametrize(
    ("files", "given", "source", "names"),
    [
        (["image.png"], "", "photo.jpg", ["photo.png"]),
        (["image.png"], "", "Mr. Smith", ["Mr. Smith.png"]),
        (["image.png"], "Example Image", "photo.jpg", ["Example Image"]),
        (["page-2.png", "page-7.png"], "", "a.tif", ["a-page-2.png", "a-page-7.png"]),
        (["page-2.png", "page-7.png"], "B", "a.tif", ["B-page-2.png", "B-page-7.png"]),
        (["page-2.png", "page-7.png"], "B.png", "a.tif", ["B-page-2.png", "B-page-7.png"]),
        (["1.pdf", "2.pdf"], "x" * 255, "", ["x" * 249 + "-1.pdf", "x" * 249 + "-2.pdf"]),
        ([], "A", "b", []),
    ],
)
def test_files_are_called_as_was_asked_for(
    files: list[str], given: str, source: str, names: list[str]
) -> None:
    assert names_of_made(files, given, source) == names
