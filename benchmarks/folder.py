"""What the folder agent does with 10,000 files that are there in one go.

`python benchmarks/folder.py` writes the files, lets an agent take them all in, ends their tasks as
workers would, and lets it bring the files to their places. There is no Prefect in it.
`--kills 4` does the same with `papertray watch`, ended by kill -9 so often while it takes in, and
so often while it brings out: nothing may be there twice, and nothing may be missing.
"""

import argparse
import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path


def spent() -> float:
    times = os.times()
    return times.user + times.system


async def prepare(folder: Path, count: int) -> Path:
    """A project, and a folder with files for it."""
    from flows import verbs
    from store.access import Caller
    from store.database import migrate
    from store.organizations import default_organization
    from store.states import Actor

    await asyncio.to_thread(migrate)
    caller = Caller(await default_organization(), Actor("benchmark", "cli"))
    project = "name: scans\nfields: [{name: total, labels: [Total]}]\n"
    await verbs.install_project(caller, project)
    scans = folder / "in"
    scans.mkdir()
    for number in range(count):
        (scans / f"{number:05}.pdf").write_bytes(b"%%PDF-1.7 %d" % number)
    return scans


async def measure(folder: Path, count: int) -> None:
    from sqlalchemy import func, select, update

    from flows.folder_agent import Watch, watching
    from store.access import Caller
    from store.database import database
    from store.ids import now
    from store.models import Task
    from store.organizations import default_organization
    from store.states import Actor, State

    scans = await prepare(folder, count)
    caller = Caller(await default_organization(), Actor("benchmark", "cli"))
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


def kill_often(folder: Path, count: int, kills: int) -> None:
    """Have agents do it that are killed in the middle."""
    scans = asyncio.run(prepare(folder, count))
    done, failed = scans / "done", scans / "failed"
    command = [
        *(sys.executable, "-m", "api.cli", "watch", str(scans), "--project", "scans", "--once"),
        *("--done", str(done), "--failed", str(failed), "--settle-seconds", "0"),
    ]

    def asked(query: str) -> list[tuple[str]]:
        with contextlib.closing(sqlite3.connect(folder / "home" / "papertray.db")) as store:
            found = store.execute(query).fetchall()
            store.commit()
            return found

    def run(what: str, progress: Callable[[], int]) -> None:
        began, killed = time.monotonic(), 0
        while True:
            with (folder / "agent.log").open("ab") as log:
                agent = subprocess.Popen(command, stdout=log, stderr=log)
            until = (killed + 1) * count // (kills + 1) if killed < kills else None
            while agent.poll() is None and (until is None or progress() < until):
                time.sleep(0.02)
            if agent.poll() is not None:
                break
            agent.kill()
            agent.wait()
            killed += 1
        assert agent.returncode == 0, (folder / "agent.log").read_text()[-2000:]
        print(
            f"{what}: {time.monotonic() - began:.0f} s, killed {killed} times, {progress()} files"
        )
        assert (killed, progress()) == (kills, count)

    def brought() -> int:
        return len(list(done.iterdir())) if done.exists() else 0

    run("taken in", lambda: int(asked("SELECT count(*) FROM task")[0][0]))
    names = Counter(name for (name,) in asked("SELECT name FROM task"))
    assert names == Counter(f"{number:05}.pdf" for number in range(count)), "twice, or lost"
    asked("UPDATE task SET state = 'completed', finished_at = created_at")
    run("brought to their places", brought)
    found = {path.name: path.read_bytes() for path in done.iterdir()}
    assert found == {f"{number:05}.pdf": b"%%PDF-1.7 %d" % number for number in range(count)}
    assert not list(failed.glob("*"))
    print("nothing is there twice, and nothing is missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PAPERTRAY_HOME"] = str(folder / "home")
        if asked.kills:
            kill_often(folder, asked.files, asked.kills)
        else:
            asyncio.run(measure(folder, asked.files))


if __name__ == "__main__":
    main()
