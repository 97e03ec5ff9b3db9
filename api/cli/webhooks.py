"""`papertray webhooks`: who is told of events, and what became of it."""

from typing import Annotated

from cyclopts import App, Parameter
from sqlmodel import col

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, AtMost, Options, table
from flows import webhooks
from store.access import visible
from store.activity import ALL_TYPES
from store.database import database
from store.models import Delivery, Webhook

app = App(name="webhooks", help="See who is told of events, and what became of it.")


@app.command(name="list")
async def list_webhooks(*, options: Options = DEFAULTS) -> Answer:
    """List the webhooks.

    Args:
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        query = visible(Webhook, caller).order_by(col(Webhook.created_at))
        rows = (await session.execute(query)).scalars().all()
    found = [
        {
            "id": row.public_id,
            "url": row.url,
            "events": row.event_types,
            "enabled": row.disabled_at is None,
            "disabled_reason": row.disabled_reason,
            "created_at": row.created_at,
        }
        for row in rows
    ]
    lines = (
        (one["id"], one["url"], ", ".join(row.event_types), one["disabled_reason"] or "enabled")
        for one, row in zip(found, rows, strict=True)
    )
    return Answer(found, table(("id", "url", "events", "state"), lines))


@app.command
async def create(
    url: str,
    *,
    event: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (ALL_TYPES,),
    options: Options = DEFAULTS,
) -> Answer:
    """Have an address told of events. The secret is shown now and never again.

    Args:
        url: Public address, http or https.
        event: Type of the events it is told of; may be given several times. `*`: all.
        options: Common options.
    """
    async with operator(options, make=True) as caller:
        made = await webhooks.create_webhook(caller, url=url, event_types=event)
    facts = {
        "id": made.public_id,
        "url": made.url,
        "events": made.event_types,
        "secret": made.secret,
    }
    return Answer(
        facts,
        f"{made.secret}\nThis secret of {made.public_id} is shown now and never"
        " again. It verifies what is sent.",
    )


@app.command
async def delete(webhook_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Tell an address nothing any more, and forget what it was told.

    Args:
        webhook_id: `webhook_...`.
        options: Common options.
    """
    async with operator(options) as caller:
        await webhooks.delete_webhook(caller, webhook_id)
    return Answer({"id": webhook_id, "deleted": True}, f"Deleted {webhook_id}.")


@app.command
async def deliveries(webhook_id: str, *, limit: AtMost = 20, options: Options = DEFAULTS) -> Answer:
    """List what a webhook was told or is to be told, the newest first.

    Args:
        webhook_id: `webhook_...`.
        limit: How many at most.
        options: Common options.
    """
    async with operator(options) as caller, database().reading() as session:
        webhook = await webhooks.find_webhook(session, caller, webhook_id)
        query = visible(Delivery, caller).where(col(Delivery.webhook_id) == webhook.id)
        query = query.order_by(col(Delivery.id).desc()).limit(limit)
        rows = (await session.execute(query)).scalars().all()
        events = await webhooks.events_of(session, rows)
    found = [
        {
            "id": row.public_id,
            "event_id": f"event_{events[row.activity_number].code}",
            "event_type": events[row.activity_number].type,
            "status": row.outcome,
            "sequence": row.sequence,
            "attempts": row.attempts,
            "next_attempt_at": row.due_at,
            "http_status": row.status,
            "error": row.error,
        }
        for row in rows
    ]
    shown = ("id", "event_type", "status", "attempts", "next_attempt_at", "error")
    headings = ("id", "event", "status", "tries", "next try", "last error")
    return Answer(found, table(headings, ([one[name] for name in shown] for one in found)))


@app.command
async def resend(webhook_id: str, delivery_id: str, *, options: Options = DEFAULTS) -> Answer:
    """Send a delivery once more, whatever became of it.

    Args:
        webhook_id: `webhook_...`.
        delivery_id: `delivery_...`, as `papertray webhooks deliveries` lists it.
        options: Common options.
    """
    async with operator(options) as caller:
        row, activity = await webhooks.resend(caller, webhook_id, delivery_id)
    facts = {"id": row.public_id, "event_id": f"event_{activity.code}", "status": row.outcome}
    return Answer(facts, f"{row.public_id} is sent again.")
