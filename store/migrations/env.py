"""How Alembic reaches the database of Papertray."""

import asyncio
from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import SQLModel

import store.models  # fills the metadata
from store.database import Database
from store.settings import settings

assert store.models.Task.metadata is SQLModel.metadata  # noqa: S101  # the import above did its work


def render_type(kind: str, item: object, _: object) -> str | Literal[False]:
    """Write our own column types by their names, else as Alembic would."""
    if kind == "type" and item is store.models.Json:
        return "store.models.Json"
    if kind == "type" and isinstance(item, store.models.UtcDateTime):
        return "store.models.UtcDateTime()"
    return False


def run(connection: Connection) -> None:
    """Migrate over one connection."""
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render_type,
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect() -> None:
    """Open the database and migrate."""
    url = context.config.attributes.get("url") or settings().effective_database_url
    database = Database(url)
    # Two processes that start at once: the second waits for the first and finds nothing to do.
    engine = database.engine.execution_options(papertray_writes=True)
    async with engine.begin() as connection:
        if not database.is_sqlite:
            await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8460)")
        await connection.run_sync(run)
    await database.close()


asyncio.run(connect())
