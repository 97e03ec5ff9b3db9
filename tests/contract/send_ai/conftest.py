"""A team, its project, and a program with a key of the team."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from store.access import Caller
from store.models import Project
from store.organizations import organization_named, team_named
from store.people import give_project
from store.states import Actor
from tests.contract.send_ai.desk import ALL, Desk, key_of
from tests.contract.world import Client, install


@pytest.fixture
async def desk(app: FastAPI, client: Client) -> AsyncIterator[Desk]:
    """The project `invoices` of the team `claims`, and a program of that team."""
    await install(client)
    organization_id = await organization_named("acme")
    team_id = await team_named(organization_id, "claims")
    admin = Caller(organization_id, Actor("tests", "tests"))
    project: Project = await give_project(admin, "invoices", "claims")
    key = await key_of("claims", *ALL)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://papertray.test",
        headers={"authorization": f"Bearer {key}"},
    ) as http:
        yield Desk(http, str(team_id), str(project.id))
