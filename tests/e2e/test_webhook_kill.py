"""kill -9 of a sender, before and after its receiver answered: sent again, under the same id."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select

from flows import webhooks
from store.access import Caller
from store.activity import record
from store.database import database
from store.models import Delivery, DeliveryOutcome
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor
from tests.receiver import Heard, answer, receiving

pytestmark = pytest.mark.e2e

SENDER = """
import asyncio, sys
from pathlib import Path
from flows.deliver_webhooks import Deliverer
from flows.public_http import PublicHttp

class Stuck(Deliverer):
    async def _write_down(self, session, job, answer):
        Path(sys.argv[2]).touch()
        await asyncio.sleep(3600)  # the change is made nowhere: it is killed before the commit

async def main():
    while not Path(sys.argv[1]).exists():  # starting takes longest, and is done beforehand
        await asyncio.sleep(0.05)
    kind = Stuck if len(sys.argv) > 2 else Deliverer
    async with PublicHttp() as http:
        await kind(http, answer_seconds=5, taken_seconds=8).run(asyncio.Event())

asyncio.run(main())
"""


def start(*arguments: Path) -> subprocess.Popen[bytes]:
    """A sender of its own process.

    Args:
        arguments: a file; it begins when that is there. And one that it makes instead of writing
            down what came of its first delivery.
    """
    return subprocess.Popen([sys.executable, "-c", SENDER, *arguments], env=os.environ.copy())


def kill(sender: subprocess.Popen[bytes]) -> None:
    sender.send_signal(signal.SIGKILL)
    sender.wait()


@pytest.fixture
async def alice(home: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()
    return Caller(await organization_named("acme"), Actor("alice@example.com", "tests"))


@pytest.mark.parametrize("moment", ["before the answer", "between answer and commit"])
async def test_a_sender_that_is_killed_loses_nothing(moment: str, alice: Caller, home: Path):
    first = asyncio.Event()

    async def answering(_: Heard) -> bytes:
        if moment == "before the answer" and not first.is_set():
            first.set()
            await asyncio.sleep(3600)
        return answer(200)

    async with receiving(answering) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        async with database().writing() as session:
            rows = [
                record(session, "task.failed", alice.actor, organization_id=alice.organization_id)
                for _ in range(3)
            ]
        events = {f"event_{row.code}" for row in rows}
        mark, now, then = home / "mark", home / "now", home / "then"
        now.touch()
        sender = start(now, mark) if moment != "before the answer" else start(now)
        other = start(then)
        try:
            await receiver.until(1, seconds=120)
            async with asyncio.timeout(120):
                while not (first.is_set() or mark.exists()):
                    await asyncio.sleep(0.02)
        except BaseException:
            kill(other)
            raise
        finally:
            kill(sender)
        waiting = {one.outcome for one in await deliveries()}
        assert moment == "before the answer" or waiting == {DeliveryOutcome.WAITING}
        then.touch()
        sent_before = {heard.id: heard.body for heard in receiver.heard}
        try:
            async with asyncio.timeout(120):
                while {one.outcome for one in await deliveries()} != {DeliveryOutcome.DELIVERED}:
                    await asyncio.sleep(0.1)
        finally:
            kill(other)
    assert {heard.id for heard in receiver.heard} == events
    again = [heard for heard in receiver.heard if heard.id in sent_before]
    assert len(again) > len(sent_before)
    assert {heard.body for heard in again} == set(sent_before.values())


async def deliveries() -> list[Delivery]:
    async with database().reading() as session:
        return list((await session.execute(select(Delivery))).scalars())
