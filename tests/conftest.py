"""What all tests share."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.blobs import blobs
from store.database import database, migrate
from store.settings import settings

SAMPLES = Path(__file__).parent / "samples"


def forget_process_state() -> None:
    """Settings, database and storage are made once a process; a test begins anew."""
    for cached in (settings, database, blobs):
        cached.cache_clear()


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "papertray.db"
    migrate(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
async def home(
    migrated_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Path]:
    """A Papertray of its own, with nothing in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(migrated_database, folder / "papertray.db")
    monkeypatch.setenv("PAPERTRAY_HOME", str(folder))
    forget_process_state()
    yield folder
    await database().close()
    forget_process_state()
