"""`papertray watch`: the folder agent, until it is told to stop."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from api.cli.local import operator
from api.cli.output import DEFAULTS, Answer, Options
from flows.folder_agent import FolderAgent, Swept, Watch, watching
from flows.pauses import pause
from store.errors import UnavailableError


async def watch(
    folder: Path,
    *,
    project: str,
    done: Path | None = None,
    failed: Path | None = None,
    export: Path | None = None,
    poll_seconds: Annotated[float, Parameter(validator=Number(gt=0))] = 1.0,
    settle_seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 2.0,
    once: Annotated[bool, Parameter(negative="")] = False,
    options: Options = DEFAULTS,
) -> Answer:
    """Make a task of each file that comes into a folder, until Ctrl-C.

    It looks instead of being told, so it works on network shares, too. A file is taken when it is
    whole; `a.pdf.json` or `a.json`, written before `a.pdf`, has its metadata. Killed and started
    again it goes on where it was: no file is lost, none is taken twice.

    Args:
        folder: Where the files come in. Folders in it are left alone.
        project: Name of the project of which each becomes a task.
        done: Where files get to whose tasks have ended well; `done` in the folder when omitted.
        failed: Where the others get to, each with the reason beside it; `failed` in the folder
            when omitted.
        export: Where the files get to that the tasks make; they stay in the storage when omitted.
        poll_seconds: How often it looks.
        settle_seconds: How long a file must have stayed the same to be whole.
        once: Take in what is there now, then end; tasks that go on are left to the next time.
        options: Common options.
    """
    folder = folder.absolute()
    wanted = Watch(
        folder=folder,
        project=project,
        done=(done or folder / "done").absolute(),
        failed=(failed or folder / "failed").absolute(),
        export=export.absolute() if export else None,
        settle_seconds=settle_seconds,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with operator(options) as caller, watching(caller, wanted) as agent:
        options.tell(f"Watching {folder} ...")
        total = await _until_told(agent, stop, options, poll_seconds, once=once)
    counts = {
        "submitted": total.submitted,
        "done": total.done,
        "failed": total.failed,
        "under_way": total.under_way,
    }
    return Answer(counts, total.told)


async def _until_told(
    agent: FolderAgent, stop: asyncio.Event, options: Options, poll_seconds: float, *, once: bool
) -> Swept:
    total, trouble = Swept(), ""
    while not stop.is_set():
        swept = Swept()
        try:
            swept = await agent.sweep()
            now = swept.told_trouble
        except UnavailableError as error:
            if once:
                raise
            now = error.message
        total = total.then(swept)
        if now and now != trouble:
            options.tell(f"{now} Trying again ...")
        trouble = now
        if swept.has_changed_something:
            options.tell(swept.told)
        if once and not (swept.unsettled or swept.taken):
            break
        if not swept.taken:  # else there may be more
            await pause(stop, poll_seconds)
    return total
