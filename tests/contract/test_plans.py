"""Lists of tasks are read in the order of an index: no page costs more than the first."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlmodel import col, select

from api.review_pages.queue import Filter
from store.access import Caller, visible
from store.database import database
from store.ids import now
from store.models import Task
from store.organizations import default_organization
from store.state_counts import count_some
from store.states import Actor
from store.turn import NO_DUE, TURN_KEYS, WAITS, stretches
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


@pytest.mark.parametrize(
    ("shown", "index"),
    [
        (Filter(state="completed", verdict="wrong"), "ix_task_verdict"),
        (Filter(state="completed", assignee="ann@example.com"), "ix_task_decided"),
    ],
    ids=["verdict", "assignee"],
)
async def test_those_that_ended_so_are_counted_in_an_index_alone(
    shown: Filter, index: str, client: Client, statements: list[tuple[str, Any]]
):
    del client
    caller = Caller(await default_organization(), Actor("ann@example.com", "v1"))
    async with database().reading() as session:
        await count_some(session, visible(Task, caller).where(*shown.conditions(caller, None)))
        connection = await session.connection()
        statement, parameters = statements[-1]
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [row[3] for row in plan]
        assert any(f"COVERING INDEX {index} (" in step for step in steps), steps


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("due_at", [now(), NO_DUE], ids=["due", "not due"])
async def test_every_stretch_of_the_queue_is_a_range_of_the_index_of_turns(
    due_at: Any, backwards: bool, client: Client
):
    del client
    after = [0, due_at, now(), "a"]
    found = stretches(TURN_KEYS, after, backwards=backwards)
    assert len(found) == len(TURN_KEYS)
    async with database().reading() as session:
        connection = await session.connection()
        for one in (*found, *stretches(TURN_KEYS)):
            query = select(Task).where(col(Task.organization_id) == uuid4(), WAITS)
            query = query.where(*one.conditions).order_by(*one.order).limit(51)
            compiled = query.compile(
                dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
            )
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
            steps = [row[3] for row in plan]
            # Of those that came at one moment there are few, by whichever index they are found.
            wanted = ("ix_task_turn (", "created_at=? AND code")
            assert any(one in step for step in steps for one in wanted), steps
            assert not any("TEMP B-TREE" in step for step in steps), steps
