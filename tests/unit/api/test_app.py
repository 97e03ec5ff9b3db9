import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import app as apps
from api.app import create_app
from store.blobs import blobs
from store.database import database
from store.settings import settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PAPERTRAY_HOME", str(tmp_path))
    for cached in (settings, database, blobs):
        cached.cache_clear()
    yield tmp_path
    for cached in (settings, database, blobs):
        cached.cache_clear()


class Loop:
    """Something that runs in the background, and breaks as often as it is told to."""

    def __init__(self, breaks: int = 0):
        self.breaks = breaks
        self.started = 0
        self.ended = False
        self.running = asyncio.Event()

    async def __call__(self, stop: asyncio.Event) -> None:
        self.started += 1
        if self.started <= self.breaks:
            raise RuntimeError
        self.running.set()
        await stop.wait()
        self.ended = True


async def test_the_app_makes_its_database_and_runs_its_loops_until_it_ends(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    dispatcher, follower = Loop(), Loop()
    monkeypatch.setattr(apps, "run_dispatcher", dispatcher)
    monkeypatch.setattr(apps, "follow_prefect", follower)
    app = create_app()
    async with app.router.lifespan_context(app):
        assert (home / "papertray.db").is_file()
        await asyncio.gather(dispatcher.running.wait(), follower.running.wait())
        assert not dispatcher.ended
    assert dispatcher.ended
    assert follower.ended


async def test_the_app_can_run_without_its_loops(home: Path, monkeypatch: pytest.MonkeyPatch):
    loop = Loop()
    monkeypatch.setattr(apps, "run_dispatcher", loop)
    monkeypatch.setattr(apps, "follow_prefect", loop)
    app = create_app(run_background=False)
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0)
    assert loop.started == 0


async def test_a_loop_that_breaks_is_started_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(apps, "RESTART_SECONDS", 0)
    loop, stop = Loop(breaks=2), asyncio.Event()
    with caplog.at_level(logging.ERROR):
        running = asyncio.create_task(apps._keep_running(loop, stop))
        await loop.running.wait()
        stop.set()
        await running
    assert loop.started == 3
    assert len([record for record in caplog.records if record.exc_info]) == 2
