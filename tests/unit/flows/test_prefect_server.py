"""The database of the server that `papertray up` starts, and how it is started."""

import asyncio
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
from sqlalchemy.exc import OperationalError

from flows.prefect_server import TUNING, server_environment, writers_in_turn

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
    answers = await read_then_write(writers_in_turn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}"))

    assert answers == [None] * WRITERS * 3


async def test_prefects_own_way_still_locks(tmp_path: Path):
    """When this fails, Prefect has repaired it, and `writers_in_turn` can go."""
    stock = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")

    assert any(isinstance(answer, OperationalError) for answer in await read_then_write(stock))


async def test_a_read_inside_a_transaction_does_not_wait_for_it(tmp_path: Path):
    configuration = writers_in_turn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
    engine = await configuration.engine()
    outer, inner = await configuration.session(engine), await configuration.session(engine)
    async with asyncio.timeout(5):
        async with outer, configuration.begin_transaction(outer):
            assert SQLITE_BEGIN_MODE.get() is None
            async with inner:
                assert await inner.scalar(sa.text("SELECT 1")) == 1
    await engine.dispose()


def test_every_setting_is_one_of_prefects():
    import prefect.settings

    asked = {name for name in TUNING if name.startswith("PREFECT_")}
    assert {name for name in asked if getattr(prefect.settings, name, None) is None} == set()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("box.lan", "box.lan")],
)
def test_the_ui_is_told_an_address_that_a_browser_can_reach(
    tmp_path: Path, host: str, expected: str
):
    environment = server_environment(tmp_path, host, 4300)

    assert environment["PREFECT_SERVER_UI_API_URL"] == f"http://{expected}:4300/api"


def test_a_postgresql_is_used_as_given(tmp_path: Path):
    url = "postgresql+asyncpg://someone@db/prefect"

    assert (
        server_environment(tmp_path, "127.0.0.1", 4200, url)[
            "PREFECT_SERVER_DATABASE_CONNECTION_URL"
        ]
        == url
    )


async def test_rows_of_one_insert_are_written_one_by_one_with_the_same_effect(tmp_path: Path):
    configuration = writers_in_turn(f"sqlite+aiosqlite:///{tmp_path / 'p.db'}")
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
