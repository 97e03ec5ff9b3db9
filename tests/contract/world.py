"""Tasks in every state, made as people and workers make them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
from sqlmodel import col, select

from store.blobs import blobs
from store.database import database
from store.lifecycle import advance
from store.models import Document, File, Page, Task
from store.settings import settings
from store.states import Actor, Event

MakeKey = Callable[..., Awaitable[str]]
Client = httpx.AsyncClient

PROJECT = """\
name: invoices
document_type: invoice
fields:
  - name: number
    required: true
    labels: ["Invoice no"]
  - name: total
    type: money
    required: true
    labels: ["Total"]
"""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
"""One transparent pixel."""


async def install(client: Client) -> None:
    answer = await client.post(
        "/v1/projects", content=PROJECT, headers={"content-type": "application/yaml"}
    )
    assert answer.status_code == 201, answer.text


async def send_file(client: Client, content: bytes = PNG, name: str = "page.png") -> str:
    answer = await client.post("/v1/files", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def send_task(client: Client, **fields: str) -> str:
    """A task of the project, queued."""
    await install(client)
    answer = await client.post(
        "/v1/tasks", files={"file": ("page.png", PNG)}, data={"project": "invoices", **fields}
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


WORKER = Actor("flow", "system")


async def let_happen(public_id: str, *events: Event, **changes: Any) -> Task:
    """What a worker would do to the task."""
    task = await task_of(public_id)
    for event in events:
        async with database().writing() as session:
            task = await advance(session, task, event, WORKER, **changes)
    return task


async def task_of(public_id: str) -> Task:
    async with database().reading() as session:
        query = select(Task).where(col(Task.code) == public_id.removeprefix("task_"))
        return (await session.execute(query)).scalar_one()


async def put_into_review(public_id: str) -> Task:
    """The task as a worker leaves it: read, extracted, waiting for a person."""
    await add_document(await let_happen(public_id, Event.START))
    return await let_happen(
        public_id, Event.ASK, review_round=1, review_reason="to be confirmed: total"
    )


async def add_document(task: Task) -> None:
    """What a worker finds in the file of a task."""
    async with database().writing() as session:
        session.add(
            Document(
                task_id=task.id,
                number=1,
                document_type="invoice",
                page_numbers=[1],
                fields={
                    name: {
                        "name": name,
                        "label": name.capitalize(),
                        "type": kind,
                        "value": value,
                        "text": value,
                        "confidence": 0.5,
                        "page_number": 1,
                        "box": [1.0, 2.0, 3.0, 4.0],
                        "method": "label",
                        "needs_confirmation": True,
                    }
                    for name, kind, value in [
                        ("number", "text", "4711"),
                        ("total", "money", "9.00"),
                    ]
                },
            )
        )
        image = f"tasks/{task.id}/read/1.png"
        session.add(
            Page(
                task_id=task.id,
                number=1,
                width_pixels=1,
                height_pixels=1,
                method="ocr",
                confidence=0.9,
                image_blob=image,
                words_blob=f"tasks/{task.id}/read/1.json",
            )
        )
    await write_blob(image, PNG)


async def write_blob(key: str, content: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await blobs().write_stream(key, chunks())


async def add_output(task: Task, name: str = "data.json") -> File:
    file = File(
        organization_id=task.organization_id,
        name=name,
        blob=f"tasks/{task.id}/export/{name}",
        type="application/json",
        size_bytes=2,
        sha256="0" * 64,
        task_id=task.id,
        role="data",
    )
    await write_blob(file.blob, b"{}")
    async with database().writing() as session:
        session.add(file)
    return file


def blobs_on_disk() -> list[str]:
    """All that lies in the storage."""
    root = settings().home / "blobs"
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
