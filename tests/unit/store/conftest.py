from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.database import Database, migrate
from store.models import Organization, Task
from store.states import Actor

WHO = Actor("tester", "tests")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "papertray.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
async def opened(empty_database: Path, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "papertray.db"
    path.write_bytes(empty_database.read_bytes())
    database = Database(f"sqlite+aiosqlite:///{path}")
    yield database
    await database.close()


@pytest.fixture
async def task(opened: Database) -> Task:
    async with opened.writing() as session:
        organization = Organization(name="acme")
        session.add(organization)
        await session.flush()
        made = Task(organization_id=organization.id, operation="process")
        session.add(made)
    return made
