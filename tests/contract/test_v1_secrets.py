"""A password of a file: used, and neither shown nor kept."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select, text

from flows import adopt
from flows.adopt import adopt_operation_run
from flows.engine import secret_blocks
from operations.registry import OPERATIONS, Operation
from store.database import database
from store.errors import InputError, NotFoundError, PapertrayError
from store.models import Task
from store.states import Event
from tests.contract.world import Client, let_happen, send_file

PASSWORD = "correct horse battery"  # of no file

ROWS = [row for row in OPERATIONS.values() if row.secrets]


async def send(client: Client) -> str:
    body = {"input": await send_file(client), "pages": "1", "password": PASSWORD}
    answer = await client.post("/v1/pdf-operations/extract-pages", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["parameters"]["password"] == "***"
    return answer.json()["id"]


async def row_of(public_id: str) -> Task:
    async with database().reading() as session:
        query = select(Task).where(col(Task.code) == public_id.removeprefix("task_"))
        return (await session.execute(query)).scalar_one()


async def tables_with(found: str) -> set[str]:
    """The tables in which a text stands anywhere."""
    names: set[str] = set()
    async with database().reading() as session:
        query = text("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in (await session.execute(query)).all():
            rows = await session.execute(text(f'SELECT * FROM "{table}"'))  # our own
            if any(found in repr(row) for row in rows.all()):
                names.add(table)
    return names


async def test_no_answer_has_it_and_only_its_own_column_until_the_task_ends(
    client: Client,
) -> None:
    public_id = await send(client)
    for address in (f"/v1/tasks/{public_id}", "/v1/tasks", "/v1/events"):
        assert PASSWORD not in (await client.get(address)).text
    task = await row_of(public_id)
    assert task.secrets == {"password": PASSWORD}
    assert task.parameters["password"] == "***"
    assert PASSWORD not in repr(task)
    assert await tables_with(PASSWORD) == {"task"}


@pytest.mark.parametrize(
    "events",
    [
        (Event.START, Event.FINISH),
        (Event.START, Event.FAIL),
        (Event.START, Event.TIME_OUT),
        (Event.CANCEL,),
    ],
)
async def test_it_is_gone_when_the_task_ends(events: tuple[Event, ...], client: Client) -> None:
    public_id = await send(client)
    await let_happen(public_id, *events)
    assert await tables_with(PASSWORD) == set()
    answer = await client.get(f"/v1/tasks/{public_id}")
    assert answer.json()["parameters"]["password"] == "***"


async def test_a_body_that_is_refused_does_not_echo_it(client: Client) -> None:
    body = {"input": "file_x", "pages": "1", "password": [PASSWORD]}
    answer = await client.post("/v1/pdf-operations/extract-pages", json=body)
    assert answer.status_code == 422
    assert "password" in answer.json()["errors"]
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_it_cannot_be_given_where_prefect_would_show_it(row: Operation) -> None:
    with pytest.raises(InputError, match="give the name of that as password_block") as caught:
        await adopt_operation_run(row.name, {"input": "file_x", "password": PASSWORD})
    assert PASSWORD not in repr(caught.value.as_result())


class Prefect:
    """Answers for the one Secret block it has."""

    def __init__(self, data: dict[str, Any]):
        self.data = data

    async def call(self, method: str, path: str, **params: Any) -> Any:
        assert (method, params) == ("GET", {"include_secrets": True})
        if path != "/block_types/slug/secret/block_documents/name/for-letters":
            raise NotFoundError
        return {"name": "for-letters", "data": self.data}


@pytest.fixture
def run_id(monkeypatch: pytest.MonkeyPatch) -> UUID:
    """Of the run in Prefect that makes the task."""
    run_id = uuid4()
    monkeypatch.setattr(adopt, "this_run", SimpleNamespace(id=str(run_id)))
    return run_id


async def test_a_run_of_prefect_takes_it_from_a_block_and_keeps_it_like_any_other(
    client: Client, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_blocks, "call", Prefect({"value": PASSWORD}).call)
    given = {"input": await send_file(client), "pages": "1", "password_block": "for-letters"}
    await adopt_operation_run("extract-pages", given)
    async with database().reading() as session:
        query = select(Task).where(col(Task.flow_run_id) == run_id)
        task = (await session.execute(query)).scalar_one()
    assert task.secrets == {"password": PASSWORD}
    assert task.parameters == {"input": given["input"], "pages": "1", "password": "***"}
    assert await tables_with(PASSWORD) == {"task"}
    await let_happen(task.public_id, Event.START, Event.FAIL)
    assert await tables_with(PASSWORD) == set()


@pytest.mark.parametrize(
    ("block", "data", "error"),
    [
        ("for-others", {"value": PASSWORD}, NotFoundError),
        ("for-letters", {"value": {"no": "text"}}, InputError),
    ],
)
async def test_a_block_that_is_not_there_or_has_no_text_is_named(
    block: str,
    data: dict[str, Any],
    error: type[PapertrayError],
    client: Client,
    run_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secret_blocks, "call", Prefect(data).call)
    given = {"input": await send_file(client), "password_block": block}
    with pytest.raises(error) as caught:
        await adopt_operation_run("split", given)
    assert caught.value.details == {"block": block}
