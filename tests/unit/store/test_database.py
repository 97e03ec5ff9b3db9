import asyncio
import gc
import sqlite3
import time
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from store.database import Database, alembic_config, migrate
from store.models import Organization

# What Alembic cannot compare; tests/contract/test_plans.py sees that they are used.
NOT_COMPARED = "ignore:.*expression-based index"


async def test_what_is_written_together_is_kept_together_or_not_at_all(opened: Database) -> None:
    async def write_half() -> None:
        async with opened.writing() as session:
            session.add(Organization(name="one"))
            await session.flush()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await write_half()
    async with opened.reading() as session:
        assert (await session.execute(select(Organization))).first() is None


async def test_an_error_of_the_database_names_no_value(opened: Database) -> None:
    """Prefect shows it as the state of a run, and logs keep it."""
    with pytest.raises(DBAPIError) as caught:
        async with opened.writing() as session:
            await session.execute(text("SELECT :value FROM nowhere"), {"value": "Mrs Example"})
    assert "nowhere" in str(caught.value)
    assert "Example" not in str(caught.value)


async def test_many_writers_of_many_connections_meet_no_lock_error(opened: Database) -> None:
    # A second Database is what a second process is to SQLite: it shares no Python lock.
    other = Database(opened.url)

    async def write(database: Database, number: int) -> None:
        async with database.writing() as session:
            taken = (await session.execute(select(Organization))).scalars().all()
            session.add(Organization(name=f"{number}-{len(taken)}"))

    await asyncio.gather(*(write(opened if n % 2 else other, n) for n in range(60)))
    async with opened.reading() as session:
        names = [o.name for o in (await session.execute(select(Organization))).scalars()]
    await other.close()
    # Each saw all that were committed before it: no two counted the same number of rows.
    assert sorted(int(name.split("-")[1]) for name in names) == list(range(60))


async def test_a_reader_is_not_held_up_by_a_writer(opened: Database) -> None:
    async with opened.writing() as writer:
        writer.add(Organization(name="unseen"))
        await writer.flush()
        async with asyncio.timeout(5), opened.reading() as reader:
            assert (await reader.execute(select(Organization))).first() is None


_SLOW = """
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 3000000)
    SELECT count(*) FROM counted
"""


async def test_a_long_query_of_a_reader_holds_up_nobody_else(opened: Database) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    others = asyncio.create_task(count_turns())
    async with opened.reading() as reader:
        await reader.execute(select(Organization))
        before = turns
        await reader.execute(text(_SLOW))
        meanwhile = turns - before
    others.cancel()
    assert meanwhile > 20


async def test_a_writer_who_waits_for_another_process_holds_up_nobody_else(
    opened: Database,
) -> None:
    other = Database(opened.url)
    order: list[str] = []

    async def write_elsewhere() -> None:
        async with other.writing() as session:
            order.append("has the lock")
            await asyncio.sleep(0.2)  # the loop must go round for this to end
            session.add(Organization(name="elsewhere"))
            order.append("lets it go")

    elsewhere = asyncio.create_task(write_elsewhere())
    while not order:
        await asyncio.sleep(0)
    async with asyncio.timeout(30), opened.writing() as session:
        session.add(Organization(name="here"))
        order.append("has it next")
    await elsewhere
    await other.close()
    assert order == ["has the lock", "lets it go", "has it next"]


async def test_deleted_content_is_overwritten(opened: Database) -> None:
    async with opened.reading() as session:
        assert (await session.execute(text("PRAGMA secure_delete"))).scalar_one() == 1
        assert (await session.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await session.execute(text("PRAGMA foreign_keys"))).scalar_one() == 1


@pytest.mark.filterwarnings(NOT_COMPARED)
def test_the_migrations_make_what_the_models_say(empty_database: Path) -> None:
    command.check(alembic_config(f"sqlite+aiosqlite:///{empty_database}"))


@pytest.mark.filterwarnings(NOT_COMPARED)
def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'new folder' / 'papertray.db'}"
    migrate(url)
    migrate(url)
    command.check(alembic_config(url))


@pytest.mark.filterwarnings(NOT_COMPARED)
def test_the_schema_goes_back_and_forth(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'papertray.db'}"
    migrate(url)
    command.downgrade(alembic_config(url), "base")
    migrate(url)
    command.check(alembic_config(url))


async def test_what_an_error_leaves_behind_holds_up_nobody(opened: Database) -> None:
    """Python looks for cycles in the thread of the loop; what it finds must need no other."""
    other = sqlite3.connect(opened.url.partition("///")[2], isolation_level=None)
    gc.disable()
    try:
        for _ in range(3):
            try:
                async with opened.writing() as session:
                    await session.execute(text("INSERT INTO organization (id) VALUES (1)"))
            except DBAPIError as error:
                vars(error)["me"] = error
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.Event()

        async def write() -> None:
            waiting.set()
            async with opened.writing() as session:
                session.add(Organization(name="after"))

        writing = asyncio.create_task(write())
        await waiting.wait()
        await asyncio.sleep(0.5)
        begun = time.monotonic()
        gc.collect()
        took = time.monotonic() - begun
        other.rollback()
        await writing
    finally:
        gc.enable()
        other.close()
    assert took < 3
