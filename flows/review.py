"""The wait of a run for an answer: of a person, or of a client that fetches its files."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import CONFLICT
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from prefect import pause_flow_run
from prefect.context import FlowRunContext
from prefect.exceptions import Abort, Pause, PrefectHTTPStatusError
from prefect.input import RunInput
from prefect.input.actions import aread_flow_run_input
from prefect.input.run_input import Keyset, keyset_from_base_key

from flows import engine
from flows.engine import Parked
from flows.task_run import TaskRun
from flows.waits import pause_key
from store.errors import PrefectUnreachableError
from store.ids import now
from store.settings import settings

Form = TypeVar("Form", bound=RunInput)

LONGEST_WAIT_SECONDS: Final = 10 * 365 * 86400
"""Prefect knows no wait without an end. Deadlines are kept in the store."""

STOCK_POLL_SECONDS: Final = 5
"""How often a run on a stock pool asks whether it was resumed."""

PARK_AGAIN_SECONDS: Final = 5.0
"""Between two tries to park, while Prefect does not answer."""


@dataclass(eq=False)
class Seat:
    """The place of one run in a worker: where the two talk while the run waits."""

    hint: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the worker: the run may have been resumed, look."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the worker: it stops, so park now."""
    waits: bool = False
    """Set by the run: it waits for an answer and costs nothing but memory."""
    parks: bool = False
    """Set by the run: it changes its state itself just now, and ends by itself."""
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Taken while it parks: a worker that stops does not park all its runs at once."""
    changed: Callable[[], None] = lambda: None
    """Called by the run when it begins or ends to wait."""


SEAT: ContextVar[Seat | None] = ContextVar("seat", default=None)


async def wait_for_answer(form: type[Form], *, key: str) -> Form:
    """Wait until somebody has filled in a form; for weeks, if need be.

    The wait is Prefect's own `pause_flow_run`. After `review_attended_seconds`, and when its
    worker stops, the run parks itself: this function then leaves the flow by Prefect's signal
    `Pause`, and the resumed run comes here again, from the top of the flow.

    Args:
        form: with at least one required field, or it could be sent without a decision.
        key: of this round; a flow never waits twice under one key.

    Returns:
        The filled form.

    Raises:
        Pause: the run is parked; to be let through.
        Abort: the run is not this execution's any more; to be let through.
        PrefectUnreachableError: Prefect does not answer; wait again under the same key.
    """
    if not any(one.is_required() for one in form.model_fields.values()):
        raise TypeError(f"the form {form.__name__} has no required field")
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("only a flow can wait")
    seat = SEAT.get()
    wait = _Wait(context.flow_run.id, form, key, seat or Seat(), on_stock=seat is None)
    with engine.errors_are_ours():
        return cast(Form, await wait.result())


async def wait_out(
    run: TaskRun,
    form_of: Callable[[], Awaitable[type[RunInput]]],
    take: Callable[[Any], Awaitable[None]],
) -> None:
    """Wait until the task waits no more, in as many rounds as that takes.

    Args:
        run: of the task.
        form_of: makes the form of a round.
        take: does what a form says that was filled in in Prefect; where that is not possible, it
            begins the next round.
    """
    while (key := pause_key(run.task)) is not None:
        answer = await wait_for_answer(await form_of(), key=key)
        await run.reload()
        if pause_key(run.task) == key:
            # Nobody decided in the store: the run was resumed in Prefect.
            await take(answer)


class _Wait:
    """One round of waiting."""

    def __init__(self, run_id: UUID, form: type[RunInput], key: str, seat: Seat, *, on_stock: bool):
        self.run_id = run_id
        self.form = form
        self.key = key
        self.seat = seat
        self.on_stock = on_stock
        self.keyset: Keyset = keyset_from_base_key(f"paused-{key}")
        self.paused = asyncio.Event()

    async def result(self) -> RunInput:
        await self._save_form()
        pausing = asyncio.create_task(self._pause())
        try:
            return await self._attend(pausing)
        finally:
            self._show(waits=False)
            await _drop(pausing)

    async def _save_form(self) -> None:
        """Save the form before the state: from its first moment on, the wait can be resumed.

        `pause_flow_run` saves it after the state, and is kept from doing it again.
        """
        try:
            await self.form.asave(self.keyset, self.run_id)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != CONFLICT:  # the run was here before
                raise

    async def _pause(self) -> RunInput | None:
        paused = self.paused

        class Saved(self.form):
            @classmethod
            async def asave(cls, keyset: Any, flow_run_id: UUID | None = None) -> None:  # noqa: ARG003  # Prefect's signature
                paused.set()

        Saved.__name__ = self.form.__name__
        try:
            return await pause_flow_run(  # pyright: ignore[reportGeneralTypeIssues]  # async in a coroutine
                wait_for_input=Saved,
                timeout=LONGEST_WAIT_SECONDS,
                # On our worker one question for all runs takes the place of one for each.
                poll_interval=STOCK_POLL_SECONDS if self.on_stock else LONGEST_WAIT_SECONDS,
                key=self.key,
            )
        except RuntimeError as error:
            # It is neither running nor paused: cancelled, or taken over, in this moment. That is
            # no failure of the task.
            raise Abort(str(error)) from error

    async def _attend(self, pausing: asyncio.Task[RunInput | None]) -> RunInput:
        """Wait in memory, as long as that is worth it."""
        await _first(pausing, self.paused)
        if not self.paused.is_set():
            try:
                answer = await pausing
            except Pause:
                # It is paused already: the answer that said so was lost, or the execution before
                # this one was.
                return await self._park()
            return await self._replayed(answer)
        self._show(waits=True)
        until = asyncio.get_running_loop().time() + settings().review_attended_seconds
        while (
            left := until - asyncio.get_running_loop().time()
        ) > 0 and not self.seat.stop.is_set():
            await _first(pausing, self.seat.hint, self.seat.stop, timeout=left)
            if pausing.done():
                if (answer := await pausing) is not None:
                    return answer
                break
            if self.seat.hint.is_set():
                self.seat.hint.clear()
                if (answer := await self._answer()) is not None:
                    return answer
        await _drop(pausing)
        return await self._park()

    async def _replayed(self, answer: RunInput | None) -> RunInput:
        """Go on where the run was before: this pause has been, and mostly its answer is there.

        Prefect 3.8 gives None here instead of the answer (`apause_flow_run` forgets a return).
        """
        answer = answer or await self._answer()
        if answer is not None:
            return answer
        # The run was started again without an answer: it goes on waiting, without a process.
        self.seat.parks = True
        await engine.suspend(
            self.run_id,
            pause_key=self.key,
            keyset={str(name): value for name, value in self.keyset.items()},
            until=now() + timedelta(seconds=LONGEST_WAIT_SECONDS),
        )
        raise Pause

    async def _answer(self) -> RunInput | None:
        """The filled form, if it is there: Prefect stores it in the moment of the resume."""
        value = await aread_flow_run_input(self.keyset["response"], flow_run_id=self.run_id)
        return None if value is None else self.form(**value)

    async def _park(self) -> RunInput:
        """Leave the memory; an answer that comes meanwhile is taken."""
        self.seat.parks = True
        while True:
            try:
                async with self.seat.turn:
                    parked = await engine.park(self.run_id)
            except PrefectUnreachableError:
                if self.seat.stop.is_set():
                    raise Pause from None  # whoever takes over from this worker parks it
                await _first(self.seat.stop, timeout=PARK_AGAIN_SECONDS)
                continue
            if parked is Parked.RESUMED:
                if not self.seat.stop.is_set() and (answer := await self._answer()) is not None:
                    self.seat.parks = False
                    return answer
                await engine.reschedule(self.run_id)
            raise Pause

    def _show(self, *, waits: bool) -> None:
        self.seat.waits = waits
        self.seat.changed()


async def _first(*what: asyncio.Task[Any] | asyncio.Event, timeout: float | None = None) -> None:
    """Wait for the first of some tasks and events."""
    waits = [
        one if isinstance(one, asyncio.Task) else asyncio.create_task(one.wait()) for one in what
    ]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            if one not in what:
                one.cancel()


async def _drop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # seen; whoever drops the task has gone on without it
