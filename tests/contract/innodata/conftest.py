"""Ana, who owns jobs, and Ben, who may be asked to help."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from tests.contract.innodata.bench import Bench, bench_of


@pytest.fixture
async def ana(app: FastAPI) -> AsyncIterator[Bench]:
    async for bench in bench_of(app, "ana@example.com"):
        yield bench


@pytest.fixture
async def ben(app: FastAPI) -> AsyncIterator[Bench]:
    async for bench in bench_of(app, "ben@example.com"):
        yield bench


@pytest.fixture
async def eve(app: FastAPI) -> AsyncIterator[Bench]:
    """Of another organization, with the same e-mail as Ana."""
    async for bench in bench_of(app, "ana@example.com", organization="other"):
        yield bench
