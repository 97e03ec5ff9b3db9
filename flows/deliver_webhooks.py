"""Sends what receivers are to be told: at least once, each at its own pace, for 48 hours."""

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from prefect import flow
from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from flows.public_http import (
    UNANSWERED,
    USER_AGENT,
    PublicHttp,
    why_refused,
    why_unanswered,
)
from flows.webhooks import events_of, headers_of, secrets_of
from flows.wordings import body_for
from store.activity import FILE_EVENTS, record
from store.database import TROUBLE, database
from store.ids import now
from store.models import Delivery, DeliveryOutcome, Webhook
from store.settings import settings
from store.states import Actor

log = logging.getLogger("papertray.webhooks")

ANSWER_SECONDS: Final = 5.0
"""How long a receiver has to answer; connecting included."""

KEPT_CHARACTERS: Final = 200
"""How much of an answer is kept, for whoever looks why it failed."""

TAKEN_SECONDS: Final = 30.0
"""How long a delivery that was taken stays hidden from other senders; one that died had it."""

LOOK_SECONDS: Final = 0.5
"""How often the store is looked at for what other processes put there."""

MOST_AT_ONCE: Final = 256
"""Deliveries under way in one process."""

MOST_IN_A_LANE: Final = 4
"""Requests to one receiver at the same moment."""

MOST_HELD: Final = 32
"""Deliveries to one receiver that are taken in one commit, and sent as it answers."""

MOST_LANES: Final = 10_000
"""Of so many receivers it is remembered how they fared."""

FAILURES_UNTIL_SLOW: Final = 5
"""A receiver that failed so often in a row is sent one delivery at a time."""

LONGEST_REST: Final = timedelta(hours=4)
"""The longest `Retry-After` that is honoured."""

OVERDUE_SECONDS: Final = 60.0
"""What is due for so long has no sender; the scheduled flow is one."""

LEFT_FOR: Final = timedelta(hours=1)
"""After its time a delivery that was tried, and that nobody finished, is given up."""

REPAIR_SECONDS: Final = 25.0
"""How long one run of the flow sends."""

SENDER: Final = Actor("webhooks", "system")


@dataclass(frozen=True)
class Backoff:
    """How long to wait between two tries: each time twice as long, up to a limit."""

    first_seconds: float = 5.0
    longest_seconds: float = 4 * 3600.0
    spread_ratio: float = 0.2
    """By which share of it a wait may be longer or shorter, so that not all come back at once."""

    def wait(self, attempts: int, chance: float) -> timedelta:
        """The time until the next try.

        Args:
            attempts: tries that have failed, from 1.
            chance: 0..1, where within the spread.
        """
        doubled = self.first_seconds * 2 ** min(attempts - 1, 32)
        spread = 1 + self.spread_ratio * (2 * chance - 1)
        return timedelta(seconds=min(doubled, self.longest_seconds) * spread)


@dataclass(frozen=True)
class Job:
    """A delivery that was taken: what to send, and where."""

    id: int
    lane: str
    webhook_id: UUID | None
    organization_id: UUID
    attempts: int
    """This one included."""
    due_at: datetime
    """Since when it was due."""
    lease: datetime
    """What `due_at` is while the delivery is taken."""
    until: datetime
    url: str
    event_id: str
    body: str
    keeps_answer: bool
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What came of one try."""

    at: datetime
    seconds: float
    status: int | None = None
    error: str = ""
    """Empty: delivered."""
    text: str = ""
    rest: timedelta | None = None
    """How long the receiver wants to be left alone."""


@dataclass
class _Lane:
    """What goes on with one receiver, as far as this sender knows."""

    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_IN_A_LANE))
    sending: int = 0
    failures: int = 0
    """In a row."""
    closed_at: float = -1.0
    """On the clock of the loop: what was taken before, the receiver does not want now."""

    @property
    def is_slow(self) -> bool:
        return self.failures >= FAILURES_UNTIL_SLOW


class Deliverer:
    """One sender; any number of them share the work, in one process or many."""

    def __init__(
        self,
        http: PublicHttp,
        *,
        backoff: Backoff | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        taken_seconds: float = TAKEN_SECONDS,
        overdue_seconds: float = 0.0,
    ):
        """Make one.

        Args:
            http: what it sends with.
            backoff: between two tries.
            answer_seconds: how long a receiver has.
            taken_seconds: how long what it took is hidden from others; more than the above.
            overdue_seconds: it leaves to others what is due for less long.
        """
        if taken_seconds <= answer_seconds:
            raise ValueError("what is taken must stay hidden until its receiver has answered")
        self._http = http
        self._backoff = backoff or Backoff()
        self._answer_seconds = answer_seconds
        self._taken = timedelta(seconds=taken_seconds)
        self._overdue = timedelta(seconds=overdue_seconds)
        self._flying: dict[asyncio.Task[None], str] = {}
        self._answers: list[tuple[Job, Answer | None]] = []
        """What came of the jobs; None: it was not tried."""
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)

    async def run(self, stop: asyncio.Event) -> None:
        """Send what is due, as it becomes due, until told to stop."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                if not await self._turn():
                    await asyncio.wait(
                        [*self._flying, stopping],
                        timeout=LOOK_SECONDS,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
            await self._land()
        finally:
            stopping.cancel()
            for one in self._flying:
                one.cancel()

    async def deliver_due(self, within_seconds: float = REPAIR_SECONDS) -> int:
        """Send what is due now, for so long at most; answers how many tries were made."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_seconds
        tries = 0
        while loop.time() < end and ((made := await self._turn()) or self._flying):
            tries += made
            if self._flying:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
        await self._land()
        return tries

    async def _land(self) -> None:
        """Let what is under way end, and write down how."""
        if self._flying:
            await asyncio.wait(self._flying)
        await self._turn(take=False)

    async def _turn(self, *, take: bool = True) -> int:
        """Write down what came in and take what is due, in one commit; answers how many it took."""
        answers = list(self._answers)
        try:
            take = take and await self._is_any_due()
            if not (answers or take):
                return 0
            async with database().writing() as session:
                for job, answer in answers:
                    if answer is None:
                        await self._put_back(session, job)
                    else:
                        await self._write_down(session, job, answer)
                jobs = await self._take(session) if take else []
        except TROUBLE as error:
            # The answers are kept for the next turn; what was sent meanwhile is sent again.
            log.warning("deliveries wait: %s", error.code)
            await asyncio.sleep(LOOK_SECONDS)
            return 0
        del self._answers[: len(answers)]
        for job in jobs:
            flying = asyncio.create_task(self._deliver(job))
            self._flying[flying] = job.lane
            flying.add_done_callback(self._landed)
        return len(jobs)

    def _landed(self, one: asyncio.Task[None]) -> None:
        lane = self._flying.pop(one)
        forgettable = not self._lanes[lane].failures or len(self._lanes) > MOST_LANES
        if forgettable and lane not in self._flying.values():
            del self._lanes[lane]
        if not one.cancelled() and (error := one.exception()):
            # Nothing is lost: the delivery is due again when its lease ends.
            log.error("a delivery to %s broke", lane, exc_info=error)

    # Taking

    def _due(self, *full: str) -> Select[tuple[Delivery]]:
        at = now()
        mine: ColumnElement[bool] = or_(
            col(Delivery.webhook_id).is_(None),
            and_(
                col(Webhook.disabled_at).is_(None),
                or_(col(Webhook.resting_until).is_(None), col(Webhook.resting_until) <= at),
            ),
        )
        return (
            select(Delivery)
            .join(Webhook, col(Webhook.id) == col(Delivery.webhook_id), isouter=True)
            .where(
                col(Delivery.due_at) <= at - self._overdue, mine, col(Delivery.lane).not_in(full)
            )
            .order_by(col(Delivery.due_at), col(Delivery.id))
        )

    def _room(self) -> Counter[str]:
        """By lane: how many are under way."""
        return Counter(self._flying.values())

    def _limit(self, lane: str) -> int:
        return 1 if lane in self._lanes and self._lanes[lane].is_slow else MOST_HELD

    async def _is_any_due(self) -> bool:
        """Most looks find nothing: they must not queue for the write lock."""
        if len(self._flying) >= MOST_AT_ONCE:
            return False
        full = [lane for lane, flying in self._room().items() if flying >= self._limit(lane)]
        async with database().reading() as session:
            query = self._due(*full).with_only_columns(col(Delivery.id)).limit(1)
            return (await session.execute(query)).first() is not None

    async def _take(self, session: AsyncSession) -> list[Job]:
        """Take what is due, as much as each receiver has room for, the longest due first."""
        lease = now() + self._taken
        flying = self._room()
        taken: list[tuple[Delivery, datetime]] = []
        while (room := MOST_AT_ONCE - flying.total()) > 0:
            full = [lane for lane, count in flying.items() if count >= self._limit(lane)]
            query = self._due(*full).limit(room)
            query = query.with_for_update(skip_locked=True, of=Delivery)
            rows = (await session.execute(query)).scalars().all()
            for row in rows:
                if row.due_at is not None and flying[row.lane] < self._limit(row.lane):
                    flying[row.lane] += 1
                    taken.append((row, row.due_at))
                    row.due_at = lease
                    row.attempts += 1
            # Each round fills a lane, which the next leaves out, or there is no more.
            if len(rows) < room:
                break
        return await self._jobs(session, sorted(taken, key=lambda one: one[0].id or 0), lease)

    async def _jobs(
        self, session: AsyncSession, taken: Sequence[tuple[Delivery, datetime]], lease: datetime
    ) -> list[Job]:
        events = await events_of(session, (row for row, _ in taken))
        ids = {row.webhook_id for row, _ in taken if row.webhook_id}
        query = select(Webhook).where(col(Webhook.id).in_(ids)).order_by(col(Webhook.id))
        # Locked: another process may be giving out numbers of the same webhook. With `key_share`
        # those go on who add deliveries to it.
        found = (await session.execute(query.with_for_update(key_share=True))).scalars()
        webhooks = {webhook.id: webhook for webhook in found}
        jobs: list[Job] = []
        for row, due_at in taken:
            webhook = webhooks[row.webhook_id] if row.webhook_id else None
            if webhook is not None and row.sequence is None:
                webhook.last_sequence += 1
                row.sequence = webhook.last_sequence
            event = events[row.activity_number]
            assert row.id is not None  # noqa: S101  # it was read from the database
            jobs.append(
                Job(
                    id=row.id,
                    lane=row.lane,
                    webhook_id=row.webhook_id,
                    organization_id=row.organization_id,
                    attempts=row.attempts,
                    due_at=due_at,
                    lease=lease,
                    until=row.until,
                    url=webhook.url if webhook else row.url or "",
                    event_id=f"event_{event.code}",
                    body=await body_for(session, webhook, event, row.sequence),
                    keeps_answer=event.type not in FILE_EVENTS,
                    secrets=secrets_of(webhook, now()) if webhook else (),
                )
            )
        return jobs

    # Sending

    async def _deliver(self, job: Job) -> None:
        lane, began = self._lanes[job.lane], asyncio.get_running_loop().time()
        async with lane.turn:
            answer = None
            left = (job.lease - now()).total_seconds() - self._answer_seconds
            if left > 0 and not (lane.is_slow and lane.sending) and began > lane.closed_at:
                lane.sending += 1
                try:
                    answer = await self._send(job)
                finally:
                    lane.sending -= 1
                lane.failures = lane.failures + 1 if answer.error else 0
                if answer.error and (answer.rest or answer.status == HTTPStatus.GONE):
                    lane.closed_at = asyncio.get_running_loop().time()
        self._answers.append((job, answer))

    async def _send(self, job: Job) -> Answer:
        loop, at = asyncio.get_running_loop(), now()
        began = loop.time()
        heard: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._answer_seconds):
                await self._hear(job, at, heard)
            error = ""
        except UNANSWERED as unanswered:
            error = why_unanswered(unanswered, self._answer_seconds)
        status: int | None = heard.get("status")
        if status is not None:
            # The status counts as soon as it is there, whatever becomes of the rest.
            error = why_refused(status)
        return Answer(at=at, seconds=loop.time() - began, error=error, **heard)

    async def _hear(self, job: Job, at: datetime, heard: dict[str, Any]) -> None:
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            **headers_of(job.event_id, at, job.body, job.secrets),
        }
        async with self._http.stream(
            "POST",
            job.url,
            headers=headers,
            content=job.body.encode(),
            timeout_seconds=self._answer_seconds,
        ) as response:
            heard["status"] = response.status
            heard["rest"] = _retry_after(response.headers, at)
            # The first part only: who sends gigabytes sends them to nobody.
            async for part in response.aiter_stream():
                heard["text"] = _shown(part)
                break

    # Writing down

    async def _put_back(self, session: AsyncSession, job: Job) -> None:
        await session.execute(
            update(Delivery)
            .where(col(Delivery.id) == job.id, col(Delivery.due_at) == job.lease)
            .values(due_at=job.due_at, attempts=job.attempts - 1)
        )

    async def _write_down(self, session: AsyncSession, job: Job, answer: Answer) -> None:
        gone = answer.status == HTTPStatus.GONE
        wait = self._wait(job, answer)
        over = answer.at >= job.until or (gone and job.webhook_id is None)
        if not answer.error:
            outcome, due_at = DeliveryOutcome.DELIVERED, None
        elif over or gone:
            outcome, due_at = DeliveryOutcome.FAILED, None
        else:
            outcome, due_at = DeliveryOutcome.WAITING, min(answer.at + wait, job.until)
        await session.execute(
            update(Delivery)
            # Of one that was asked for again meanwhile, the new beginning counts.
            .where(col(Delivery.id) == job.id, col(Delivery.due_at) == job.lease)
            .values(
                outcome=outcome,
                due_at=due_at,
                tried_at=answer.at,
                status=answer.status,
                error=answer.error,
                answer=answer.text if job.keeps_answer else "",
                duration_seconds=answer.seconds,
            )
        )
        if job.webhook_id is None:
            return
        if gone:
            await self._disable(session, job, answer)
        elif answer.rest is not None and answer.error:
            await session.execute(
                update(Webhook)
                .where(col(Webhook.id) == job.webhook_id)
                .values(resting_until=answer.at + answer.rest)
            )

    def _wait(self, job: Job, answer: Answer) -> timedelta:
        if answer.rest is not None:
            # Who says "1" to each try gets no more of them for it.
            return max(answer.rest, timedelta(seconds=self._backoff.first_seconds))
        return self._backoff.wait(job.attempts, random.random())  # noqa: S311  # it is no secret

    async def _disable(self, session: AsyncSession, job: Job, answer: Answer) -> None:
        disabled = await session.execute(
            update(Webhook)
            .where(col(Webhook.id) == job.webhook_id, col(Webhook.disabled_at).is_(None))
            .values(disabled_at=answer.at, disabled_reason=answer.error, updated_at=answer.at)
            .returning(col(Webhook.code))
        )
        if (code := disabled.scalar_one_or_none()) is not None:
            record(
                session,
                "webhook.disabled",
                SENDER,
                organization_id=job.organization_id,
                subject=f"webhook_{code}",
                reason=answer.error,
            )


def _retry_after(headers: Sequence[tuple[bytes, bytes]], at: datetime) -> timedelta | None:
    """What the answer says, within LONGEST_REST; None when it says nothing that can be read.

    Source: RFC 9110, 10.2.3.
    """
    found = [value for name, value in headers if name.lower() == b"retry-after"]
    if not found:
        return None
    text = found[0].decode("ascii", errors="replace").strip()
    if text.isdecimal():
        wait = timedelta(seconds=min(float(text), LONGEST_REST.total_seconds()))
    else:
        try:
            named = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait = (named if named.tzinfo else named.replace(tzinfo=UTC)) - at
    return min(wait, LONGEST_REST) if wait > timedelta(0) else None


def _shown(part: bytes) -> str:
    """How an answer began, in characters that every database keeps and every page shows."""
    text = part[: 4 * KEPT_CHARACTERS].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text)[:KEPT_CHARACTERS]


async def run_deliverer(stop: asyncio.Event) -> None:
    """Send what receivers are to be told, until told to stop."""
    async with PublicHttp() as http:
        await Deliverer(http).run(stop)


@flow(name="deliver-webhooks")
async def deliver_webhooks() -> None:
    """Send what nobody sends, give up what is past its time, and forget what is long over."""
    await deliver_overdue()


async def deliver_overdue() -> int:
    """Send what has no sender, give up and forget; answers how many tries were made."""
    at = now()
    async with database().writing() as session:
        disabled = select(col(Webhook.id)).where(col(Webhook.disabled_at).is_not(None))
        # Who sends makes the last try at the end of the time and writes down how it went. What is
        # left was kept from it by a disabled webhook, or breaks its sender each time.
        broken = and_(col(Delivery.attempts) > 0, col(Delivery.until) < at - LEFT_FOR)
        await session.execute(
            update(Delivery)
            .where(
                col(Delivery.due_at).is_not(None),
                col(Delivery.until) < at,
                or_(col(Delivery.webhook_id).in_(disabled), broken),
            )
            .values(
                outcome=DeliveryOutcome.FAILED,
                due_at=None,
                error="It could not be sent until its time was over.",
            )
        )
        old = at - timedelta(seconds=settings().webhook_log_seconds)
        await session.execute(
            delete(Delivery).where(col(Delivery.due_at).is_(None), col(Delivery.created_at) < old)
        )
    async with PublicHttp() as http:
        return await Deliverer(http, overdue_seconds=OVERDUE_SECONDS).deliver_due()
