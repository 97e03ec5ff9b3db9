"""Takes in what lies in folders that are watched on a schedule."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Annotated, Any, Final

from prefect import flow
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed
from pydantic import Field

from flows.folder_agent import FolderAgent, Swept, Watch, watching
from store.access import Caller
from store.errors import ConflictError, InputError, NotFoundError
from store.organizations import default_organization
from store.settings import settings
from store.states import Actor

log = logging.getLogger("papertray.watch")

WATCHER: Final = Actor("watch-folder", "prefect")

LOOKED_FOR_SECONDS: Final = 30.0
"""How long one run waits for files that are still being written; the next run goes on."""

SETTLE_SECONDS: Final = 2.0
"""How long a file must have stayed the same to be whole."""

_Below = Annotated[str | None, Field(min_length=1, max_length=1000)]


@flow(name="watch-folder")
async def watch_folder(
    folder: _Below = None,
    project: _Below = None,
    done: _Below = None,
    failed: _Below = None,
    export: _Below = None,
) -> RunState[Any]:
    """Take the files of a folder in as tasks, and bring back what became of earlier ones.

    Args:
        folder: A folder below the one that PAPERTRAY_WATCH_FOLDER names; empty: each folder there
            whose name is that of a project.
        project: Name of the project; the name of the folder when empty.
        done: Where files get to whose tasks have ended well; `done` in the folder when empty.
        failed: Where the others get to, each with the reason beside it; `failed` in the folder
            when empty.
        export: Where the files get to that the tasks make; `export` in the folder when empty.

    Returns:
        The final state of the run, which says how many files moved on.
    """
    caller = Caller(await default_organization(), WATCHER)
    if folder is not None:
        swept = await look_at(caller, watch_of(folder, project, done, failed, export))
        return Completed(message=_told(swept))
    given = {"project": project, "done": done, "failed": failed, "export": export}
    if idle := [name for name, value in given.items() if value is not None]:
        raise InputError(f"Without `folder` these have no effect: {', '.join(idle)}.")
    root = settings().effective_watch_folder
    names = sorted(one.name for one in root.iterdir() if one.is_dir()) if root.is_dir() else []
    moved: list[str] = []
    for name in names:
        try:
            swept = await look_at(caller, watch_of(name))
        except (InputError, NotFoundError, ConflictError) as error:
            # One folder that cannot be watched holds up no other.
            log.warning("The folder %r is not watched: %s", name, error.message)
        else:
            if swept.has_changed_something:
                moved.append(f"{name}: {_told(swept)}")
    return Completed(message="; ".join(moved) or "Nothing moved.")


def watch_of(
    folder: str,
    project: str | None = None,
    done: str | None = None,
    failed: str | None = None,
    export: str | None = None,
) -> Watch:
    """What a run is to watch: whoever opens Prefect reaches no folder but those below the root.

    Raises:
        InputError: a folder lies elsewhere.
    """
    at = _below_root(folder)
    return Watch(
        folder=at,
        project=project or at.name,
        done=_below_root(done) if done else at / "done",
        failed=_below_root(failed) if failed else at / "failed",
        export=_below_root(export) if export else at / "export",
        settle_seconds=SETTLE_SECONDS,
    )


def _below_root(name: str) -> Path:
    root = settings().effective_watch_folder.resolve()
    path = (root / name).resolve()
    if path == root or not path.is_relative_to(root):
        raise InputError(
            "Only folders below the one that PAPERTRAY_WATCH_FOLDER names can be watched from"
            " Prefect. For any other there is `papertray watch`.",
            folder=name,
        )
    return path


async def look_at(caller: Caller, watch: Watch) -> Swept:
    """Sweep a folder until nothing is left in it that may still be written, for a while."""
    async with watching(caller, watch) as agent:
        return await _swept(agent, watch)


async def _swept(agent: FolderAgent, watch: Watch) -> Swept:
    ends = time.monotonic() + LOOKED_FOR_SECONDS
    total = await agent.sweep()
    last = total
    while (last.unsettled or last.taken) and time.monotonic() < ends:
        await asyncio.sleep(watch.settle_seconds)
        last = await agent.sweep()
        total = total.then(last)
    return total


def _told(swept: Swept) -> str:
    return f"{swept.told}. {swept.told_trouble}".rstrip()
