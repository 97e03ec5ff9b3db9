"""Writers that share a commit: each keeps its own, and none is left waiting."""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from store import group_commit, sqlite
from store.database import Database
from store.models import Organization
from store.sqlite import sqlite_engine


async def names(database: Database) -> set[str]:
    async with database.reading() as session:
        return {row.name for row in (await session.execute(select(Organization))).scalars()}


async def add(database: Database, name: str) -> None:
    async with database.writing() as session:
        session.add(Organization(name=name))


def commits_of(database: Database) -> list[str]:
    """Each commit that is still to come adds a line."""
    seen: list[str] = []

    def note(_: object) -> None:
        seen.append("commit")

    event.listen(database.engine.sync_engine, "commit", note)
    return seen


async def test_writers_that_come_together_share_commits(
    opened: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group_commit, "stands_back", lambda: False)
    commits = commits_of(opened)
    await asyncio.gather(*(add(opened, str(n)) for n in range(40)))
    assert await names(opened) == {str(n) for n in range(40)}
    # 32 in the first, 8 in the second: whoever waits while another writes is taken along.
    assert len(commits) == 2


async def test_who_stands_back_lets_others_write_in_between(
    opened: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group_commit, "stands_back", lambda: True)
    monkeypatch.setattr(group_commit, "MOST_SECONDS", 0)
    commits = commits_of(opened)
    work = asyncio.gather(*(add(opened, str(n)) for n in range(40)))
    other = Database(opened.url)
    monkeypatch.setattr(sqlite, "stands_back", lambda: False)
    while not commits:
        await asyncio.sleep(0)
    await add(other, "other")
    assert not work.done()
    await work
    assert len(commits) == 40
    assert await names(opened) == {"other", *(str(n) for n in range(40))}
    await other.close()


async def test_a_writer_alone_is_committed_at_once(opened: Database):
    commits = commits_of(opened)
    await add(opened, "one")
    await add(opened, "two")
    assert len(commits) == 2


async def test_what_is_answered_is_on_disk(opened: Database):
    """Seen by a connection that shares nothing with the writers."""
    other = Database(opened.url)

    async def write(number: int) -> None:
        await add(opened, str(number))
        assert str(number) in await names(other)

    await asyncio.gather(*(write(n) for n in range(50)))
    await other.close()


async def test_a_mistake_of_one_undoes_only_its_own(opened: Database):
    async def fail(name: str) -> None:
        async with opened.writing() as session:
            session.add(Organization(name=name))
            await session.flush()
            raise RuntimeError(name)

    done = await asyncio.gather(
        *(fail(f"bad-{n}") if n % 3 else add(opened, f"good-{n}") for n in range(30)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, RuntimeError) for one in done) == 20
    assert await names(opened) == {f"good-{n}" for n in range(0, 30, 3)}


async def test_a_row_that_is_there_already_is_the_error_of_one(opened: Database):
    done = await asyncio.gather(
        *(add(opened, "same") for _ in range(5)), add(opened, "other"), return_exceptions=True
    )
    assert sum(isinstance(one, IntegrityError) for one in done) == 4
    assert await names(opened) == {"same", "other"}


async def test_a_transaction_that_breaks_is_an_error_to_all_whose_changes_it_had(opened: Database):
    """SQLite rolls all of it back where the disk is full: nobody is told it was kept."""

    async def break_it() -> None:
        async with opened.writing() as session:
            await session.execute(text("ROLLBACK"))
            await session.execute(text("SELECT nothing FROM nowhere"))

    before = [asyncio.create_task(add(opened, f"before-{n}")) for n in range(3)]
    broken = asyncio.create_task(break_it())
    after = [asyncio.create_task(add(opened, f"after-{n}")) for n in range(3)]
    done = await asyncio.gather(*before, broken, return_exceptions=True)
    assert all(isinstance(one, DBAPIError) for one in done)
    await asyncio.gather(*after)
    assert await names(opened) == {f"after-{n}" for n in range(3)}


async def test_a_commit_that_is_refused_is_an_error_to_all_of_it(opened: Database):
    def refuse(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    event.listen(opened.engine.sync_engine, "commit", refuse)
    done = await asyncio.gather(*(add(opened, str(n)) for n in range(5)), return_exceptions=True)
    assert [str(one) for one in done] == ["database or disk is full"] * 5
    event.remove(opened.engine.sync_engine, "commit", refuse)
    await add(opened, "later")
    assert await names(opened) == {"later"}


@pytest.mark.parametrize("last", [False, True])
async def test_one_who_is_cancelled_takes_nothing_from_the_others(opened: Database, last: bool):
    entered = asyncio.Event()

    async def hold() -> None:
        async with opened.writing() as session:
            session.add(Organization(name="held"))
            entered.set()
            await asyncio.sleep(0.05)

    holder = asyncio.create_task(hold())
    await entered.wait()
    waiting = [asyncio.create_task(add(opened, f"{n}")) for n in range(1 if last else 3)]
    await asyncio.sleep(0)
    # The holder leaves the commit to those who wait; the last of them goes away.
    waiting[-1].cancel()
    await asyncio.wait_for(holder, 10)
    for task in waiting[:-1]:
        await asyncio.wait_for(task, 10)
    with suppress(asyncio.CancelledError):
        await waiting[-1]
    assert await names(opened) == {"held", *(f"{n}" for n in range(len(waiting) - 1))}


async def test_one_who_is_cancelled_as_its_turn_comes_leaves_no_open_transaction(opened: Database):
    """The turn is handed over and the one who gets it is gone before it wakes up."""
    waiting: list[asyncio.Task[None]] = []

    async def hold() -> None:
        async with opened.writing() as session:
            session.add(Organization(name="held"))
            waiting.append(asyncio.create_task(add(opened, "gone")))
            await asyncio.sleep(0.05)
        # After the commit: reached only if somebody made it.

    holder = asyncio.create_task(hold())
    while not waiting:
        await asyncio.sleep(0)
    for _ in range(10_000):
        if opened._writers._group is not None and not opened._writers._turn.locked():  # pyright: ignore[reportPrivateUsage]  # the moment that is tested
            break
        await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait_for(holder, 10)
    await asyncio.wait_for(add(opened, "next"), 10)
    assert {"held", "next"} <= await names(opened)


async def test_the_private_names_of_aiosqlite_that_are_used_are_there(opened: Database):
    """A release that renames them fails here, by name."""
    connection = aiosqlite.connect(":memory:")
    assert connection._thread.daemon is False  # pyright: ignore[reportPrivateUsage]  # what is tested
    await connection
    assert await connection._execute(connection._conn.total_changes.__int__) == 0  # pyright: ignore[reportPrivateUsage]  # what is tested
    await connection.close()


async def test_a_statement_tells_its_rows_its_id_and_its_count(tmp_path: Path):
    engine = sqlite_engine(f"sqlite+aiosqlite:///{tmp_path}/one.db")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY, name TEXT)"))
        made = await connection.execute(text("INSERT INTO one (name) VALUES ('a')"))
        assert made.lastrowid == 1
        many = await connection.execute(
            text("INSERT INTO one (name) VALUES (:name)"), [{"name": "b"}, {"name": "c"}]
        )
        assert many.rowcount == 2
        changed = await connection.execute(text("UPDATE one SET name = name || '!' WHERE id > 1"))
        assert changed.rowcount == 2
        rows = await connection.execute(text("SELECT name FROM one ORDER BY id"))
        assert rows.keys() == {"name"}
        assert rows.scalars().all() == ["a", "b!", "c!"]
        back = await connection.execute(text("DELETE FROM one WHERE id = 1 RETURNING name"))
        assert back.scalar_one() == "a"
    await engine.dispose()
