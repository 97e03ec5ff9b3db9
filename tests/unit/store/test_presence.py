from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select, update

from store.database import database
from store.ids import now
from store.models import Organization, Presence, Task
from store.presence import GONE_AFTER, present, tell_gone, tell_present


@pytest.fixture
async def task_ids(home: None) -> list[UUID]:
    organization = Organization(name=uuid4().hex)
    tasks = [Task(organization_id=organization.id, operation="process") for _ in range(2)]
    ids = [one.id for one in tasks]
    async with database().writing() as session:
        session.add(organization)
        await session.flush()
        session.add_all(tasks)
    return ids


async def names(task_id: UUID) -> list[str]:
    async with database().reading() as session:
        return list(await present(session, task_id))


async def test_who_has_a_page_open_is_seen_until_it_is_closed(task_ids: list[UUID]) -> None:
    task_id, other = task_ids
    async with database().writing() as session:
        for name in ("ben", "ana", "ana"):
            await tell_present(session, task_id, name)
    assert await names(task_id) == ["ana", "ben"]
    assert await names(other) == []
    async with database().writing() as session:
        await tell_gone(session, task_id, "ana")
    assert await names(task_id) == ["ben"]


async def test_of_whom_nothing_is_heard_is_gone_and_soon_forgotten(task_ids: list[UUID]) -> None:
    task_id, other = task_ids
    long_ago = now() - GONE_AFTER - timedelta(seconds=1)
    async with database().writing() as session:
        await tell_present(session, task_id, "ana")
        await session.execute(update(Presence).values(seen_at=long_ago))
    assert await names(task_id) == []
    async with database().writing() as session:
        await tell_present(session, other, "ben")
    async with database().reading() as session:
        left = (await session.execute(select(col(Presence.actor)))).scalars().all()
    assert left == ["ben"]
