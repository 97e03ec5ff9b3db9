"""A browser without a window, and what tests of the pages look up beside it."""

import re
from datetime import timedelta
from functools import cache

import httpx

from store.database import database
from store.finding import documents_of, find_task
from store.ids import now
from store.models import Document, Task
from tests.review_site import ANA, Site, app

HOST = "http://papertray.test"


PAINT = "<script>alert(1)</script>"


class Browser(httpx.AsyncClient):
    """A browser without a window: keeps cookies, sends the token of the last page."""

    token = ""

    async def open(self, address: str, **headers: str) -> str:
        """The text of a page."""
        answer = await self.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        self.token = token_of(answer.text) or self.token
        return answer.text

    async def press(self, address: str, **fields: str) -> httpx.Response:
        """The answer to a form."""
        data = {"csrf_token": self.token} | {k.replace("__", "."): v for k, v in fields.items()}
        return await self.post(address, data=data)

    async def sign_in(self, key: str) -> httpx.Response:
        """The answer to the sign-in form."""
        await self.open("/sign-in")
        answer = await self.press("/sign-in", key=key)
        if answer.status_code == 303:
            await self.open("/review")
        return answer


def token_of(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    return found[1] if found else ""


shared_app = cache(app)


def browser(base: str = HOST) -> Browser:
    return Browser(transport=httpx.ASGITransport(shared_app()), base_url=base)


async def task_of(site: Site, public_id: str) -> Task:
    async with database().reading() as session:
        return await find_task(session, site.callers[ANA], public_id)


async def document_of(site: Site, public_id: str) -> Document:
    async with database().reading() as session:
        task = await find_task(session, site.callers[ANA], public_id)
        return (await documents_of(session, task))[0]


async def age_claim(site: Site, public_id: str, left: timedelta = timedelta(minutes=20)) -> None:
    """Let time go by for who holds a task."""
    task = await task_of(site, public_id)
    async with database().writing() as session:
        (await session.get_one(Task, task.id)).claimed_until = now() + left
