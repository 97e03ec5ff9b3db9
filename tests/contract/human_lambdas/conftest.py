"""Joe and Ada at one queue of comments."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from tests.contract.human_lambdas.desk import Desk, desk_of
from tests.contract.world import MakeKey


@pytest.fixture
async def joe(app: FastAPI, make_key: MakeKey) -> AsyncIterator[Desk]:
    """Joe at the queue, which he has set up."""
    async for desk in desk_of(app, make_key, "joe@example.com"):
        yield await desk.set_up()


@pytest.fixture
async def ada(joe: Desk, app: FastAPI, make_key: MakeKey) -> AsyncIterator[Desk]:
    """Ada at the same queue."""
    async for desk in desk_of(app, make_key, "ada@example.com"):
        desk.id = joe.id
        yield desk
