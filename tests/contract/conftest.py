"""The real app on a fresh SQLite store, without Prefect: what it takes in stays in the outbox."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from store.blobs import blobs
from store.database import database, migrate
from store.keys import create_key
from store.settings import settings
from tests.contract.world import Client, MakeKey
from tests.whole_app import whole_app


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "papertray.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


def forget() -> None:
    """Let the settings be read anew, and what hangs on them."""
    for cached in (settings, database, blobs):
        cached.cache_clear()


@pytest.fixture
def home(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of Papertray of its own, which the settings name."""
    shutil.copy(migrated, tmp_path / "papertray.db")
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    forget()
    yield tmp_path
    forget()


@pytest.fixture
async def app(home: Path) -> AsyncIterator[FastAPI]:
    app = whole_app()
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def make_key(app: FastAPI) -> MakeKey:
    async def make(*scopes: str, organization: str = "acme", user: str = "") -> str:
        return (await create_key(scopes or ["admin"], organization=organization, user=user)).key

    return make


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[Client]:
    """A client without a key."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://papertray.test") as client:
        yield client


@pytest.fixture
async def client(app: FastAPI, make_key: MakeKey) -> AsyncIterator[Client]:
    """A client that may do everything in the organization acme."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://papertray.test",
        headers={"x-api-key": await make_key()},
    ) as client:
        yield client
