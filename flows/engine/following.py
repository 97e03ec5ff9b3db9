"""The events of Prefect, followed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Final
from uuid import UUID

import httpx
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import (
    EventAnyResourceFilter,
    EventFilter,
    EventNameFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import Event, ResourceSpecification

from flows.engine import client
from flows.engine.deployments import TASK_FLOWS
from flows.engine.runs import FINAL_TYPES
from flows.engine.transitions import FIRST_PAUSE_SECONDS, log
from store.errors import (
    PapertrayError,
)

LONGEST_PAUSE_SECONDS: Final = 5.0
"""Between two tries to follow the events."""


async def follow(changed: Callable[[UUID], Awaitable[None]], stop: asyncio.Event) -> None:
    """Tell of each run of a task that ends, or is being cancelled, until told to stop.

    Events come within milliseconds, may come before what they tell of is committed, and may be
    lost: they are hints.

    Args:
        changed: called with the id of the flow run, one after the other.
        stop: ends it.
    """

    async def follow_once() -> None:
        flows = [(await client.call("GET", f"/flows/name/{name}"))["id"] for name in TASK_FLOWS]
        resources = [f"prefect.flow.{one}" for one in flows]
        async for event in state_events(resources, {*FINAL_TYPES, "CANCELLING"}):
            try:
                await changed(run_of(event))
            except PapertrayError as error:
                log.warning("run %s could not be followed: %s", run_of(event), error.code)

    following = asyncio.create_task(keep_following(follow_once))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (following, stopping):
            task.cancel()
        await asyncio.gather(following, stopping, return_exceptions=True)


async def keep_following(follow_once: Callable[[], Awaitable[None]]) -> None:
    """Follow again whenever the connection is lost, for ever."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await follow_once()
        except (PapertrayError, OSError, httpx.HTTPError) as error:
            log.debug("the events of Prefect are lost: %s", type(error).__name__)
        except Exception as error:
            # The subscriber raises a plain Exception where it may not sign in, and whatever its
            # websocket library raises: there is no narrower name for what has to be survived.
            log.warning("the events of Prefect are lost: %s", type(error).__name__)
        if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def state_events(
    resources: Collection[str], types: Collection[str], on_connect: Callable[[], None] | None = None
) -> AsyncGenerator[Event]:
    """Changes of state of flow runs, until the connection is lost.

    Args:
        resources: ids of flows, pools or deployments that the runs are related to.
        types: types of the new state.
        on_connect: called when the connection stands.
    """
    wanted = EventFilter(
        event=EventNameFilter(prefix=["prefect.flow-run."]),
        any_resource=EventAnyResourceFilter(id=list(resources)),
        resource=EventResourceFilter(
            labels=ResourceSpecification({"prefect.state-type": sorted(types)})
        ),
    )
    async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
        if on_connect:
            on_connect()
        async for event in events:
            yield event


def run_of(event: Event) -> UUID:
    """The flow run that an event is about."""
    return UUID(event.resource.id.removeprefix("prefect.flow-run."))
