"""What a server does beside a scheduled flow stops while people have paused that in Prefect."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

from flows import engine
from flows.pauses import pause
from store.errors import PapertrayError

log = logging.getLogger("papertray.switches")

ASKED_SECONDS: Final = 15.0
"""How often Prefect is asked."""

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def unless_paused(deployment: str, loop: Loop) -> Loop:
    """A loop that runs until it is told to stop, and not while a deployment is paused.

    Args:
        deployment: whose schedule people pause in Prefect's UI.
        loop: does the same, sooner than the schedule.
    """

    async def run(stop: asyncio.Event) -> None:
        is_paused = False
        while not stop.is_set():
            is_paused = await _is_paused(deployment, otherwise=is_paused)
            if is_paused:
                await pause(stop, ASKED_SECONDS)
            else:
                await _run_until_paused(stop)

    async def _run_until_paused(stop: asyncio.Event) -> None:
        over = asyncio.Event()
        running = asyncio.create_task(loop(over))
        stopping = asyncio.create_task(stop.wait())
        try:
            while not (running.done() or stopping.done()):
                await asyncio.wait(
                    [running, stopping],
                    timeout=ASKED_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if await _is_paused(deployment, otherwise=False):
                    log.info("%s is paused in Prefect", deployment)
                    break
        finally:
            over.set()
            stopping.cancel()
            await running

    run.__name__ = getattr(loop, "__name__", deployment)
    return run


async def _is_paused(deployment: str, *, otherwise: bool) -> bool:
    """Whether it is, as far as Prefect answers."""
    try:
        return await engine.is_paused(deployment)
    except PapertrayError:
        return otherwise
