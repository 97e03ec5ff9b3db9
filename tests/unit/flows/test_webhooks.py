"""Who is told of what, and how it is signed."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import standardwebhooks
from sqlalchemy import event, select, text
from sqlmodel import col

from flows import verbs, webhooks
from flows.webhooks import HEADER_PREFIXES, body_of, headers_of, secrets_of
from store.access import Caller
from store.activity import EVENT_TYPES, TRIED_FOR, record
from store.database import database
from store.errors import (
    AddressError,
    ConflictError,
    InputError,
    LimitExceededError,
    NotFoundError,
)
from store.ids import now
from store.lifecycle import FINAL, LIFECYCLE, advance
from store.models import Activity, Delivery, DeliveryOutcome, File, Task, Webhook
from store.states import Event

HOOK = "https://example.com/hook"


async def deliveries() -> list[tuple[str, Delivery]]:
    """All there are, with the types of their events."""
    query = select(col(Activity.type), Delivery).join(Delivery).order_by(col(Delivery.id))
    async with database().reading() as session:
        return [(kind, delivery) for kind, delivery in (await session.execute(query)).all()]


async def happen(caller: Caller, *types: str) -> list[Activity]:
    async with database().writing() as session:
        return [
            record(session, one, caller.actor, organization_id=caller.organization_id, subject="x")
            for one in types
        ]


# Who is told


async def test_a_webhook_is_told_of_the_types_it_chose_and_no_others(alice: Caller):
    await webhooks.create_webhook(alice, url=HOOK, event_types=["task.failed", "file.created"])
    await happen(alice, *EVENT_TYPES, "task.saved", "task.started")
    assert [kind for kind, _ in await deliveries()] == ["file.created", "task.failed"]


async def test_a_webhook_of_all_types_is_told_what_programs_are_told_of(alice: Caller):
    await webhooks.create_webhook(alice, url=HOOK)
    await happen(alice, *EVENT_TYPES, "task.saved", "webhook.changed")
    assert {kind for kind, _ in await deliveries()} == set(EVENT_TYPES)


async def test_each_webhook_has_its_own_delivery(alice: Caller):
    made = [await webhooks.create_webhook(alice, url=HOOK) for _ in range(3)]
    await happen(alice, "task.completed")
    assert {one.webhook_id for _, one in await deliveries()} == {one.id for one in made}


async def test_nobody_is_told_of_what_happens_in_another_organization(
    alice: Caller, stranger: Caller
):
    await webhooks.create_webhook(stranger, url=HOOK)
    await happen(alice, "task.completed")
    assert await deliveries() == []


async def test_a_disabled_webhook_is_told_nothing_until_it_is_enabled(alice: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    await webhooks.change_webhook(alice, made.public_id, enabled=False)
    await happen(alice, "task.completed")
    await webhooks.change_webhook(alice, made.public_id, enabled=True)
    await happen(alice, "task.failed")
    assert [kind for kind, _ in await deliveries()] == ["task.failed"]


async def test_event_and_delivery_are_kept_together_or_not_at_all(alice: Caller):
    await webhooks.create_webhook(alice, url=HOOK)

    async def fail_half_way() -> None:
        async with database().writing() as session:
            record(session, "task.failed", alice.actor, organization_id=alice.organization_id)
            await session.flush()
            told = await session.scalar(select(col(Delivery.id)))
            assert told is not None
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await fail_half_way()
    assert await deliveries() == []
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.type) == "task.failed")
        assert (await session.execute(query)).first() is None


async def test_an_event_costs_one_query_more_and_one_nobody_is_told_of_none(alice: Caller):
    statements: list[str] = []

    def note(*args: Any) -> None:
        statements.append(args[2])

    engine = database().engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await happen(alice, "task.saved")
        silent = len(statements)
        await happen(alice, "task.completed")
        told = len(statements) - silent
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert told - silent == 1


# The end of a task


def ends() -> Sequence[tuple[Event, ...]]:
    """A way to each final state."""
    queued, running = LIFECYCLE.keys(), [s for s in LIFECYCLE if s[0].value == "running"]
    assert queued
    ways = [(Event.START, one) for _, one in running if LIFECYCLE[running[0][0], one] in FINAL]
    return [*ways, (Event.CANCEL,), (Event.START, Event.ASK, Event.DISCARD)]


@pytest.mark.parametrize("way", ends(), ids=lambda way: way[-1].value)
async def test_the_callback_of_a_task_is_told_of_its_end_and_of_nothing_before(
    way: tuple[Event, ...], alice: Caller, queued: Task
):
    async with database().writing() as session:
        task = await session.get_one(Task, queued.id)
        task.callback_url = "https://caller.example.com/done?id=1"
    for one in way:
        assert await deliveries() == []
        async with database().writing() as session:
            task = await advance(session, task, one, alice.actor)
    ((_, delivery),) = await deliveries()
    assert task.state in FINAL
    assert delivery.url == "https://caller.example.com/done?id=1"
    assert (delivery.webhook_id, delivery.lane) == (None, "callback:caller.example.com")


async def test_the_verbs_keep_the_callback_and_refuse_one_inside(alice: Caller, file: File):
    parameters = {"input": file.id, "format": "plain", "callback_url": HOOK}
    made = await verbs.submit_operation(
        alice, operation="extract-text", kind="pdf", parameters=parameters
    )
    assert made.callback_url == HOOK
    parameters["callback_url"] = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(AddressError):
        await verbs.submit_operation(
            alice, operation="extract-text", kind="pdf", parameters=parameters
        )


# What is signed


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_b3RoZXJvdGhlcm90aGVyb3RoZXI="


def signed(*secrets: str, body: str = '{"a":1}', **changes: Any) -> tuple[str, dict[str, str]]:
    at = now() - changes.get("age", timedelta(0))
    return body, headers_of("event_1", at, body, secrets)


def verify(secret: str, body: str, headers: dict[str, str]) -> Any:
    return standardwebhooks.Webhook(secret).verify(body, headers)


def test_a_signature_is_what_standard_webhooks_verifies():
    assert verify(SECRET, *signed(SECRET)) == {"a": 1}


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_what_was_changed_on_the_way_is_not_verified(name: str):
    body, headers = signed(SECRET)
    # In the middle: of the last letter of base64 some bits mean nothing.
    said = headers[name]
    middle = len(said) // 2
    other = "1" if said[middle] != "1" else "2"
    changed = headers | {name: said[:middle] + other + said[middle + 1 :]}
    assert changed != headers
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(SECRET, body, changed)


def test_another_body_another_secret_or_an_old_time_is_not_verified():
    body, headers = signed(SECRET)
    for secret, sent, with_ in (
        (SECRET, body + " ", headers),
        (OTHER, body, headers),
        (SECRET, *signed(SECRET, age=timedelta(minutes=6))),
    ):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verify(secret, sent, with_)


def test_the_headers_are_there_under_both_names():
    _, headers = signed(SECRET)
    assert HEADER_PREFIXES == ("webhook", "svix")
    for name in ("id", "timestamp", "signature"):
        assert headers[f"webhook-{name}"] == headers[f"svix-{name}"]


def test_what_has_no_secret_is_not_signed():
    _, headers = signed()
    assert set(headers) == {"webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"}


async def test_after_a_rotation_both_secrets_verify_until_the_old_one_ends(alice: Caller):
    old = await webhooks.create_webhook(alice, url=HOOK)
    new = await webhooks.rotate_secret(alice, old.public_id, keep=timedelta(hours=1))
    assert new.secret != old.secret
    body, headers = signed(*secrets_of(new, now()))
    assert verify(new.secret, body, headers) == verify(old.secret, body, headers) == {"a": 1}
    body, headers = signed(*secrets_of(new, now() + timedelta(hours=1)))
    assert verify(new.secret, body, headers) == {"a": 1}
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        verify(old.secret, body, headers)


async def test_a_secret_that_has_leaked_signs_no_more(alice: Caller):
    old = await webhooks.create_webhook(alice, url=HOOK)
    new = await webhooks.rotate_secret(alice, old.public_id, keep=timedelta(0))
    assert secrets_of(new, now()) == [new.secret]
    assert new.previous_secret is None


async def test_the_body_is_the_event_as_scan_documents_prints_it(alice: Caller):
    (row,) = await happen(alice, "task.completed")
    body = json.loads(body_of(row, 7))
    assert list(body) == ["id", "type", "timestamp", "data", "sequence"]
    assert body["id"] == f"event_{row.code}"
    assert body["data"] == {"id": "x"}
    assert body["timestamp"].endswith("Z")
    assert "sequence" not in json.loads(body_of(row, None))


# Rules


async def test_an_organization_has_a_limited_number_of_webhooks(
    alice: Caller, stranger: Caller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "MOST_WEBHOOKS", 2)
    for _ in range(2):
        await webhooks.create_webhook(alice, url=HOOK)
    with pytest.raises(LimitExceededError):
        await webhooks.create_webhook(alice, url=HOOK)
    await webhooks.create_webhook(stranger, url=HOOK)


async def test_a_type_that_is_not_there_is_refused(alice: Caller):
    for wrong in (["task.complete"], []):
        with pytest.raises(InputError, match=r"Types are: file\.created"):
            await webhooks.create_webhook(alice, url=HOOK, event_types=wrong)


async def test_nothing_can_be_done_with_a_webhook_of_others(alice: Caller, stranger: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    delivery, _ = await webhooks.send_test(alice, made.public_id)
    for attempt in (
        webhooks.change_webhook(stranger, made.public_id, enabled=False),
        webhooks.rotate_secret(stranger, made.public_id),
        webhooks.send_test(stranger, made.public_id),
        webhooks.resend(stranger, made.public_id, delivery.public_id),
        webhooks.delete_webhook(stranger, made.public_id),
    ):
        with pytest.raises(NotFoundError):
            await attempt


async def test_a_delivery_of_another_webhook_is_not_sent_again(alice: Caller):
    one, other = [await webhooks.create_webhook(alice, url=HOOK) for _ in range(2)]
    delivery, _ = await webhooks.send_test(alice, one.public_id)
    with pytest.raises(NotFoundError):
        await webhooks.resend(alice, other.public_id, delivery.public_id)


async def test_a_delivery_that_was_given_up_begins_anew_under_its_id(alice: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    delivery, activity = await webhooks.send_test(alice, made.public_id)
    async with database().writing() as session:
        row = await session.get_one(Delivery, delivery.id)
        row.outcome, row.due_at, row.attempts = DeliveryOutcome.FAILED, None, 23
        row.until = now() - timedelta(days=3)
    again, same = await webhooks.resend(alice, made.public_id, delivery.public_id)
    assert (again.id, again.attempts, again.outcome) == (delivery.id, 0, DeliveryOutcome.WAITING)
    assert again.due_at is not None
    assert again.until == again.due_at + TRIED_FOR
    assert same.code == activity.code


async def test_a_disabled_webhook_is_sent_nothing_by_hand(alice: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    delivery, _ = await webhooks.send_test(alice, made.public_id)
    await webhooks.change_webhook(alice, made.public_id, enabled=False)
    with pytest.raises(ConflictError):
        await webhooks.send_test(alice, made.public_id)
    with pytest.raises(ConflictError):
        await webhooks.resend(alice, made.public_id, delivery.public_id)


async def test_what_a_deleted_webhook_was_told_is_forgotten_with_its_secret(alice: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    await webhooks.send_test(alice, made.public_id)
    await webhooks.delete_webhook(alice, made.public_id)
    assert await deliveries() == []
    async with database().reading() as session:
        assert (await session.execute(select(Webhook))).first() is None


async def test_each_change_of_a_webhook_is_written_down_without_its_secret(alice: Caller):
    made = await webhooks.create_webhook(alice, url=HOOK)
    await webhooks.change_webhook(alice, made.public_id, url="https://example.com/other")
    await webhooks.rotate_secret(alice, made.public_id)
    await webhooks.delete_webhook(alice, made.public_id)
    async with database().reading() as session:
        query = select(Activity).where(col(Activity.subject) == made.public_id)
        rows = (await session.execute(query.order_by(col(Activity.number)))).scalars().all()
        assert [row.type.removeprefix("webhook.") for row in rows] == [
            *("created", "changed", "secret_rotated", "deleted")
        ]
        assert {row.actor for row in rows} == {alice.actor.name}
        kept = (await session.execute(text("SELECT * FROM activity"))).all()
    assert "whsec_" not in repr(kept)


def test_secrets_are_random_and_long_enough():
    made = {webhooks._new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(standardwebhooks.Webhook(one)._whsecret) for one in made} == {32}
