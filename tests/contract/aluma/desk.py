"""What clients of Aluma do, and what workers do meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import update
from sqlmodel import col, select

from store.database import database
from store.ids import id_of, now
from store.keys import create_key
from store.models import Document, File, Task
from store.states import Event
from tests.contract.world import (
    Client,
    add_output,
    let_happen,
    put_into_review,
)

Connect = Callable[..., Awaitable[Client]]

PDF = b"%PDF-1.7 made up"
TAGS = r"task_name=AB3947853&file_name=00001.pdf&file_path=C:\inbox&file_created_time=1711958908"

PROJECT_FILE = """\
name: medical-records
title: ACME Medical Records
document_types:
  - name: invoice
    keywords: [invoice]
    fields:
      - {name: number, required: true, labels: ["Invoice no"]}
      - {name: total, type: money, required: true, labels: ["Total"]}
  - name: receipt
    keywords: [receipt]
    fields:
      - {name: kind, type: choice, options: [cash, card], labels: ["Paid"]}
"""


async def token_of(client: Client, *scopes: str, organization: str, user: str = "") -> str:
    new = await create_key(
        scopes or ["admin"], organization=organization, user=user, is_client=True
    )
    body = {"client_id": str(new.row.id), "client_secret": new.client_secret}
    answer = await client.post("/oauth/token", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


async def create(client: Client, project_id: str, tags: str = TAGS, content: bytes = PDF) -> str:
    """A task, queued; answers its id."""
    answer = await client.post(
        "/tasks",
        params={"project_id": project_id},
        content=content,
        headers={"Content-Type": "application/pdf", "X-Aluma-Tags": tags},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


async def row_of(task_id: str) -> Task:
    async with database().reading() as session:
        query = select(Task).where(col(Task.id) == id_of(task_id))
        return (await session.execute(query)).scalar_one()


async def worked_on(task_id: str, *events: Event, **changes: Any) -> Task:
    """What a worker does with a task."""
    return await let_happen((await row_of(task_id)).public_id, *events, **changes)


async def awaiting_validation(client: Client, project_id: str) -> str:
    task_id = await create(client, project_id)
    await put_into_review((await row_of(task_id)).public_id)
    return task_id


async def offered(task_id: str) -> File:
    """Lets a task that was validated wait for export; answers its file."""
    task = await worked_on(task_id, Event.OFFER_EXPORT, export_round=1)
    return await add_output(task)


async def awaiting_export(client: Client, project_id: str) -> str:
    task_id = await awaiting_validation(client, project_id)
    await worked_on(task_id, Event.ANSWER)
    await offered(task_id)
    return task_id


async def let_data_go(task_id: str) -> None:
    """What the eraser writes once the data of a task is gone."""
    await change(task_id, erase_after=None, erased_at=now())


async def change(task_id: str, **columns: Any) -> None:
    async with database().writing() as session:
        await session.execute(update(Task).where(col(Task.id) == id_of(task_id)).values(**columns))


async def change_documents(task_id: str, **columns: Any) -> None:
    async with database().writing() as session:
        await session.execute(
            update(Document).where(col(Document.task_id) == id_of(task_id)).values(**columns)
        )


async def standing(client: Client, task_id: str) -> tuple[str, str | None]:
    """State and client action of a task, which its list has too."""
    answer = await client.get(f"/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    task = answer.json()
    listed = (await client.get("/tasks", params={"state": task["state"]})).json()["tasks"]
    assert task in listed
    return task["state"], task.get("client_action")


def message_in(answer: Any, status: int) -> str:
    """The message of an error, which has nothing beside it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["message"]
    return answer.json()["message"]
