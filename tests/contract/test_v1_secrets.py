"""A password of a file: used, and neither shown nor kept."""

import pytest
from sqlmodel import col, select, text

from flows.adopt import adopt_operation_run
from operations.registry import OPERATIONS, Operation
from store.database import database
from store.errors import InputError
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
    with pytest.raises(InputError, match="Send the task by the API"):
        await adopt_operation_run(row.name, {"input": "file_x", "password": PASSWORD})
