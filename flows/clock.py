"""What is done when the clock was put back: nothing may wait for a time that it had before.

Put forward, a clock only ends waits too early: calls and messages are made once more, which all
of them bear; a worker is not taken for dead by one whose own heart looks dead, too (`reconcile`).
"""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select, update
from sqlmodel import col

from flows.deliver_webhooks import LONGEST_REST
from flows.expire import expire_once
from flows.pauses import pause
from flows.reconcile import reconcile_once
from store.database import TROUBLE, database
from store.errors import PrefectUnreachableError
from store.ids import now
from store.models import Activity, Delivery, Outbox, Webhook, Worker

log = logging.getLogger("papertray.clock")

LOOK_SECONDS: Final = 15.0

LARGEST_SKEW: Final = timedelta(seconds=60)
"""How far the clocks of servers may be apart; what lies further ahead is of another time."""


async def run_clock_watch(stop: asyncio.Event) -> None:
    """See to it that work goes on when the clock was put back, until told to stop.

    Prefect makes no run of a schedule at a time for which it made one before: until the clock is
    where it was, what `reconcile` and `expire` do is done here.
    """
    latest = await latest_known()
    while not stop.is_set():
        at = now()
        latest = max(latest, at)
        if latest - at > LARGEST_SKEW:
            log.warning("the clock is %s behind what it was", latest - at)
            await catch_up()
        await pause(stop, LOOK_SECONDS)


async def latest_known() -> datetime:
    """The latest time that the store remembers to have seen."""
    last = select(col(Activity.at)).order_by(col(Activity.number).desc()).limit(1)
    try:
        async with database().reading() as session:
            happened = (await session.execute(last)).scalar()
            seen = (await session.execute(select(func.max(col(Worker.seen_at))))).scalar()
    except TROUBLE:
        return now()
    return max(filter(None, (happened, seen)), default=now())


async def catch_up() -> None:
    """Do now what waits for a time that the clock had before."""
    try:
        await mend_times()
        await reconcile_once()
        await expire_once()
    except (*TROUBLE, PrefectUnreachableError) as error:
        log.warning("what waits for the clock waits on: %s", error.code)


async def mend_times() -> None:
    """Let nothing of ours wait for longer than it would if it began to wait now."""
    at = now()
    ahead = at + LARGEST_SKEW
    never_tried = col(Delivery.tried_at).is_(None)
    async with database().writing() as session:
        await session.execute(
            update(Outbox).where(col(Outbox.available_at) > ahead).values(available_at=at)
        )
        await session.execute(
            update(Delivery)
            .where(
                col(Delivery.due_at) > ahead,
                # One whose last try was before that waits on: a try is hours apart from the next.
                or_(never_tried, col(Delivery.tried_at) > ahead),
            )
            .values(due_at=at)
        )
        await session.execute(
            update(Webhook)
            .where(col(Webhook.resting_until) > ahead + LONGEST_REST)
            .values(resting_until=None)
        )
        # A living worker says so again in seconds; a dead one is found dead by this.
        await session.execute(update(Worker).where(col(Worker.seen_at) > ahead).values(seen_at=at))
