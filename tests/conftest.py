"""What all tests share."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.blobs import blobs
from store.database import database, migrate
from store.settings import settings

SAMPLES = Path(__file__).parent / "samples"

PROGRAMS = {
    # marker: (what it needs, where it is found)
    "browser": ("Chromium", ("chromium", "chromium-browser", "google-chrome")),
    "postgres": ("a PostgreSQL server", ("initdb", "/usr/lib/postgresql/*/bin/initdb")),
}
"""What tests drive that no Python package brings."""


def is_installed(names: tuple[str, ...]) -> bool:
    """Whether one of some programs is there, by name or by path."""
    return any(
        list(Path("/").glob(name[1:])) if name.startswith("/") else shutil.which(name)
        for name in names
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, on a machine of one's own, what cannot run there; in CI everything runs.

    What starts servers comes first: it waits more than it works, and the rest fills its pauses.
    """
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)
    if os.environ.get("CI"):
        return
    missing = [marker for marker, (_, names) in PROGRAMS.items() if not is_installed(names)]
    left_out = [item for item in items if any(item.get_closest_marker(one) for one in missing)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        config.stash[_LEFT_OUT] = [
            f"{sum(1 for item in left_out if item.get_closest_marker(marker))} tests left out:"
            f" there is no {PROGRAMS[marker][0]}. `make setup-system` installs it."
            for marker in missing
        ]


_LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    for line in terminalreporter.config.stash.get(_LEFT_OUT, []):
        terminalreporter.write_line(line, yellow=True)


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
