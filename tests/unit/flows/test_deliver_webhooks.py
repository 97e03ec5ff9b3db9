"""What receivers do, and what the sender makes of it. The receivers are real, on loopback."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import standardwebhooks
from sqlalchemy import select, update
from sqlmodel import col

from flows import deliver_webhooks, webhooks
from flows.deliver_webhooks import (
    ANSWER_SECONDS,
    LONGEST_REST,
    MOST_IN_A_LANE,
    Backoff,
    Deliverer,
    deliver_overdue,
)
from flows.public_http import PublicHttp
from store.access import Caller
from store.activity import TRIED_FOR, record
from store.database import Database, database
from store.errors import DatabaseAwayError
from store.ids import now
from store.lifecycle import advance
from store.models import Activity, Delivery, DeliveryOutcome, Task, Webhook
from store.settings import settings
from store.states import Event
from tests.bad_network import LATE_SECONDS, Fault, bad_network
from tests.receiver import Heard, Receiver, answer, receiving

SOON = Backoff(first_seconds=0.05, longest_seconds=0.2)
LATER = Backoff(first_seconds=3600)


@pytest.fixture(autouse=True)
def loopback_is_allowed(home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERTRAY_ALLOWED_NETWORKS", "127.0.0.1/32")
    settings.cache_clear()


@pytest.fixture
async def http(home: object) -> AsyncIterator[PublicHttp]:
    async with PublicHttp() as client:
        yield client


@asynccontextmanager
async def sending(
    http: PublicHttp, backoff: Backoff = SOON, answer_seconds: float = ANSWER_SECONDS
) -> AsyncIterator[Deliverer]:
    """A sender that runs, as the API runs it."""
    stop = asyncio.Event()
    sender = Deliverer(http, backoff=backoff, answer_seconds=answer_seconds)
    running = asyncio.create_task(sender.run(stop))
    try:
        yield sender
    finally:
        stop.set()
        async with asyncio.timeout(60):
            await running


async def happen(caller: Caller, count: int, kind: str = "task.completed") -> list[str]:
    """So many events; answers their ids."""
    async with database().writing() as session:
        rows = [
            record(session, kind, caller.actor, organization_id=caller.organization_id, subject="x")
            for _ in range(count)
        ]
    return [f"event_{row.code}" for row in rows]


async def rows() -> list[Delivery]:
    async with database().reading() as session:
        query = select(Delivery).order_by(col(Delivery.id))
        return list((await session.execute(query)).scalars())


async def only_row() -> Delivery:
    (row,) = await rows()
    return row


async def webhook_of(made: Webhook) -> Webhook:
    async with database().reading() as session:
        return await session.get_one(Webhook, made.id)


async def until_all(outcome: DeliveryOutcome, seconds: float = 120) -> list[Delivery]:
    others = select(col(Delivery.id)).where(col(Delivery.outcome) != outcome).limit(1)
    async with asyncio.timeout(seconds):
        while True:
            async with database().reading() as session:
                if (await session.execute(others)).first() is None:
                    return await rows()
            await asyncio.sleep(0.1)


# Nothing is lost


async def test_of_a_thousand_events_none_is_lost_on_a_receiver_that_fails_half_of_the_time(
    alice: Caller, http: PublicHttp
):
    chance = random.Random(7)
    taken: list[Heard] = []

    def half(heard: Heard) -> bytes:
        if chance.random() < 0.5:
            return chance.choice([answer(500), answer(503, Retry_After="0"), b"", answer(302)])
        taken.append(heard)
        return answer(200)

    async with receiving(half) as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        events = await happen(alice, 1000)
        async with sending(http):
            sent = await until_all(DeliveryOutcome.DELIVERED)
    assert Counter(heard.id for heard in taken) == Counter(events)
    assert len(receiver.heard) > 1500
    known = {heard.id for heard in receiver.heard}
    assert known == set(events)
    # The sequence tells a receiver whether it has all: without gaps, the same for each try.
    numbers = {heard.id: heard.event["sequence"] for heard in taken}
    assert sorted(numbers.values()) == list(range(1, 1001))
    for heard in receiver.heard:
        assert heard.event["sequence"] == numbers[heard.id]
    verifying = standardwebhooks.Webhook(made.secret)
    for heard in receiver.heard:
        assert verifying.verify(heard.body, heard.headers)["id"] == heard.id
    assert sum(one.attempts for one in sent) == len(receiver.heard)


async def test_whatever_the_network_to_receivers_loses_all_is_heard_and_twice_only_under_one_id(
    alice: Caller, queued: Task, http: PublicHttp
):
    """Half of all requests is lost after it was heard, cut in its answer, refused, or late."""
    async with receiving() as receiver, bad_network(receiver.port) as network:
        network.at = dict(zip(range(1, 200, 2), itertools.cycle(Fault), strict=False))
        url = f"http://127.0.0.1:{network.port}/hook"
        await webhooks.create_webhook(alice, url=url, event_types=["task.completed"])
        async with database().writing() as session:
            task = await session.get_one(Task, queued.id)
            task.callback_url = url
        async with database().writing() as session:
            task = await advance(session, task, Event.START, alice.actor)
            await advance(session, task, Event.FINISH, alice.actor)
        await happen(alice, 60)
        async with sending(http, answer_seconds=LATE_SECONDS / 4):
            sent = await until_all(DeliveryOutcome.DELIVERED)
    assert len(sent) == 62
    heard = Counter((one.id, one.body) for one in receiver.heard)
    # The end of the task is told twice: by the webhook with a sequence, by the callback without.
    assert len(heard) == 62
    assert len({one.id for one in receiver.heard}) == 61
    print(f"{network.faults.total()} faults, {heard.total() - 62} heard again")
    assert all(network.faults[fault] >= 10 for fault in Fault)


async def test_two_senders_share_the_work_and_send_nothing_twice(alice: Caller, http: PublicHttp):
    async with receiving() as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        events = await happen(alice, 200)
        async with sending(http), sending(http):
            await until_all(DeliveryOutcome.DELIVERED)
    assert Counter(heard.id for heard in receiver.heard) == Counter(events)
    assert sorted(heard.event["sequence"] for heard in receiver.heard) == list(range(1, 201))


async def test_what_came_in_is_not_forgotten_while_the_store_is_away(
    alice: Caller, http: PublicHttp, monkeypatch: pytest.MonkeyPatch
):
    write, failures = Database.writing, 3

    def writing(self: Database) -> Any:
        nonlocal failures
        if receiver.heard and failures:
            failures -= 1
            raise DatabaseAwayError
        return write(self)

    async with receiving() as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        monkeypatch.setattr(Database, "writing", writing)
        async with sending(http):
            await until_all(DeliveryOutcome.DELIVERED)
    assert failures == 0
    assert len(receiver.heard) == 1


async def test_what_a_dead_sender_had_taken_is_sent_by_another_under_the_same_id(
    alice: Caller, http: PublicHttp
):
    async with receiving() as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        (event,) = await happen(alice, 1)
        dead = Deliverer(http)
        async with database().writing() as session:
            (job,) = await dead._take(session)
        assert (await dead._send(job)).status == 200  # and dies before it writes that down
        assert await Deliverer(http).deliver_due() == 0
        await age(due_at=timedelta(0))  # as it is when the lease has ended
        async with sending(http):
            await until_all(DeliveryOutcome.DELIVERED)
    assert [heard.id for heard in receiver.heard] == [event, event]
    assert receiver.heard[0].body == receiver.heard[1].body


async def test_a_sender_that_is_stopped_writes_down_what_is_under_way(
    alice: Caller, http: PublicHttp
):
    async def slowly(_: Heard) -> bytes:
        await asyncio.sleep(0.5)
        return answer(204)

    async with receiving(slowly) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 3)
        async with sending(http):
            await receiver.until(3)
        assert {one.outcome for one in await rows()} == {DeliveryOutcome.DELIVERED}


# Nobody holds up the others


async def test_a_receiver_that_never_answers_delays_no_other(alice: Caller, http: PublicHttp):
    async def never(_: Heard) -> bytes:
        await asyncio.sleep(3600)
        return b""

    async with receiving(never) as silent, receiving() as quick:
        await webhooks.create_webhook(alice, url=silent.url())
        await webhooks.create_webhook(alice, url=quick.url())
        events = await happen(alice, 300)
        stop = asyncio.Event()
        running = asyncio.create_task(
            Deliverer(http, backoff=SOON, answer_seconds=600, taken_seconds=700).run(stop)
        )
        await quick.until(300)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {heard.id for heard in quick.heard} == set(events)
    # Not one of the others has been answered yet, and no more were begun than it may hold.
    assert len(silent.heard) == MOST_IN_A_LANE


async def test_a_receiver_that_fails_again_and_again_is_tried_one_by_one(
    alice: Caller, http: PublicHttp
):
    under_way = most = 0

    async def fail(_: Heard) -> bytes:
        nonlocal under_way, most
        under_way += 1
        if len(receiver.heard) > 20:
            most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return answer(500)

    async with receiving(fail) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 30)
        async with sending(http):
            await receiver.until(40)
    assert most == 1


async def test_no_answer_in_time_is_a_failure_and_is_tried_again(alice: Caller, http: PublicHttp):
    async def late_the_first_time(_: Heard) -> bytes:
        if len(receiver.heard) == 1:
            await asyncio.sleep(30)
        return answer(200)

    async with receiving(late_the_first_time) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        sender = Deliverer(http, backoff=LATER, answer_seconds=0.5)
        assert await sender.deliver_due() == 1
        row = await only_row()
        assert row.error == "There was no answer within 0.5 seconds."
        assert (row.outcome, row.status, row.attempts) == (DeliveryOutcome.WAITING, None, 1)
        async with database().writing() as session:
            await session.execute(update(Delivery).values(due_at=now()))
        assert await Deliverer(http).deliver_due() == 1
    assert (await only_row()).outcome == DeliveryOutcome.DELIVERED


@pytest.mark.parametrize("body", ["slow", "endless"])
async def test_the_status_counts_and_no_body_is_waited_for_or_kept(
    body: str, alice: Caller, http: PublicHttp
):
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                part = b"x" if body == "slow" else b"x" * 100_000
                writer.write(part)
                await writer.drain()
                written += len(part)
                await asyncio.sleep(0.2 if body == "slow" else 0)
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await webhooks.create_webhook(alice, url=f"http://127.0.0.1:{port}/")
        await happen(alice, 1)
        await Deliverer(http, answer_seconds=30, taken_seconds=60).deliver_due()
    row = await only_row()
    assert row.outcome == DeliveryOutcome.DELIVERED
    assert 0 < len(row.answer) <= 200
    assert written < 100_000_000


async def test_what_is_said_of_a_file_is_not_kept(alice: Caller, http: PublicHttp):
    """Nothing would take it out of the log when the file goes."""
    async with receiving(lambda _: answer(500, "We have CANARY.")) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        for kind in ("file.created", "file.deleted", "task.completed"):
            await happen(alice, 1, kind)
        await Deliverer(http, backoff=LATER).deliver_due()
    created, deleted, completed = await rows()
    assert (created.status, created.answer, created.error) == (500, "", completed.error)
    assert (deleted.status, deleted.answer) == (500, "")
    assert completed.answer == "We have CANARY."


# What an answer means


async def told_once(
    alice: Caller, http: PublicHttp, said: bytes, backoff: Backoff = LATER
) -> tuple[Delivery, Receiver]:
    async with receiving(lambda _: said) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        await Deliverer(http, backoff=backoff).deliver_due()
    return await only_row(), receiver


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(status: int, alice: Caller, http: PublicHttp):
    row, _ = await told_once(alice, http, answer(status, "" if status == 204 else "thanks"))
    assert (row.outcome, row.status, row.error) == (DeliveryOutcome.DELIVERED, status, "")
    assert row.due_at is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_the_inside_is_not_followed(
    status: int, alice: Caller, http: PublicHttp
):
    async with receiving() as inside:
        said = answer(status, Location=inside.url("/admin"))
        row, outside = await told_once(alice, http, said)
    assert (len(outside.heard), inside.heard) == (1, [])
    assert row.error == f"The receiver answered {status}; redirects are not followed."
    assert row.outcome == DeliveryOutcome.WAITING


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (answer(500, "secret\nof \0 the receiver"), "The receiver answered 500."),
        (answer(404), "The receiver answered 404."),
        (b"", "What answered does not speak HTTP, or not well."),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "What answered does not speak HTTP, or not well."),
    ],
)
async def test_a_failure_says_what_happened_and_waits(
    said: bytes, error: str, alice: Caller, http: PublicHttp
):
    row, _ = await told_once(alice, http, said)
    assert row.error == error
    assert row.outcome == DeliveryOutcome.WAITING
    assert row.tried_at is not None
    assert row.due_at is not None
    wait = row.due_at - row.tried_at
    assert timedelta(seconds=3600 * 0.8) <= wait <= timedelta(seconds=3600 * 1.2)
    assert "\0" not in row.answer
    assert "\n" not in row.answer


async def test_nobody_at_the_address_is_a_failed_connection(alice: Caller, http: PublicHttp):
    async with receiving() as receiver:
        url = receiver.url()
    await webhooks.create_webhook(alice, url=url)
    await happen(alice, 1)
    await Deliverer(http, backoff=LATER).deliver_due()
    assert (await only_row()).error.startswith("The connection failed: ")


async def test_an_address_that_leads_inside_gets_nothing_and_its_log_names_no_address(
    alice: Caller, http: PublicHttp, monkeypatch: pytest.MonkeyPatch
):
    async with receiving() as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        monkeypatch.delenv("PAPERTRAY_ALLOWED_NETWORKS")
        settings.cache_clear()
        await Deliverer(http, backoff=LATER).deliver_due()
    row = await only_row()
    assert made.url.startswith("http://127.0.0.1")
    assert receiver.heard == []
    assert row.error.startswith("The address is not public.")
    assert "127" not in row.error


async def test_gone_disables_the_webhook_and_nothing_more_is_sent(alice: Caller, http: PublicHttp):
    async with receiving(lambda _: answer(410)) as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 20)
        async with sending(http):
            await receiver.until(1)
            async with asyncio.timeout(60):
                while (await webhook_of(made)).disabled_at is None:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1)
        heard = len(receiver.heard)
        assert heard <= MOST_IN_A_LANE
        await happen(alice, 5)
        assert await Deliverer(http).deliver_due() == 0
    now_ = await webhook_of(made)
    assert now_.disabled_reason == "The receiver wants nothing any more (410)."
    outcomes = Counter(one.outcome for one in await rows())
    assert outcomes == {DeliveryOutcome.FAILED: heard, DeliveryOutcome.WAITING: 20 - heard}
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.type) == "webhook.disabled")
        (activity,) = (await session.execute(query)).scalars()
    assert (activity.subject, activity.actor) == (made.public_id, "webhooks")


async def test_what_waited_for_a_disabled_webhook_is_sent_when_it_is_enabled(
    alice: Caller, http: PublicHttp
):
    async with receiving() as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        events = await happen(alice, 3)
        await webhooks.change_webhook(alice, made.public_id, enabled=False)
        assert await Deliverer(http).deliver_due() == 0
        await webhooks.change_webhook(alice, made.public_id, enabled=True)
        assert await Deliverer(http).deliver_due() == 3
    assert {heard.id for heard in receiver.heard} == set(events)


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("120", 120, 120),
        ("99999999999999999999", LONGEST_REST.total_seconds(), LONGEST_REST.total_seconds()),
        ("in ten minutes", 480, 600),
        ("1", 2880, 4320),  # not less than the sender's own first wait: 3600 here, spread
        ("0", 2880, 4320),
        ("soon", 2880, 4320),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 2880, 4320),
    ],
)
async def test_retry_after_is_honoured_within_bounds(
    said: str, least: float, most: float, alice: Caller, http: PublicHttp
):
    if said == "in ten minutes":
        said = format_datetime(now() + timedelta(minutes=10), usegmt=True)
    backoff = LATER if least == 2880 else Backoff(first_seconds=5)
    row, receiver = await told_once(alice, http, answer(429, Retry_After=said), backoff)
    assert row.tried_at is not None
    assert row.due_at is not None
    wait = (row.due_at - row.tried_at).total_seconds()
    assert least - 1 <= wait <= most + 1
    assert len(receiver.heard) == 1


async def test_a_receiver_that_asks_for_rest_gets_it_from_all_its_deliveries(
    alice: Caller, http: PublicHttp
):
    async with receiving(lambda _: answer(429, Retry_After="600")) as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 50)
        await Deliverer(http, backoff=SOON).deliver_due()
        assert len(receiver.heard) <= MOST_IN_A_LANE
        resting = (await webhook_of(made)).resting_until
        assert resting is not None
        assert timedelta(minutes=9) < resting - now() < timedelta(minutes=10, seconds=1)
        # Who asks for a delivery by hand does not have to wait.
        row = (await rows())[-1]
        await webhooks.resend(alice, made.public_id, row.public_id)
        assert await Deliverer(http, backoff=SOON).deliver_due() >= 1


# How long


def test_each_wait_is_twice_the_one_before_up_to_four_hours():
    waits = [Backoff().wait(n, 0.5).total_seconds() for n in range(1, 16)]
    assert waits == [
        *(5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240),
        *(14400, 14400, 14400),
    ]


def test_a_wait_is_spread_so_that_not_all_come_back_at_once():
    assert Backoff().wait(1, 0.0) == timedelta(seconds=4)
    assert Backoff().wait(1, 1.0) == timedelta(seconds=6)
    assert Backoff().wait(10_000, 1.0) == timedelta(seconds=4 * 3600 * 1.2)


def test_48_hours_have_room_for_more_than_twenty_tries():
    total, tries = timedelta(0), 1
    while (total := total + Backoff().wait(tries, 0.5)) < TRIED_FOR:
        tries += 1
    assert 20 <= tries <= 30


async def test_the_last_try_is_made_at_the_end_of_the_time_and_then_it_is_given_up(
    alice: Caller, http: PublicHttp
):
    async with receiving(lambda _: answer(500)) as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        assert (await only_row()).until - (await only_row()).created_at == TRIED_FOR
        end = now() + timedelta(seconds=120)
        async with database().writing() as session:
            await session.execute(update(Delivery).values(until=end))
        await Deliverer(http, backoff=LATER).deliver_due()
        row = await only_row()
        assert (row.outcome, row.due_at) == (DeliveryOutcome.WAITING, end)
        assert await Deliverer(http).deliver_due() == 0
        await age(due_at=timedelta(0), until=timedelta(0))  # as it is when the time has come
        await Deliverer(http, backoff=LATER).deliver_due()
    row = await only_row()
    assert row.outcome == DeliveryOutcome.FAILED
    assert (row.due_at, row.attempts, row.error) == (None, 2, "The receiver answered 500.")


# Callbacks


async def test_a_callback_is_the_event_unsigned_and_without_content(
    alice: Caller, queued: Task, http: PublicHttp
):
    async with receiving() as receiver:
        async with database().writing() as session:
            task = await session.get_one(Task, queued.id)
            task.callback_url = receiver.url("/done")
        async with database().writing() as session:
            task = await advance(session, task, Event.START, alice.actor)
            await advance(
                session, task, Event.FINISH, alice.actor, result={"content": "what was read"}
            )
        await Deliverer(http).deliver_due()
    (heard,) = receiver.heard
    assert heard.path == "/done"
    assert heard.event["type"] == "task.completed"
    assert heard.event["data"] == {"id": queued.public_id, "state": "completed"}
    assert list(heard.event) == ["id", "type", "timestamp", "data"]
    assert "webhook-signature" not in heard.headers
    assert heard.id == heard.event["id"]
    assert (await only_row()).outcome == DeliveryOutcome.DELIVERED


async def test_a_callback_that_is_gone_is_given_up(alice: Caller, queued: Task, http: PublicHttp):
    async with receiving(lambda _: answer(410)) as receiver:
        async with database().writing() as session:
            task = await session.get_one(Task, queued.id)
            task.callback_url = receiver.url()
        async with database().writing() as session:
            await advance(session, task, Event.CANCEL, alice.actor)
        await Deliverer(http).deliver_due()
    assert (await only_row()).outcome == DeliveryOutcome.FAILED


# The scheduled flow


async def age(**columns: timedelta) -> None:
    async with database().writing() as session:
        await session.execute(
            update(Delivery).values({name: now() - span for name, span in columns.items()})
        )


async def test_the_repair_leaves_what_is_just_due_to_the_sender_and_sends_what_has_none(
    alice: Caller,
):
    async with receiving() as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        (event,) = await happen(alice, 1)
        assert await deliver_overdue() == 0
        await age(due_at=timedelta(seconds=61))
        assert await deliver_overdue() == 1
    assert [heard.id for heard in receiver.heard] == [event]


async def test_the_repair_gives_up_what_waits_for_a_disabled_webhook_past_its_time(alice: Caller):
    async with receiving() as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 1)
        await webhooks.change_webhook(alice, made.public_id, enabled=False)
        await deliver_overdue()
        assert (await only_row()).outcome == DeliveryOutcome.WAITING
        await age(until=timedelta(seconds=1))
        await deliver_overdue()
    assert (await only_row()).outcome == DeliveryOutcome.FAILED
    assert receiver.heard == []


async def test_the_repair_forgets_the_log_after_its_time_and_nothing_that_waits(alice: Caller):
    async with receiving() as receiver:
        made = await webhooks.create_webhook(alice, url=receiver.url())
        await happen(alice, 2)
        async with database().writing() as session:
            done, _ = (await session.execute(select(Delivery))).scalars()
            done.outcome, done.due_at = DeliveryOutcome.DELIVERED, None
        await webhooks.change_webhook(alice, made.public_id, enabled=False)
        await age(created_at=timedelta(days=29))
        await deliver_overdue()
        assert len(await rows()) == 2
        await age(created_at=timedelta(days=31))
        await deliver_overdue()
    assert (await only_row()).outcome == DeliveryOutcome.WAITING


async def test_a_mistake_in_a_delivery_is_logged_and_the_others_go_on(
    alice: Caller,
    http: PublicHttp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    headers_of = deliver_webhooks.headers_of
    async with receiving() as receiver:
        await webhooks.create_webhook(alice, url=receiver.url())
        wrong, *right = await happen(alice, 5)

        def broken(event_id: str, *args: Any) -> dict[str, str]:
            if event_id == wrong:
                raise RuntimeError("a mistake")
            return headers_of(event_id, *args)

        monkeypatch.setattr(deliver_webhooks, "headers_of", broken)
        async with sending(http):
            await receiver.until(4)
    assert {heard.id for heard in receiver.heard} == set(right)
    assert "broke" in caplog.text
