"""The database of the Prefect server that `papertray up` starts."""

import asyncio
import gc
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import (
    SQLITE_BEGIN_MODE,
    AioSqliteConfiguration,
    BaseDatabaseConfiguration,
)
from sqlalchemy import event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError, OperationalError

from flows.prefect_sqlite import WritersInTurn

WRITERS = 20


async def read_then_write(configuration: BaseDatabaseConfiguration) -> list[BaseException | None]:
    """What Prefect's calls do: read, think, write; `WRITERS` of them at once, three times each."""
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE counter (n INTEGER)"))
        await connection.execute(sa.text("INSERT INTO counter VALUES (0)"))

    async def once() -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(sa.text("SELECT n FROM counter"))
            await asyncio.sleep(0.002)
            await session.execute(sa.text("UPDATE counter SET n = n + 1"))

    try:
        return await asyncio.gather(*(once() for _ in range(WRITERS * 3)), return_exceptions=True)
    finally:
        async with engine.begin() as connection:
            counted = await connection.scalar(sa.text("SELECT n FROM counter"))
        await engine.dispose()
        print("written:", counted)


async def test_writers_in_turn_never_meet_a_locked_database(tmp_path: Path):
    answers = await read_then_write(WritersInTurn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}"))

    assert answers == [None] * WRITERS * 3


async def test_prefects_own_way_still_locks(tmp_path: Path):
    """When this fails, Prefect has repaired it, and `writers_in_turn` can go."""
    stock = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")

    assert any(isinstance(answer, OperationalError) for answer in await read_then_write(stock))


async def test_a_read_inside_a_transaction_does_not_wait_for_it(tmp_path: Path):
    configuration = WritersInTurn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    engine = await configuration.engine()
    outer, inner = await configuration.session(engine), await configuration.session(engine)
    async with asyncio.timeout(5):
        async with outer, configuration.begin_transaction(outer):
            assert SQLITE_BEGIN_MODE.get() is None
            async with inner:
                assert await inner.scalar(sa.text("SELECT 1")) == 1
    await engine.dispose()


async def test_rows_of_one_insert_are_written_one_by_one_with_the_same_effect(tmp_path: Path):
    configuration = WritersInTurn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    engine = await configuration.engine()
    table = sa.Table(
        "thing",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, default="unnamed"),
    )
    seen: list[tuple[str, bool]] = []

    def see(*arguments: Any) -> None:
        _, _, statement, _, _, is_several = arguments
        seen.append((statement.split()[0], is_several))

    event.listen(engine.sync_engine, "before_cursor_execute", see)
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
        several = insert(table).values([{"id": number} for number in range(5)])
        await connection.execute(several)
        await connection.execute(several.on_conflict_do_nothing(index_elements=["id"]))
        changed = insert(table).values([{"id": 1, "name": "one"}, {"id": 9, "name": "nine"}])
        await connection.execute(
            changed.on_conflict_do_update(
                index_elements=["id"], set_={"name": changed.excluded.name}
            )
        )
        rows = (await connection.execute(sa.select(table).order_by(table.c.id))).all()
    await engine.dispose()
    assert [tuple(row) for row in rows] == [
        *((0, "unnamed"), (1, "one"), (2, "unnamed"), (3, "unnamed"), (4, "unnamed")),
        (9, "nine"),
    ]
    assert [is_several for verb, is_several in seen if verb == "INSERT"] == [True] * 3


THINGS = sa.table("thing", sa.column("id"))


async def with_things(path: Path, *, waits_milliseconds: int) -> WritersInTurn:
    """A table with the row 1; SQLite itself waits so long for the lock."""
    configuration = WritersInTurn(f"sqlite+aiosqlite:///{path}")
    engine = await configuration.engine()

    @event.listens_for(engine.sync_engine, "connect")
    def wait_less(connection: Any, _: object) -> None:  # pyright: ignore[reportUnusedFunction]  # SQLAlchemy calls it
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {waits_milliseconds}")
        cursor.close()

    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE thing (id INTEGER PRIMARY KEY)"))
        await connection.execute(sa.insert(THINGS).values(id=1))
    return configuration


async def ids(configuration: WritersInTurn) -> list[int]:
    async with (await configuration.engine()).connect() as connection:
        return list((await connection.scalars(sa.select(THINGS.c.id).order_by("id"))).all())


async def test_rows_of_one_statement_are_written_together_or_not_at_all(tmp_path: Path):
    """Outside of transactions, too: as Prefect records what happens to task runs."""
    configuration = await with_things(tmp_path / "p.db", waits_milliseconds=1000)
    engine = await configuration.engine()

    async def write(*numbers: int) -> None:
        rows = [{"id": number} for number in numbers]
        async with await configuration.session(engine) as session:
            await session.execute(sa.select(THINGS))
            await session.execute(insert(THINGS).values(rows))
            await session.commit()

    await write(2, 3)
    with pytest.raises(IntegrityError):
        await write(4, 5, 1)
    await write(6)
    assert await ids(configuration) == [1, 2, 3, 6]
    await engine.dispose()


async def test_those_who_write_outside_of_transactions_and_in_turn_wait_for_no_ring(
    tmp_path: Path,
):
    """More of them than there are connections: as twenty runs do that pause at once."""
    configuration = await with_things(tmp_path / "p.db", waits_milliseconds=60_000)
    engine = await configuration.engine()

    async def outside(number: int) -> None:
        async with await configuration.session(engine) as session:
            await session.execute(sa.insert(THINGS).values(id=number))
            await session.commit()

    async def in_turn(number: int) -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(sa.insert(THINGS).values(id=number))
            await asyncio.sleep(0.01)

    async with asyncio.timeout(25), asyncio.TaskGroup() as group:
        for number in range(2, 62, 2):
            group.create_task(in_turn(number))
            group.create_task(outside(number + 1))
    assert await ids(configuration) == list(range(1, 62))
    await engine.dispose()


async def test_one_who_gives_up_leaves_the_turn_to_the_next(tmp_path: Path):
    configuration = await with_things(tmp_path / "p.db", waits_milliseconds=1000)
    engine = await configuration.engine()

    async def write(number: int) -> None:
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(sa.insert(THINGS), [{"id": number}, {"id": number + 1000}])

    for moment in range(12):  # of the few trips to its thread that a write takes
        writing = asyncio.create_task(write(100 + moment))
        for _ in range(moment * 3):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        async with asyncio.timeout(5):
            await write(200 + moment)
    assert set(await ids(configuration)) >= {200 + moment for moment in range(12)}
    await engine.dispose()


async def test_what_an_error_leaves_behind_stops_nobody(tmp_path: Path):
    """Python looks for cycles in the thread of the loop; what it finds must need no other."""
    path = tmp_path / "p.db"
    configuration = await with_things(path, waits_milliseconds=5000)
    engine = await configuration.engine()
    other = sqlite3.connect(path, isolation_level=None)
    gc.disable()
    try:
        for _ in range(3):
            try:
                async with await configuration.session(engine) as session:
                    await session.execute(sa.insert(THINGS).values(id=1))
            except IntegrityError as error:
                vars(error)["me"] = error
        other.execute("BEGIN IMMEDIATE")
        async with await configuration.session(engine) as session:
            writing = asyncio.create_task(session.execute(sa.insert(THINGS).values(id=2)))
            await asyncio.sleep(0.5)
            begun = time.monotonic()
            gc.collect()
            took = time.monotonic() - begun
            other.rollback()
            await writing
    finally:
        gc.enable()
        other.close()
        await engine.dispose()
    assert took < 3
