"""A run that was started in Prefect makes its own task, of a file or of data."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.objects import StateType
from sqlalchemy import func, select

from flows import adopt, task_run, verbs
from flows.adopt import adopt_operation_run, adopt_process_run
from flows.downloads import download
from flows.process_task import process_task
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import (
    AddressError,
    FieldsInvalidError,
    InputError,
    NotFoundError,
    PapertrayError,
)
from store.models import File, Outbox, Task
from store.organizations import default_organization
from store.settings import settings
from store.states import Actor
from tests.receiver import answer, receiving
from tests.unit.flows.conftest import PROJECT

DATA_PROJECT = "name: orders\nblocks: [{name: number, type: number, required: true}]\n"


@pytest.fixture(autouse=True)
async def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Run:
        id = str(uuid4())

    monkeypatch.setattr(adopt, "this_run", Run)
    caller = Caller(await default_organization(), Actor("operator", "cli"))
    for source in (DATA_PROJECT, PROJECT):
        await verbs.install_project(caller, source)
    settings().effective_inbox.mkdir()
    (settings().effective_inbox / "a.pdf").write_bytes(b"%PDF-1.7 made up")


async def count(kind: Any) -> int:
    async with database().reading() as session:
        return (await session.execute(select(func.count()).select_from(kind))).scalar_one()


async def test_data_becomes_a_task_once_however_often_the_run_is_executed() -> None:
    task_id = await adopt_process_run("orders", None, {"number": 7})
    assert await adopt_process_run("orders", None, {"number": 7}) == task_id
    async with database().reading() as session:
        task = await session.get_one(Task, task_id)
    assert (task.task_data, task.source) == ({"number": 7}, "prefect")
    assert str(task.flow_run_id) == adopt.this_run.id
    assert (await count(Task), await count(Outbox)) == (1, 0)


async def test_a_file_of_the_inbox_becomes_a_task() -> None:
    task_id = await adopt_process_run("invoices", "a.pdf")
    async with database().reading() as session:
        assert (await session.get_one(Task, task_id)).name == "a.pdf"


@pytest.mark.parametrize(
    ("project", "source", "data"),
    [
        (None, "a.pdf", None),
        ("orders", None, None),
        ("orders", "", None),
        ("invoices", "a.pdf", {"number": 7}),
        ("invoices", "a.pdf", {}),
    ],
)
async def test_neither_and_both_are_refused_with_what_would_be_right(
    project: str | None, source: str | None, data: dict[str, Any] | None
) -> None:
    with pytest.raises(InputError, match="either `input`, a file, or `data`"):
        await adopt_process_run(project, source, data)
    assert await count(Task) == 0


async def test_what_the_project_does_not_take_leaves_nothing_behind() -> None:
    with pytest.raises(InputError, match="takes files and no data"):
        await adopt_process_run("invoices", None, {"number": 7})
    with pytest.raises(FieldsInvalidError):
        await adopt_process_run("orders", None, {"number": "seven"})
    with pytest.raises(InputError, match="takes data and no file"):
        await adopt_process_run("orders", "a.pdf")
    with pytest.raises(NotFoundError):
        await adopt_process_run("invoices", "../papertray.db")
    assert (await count(Task), await count(File)) == (0, 0)
    assert await blobs().size_bytes("files/") == 0


async def test_a_file_can_be_named_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/in/b%20c.pdf": answer(200, "%PDF-1.7 made up"), "/gone": answer(404)}
    async with receiving(lambda heard: answers[heard.path]) as server:
        with pytest.raises(AddressError):  # nobody reads what is inside by way of this server
            await adopt_process_run("invoices", server.url("/in/b%20c.pdf"))
        assert server.heard == []
        monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
        settings.cache_clear()
        with pytest.raises(InputError, match="answered 404"):
            await adopt_process_run("invoices", server.url("/gone"))
        task_id = await adopt_process_run("invoices", server.url("/in/b%20c.pdf"))
    with pytest.raises(InputError, match="connection failed"):
        await download(await adopt._caller(), server.url("/away"))
    async with database().reading() as session:
        task = await session.get_one(Task, task_id)
        file = await session.get_one(File, task.input_file_id)
    assert (task.name, file.type) == ("b c.pdf", "application/pdf")
    assert await blobs().read(file.blob) == b"%PDF-1.7 made up"


async def test_an_operation_takes_a_file_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    async with receiving(lambda _: answer(200, "%PDF-1.7 made up")) as server:
        task_id = await adopt_operation_run("merge", {"input": [server.url("/a.pdf"), "a.pdf"]})
    async with database().reading() as session:
        task = await session.get_one(Task, task_id)
        files = [await session.get_one(File, one) for one in task.parameters["input"]]
    assert [file.name for file in files] == ["a.pdf", "a.pdf"]


async def test_no_values_are_data_too_for_a_person_to_fill_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def adopted(adopting: Awaitable[UUID], _: object) -> UUID:
        return await adopting

    monkeypatch.setattr("flows.process_task.adopt_and_execute", adopted)
    with pytest.raises(InputError, match="takes files and no data"):
        await process_task.fn(project="invoices")
    with pytest.raises(InputError, match="Give `task_id`; or `project`"):
        await process_task.fn()
    task_id = await process_task.fn(project="orders")
    async with database().reading() as session:
        assert (await session.get_one(Task, task_id)).task_data == {}


async def test_a_refused_run_fails_with_the_code_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[PapertrayError] = []

    async def show(error: PapertrayError) -> None:
        shown.append(error)

    monkeypatch.setattr(task_run, "show_refusal", show)
    async with receiving(lambda _: answer(200, "%PDF-1.7 made up")) as server:
        state = await process_task.fn(project="gone", input=server.url("/a.pdf"))
        assert server.heard == []
    assert (state.type, state.name) == (StateType.FAILED, "Failed")
    assert (state.message or "").startswith("not_found: There is no project named 'gone'.")
    state = await process_task.fn(project="orders", data={"number": "seven"})
    assert state.name == "Failed"
    assert "among the artifacts" in (state.message or "")
    assert [list(error.details.get("fields", ())) for error in shown] == [[], ["number"]]
    assert (await count(Task), await count(File)) == (0, 0)
