import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.rate_limits import RateLimits
from store.database import database
from tests.review_site import ANA, BEN, Site, settings_of
from tests.unit.api.review_pages.visits import Browser, browser, shared_app


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("prepared"))
    made.prepare()
    return made


@pytest.fixture
async def site(prepared: Site, tmp_path: Path) -> AsyncIterator[Site]:
    home = tmp_path / "home"
    shutil.copytree(prepared.home, home)
    with settings_of(home):
        shared_app().state.rate_limits = RateLimits()  # as its lifespan makes them
        yield Site(home, prepared.keys, prepared.callers, images=prepared.images)
        await database().close()


@pytest.fixture
async def stranger(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        yield client


@pytest.fixture
async def ana(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        await client.sign_in(site.keys[ANA])
        yield client


@pytest.fixture
async def ben(site: Site) -> AsyncIterator[Browser]:
    async with browser() as client:
        await client.sign_in(site.keys[BEN])
        yield client
