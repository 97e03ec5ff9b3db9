"""A user at Innodata's API."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from store.keys import create_key
from tests.contract.world import PNG, Client

TAXONOMY = ["Number", {"name": "Total", "type": "money"}]


@dataclass
class Bench:
    """A client with the key of a user."""

    client: Client
    key: str

    async def call(self, method: str, path: str, status: int = 200, **sent: Any) -> Any:
        """Make a call; answers what is in its envelope."""
        answer = await self.client.request(method, path, **sent)
        assert answer.status_code == status, answer.text
        envelope = answer.json()
        assert set(envelope) == {"success", "status_code", "tracking", "response"}
        assert (envelope["success"], envelope["status_code"]) == (status < 400, status)
        return envelope["response"]

    async def send(self, content: bytes = PNG, name: str = "contract.png") -> Any:
        headers = {"X-Name": name, "X-Type": "image/png"}
        return await self.call("POST", "/documents", 201, content=content, headers=headers)

    async def create(self, **body: Any) -> Any:
        """A job of the type whose taxonomy comes with it."""
        document = await self.send()
        contents = [{"role": "input", "uri": document["contents_uri"]}]
        sent = {"type": "data-point-extraction", "contents": contents, **body}
        if sent["type"] == "data-point-extraction":
            sent.setdefault("mapping.taxonomy", TAXONOMY)
        return await self.call("POST", "/jobs", 201, json=sent)


async def bench_of(
    app: FastAPI, user: str, *, organization: str = "acme", **options: Any
) -> AsyncIterator[Bench]:
    """The bench of a user, whose key may do all that is not private to another."""
    key = (await create_key(["admin"], organization=organization, user=user, **options)).key
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://papertray.test",
        auth=httpx.BasicAuth(key, ""),
    ) as client:
        yield Bench(client, key)
