"""New rows that go past the unit of work are what it would have made of them."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from store.activity import record
from store.database import Database
from store.ids import now
from store.inserting import insert_new
from store.models import Activity, Delivery, File, Outbox, OutboxKind, Task, Webhook
from store.row import Row
from store.states import Actor, State

WHO = Actor("tester", "tests")
DUE = now()
OF_EACH_ROW = {"id", "code", "created_at", "updated_at", "available_at"}


def file_of(task: Task) -> File:
    return File(
        organization_id=task.organization_id,
        name="a.pdf",
        blob="files/a",
        type="application/pdf",
        size_bytes=3,
        sha256="00",
        properties={"page_count": 2},
    )


def task_like(task: Task) -> Task:
    return Task(
        organization_id=task.organization_id,
        operation="process",
        parameters={"a": ["ö", 1.5, None]},
        state=State.IN_REVIEW,
        due_at=DUE,
        is_private=True,
    )


def outbox_of(task: Task) -> Outbox:
    return Outbox(kind=OutboxKind.SUBMIT, task_id=task.id, payload={"key": "value"})


@pytest.mark.parametrize("make", [file_of, task_like, outbox_of])
async def test_a_row_is_the_same_in_either_way(
    opened: Database, task: Task, make: Callable[[Task], Row]
) -> None:
    async with opened.writing() as session:
        session.add(one := make(task))
        await session.flush()
        session.add(make(task))
        await insert_new(session)
        assert not session.new
    table = type(one).__tablename__
    async with opened.reading() as session:
        found = await session.execute(text(f"SELECT * FROM {table} ORDER BY rowid DESC LIMIT 2"))
    first, second = (
        {name: value for name, value in row.items() if name not in OF_EACH_ROW}
        for row in found.mappings()
    )
    assert first == second


async def test_events_have_their_numbers_in_order_and_their_webhooks(
    opened: Database, task: Task
) -> None:
    types = ["file.created", "task.created", "task.discarded"]
    hook = Webhook(
        organization_id=task.organization_id, url="https://a", secret="s", event_types=types[1:]
    )
    async with opened.writing() as session:
        session.add(hook)
    async with opened.writing() as session:
        rows = [record(session, one, WHO, task=task) for one in types]
        await insert_new(session)
    assert [row.number for row in rows] == sorted(row.number or 0 for row in rows)
    async with opened.reading() as session:
        told = (
            select(col(Activity.type))
            .join(Delivery, col(Delivery.activity_number) == col(Activity.number))
            .order_by(col(Delivery.id))
        )
        assert (await session.execute(told)).scalars().all() == types[1:]
        numbers = select(col(Activity.number)).order_by(col(Activity.number))
        assert (await session.execute(numbers)).scalars().all() == [row.number for row in rows]


async def test_what_refers_to_nothing_is_refused(opened: Database, task: Task) -> None:
    async def insert() -> None:
        async with opened.writing() as session:
            session.add(file_of(task))
            session.add(Outbox(kind=OutboxKind.SUBMIT, task_id=uuid4()))
            await insert_new(session)

    with pytest.raises(IntegrityError):
        await insert()
    async with opened.reading() as session:
        assert (await session.execute(select(File))).first() is None
