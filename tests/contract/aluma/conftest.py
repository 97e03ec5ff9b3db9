from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from tests.contract.aluma.desk import PROJECT_FILE, Connect, token_of
from tests.contract.world import Client


@pytest.fixture
async def connect(app: FastAPI) -> AsyncIterator[Connect]:
    """Makes clients of Aluma, each with a token of its own."""
    opened: list[Client] = []

    async def make(*scopes: str, organization: str = "acme", user: str = "") -> Client:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://papertray.test"
        )
        opened.append(client)
        token = await token_of(client, *scopes, organization=organization, user=user)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def aluma(connect: Connect) -> Client:
    """A client of Aluma that may do everything in the organization acme."""
    return await connect()


@pytest.fixture
async def project_id(aluma: Client) -> str:
    answer = await aluma.post(
        "/projects", content=PROJECT_FILE, headers={"Content-Type": "application/yaml"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]
