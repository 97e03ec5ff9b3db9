"""A queue, people at it, and what a worker does to its tasks meanwhile."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI
from sqlmodel import col, select

from store.database import database
from store.models import Task
from store.organizations import number_of, organization_named
from store.states import Event
from tests.contract.world import Client, MakeKey, let_happen

BLOCKS: list[dict[str, Any]] = [
    {"id": "comment", "name": "Comment", "type": "text", "text": {"read_only": True}},
    {"id": "approve", "name": "Approve", "type": "binary", "binary": {"is_required": True}},
]
COMMENT = "This is some random text"


@asynccontextmanager
async def signed_in(app: FastAPI, key: str) -> AsyncIterator[Client]:
    """A client of Human Lambdas."""
    transport = httpx.ASGITransport(app)
    headers = {"authorization": f"Token {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://papertray.test", headers=headers
    ) as client:
        yield client


async def organization_number(name: str = "acme") -> int:
    return await number_of(await organization_named(name))


@dataclass
class Desk:
    """Somebody at a queue."""

    client: Client
    queues: str
    """Address of the queues of the organization."""
    id: int = 0

    @property
    def address(self) -> str:
        """Of the queue."""
        return f"{self.queues}/{self.id}"

    async def set_up(self, name: str = "Moderate Comments", blocks: Any = BLOCKS) -> "Desk":
        body = {"name": name, "data": blocks}
        self.id = done(await self.client.post(self.queues, json=body), 201)["id"]
        return self

    async def create(self, data: Mapping[str, Any] | None = None, **members: Any) -> dict[str, Any]:
        body = {"data": data or {"comment": COMMENT}, **members}
        return done(await self.client.post(f"{self.address}/tasks/create", json=body), 201)

    async def show(self, number: int) -> dict[str, Any]:
        return done(await self.client.get(f"{self.address}/tasks/{number}"))

    async def take(self) -> dict[str, Any]:
        return done(await self.client.get(f"{self.address}/tasks/next"))

    async def submit(self, number: int, data: Mapping[str, Any]) -> dict[str, Any]:
        return done(await self.client.patch(f"{self.address}/tasks/{number}", json={"data": data}))

    async def completed(self, **query: Any) -> dict[str, Any]:
        return done(await self.client.get(f"{self.address}/tasks/completed", params=query))

    async def pending(self, **query: Any) -> dict[str, Any]:
        return done(await self.client.get(f"{self.address}/tasks/pending", params=query))


def done(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response, status: int) -> list[dict[str, str]]:
    """What is wrong, in the shape of Human Lambdas."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert content.keys() == {"status_code", "errors"}
    assert content["status_code"] == status
    assert content["errors"]
    for error in content["errors"]:
        assert {"message"} <= error.keys() <= {"message", "field"}
    return content["errors"]


async def row_of(number: int) -> Task:
    async with database().reading() as session:
        return (await session.execute(select(Task).where(col(Task.number) == number))).scalar_one()


async def ask(number: int) -> Task:
    """What a worker does with a new task: it asks a person."""
    task = await row_of(number)
    await let_happen(task.public_id, Event.START)
    return await let_happen(
        task.public_id, Event.ASK, review_round=1, review_step="extract", review_reason="data"
    )


async def finish(number: int) -> Task:
    """What a worker does with a task that was answered."""
    return await let_happen((await row_of(number)).public_id, Event.FINISH)


async def desk_of(app: FastAPI, make_key: MakeKey, user: str) -> AsyncIterator[Desk]:
    key = await make_key(user=user)
    async with signed_in(app, key) as client:
        yield Desk(client, f"/orgs/{await organization_number()}/queues")
