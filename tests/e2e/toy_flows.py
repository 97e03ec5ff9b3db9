"""Small flows by which the worker is tried; each leaves a trace of what it did in a folder."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

from prefect import flow, task
from prefect.input import RunInput

from flows.review import wait_for_answer

RESULTS = Path(os.environ.get("TOY_FOLDER", "/tmp")) / "results"


class Verdict(RunInput):
    decision: Literal["complete", "discard"]
    note: str = ""


def trace(folder: str, what: str) -> None:
    with (Path(folder) / "trace").open("a") as file:
        file.write(f"{what}\n")


@task(persist_result=True)
async def step(folder: str, name: str) -> str:
    trace(folder, name)
    return name


@task(persist_result=True)
async def slow_step(folder: str, name: str, seconds: float) -> str:
    trace(folder, f"{name} begins")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import time; time.sleep({seconds})"
    )
    (Path(folder) / "child").write_text(str(child.pid))
    try:
        await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    trace(folder, name)
    return name


@flow(persist_result=True, result_storage=RESULTS)
async def three_steps(folder: str) -> None:
    for name in ("one", "two", "three"):
        await step(folder, name)


@flow(persist_result=True, result_storage=RESULTS)
async def slow(folder: str, seconds: float = 60) -> None:
    await step(folder, "one")
    await slow_step(folder, "slow", seconds)
    await step(folder, "three")


@flow(persist_result=True, result_storage=RESULTS)
async def reviewed(folder: str) -> None:
    await step(folder, "one")
    answer = await wait_for_answer(Verdict, key="review-1")
    trace(folder, answer.decision)
    await step(folder, "three")


@flow(persist_result=True, result_storage=RESULTS)
async def failing(folder: str) -> None:
    await step(folder, "one")
    raise ValueError("it is broken")


@flow(persist_result=True, result_storage=RESULTS, timeout_seconds=0.5)
async def too_slow(folder: str) -> None:
    await slow_step(folder, "slow", 60)


@flow(persist_result=True, result_storage=RESULTS)
async def leaving(folder: str) -> None:
    trace(folder, "one")
    sys.exit(3)


@flow(name="unwilling", persist_result=True, result_storage=RESULTS)
def not_async(folder: str) -> None:
    trace(folder, "one")
