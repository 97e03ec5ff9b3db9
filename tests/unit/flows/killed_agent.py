"""A folder agent that is killed before its n-th change of a file, as often as it is asked for.

Reads a line of JSON for each: the members of its Watch, the `home` of its Papertray, and `kill_at`
(1-based; 0: not at all).
Answers a line: the status of the process that was the agent. Each is a fork of this one; the first
that is asked for is this one itself, and takes in what there is, so that the others start at once.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from flows.folder_agent import Watch, watching
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.organizations import organization_named
from store.settings import settings
from store.states import Actor

CHANGES = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir"}

MOST_SWEEPS = 10


def kill_before(number: int, below: str) -> None:
    """End this process, as kill -9 does, before it changes files below a folder so often."""
    left = number

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if not (event in CHANGES or writes) or not str(arguments[0]).startswith(below):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


async def work(watch: Watch) -> None:
    caller = Caller(await organization_named("acme"), Actor("agent", "cli"))
    async with watching(caller, watch) as agent:
        for _ in range(MOST_SWEEPS):
            swept = await agent.sweep()
            assert not swept.troubles, swept.troubles
            if not (swept.taken or swept.unsettled or swept.has_changed_something):
                break
    await database().close()


def warm_up(watch: Watch) -> None:
    """Do once, for all children, what each would do first."""
    asyncio.run(work(watch))
    for cached in (settings, database, blobs):
        cached.cache_clear()


def main() -> None:
    is_warm = False
    for line in sys.stdin:
        asked = json.loads(line)
        kill_at, os.environ["PAPERTRAY_HOME"] = asked.pop("kill_at"), asked.pop("home")
        asked |= {name: Path(asked[name]) for name in ("folder", "done", "failed", "export")}
        watch = Watch(**asked)
        if not is_warm:
            warm_up(watch)
            is_warm = True
            print("warm", flush=True)
            continue
        child = os.fork()
        if child == 0:
            status = 1
            try:
                if kill_at:
                    kill_before(kill_at, str(watch.folder))
                asyncio.run(work(watch))
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    main()
