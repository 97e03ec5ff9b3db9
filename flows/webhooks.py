"""Webhooks: who is told of what, and how what is sent is signed.

Signatures and headers follow Standard Webhooks 1.0.0
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import base64
import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import standardwebhooks
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.public_http import check_url
from store.access import Caller, code_of, visible
from store.activity import ALL_TYPES, EVENT_TYPES, TRIED_FOR, delivery_of, record, told
from store.database import database
from store.errors import ConflictError, InputError, LimitExceededError, NotFoundError
from store.ids import now
from store.models import Activity, Delivery, DeliveryOutcome, Project, Webhook

MOST_WEBHOOKS: Final = 50
"""Of one organization: each event of it is sent so often at most."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # what every secret begins with
SECRET_BYTES: Final = 32

KEEP_OLD_SECRET: Final = timedelta(hours=24)
"""How long the secret before still signs, where nothing else is said."""

TEST_EVENT: Final = "webhook.test"
DISABLED_BY_OWNER: Final = "disabled by its owner"

HEADER_PREFIXES: Final = ("webhook", "svix")
"""Of the headers: the standard's, and the one that it was made from, which libraries still read."""


# Who is told


async def find_webhook(
    session: AsyncSession, caller: Caller, public_id: str, *, lock: bool = False
) -> Webhook:
    """The webhook of that id.

    Raises:
        NotFoundError: there is none, or the caller may not see it.
    """
    query = visible(Webhook, caller).where(col(Webhook.code) == code_of(public_id, "webhook_"))
    found = await session.execute(query.with_for_update(key_share=True) if lock else query)
    webhook = found.scalar_one_or_none()
    if webhook is None:
        raise NotFoundError("There is no webhook with that id.", id=public_id)
    return webhook


async def create_webhook(
    caller: Caller, *, url: str, event_types: Sequence[str] = (ALL_TYPES,)
) -> Webhook:
    """Have an address told of events from now on.

    Args:
        caller: whose events they are.
        url: where to.
        event_types: of EVENT_TYPES, or `*` for all.

    Raises:
        AddressError: the address is none that may be reached.
        InputError: there is no such type.
        LimitExceededError: there are MOST_WEBHOOKS already.
    """
    webhook = Webhook(
        organization_id=caller.organization_id,
        url=check_url(url),
        event_types=_known(event_types),
        secret=_new_secret(),
    )
    async with database().writing() as session:
        return await _add(session, caller, webhook)


async def _add(session: AsyncSession, caller: Caller, webhook: Webhook) -> Webhook:
    mine = visible(Webhook, caller).with_only_columns(func.count())
    if (await session.execute(mine)).scalar_one() >= MOST_WEBHOOKS:
        raise LimitExceededError(
            f"There are {MOST_WEBHOOKS} webhooks already. Delete one that is not needed.",
            limit=MOST_WEBHOOKS,
        )
    session.add(webhook)
    _note(session, caller, webhook, "webhook.created")
    return webhook


async def webhook_of(
    session: AsyncSession, caller: Caller, project: Project, wording: str
) -> Webhook | None:
    """The one webhook of a project that is told in these words, where a surface has such."""
    query = visible(Webhook, caller).where(
        col(Webhook.project_id) == project.id, col(Webhook.wording) == wording
    )
    return (await session.execute(query)).scalar_one_or_none()


async def set_webhook_of(
    caller: Caller, project: Project, wording: str, *, url: str, event_types: Sequence[str]
) -> Webhook | None:
    """Say where the one webhook of a project is that is told in these words.

    Args:
        caller: who sees the project.
        project: of whose tasks it is told.
        wording: a row of `flows/wordings.py`.
        url: where to; empty: nobody is to be told any more.
        event_types: of EVENT_TYPES.

    Raises:
        AddressError, InputError, LimitExceededError: as above.
    """
    async with database().writing() as session:
        # Locked: of two that come at once, the second finds what the first has made.
        await session.get_one(Project, project.id, with_for_update=True)
        webhook = await webhook_of(session, caller, project, wording)
        if not url:
            if webhook is not None:
                await session.delete(webhook)
                _note(session, caller, webhook, "webhook.deleted")
            return None
        if webhook is None:
            webhook = Webhook(
                organization_id=caller.organization_id,
                project_id=project.id,
                wording=wording,
                url=check_url(url),
                event_types=_known(event_types),
                secret=_new_secret(),
            )
            return await _add(session, caller, webhook)
        webhook.url = check_url(url)
        webhook.disabled_at = webhook.resting_until = None
        webhook.disabled_reason = ""
        webhook.updated_at = now()
        _note(session, caller, webhook, "webhook.changed")
    return webhook


async def change_webhook(
    caller: Caller,
    public_id: str,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Change a webhook; what is not given stays as it is.

    What waits for a disabled webhook goes on waiting, and is sent once it is enabled again, if
    that is before its time is over. Nothing is added to it meanwhile.

    Raises:
        NotFoundError, AddressError, InputError: as above.
    """
    async with database().writing() as session:
        webhook = await find_webhook(session, caller, public_id, lock=True)
        if url is not None:
            webhook.url = check_url(url)
        if event_types is not None:
            webhook.event_types = _known(event_types)
        if enabled:
            webhook.disabled_at = webhook.resting_until = None
            webhook.disabled_reason = ""
        elif enabled is not None and webhook.disabled_at is None:
            webhook.disabled_at = now()
            webhook.disabled_reason = DISABLED_BY_OWNER
        webhook.updated_at = now()
        _note(session, caller, webhook, "webhook.changed")
    return webhook


async def delete_webhook(caller: Caller, public_id: str) -> None:
    """Tell an address nothing any more, and forget what it was told.

    Raises:
        NotFoundError: there is no such webhook.
    """
    async with database().writing() as session:
        webhook = await find_webhook(session, caller, public_id, lock=True)
        await session.delete(webhook)
        _note(session, caller, webhook, "webhook.deleted")


async def rotate_secret(
    caller: Caller, public_id: str, *, keep: timedelta = KEEP_OLD_SECRET
) -> Webhook:
    """Give a webhook a new secret; for a while both sign, so that its receiver can change over.

    Args:
        caller: whose webhook it is.
        public_id: of the webhook.
        keep: how long the present secret still signs; no time at all when it has leaked.

    Raises:
        NotFoundError: there is no such webhook.
    """
    async with database().writing() as session:
        webhook = await find_webhook(session, caller, public_id, lock=True)
        webhook.previous_secret = webhook.secret if keep else None
        webhook.previous_secret_until = now() + keep if keep else None
        webhook.secret = _new_secret()
        webhook.updated_at = now()
        _note(session, caller, webhook, "webhook.secret_rotated")
    return webhook


# What is sent


async def send_test(caller: Caller, public_id: str) -> tuple[Delivery, Activity]:
    """Send an event of the type `webhook.test` to one webhook, whatever types it is told of.

    Raises:
        NotFoundError: there is no such webhook.
        ConflictError: it is disabled.
    """
    async with database().writing() as session:
        webhook = await find_webhook(session, caller, public_id, lock=True)
        _must_be_enabled(webhook)
        activity = _note(session, caller, webhook, TEST_EVENT)
        await session.flush()
        delivery = delivery_of(activity, webhook_id=webhook.id, lane=webhook.code)
        session.add(delivery)
    return delivery, activity


async def resend(caller: Caller, webhook_id: str, delivery_id: str) -> tuple[Delivery, Activity]:
    """Send a delivery once more, whatever became of it, under the id it had.

    Raises:
        NotFoundError: there is no such webhook or delivery.
        ConflictError: the webhook is disabled.
    """
    async with database().writing() as session:
        webhook = await find_webhook(session, caller, webhook_id, lock=True)
        _must_be_enabled(webhook)
        query = visible(Delivery, caller).where(
            col(Delivery.webhook_id) == webhook.id,
            col(Delivery.code) == code_of(delivery_id, "delivery_"),
        )
        delivery = (await session.execute(query.with_for_update())).scalar_one_or_none()
        if delivery is None:
            raise NotFoundError("There is no delivery with that id.", id=delivery_id)
        delivery.outcome = DeliveryOutcome.WAITING
        delivery.attempts = 0
        delivery.due_at = now()
        delivery.until = delivery.due_at + TRIED_FOR
        webhook.resting_until = None
        activity = await session.get_one(Activity, delivery.activity_number)
    return delivery, activity


async def events_of(session: AsyncSession, deliveries: Iterable[Delivery]) -> dict[int, Activity]:
    """The events that deliveries tell of, by number."""
    numbers = {delivery.activity_number for delivery in deliveries}
    query = select(Activity).where(col(Activity.number).in_(numbers))
    found = (await session.execute(query)).scalars()
    return {activity.number: activity for activity in found if activity.number is not None}


def body_of(activity: Activity, sequence: int | None, **more: Any) -> str:
    """The body of what is sent: the same for each try.

    Args:
        activity: what happened.
        sequence: its number for this webhook; a callback has none.
        more: further members, in the place of those of the same name.
    """
    content: dict[str, Any] = told(activity)
    content["timestamp"] = activity.at.isoformat().replace("+00:00", "Z")
    if sequence is not None:
        content["sequence"] = sequence
    return json.dumps({**content, **more}, separators=(",", ":"))


def secrets_of(webhook: Webhook, at: datetime) -> list[str]:
    """The secrets that sign at that time, the newest first."""
    until = webhook.previous_secret_until
    if webhook.previous_secret is None or until is None or at >= until:
        return [webhook.secret]
    return [webhook.secret, webhook.previous_secret]


def headers_of(event_id: str, at: datetime, body: str, signing: Sequence[str]) -> dict[str, str]:
    """The headers by which a receiver knows sender, time and event.

    Args:
        event_id: the same for each try, by which a receiver knows what it has already.
        at: of this try.
        body: as it is sent.
        signing: secrets, each of which signs; none for a callback, which is not signed.
    """
    known = {"id": event_id, "timestamp": str(int(at.timestamp()))}
    if signing:
        signatures = (standardwebhooks.Webhook(one).sign(event_id, at, body) for one in signing)
        known["signature"] = " ".join(signatures)
    return {
        f"{prefix}-{name}": value for prefix in HEADER_PREFIXES for name, value in known.items()
    }


# Rules


def _known(event_types: Sequence[str]) -> list[str]:
    unknown = sorted(set(event_types) - {*EVENT_TYPES, ALL_TYPES})
    if unknown or not event_types:
        raise InputError(
            f"There is no event type {', '.join(unknown) or 'of no name'}."
            f" Types are: {', '.join(EVENT_TYPES)}, and {ALL_TYPES} for all.",
            event_types=unknown,
        )
    return [one for one in (ALL_TYPES, *EVENT_TYPES) if one in event_types]


def _must_be_enabled(webhook: Webhook) -> None:
    if webhook.disabled_at is not None:
        raise ConflictError(
            "The webhook is disabled. Enable it first.", disabled_reason=webhook.disabled_reason
        )


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _note(session: AsyncSession, caller: Caller, webhook: Webhook, activity: str) -> Activity:
    return record(
        session,
        activity,
        caller.actor,
        organization_id=webhook.organization_id,
        subject=webhook.public_id,
    )
