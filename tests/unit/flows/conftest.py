from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flows import verbs
from store.access import Caller
from store.database import database
from store.fields import FieldType, FieldValue
from store.ids import now
from store.lifecycle import advance
from store.models import Document, File, Task
from store.organizations import organization_named
from store.states import Actor, Event

PROJECT = """\
name: invoices
fields:
  - {name: number, labels: [Invoice No], required: true}
  - {name: net, type: money, labels: [Net]}
  - {name: total, type: money, labels: [Total], required: true}
sums:
  - {parts: [net], total: total}
"""


async def bytes_of(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def caller_named(name: str, organization: str = "acme") -> Caller:
    return Caller(await organization_named(organization), Actor(name, "tests"))


@pytest.fixture
async def alice(home: Path) -> Caller:
    return await caller_named("alice@example.com")


@pytest.fixture
async def bob(home: Path) -> Caller:
    return await caller_named("bob@example.com")


@pytest.fixture
async def stranger(home: Path) -> Caller:
    return await caller_named("eve@example.com", "other")


@pytest.fixture
async def file(alice: Caller) -> File:
    return await verbs.take_file(alice, name="a.pdf", chunks=bytes_of(b"%PDF-1.7 made up"))


@pytest.fixture
async def queued(alice: Caller, file: File) -> Task:
    await verbs.install_project(alice, PROJECT)
    return await verbs.submit_process(alice, project="invoices", file_id=file.id)


@pytest.fixture
async def waiting(alice: Caller, queued: Task) -> Task:
    return await make_wait(queued)


async def make_wait(task: Task) -> Task:
    """What the flow does until a person is asked."""
    flow = Actor("flow", "system")
    async with database().writing() as session:
        task = await advance(session, task, Event.START, flow)
        fields = {
            "number": value("number", "A-1"),
            "net": value("net", "10.00", FieldType.MONEY),
            "total": value("total", None, FieldType.MONEY),
        }
        session.add(
            Document(
                task_id=task.id,
                number=1,
                document_type="invoice",
                page_numbers=[1],
                fields={name: one.model_dump(mode="json") for name, one in fields.items()},
            )
        )
        return await advance(
            session, task, Event.ASK, flow, review_round=1, review_since=now(), review_reason="why"
        )


def value(name: str, content: object, kind: FieldType = FieldType.TEXT) -> FieldValue:
    return FieldValue(
        name=name, label=name, type=kind, value=content, text=str(content or ""), confidence=0.9
    )


Verb = Callable[[Caller, str], Awaitable[Task]]
