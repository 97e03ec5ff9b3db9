"""What the folder agent does with 10,000 files that are there in one go.

`python benchmarks/folder.py` writes the files, lets an agent take them all in, ends their tasks as
workers would, and lets it bring the files to their places. There is no Prefect in it.
"""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path


def spent() -> float:
    times = os.times()
    return times.user + times.system


async def measure(folder: Path, count: int) -> None:
    os.environ["PAPERTRAY_HOME"] = str(folder / "home")
    from sqlalchemy import func, select, update

    from flows import verbs
    from flows.folder_agent import Watch, watching
    from store.access import Caller
    from store.database import database, migrate
    from store.ids import now
    from store.models import Task
    from store.organizations import default_organization
    from store.states import Actor, State

    await asyncio.to_thread(migrate)
    caller = Caller(await default_organization(), Actor("benchmark", "cli"))
    project = "name: scans\nfields: [{name: total, labels: [Total]}]\n"
    await verbs.install_project(caller, project)
    scans = folder / "in"
    scans.mkdir()
    for number in range(count):
        (scans / f"{number:05}.pdf").write_bytes(b"%%PDF-1.7 %d" % number)
    watch = Watch(scans, "scans", scans / "done", scans / "failed", settle_seconds=0)

    print(
        f"{count} files\n\n| | s | CPU ms a file | longest sweep s |\n| --- | ---: | ---: | ---: |"
    )
    async with watching(caller, watch) as agent:
        for what in ("taken in", "followed, nothing moves", "brought to their places"):
            if what.startswith("brought"):
                async with database().writing() as session:
                    # As if workers had ended them: the columns that the agent looks at.
                    await session.execute(
                        update(Task).values({"state": State.COMPLETED, "finished_at": now()})
                    )
            began, before, longest = time.monotonic(), spent(), 0.0
            while True:
                at = time.monotonic()
                swept = await agent.sweep()
                longest = max(longest, time.monotonic() - at)
                if not (swept.has_changed_something or swept.unsettled):
                    break
            each = 1000 * (spent() - before) / count
            print(f"| {what} | {time.monotonic() - began:.1f} | {each:.2f} | {longest:.2f} |")
    async with database().reading() as session:
        tasks = (await session.execute(select(func.count()).select_from(Task))).scalar_one()
    assert tasks == count == len(list((scans / "done").iterdir()))
    await database().close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(Path(name), parser.parse_args().files))


if __name__ == "__main__":
    main()
