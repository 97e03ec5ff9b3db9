"""What the tests of operations share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.settings import settings


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scratch folders of the test's own, in which nothing may be left."""
    home = tmp_path / "home"
    monkeypatch.setenv("PAPERTRAY_HOME", str(home))
    settings.cache_clear()
    yield home
    settings.cache_clear()
    left = [path for path in home.rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []


@pytest.fixture
def samples() -> Path:
    return Path(__file__).parents[2] / "samples"


@pytest.fixture
def demo() -> Path:
    return Path(__file__).parents[3] / "samples"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
