"""New rows into the database, past the unit of work: for what comes often and is only inserted."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, Insert, Table, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from store.activity import tell_webhooks
from store.models import Activity
from store.row import Row


async def insert_new(session: AsyncSession) -> None:
    """Insert what was added to a session, which does not know those rows afterwards.

    Table by table, in the order in which the first row of each was added, and its rows in theirs.
    SQLAlchemy's unit of work takes three times as long for what is merely new: it finds out in
    which order rows go, what of each has changed, and what it looked like before.

    Args:
        session: inside a write transaction. A key that the database gives is put into its row.

    Raises:
        IntegrityError: a row refers to what is not there, or there is one like it.
    """
    await session.run_sync(_insert_new)


def _insert_new(session: Session) -> None:
    by_kind: defaultdict[type[Row], list[Row]] = defaultdict(list)
    for row in session.new:
        if isinstance(row, Row):
            by_kind[type(row)].append(row)
    connection = session.connection()
    for kind, rows in by_kind.items():
        for row in rows:
            session.expunge(row)
        _insert_into(kind.__table__, connection, rows)  # pyright: ignore[reportAttributeAccessIssue]  # SQLModel makes it
        if kind is Activity:
            tell_webhooks(connection, [row for row in rows if isinstance(row, Activity)])


def _insert_into(table: Table, connection: Connection, rows: Sequence[Row]) -> None:
    key = table.autoincrement_column
    names = [column.key for column in table.columns if column is not key]
    # What the row has put in place itself: nothing of it is still to be loaded.
    given = [{name: vars(row)[name] for name in names} for row in rows]
    made = connection.execute(_statement(table), given)
    if key is not None:
        for row, number in zip(rows, made.scalars(), strict=True):
            setattr(row, key.key, number)


@cache
def _statement(table: Table) -> Insert:
    """Made once, so that SQLAlchemy knows it again at a glance."""
    if table.autoincrement_column is None:
        return insert(table)
    return insert(table).returning(table.autoincrement_column, sort_by_parameter_order=True)
