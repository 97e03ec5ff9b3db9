"""Lists of tasks are read in the order of an index: no page costs more than the first."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from store.database import database
from tests.contract.world import Client, put_into_review, send_task

CALLS = {
    ("GET", "/v1/tasks?take=1&from={}"): "ix_task_organization",
    ("GET", "/v1/tasks?take=1&state=in_review&from={}"): "ix_task_state",
    ("GET", "/v1/tasks?take=1&project=invoices&from={}"): "ix_task_project",
    ("GET", "/v1/tasks?take=1&assignee=me&from={}"): "ix_task_held",
    ("POST", "/v1/tasks/next?project=invoices"): "ix_task_turn_in_project",
    ("POST", "/v1/tasks/next"): "ix_task_turn",
}


@pytest.fixture
def statements(app: Any) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database, as it is asked."""
    del app
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((statement, parameters))

    engine = database().engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(("call", "index"), CALLS.items(), ids=str)
async def test_tasks_are_read_in_the_order_of_an_index(
    call: tuple[str, str], index: str, client: Client, statements: list[tuple[str, Any]]
):
    task_id = await send_task(client)
    await put_into_review(task_id)
    statements.clear()
    method, path = call
    answer = await client.request(method, path.format(task_id))
    assert answer.status_code == 200
    ordered = [one for one in statements if "FROM task" in one[0] and "ORDER BY" in one[0]]
    assert ordered
    async with database().reading() as session:
        connection = await session.connection()
        for statement, parameters in ordered:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in plan]
            assert any(f"{index} (" in step for step in steps), steps
            assert not any("TEMP B-TREE" in step for step in steps), steps
