"""The folder agent: what is in the folder becomes tasks, once, and gets to its place."""

import asyncio
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State as RunState
from sqlalchemy import update
from sqlmodel import col, select

from flows import folder_agent, verbs
from flows.folder_agent import Swept, Watch, watching
from flows.intakes import KEPT_IN
from flows.watch_folder import watch_folder, watch_of
from store.access import Caller
from store.blobs import blobs
from store.database import database
from store.errors import ConflictError, InputError, NotFoundError, UnavailableError
from store.ids import now
from store.lifecycle import advance
from store.models import File, Task
from store.organizations import default_organization
from store.settings import settings
from store.states import Actor, Event, State
from tests.unit.flows.conftest import PROJECT, bytes_of

REPOSITORY = Path(__file__).parents[3]
FLOW = Actor("flow", "system")
FETCHED = PROJECT + "export: {pickup: true}\n"


@pytest.fixture
async def watch(alice: Caller, tmp_path: Path) -> Watch:
    await verbs.install_project(alice, PROJECT)
    folder = tmp_path / "in"
    folder.mkdir()
    return Watch(
        folder,
        "invoices",
        done=folder / "done",
        failed=folder / "failed",
        export=tmp_path / "out",
        settle_seconds=0,
        empty_seconds=0,
    )


def drop(watch: Watch, name: str, content: bytes = b"%PDF-1.7 made up", **metadata: Any) -> None:
    if metadata:
        (watch.folder / f"{name}.json").write_text(json.dumps(metadata))
    (watch.folder / name).write_bytes(content)


async def swept(caller: Caller, watch: Watch) -> Swept:
    """What an agent does that is started, looks until nothing moves, and is ended."""
    total = Swept()
    async with watching(caller, watch) as agent:
        for _ in range(10):
            last = await agent.sweep()
            total = total.then(last)
            if not (last.unsettled or last.has_changed_something):
                return total
    raise AssertionError("it does not come to rest")


async def all_tasks() -> list[Task]:
    async with database().reading() as session:
        return list((await session.execute(select(Task).order_by(col(Task.name)))).scalars())


async def make(task: Task, **contents: bytes) -> None:
    """Add what a worker makes: `json=b"..."` becomes data.json."""
    for ending, content in contents.items():
        blob = f"tasks/{task.id}/export-0/data.{ending}"
        await blobs().write_stream(blob, bytes_of(content))
        async with database().writing() as session:
            session.add(
                File(
                    organization_id=task.organization_id,
                    name=f"data.{ending}",
                    blob=blob,
                    type="application/octet-stream",
                    size_bytes=len(content),
                    sha256="",
                    task_id=task.id,
                    role="data",
                )
            )


async def happen(task: Task, *events: Event, **changes: Any) -> Task:
    for event in events:
        async with database().writing() as session:
            task = await advance(session, task, event, FLOW, **changes)
    return task


async def complete(task: Task, **contents: bytes) -> None:
    await happen(task, Event.START)
    await make(task, **contents)
    await happen(await again(task), Event.FINISH)


async def again(task: Task) -> Task:
    async with database().reading() as session:
        return await session.get_one(Task, task.id)


def lying_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def kept(watch: Watch) -> list[str]:
    return [path.name for path in (watch.folder / KEPT_IN).iterdir() if path.is_dir()]


async def test_a_file_becomes_a_task_and_what_it_makes_is_exported(
    alice: Caller, watch: Watch
) -> None:
    drop(watch, "one.pdf", b"%PDF-1.7 one", order="4711")
    counted = await swept(alice, watch)
    assert (counted.submitted, counted.under_way) == (1, 1)
    (task,) = await all_tasks()
    assert (task.name, task.task_metadata, task.state) == (
        "one.pdf",
        {"order": "4711"},
        State.QUEUED,
    )
    assert lying_in(watch.folder) == {}

    await complete(task, json=b"{}", csv=b"a,b")
    assert watch.export is not None
    assert (await swept(alice, watch)).done == 1
    assert lying_in(watch.export) == {"one.json": b"{}", "one.csv": b"a,b"}
    assert set(lying_in(watch.done)) == {"one.pdf", "one.pdf.json"}
    assert lying_in(watch.done)["one.pdf"] == b"%PDF-1.7 one"
    assert kept(watch) == []
    assert await swept(alice, watch) == Swept()


async def test_the_bytes_that_are_taken_in_are_those_of_the_file(
    alice: Caller, watch: Watch
) -> None:
    drop(watch, "one.pdf", b"%PDF-1.7 " + b"x" * 3_000_000)
    await swept(alice, watch)
    (task,) = await all_tasks()
    async with database().reading() as session:
        file = await session.get_one(File, task.input_file_id)
    assert await blobs().read(file.blob) == b"%PDF-1.7 " + b"x" * 3_000_000


async def test_a_file_that_is_still_being_written_is_waited_for(
    alice: Caller, watch: Watch
) -> None:
    async with watching(alice, watch) as agent:
        for size in range(1, 6):  # each time it looks there is more
            drop(watch, "growing.pdf", b"%PDF-1.7 " + b"x" * size)
            counted = await agent.sweep()
            assert (counted.taken, counted.unsettled) == (0, 1)
        assert (await agent.sweep()).submitted == 1
    patient = replace(watch, settle_seconds=3600)
    drop(watch, "new.pdf")
    async with watching(alice, patient) as agent:
        assert [(await agent.sweep()).taken for _ in range(3)] == [0, 0, 0]


async def test_what_is_written_to_after_it_was_taken_is_never_taken_for_whole(
    alice: Caller, watch: Watch
) -> None:
    with (watch.folder / "slow.pdf").open("wb") as writer:
        writer.write(b"%PDF-1.7 half")
        writer.flush()
        assert (await swept(alice, watch)).submitted == 1
        writer.write(b" and the other half")
    (task,) = await all_tasks()
    await complete(task, json=b"{}")
    assert (await swept(alice, watch)).failed == 1
    lying = lying_in(watch.failed)
    assert lying["slow.pdf"] == b"%PDF-1.7 half and the other half"
    assert "still being written" in json.loads(lying["slow.pdf.error.json"])["message"]


async def test_what_changes_while_it_is_read_waits_until_it_is_whole(
    alice: Caller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = folder_agent.store_bytes
    writers = 2

    async def meanwhile(*arguments: Any, **named: Any) -> File:
        nonlocal writers
        file = await store(*arguments, **named)
        if writers:
            writers -= 1
            (taken,) = (watch.folder / KEPT_IN).glob("*/document")
            taken.write_bytes(taken.read_bytes() + b" more")
        return file

    monkeypatch.setattr(folder_agent, "store_bytes", meanwhile)
    drop(watch, "one.pdf", b"%PDF-1.7")
    async with watching(alice, watch) as agent:
        assert [(await agent.sweep()).submitted for _ in range(4)] == [0, 0, 0, 1]
    (task,) = await all_tasks()
    async with database().reading() as session:
        file = await session.get_one(File, task.input_file_id)
    assert await blobs().read(file.blob) == b"%PDF-1.7 more more"
    assert [path.name for path in (settings().home / "blobs" / "files").iterdir()] == [file.id]


@pytest.mark.parametrize(
    "name", [".hidden.pdf", "~lock.pdf", "a.pdf.part", "A.PDF.TMP", "a.crdownload", "lonely.json"]
)
async def test_what_is_no_document_is_left_alone(alice: Caller, watch: Watch, name: str) -> None:
    drop(watch, name)
    (watch.folder / "below").mkdir()
    drop(replace(watch, folder=watch.folder / "below"), "deeper.pdf")
    (watch.folder / "link.pdf").symlink_to("/etc/hostname")
    os.mkfifo(watch.folder / "pipe.pdf")
    assert await swept(alice, watch) == Swept()


@pytest.mark.parametrize(
    ("sidecar", "content", "code", "message"),
    [
        (None, b"", "file_empty", "empty"),
        (b"[1, 2]", b"%PDF-1.7", "input_rejected", "no JSON object"),
        (b"{", b"%PDF-1.7", "input_rejected", "no JSON"),
        (b"[" * 50_000, b"%PDF-1.7", "input_rejected", "no JSON"),
        (b" " * 70_000, b"%PDF-1.7", "input_rejected", "larger than"),
        (b'{"a": NaN}', b"%PDF-1.7", "input_rejected", "no numbers of JSON"),
        (rb'{"a": "\ud800"}', b"%PDF-1.7", "input_rejected", "surrogate"),
        (rb'{"a\u0000": 1}', b"%PDF-1.7", "input_rejected", "U+0000"),
    ],
    ids=["empty", "list", "broken", "deep", "large", "nan", "half a pair", "zero"],
)
async def test_what_cannot_become_a_task_lies_beside_its_reason_and_holds_up_no_other(
    alice: Caller, watch: Watch, sidecar: bytes | None, content: bytes, code: str, message: str
) -> None:
    if sidecar is not None:
        (watch.folder / "bad.json").write_bytes(sidecar)
    drop(watch, "bad.pdf", content)
    drop(watch, "good.pdf")
    counted = await swept(alice, watch)
    assert (counted.submitted, counted.failed) == (1, 1)
    assert [task.name for task in await all_tasks()] == ["good.pdf"]
    lying = lying_in(watch.failed)
    assert lying["bad.pdf"] == content
    reason = json.loads(lying["bad.pdf.error.json"])
    assert reason["code"] == code
    assert message in reason["message"]
    assert lying.get("bad.pdf.json") == sidecar


async def test_a_file_that_may_not_be_read_is_told_of_and_tried_again(
    alice: Caller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(path: Path) -> AsyncIterator[bytes]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))
        yield b""

    drop(watch, "locked.pdf")
    with monkeypatch.context() as patched:
        patched.setattr(folder_agent, "chunks_of", refused)
        told = (await swept(alice, watch)).told_trouble
    assert "cannot be read: Permission denied" in told
    assert (await swept(alice, watch)).submitted == 1


async def test_a_task_that_comes_to_nothing_puts_its_file_beside_the_reason(
    alice: Caller, watch: Watch
) -> None:
    drop(watch, "one.pdf")
    drop(watch, "two.pdf")
    await swept(alice, watch)
    one, two = await all_tasks()
    failure = InputError("The file is no good.").as_result()
    await happen(one, Event.START)
    await happen(await again(one), Event.FAIL, result=failure)
    await verbs.cancel(alice, two.public_id)
    assert (await swept(alice, watch)).failed == 2
    lying = lying_in(watch.failed)
    assert json.loads(lying["one.pdf.error.json"]) == {
        "task": one.public_id,
        "state": "failed",
        "code": "input_rejected",
        "message": "The file is no good.",
    }
    assert json.loads(lying["two.pdf.error.json"])["state"] == "canceled"


async def test_nothing_is_ever_written_over(alice: Caller, watch: Watch) -> None:
    assert watch.export is not None
    for number in range(3):
        drop(watch, "same.pdf", b"%%PDF-1.7 %d" % number)
        await swept(alice, watch)
        newest = max(await all_tasks(), key=lambda task: task.number or 0)
        await complete(newest, json=b"%d" % number)
        await swept(alice, watch)
    names = ["same", "same-2", "same-3"]
    assert lying_in(watch.done) == {
        f"{name}.pdf": b"%%PDF-1.7 %d" % number for number, name in enumerate(names)
    }
    assert lying_in(watch.export) == {
        f"{name}.json": b"%d" % number for number, name in enumerate(names)
    }


async def test_who_changes_an_exported_file_changes_no_blob(alice: Caller, watch: Watch) -> None:
    assert watch.export is not None
    drop(watch, "one.pdf")
    await swept(alice, watch)
    (task,) = await all_tasks()
    await complete(task, json=b"{}")
    await swept(alice, watch)
    with (watch.export / "one.json").open("r+b") as file:
        file.write(b"[]")
    assert await blobs().read(f"tasks/{task.id}/export-0/data.json") == b"{}"


@pytest.mark.parametrize("without", [errno.EPERM, errno.EOPNOTSUPP])
async def test_a_share_without_links_and_locks_will_do(
    alice: Caller, watch: Watch, monkeypatch: pytest.MonkeyPatch, without: int
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(without, "refused")

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    for number in range(2):
        drop(watch, "one.pdf", b"%%PDF-1.7 %d" % number)
        await swept(alice, watch)
        newest = max(await all_tasks(), key=lambda task: task.number or 0)
        await complete(newest, json=b"{}")
        await swept(alice, watch)
    assert set(lying_in(watch.done)) == {"one.pdf", "one-2.pdf"}
    assert kept(watch) == []


async def test_a_folder_has_one_agent_and_where_it_cannot_be_locked_each_task_is_made_once(
    alice: Caller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(alice, watch) as agent:
        with pytest.raises(ConflictError, match="Another agent"):
            async with watching(alice, watch):
                raise AssertionError
        drop(watch, "one.pdf")
        await agent.sweep()
        monkeypatch.setattr(folder_agent, "submit_process", unavailable)
        assert (await agent.sweep()).troubles == {"not now": 1}
        monkeypatch.undo()
        monkeypatch.setattr(fcntl, "flock", no_locks)
        async with watching(alice, watch) as other:
            await asyncio.gather(agent.sweep(), other.sweep())
            await asyncio.gather(agent.sweep(), other.sweep())
    assert len(await all_tasks()) == 1


def no_locks(*_: Any) -> None:
    raise OSError(errno.ENOLCK, "no locks")


async def unavailable(*_: Any, **__: Any) -> Task:
    raise UnavailableError("not now")


async def test_a_client_that_is_waited_for_is_the_agent(alice: Caller, watch: Watch) -> None:
    assert watch.export is not None
    await verbs.install_project(alice, FETCHED)
    drop(watch, "one.pdf")
    await swept(alice, watch)
    (task,) = await all_tasks()
    await happen(task, Event.START)
    await make(task, json=b"{}")
    await happen(await again(task), Event.OFFER_EXPORT, export_round=1)
    await verbs.start_export(alice, task.public_id)  # as if killed just then
    await swept(alice, watch)
    assert lying_in(watch.export) == {"one.json": b"{}"}
    fetched = await again(task)
    assert (fetched.state, fetched.exported_at is not None) == (State.RUNNING, True)
    await happen(fetched, Event.FINISH)
    assert (await swept(alice, watch)).done == 1
    assert set(lying_in(watch.export)) == {"one.json"}


async def test_a_task_that_another_client_fetches_is_left_to_it(
    alice: Caller, bob: Caller, watch: Watch
) -> None:
    await verbs.install_project(alice, FETCHED)
    drop(watch, "one.pdf")
    await swept(alice, watch)
    (task,) = await all_tasks()
    await happen(task, Event.START)
    await happen(await again(task), Event.OFFER_EXPORT, export_round=1)
    await verbs.start_export(bob, task.public_id)
    await swept(alice, watch)
    assert (await again(task)).claimed_by == bob.actor.name


async def test_a_project_that_erases_at_once_must_wait_for_the_agent(
    alice: Caller, watch: Watch
) -> None:
    await verbs.install_project(alice, PROJECT + "retention: {data: final}\n")
    with pytest.raises(InputError, match="pickup: true"):
        async with watching(alice, watch):
            raise AssertionError
    async with watching(alice, replace(watch, export=None)):
        pass


async def test_what_was_erased_or_forgotten_meanwhile_is_told(alice: Caller, watch: Watch) -> None:
    drop(watch, "erased.pdf")
    drop(watch, "forgotten.pdf")
    await swept(alice, watch)
    erased, forgotten = await all_tasks()
    await complete(erased)
    async with database().writing() as session:
        await session.execute(update(Task).where(col(Task.id) == erased.id).values(erased_at=now()))
        row = await session.get_one(Task, forgotten.id)
        await session.delete(row)
    assert (await swept(alice, watch)).failed == 2
    told = {
        name: json.loads(text) for name, text in lying_in(watch.failed).items() if "err" in name
    }
    assert told["erased.pdf.error.json"]["code"] == "export_failed"
    assert told["forgotten.pdf.error.json"]["code"] == "not_found"


async def test_what_cannot_be_watched_is_said_at_once(alice: Caller, watch: Watch) -> None:
    wrong = {
        "no folder": replace(watch, folder=watch.folder / "nowhere"),
        "come in again": replace(watch, done=watch.folder),
        "cannot be made": replace(watch, failed=watch.folder / "not" / "mounted"),
    }
    for message, one in wrong.items():
        with pytest.raises(InputError, match=message):
            async with watching(alice, one):
                raise AssertionError
    with pytest.raises(NotFoundError):
        async with watching(alice, replace(watch, project="unknown")):
            raise AssertionError


async def test_a_share_that_is_gone_for_a_while_is_an_error_that_passes(
    alice: Caller, watch: Watch
) -> None:
    async with watching(alice, watch) as agent:
        away = watch.folder.rename(watch.folder.with_name("away"))
        with pytest.raises(UnavailableError, match="cannot be read"):
            await agent.sweep()
        away.rename(watch.folder)
        assert await agent.sweep() == Swept()


async def test_more_files_than_are_taken_at_once_all_become_tasks(
    alice: Caller, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_agent, "TAKEN_AT_ONCE", 40)
    monkeypatch.setattr(folder_agent, "IDS_AT_ONCE", 30)
    for number in range(130):
        drop(watch, f"{number:04}.pdf", b"%%PDF-1.7 %d" % number)
    counted = await swept(alice, watch)
    assert (counted.submitted, counted.under_way) == (130, 130)
    assert [task.name for task in await all_tasks()] == [f"{n:04}.pdf" for n in range(130)]


class KillableAgents:
    """Agents that are killed, each a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("killed_agent.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    def run(self, watch: Watch, kill_at: int = 0) -> bool:
        """One agent; answers whether it was killed, and not at its end before that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {**vars(watch), "kill_at": kill_at, "home": settings().home}
        self._process.stdin.write(json.dumps(asked, default=str) + "\n")
        self._process.stdin.flush()
        if (answer := self._process.stdout.readline()) == "warm\n":
            return self.run(watch, kill_at)
        assert int(answer) in (0, -signal.SIGKILL)
        return int(answer) != 0

    def end(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def agents() -> Iterator[KillableAgents]:
    some = KillableAgents()
    yield some
    some.end()


async def test_killed_at_any_step_of_taking_in_it_makes_each_task_once(
    alice: Caller, watch: Watch, agents: KillableAgents
) -> None:
    was_killed, kill_at = True, 0
    while was_killed:
        kill_at += 1
        before = len(await all_tasks())
        drop(watch, "one.pdf", b"%%PDF-1.7 %d" % kill_at, number=kill_at)
        was_killed = agents.run(watch, kill_at)
        agents.run(watch)
        tasks = await all_tasks()
        assert len(tasks) == before + 1, kill_at
        newest = max(tasks, key=lambda task: task.number or 0)
        assert newest.task_metadata == {"number": kill_at}
        assert lying_in(watch.folder) == {}
    assert kill_at > 8
    assert len(kept(watch)) == kill_at


async def test_killed_at_any_step_of_bringing_it_out_it_puts_each_file_to_its_place_once(
    alice: Caller, watch: Watch, agents: KillableAgents
) -> None:
    assert watch.export is not None
    was_killed, kill_at = True, 0
    while was_killed or not kill_at % 2:
        kill_at += 1
        is_good = kill_at % 2
        drop(watch, f"{kill_at}.pdf", b"%%PDF-1.7 %d" % kill_at, number=kill_at)
        await swept(alice, watch)
        newest = max(await all_tasks(), key=lambda task: task.number or 0)
        if is_good:
            await complete(newest, json=b"%d" % kill_at, csv=b"%d" % kill_at)
        else:
            await verbs.cancel(alice, newest.public_id)
        was_killed = agents.run(watch, kill_at)
        agents.run(watch)
        assert kept(watch) == [], kill_at
    assert kill_at > 12
    good = range(1, kill_at + 1, 2)
    bad = range(2, kill_at + 1, 2)
    expected = {f"{n}.pdf{ending}" for n in good for ending in ("", ".json")}
    assert set(lying_in(watch.done)) == expected
    assert lying_in(watch.export) == {
        f"{n}{ending}": b"%d" % n for n in good for ending in (".json", ".csv")
    }
    expected = {f"{n}.pdf{ending}" for n in bad for ending in ("", ".json", ".error.json")}
    assert set(lying_in(watch.failed)) == expected


# The flow on its schedule


@pytest.fixture
async def watched(alice: Caller, watch: Watch) -> Path:
    """A folder that is watched on a schedule, of a project of the default organization."""
    await verbs.install_project(Caller(await default_organization(), alice.actor), PROJECT)
    folder = settings().effective_watch_folder / "invoices"
    folder.mkdir(parents=True)
    return folder


async def test_on_its_schedule_it_looks_at_each_folder_named_like_a_project(
    watched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.watch_folder.SETTLE_SECONDS", 0.0)
    (watched.parent / "nothing of ours").mkdir()
    (watched / "one.pdf").write_bytes(b"%PDF-1.7")
    ended: RunState[Any] = await watch_folder.fn()
    assert ended.message is not None
    assert ended.message.startswith("invoices: 1 taken in")
    (task,) = await all_tasks()
    assert (task.created_by, task.name) == ("watch-folder", "one.pdf")
    named: RunState[Any] = await watch_folder.fn(folder="invoices")
    assert named.message == "0 taken in, 0 done, 0 failed, 1 under way."


async def test_from_prefect_no_folder_is_reached_but_those_that_are_meant_for_it(
    watched: Path, tmp_path: Path
) -> None:
    assert watch_of("invoices", export="invoices/sent").export == watched / "sent"
    for where in ("/etc", "..", "invoices/../..", ".", str(tmp_path)):
        with pytest.raises(InputError, match="PAPERTRAY_WATCH_FOLDER"):
            watch_of(where)
        with pytest.raises(InputError, match="PAPERTRAY_WATCH_FOLDER"):
            watch_of("invoices", export=where)
    with pytest.raises(InputError, match="have no effect: done"):
        await watch_folder.fn(done="x")
