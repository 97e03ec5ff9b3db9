"""What a server does beside a schedule goes on and off with it."""

import asyncio
from collections.abc import Callable

import pytest

from flows import engine, switches
from store.errors import NotFoundError, PapertrayError, PrefectUnreachableError


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.01)


async def test_a_loop_runs_unless_its_deployment_is_paused_as_far_as_prefect_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[bool | PapertrayError] = [True]
    going: list[str] = []
    asked = 0

    async def is_paused(name: str) -> bool:
        nonlocal asked
        assert name == "retain"
        asked += 1
        if isinstance(said[0], PapertrayError):
            raise said[0]
        return said[0]

    async def loop(stop: asyncio.Event) -> None:
        going.append("on")
        await stop.wait()
        going.append("off")

    async def asked_again() -> None:
        seen = asked
        await until(lambda: asked > seen + 1)

    monkeypatch.setattr(engine, "is_paused", is_paused)
    monkeypatch.setattr(switches, "ASKED_SECONDS", 0.01)
    stop = asyncio.Event()
    running = asyncio.create_task(switches.unless_paused("retain", loop)(stop))
    await asked_again()
    said[0] = PrefectUnreachableError()  # then it stays as it was
    await asked_again()
    assert going == []
    said[0] = False
    await until(lambda: going == ["on"])
    for said[0] in (PrefectUnreachableError(), NotFoundError()):
        await asked_again()
        assert going == ["on"]
    said[0] = True
    await until(lambda: going == ["on", "off"])
    said[0] = False
    await until(lambda: going == ["on", "off", "on"])
    stop.set()
    await running
    assert going == ["on", "off", "on", "off"]


async def test_what_breaks_in_a_loop_breaks_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_paused(_: str) -> bool:
        return False

    async def loop(_: asyncio.Event) -> None:
        raise ValueError("broken")

    monkeypatch.setattr(engine, "is_paused", is_paused)
    with pytest.raises(ValueError, match="broken"):
        await switches.unless_paused("retain", loop)(asyncio.Event())
