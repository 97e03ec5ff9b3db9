"""Pages of tasks: their order, their neighbours, their filters, and what they cost."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, event, select, text, update
from sqlmodel import col

from store.access import Caller
from store.database import database
from store.models import Project, Task
from store.project_tasks import Settled, settled_tasks, unsettled_tasks
from store.states import Actor, State
from tests.contract.counters import counted_anew, counted_on
from tests.contract.human_lambdas.desk import Desk, refused, row_of
from tests.contract.world import Client

DAY = datetime(2020, 10, 8, tzinfo=UTC)


async def some_tasks(
    desk: Desk, count: int, apart: timedelta = timedelta(hours=1), **columns: Any
) -> list[int]:
    """Tasks that were completed one after the other; their numbers, the newest first."""
    first = await row_of((await desk.create())["id"])
    copied = first.model_dump(exclude={"id", "code", "number"}) | {"state": State.COMPLETED}
    async with database().writing() as session:
        settled = {"settled_at": DAY, "decided_by": "joe@example.com", **columns}
        await session.execute(
            update(Task).where(col(Task.id) == first.id).values(state=State.COMPLETED, **settled)
        )
        for index in range(1, count):
            at = DAY + index * apart
            members: dict[str, Any] = {**copied, **settled, "settled_at": at}
            session.add(Task(**members, number=(first.number or 0) + 1000 + index))
    listed = await desk.completed()
    return [task["id"] for task in listed["tasks"]]


async def test_following_next_and_previous_gives_each_task_once(joe: Desk) -> None:
    numbers = await some_tasks(joe, 7, apart=timedelta(hours=11))
    for limit in (1, 2, 3, 7, 8):
        await follow(joe, limit, numbers)


async def follow(joe: Desk, limit: int, numbers: Sequence[int]) -> None:
    seen: list[Sequence[int]] = []
    address: str | None = f"{joe.address}/tasks/completed?limit={limit}"
    last: dict[str, Any] = {}
    while address:
        page = (await joe.client.get(address)).json()
        assert page["count"] == 7
        seen.append([task["id"] for task in page["tasks"]])
        address, last = page["next"], page
        assert address is None or address.startswith(f"http://papertray.test{joe.queues}")
    assert [number for page in seen for number in page] == numbers
    back: list[Sequence[int]] = [[task["id"] for task in last["tasks"]]]
    while last["previous"]:
        last = (await joe.client.get(last["previous"])).json()
        back.append([task["id"] for task in last["tasks"]])
    assert back[::-1] == seen


async def test_a_page_is_of_a_hundred_and_never_of_more_than_a_thousand(joe: Desk) -> None:
    await some_tasks(joe, 102)
    assert len((await joe.completed())["tasks"]) == 100
    whole = await joe.completed(limit=5000)
    assert (len(whole["tasks"]), whole["next"]) == (102, None)
    assert "limit=1000" in (await joe.completed(limit=5000, offset=1))["previous"]


async def test_neighbours_are_spelt_as_the_page_and_keep_its_filters(joe: Desk) -> None:
    await some_tasks(joe, 3)
    address = joe.address.replace("queues", "workflows")
    page = await joe.client.get(f"{address}/tasks/completed?limit=1&offset=1&worker_id=1")
    for link, offset in ((page.json()["next"], 2), (page.json()["previous"], 0)):
        assert link.startswith(f"http://papertray.test{address}/tasks/completed?")
        assert f"offset={offset}" in link
        assert "worker_id=1" in link


async def test_a_page_behind_the_last_is_empty_and_leads_back(joe: Desk) -> None:
    await some_tasks(joe, 2)
    page = await joe.completed(offset=10, limit=5)
    assert (page["count"], page["tasks"], page["next"]) == (2, [], None)
    assert "offset=5" in page["previous"]


async def test_completed_tasks_are_filtered(joe: Desk, ada: Desk) -> None:
    numbers = await some_tasks(joe, 30, source="rows.csv")
    async with database().writing() as session:
        first = update(Task).where(col(Task.number) == numbers[0])
        await session.execute(
            first.values(decided_by="ada@example.com", is_correct=False, source="api")
        )

    async def found(**query: Any) -> list[int]:
        return [task["id"] for task in (await joe.completed(**query))["tasks"]]

    assert await found(end_date="2020-10-08") == numbers[6:]
    assert await found(start_date="2020-10-09") == numbers[:6]
    assert await found(start_date="2020-10-09T02:00:00Z") == numbers[:4]
    assert await found(end_date="2020-10-09T02:00:00+02:00") == numbers[6:]
    assert await found(worker_id="ada@example.com") == numbers[:1]
    assert await found(worker_id=1) == numbers[1:]
    assert await found(worker_id=4711) == []
    assert await found(source_id="rows.csv") == numbers[1:]
    assert await found(correct="false") == numbers[:1]
    assert await found(correct="true") == []
    assert await found(worker_id=1, start_date="2020-10-09", limit=2, offset=1) == numbers[2:4]


async def test_a_wrong_query_is_refused_by_name(joe: Desk) -> None:
    for query, field in (
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("offset=-1", "offset"),
        ("start_date=yesterday", "start_date"),
        ("end_date=2020-13-01", "end_date"),
        ("end_date=9999-12-31", "end_date"),
        ("correct=perhaps", "correct"),
        ("worker_id=%00", "worker_id"),
    ):
        (error,) = refused(await joe.client.get(f"{joe.address}/tasks/completed?{query}"), 400)
        assert error["field"] == field


async def test_what_is_not_completed_is_pending_the_oldest_first(joe: Desk) -> None:
    await some_tasks(joe, 2)
    numbers = [(await joe.create())["id"] for _ in range(3)]
    page = await joe.pending(limit=2)
    assert (page["count"], [task["id"] for task in page["tasks"]]) == (3, numbers[:2])
    rest = (await joe.client.get(page["next"])).json()
    assert [task["id"] for task in rest["tasks"]] == numbers[2:]


async def test_private_tasks_are_on_the_pages_of_their_owner_alone(joe: Desk, ada: Desk) -> None:
    numbers = await some_tasks(joe, 5)
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.number) == numbers[2]).values(is_private=True)
        )
    mine, theirs = await joe.completed(), await ada.completed()
    assert [task["id"] for task in mine["tasks"]] == numbers
    assert mine["count"] == 5
    assert [task["id"] for task in theirs["tasks"]] == numbers[:2] + numbers[3:]
    assert theirs["count"] == 4
    assert [task["id"] for task in (await joe.completed(limit=2, offset=1))["tasks"]] == (
        numbers[1:3]
    )


async def test_deleted_tasks_are_on_no_page(joe: Desk) -> None:
    numbers = await some_tasks(joe, 2)
    waiting = (await joe.create())["id"]
    async with database().writing() as session:
        await session.execute(
            update(Task).where(col(Task.number).in_([numbers[0], waiting])).values(deleted_at=DAY)
        )
    assert [task["id"] for task in (await joe.completed())["tasks"]] == numbers[1:]
    assert (await joe.pending())["count"] == 0


async def test_what_is_on_a_page_is_read_off_an_index_alone(joe: Desk) -> None:
    """The rows that are skipped and counted cost no look at the table."""
    await some_tasks(joe, 3)
    await joe.create()
    async with database().reading() as session:
        query = select(Project).where(col(Project.number) == joe.id)
        project = (await session.execute(query)).scalar_one()
        caller = Caller(project.organization_id, Actor("joe@example.com", "x"), user_id=UUID(int=1))
        asked: list[str] = []

        def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
            if "count(" in statement or "OFFSET" in statement:
                asked.append(statement)

        connection = (await session.connection()).sync_connection
        event.listen(connection, "before_cursor_execute", note)
        wanted = Settled(source="api")
        await settled_tasks(session, caller, project, wanted, limit=1, offset=1)
        await unsettled_tasks(session, caller, project, limit=1, offset=0)
        event.remove(connection, "before_cursor_execute", note)
        plans = [
            # Which values there are is nothing to the plan.
            "\n".join(row[3] for row in await session.execute(text(f"EXPLAIN QUERY PLAN {one}")))
            for one in (statement.replace("?", "1") for statement in asked)
        ]
    used = ["ix_task_settled"] * 2 + ["ix_task_unsettled"]
    for plan, index in zip(plans, used, strict=True):
        assert f"COVERING INDEX {index}" in plan
        assert "TEMP B-TREE" not in plan


async def test_the_count_that_is_kept_is_that_of_the_tasks_whatever_happens_to_them(
    joe: Desk, client: Client
) -> None:
    async def check(expected: int) -> None:
        assert await counted_on() == await counted_anew()
        assert (await joe.completed())["count"] == expected

    numbers = await some_tasks(joe, 5)
    await check(5)
    ids = [(await row_of(number)).public_id for number in numbers]
    async with database().writing() as session:
        for number, is_correct, wrong in zip(
            numbers, (True, False, False), (None, ["total", "due"], None), strict=False
        ):
            judged = update(Task).where(col(Task.number) == number)
            await session.execute(judged.values(is_correct=is_correct, wrong_fields=wrong))
    assert (await counted_anew())[-1]
    await check(5)
    async with database().writing() as session:
        one = update(Task).where(col(Task.number) == numbers[1])
        await session.execute(one.values(wrong_fields=["total"], handling_seconds=7.0))
    await check(5)
    assert (await client.post(f"/v1/tasks/{ids[0]}/unlock")).status_code == 200
    await check(4)
    assert (await client.delete(f"/v1/tasks/{ids[1]}")).status_code == 204
    await check(3)
    assert (await client.delete(f"/v1/tasks/{ids[0]}")).status_code == 204
    await check(3)
    async with database().writing() as session:
        one = update(Task).where(col(Task.number) == numbers[2])
        await session.execute(one.values(is_private=True))
        await session.execute(delete(Task).where(col(Task.number) == numbers[3]))
    await check(2)  # the private one is his
