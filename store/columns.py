"""Kinds of columns that both databases keep alike."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, TypeDecorator, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from store.ids import now
from store.states import State


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, aware and UTC on both databases (SQLite alone forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's signature
        """Give back an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON().with_variant(JSONB(), "postgresql")


def _values(states: type[State]) -> list[str]:
    return [state.value for state in states]


StateColumn = Enum(
    State,
    native_enum=False,
    create_constraint=True,
    name="state",
    length=20,
    values_callable=_values,  # else it keeps the names
)


def made(make: Callable[[], Any], **more: Any) -> Any:
    """A column whose default is made anew for each row."""
    return Field(default_factory=make, **more)


def time(*, index: bool = False) -> Any:
    """A point in time, the present when none is given."""
    return made(now, sa_type=UtcDateTime, index=index)


def later(*, index: bool = False) -> Any:
    """A point in time that is not known when the row is made."""
    return Field(default=None, sa_type=UtcDateTime, index=index, nullable=True)  # pyright: ignore[reportArgumentType]  # SQLModel types sa_type as a class of no arguments


def json(default: type[dict[Any, Any]] | type[list[Any]] = dict) -> Any:
    """A JSON value, an empty one when none is given."""
    return made(default, sa_type=Json)


def number(table: str) -> Any:
    """A whole number that is given once in a table, and rises."""
    following = text(f"(SELECT coalesce(max(number), 0) + 1 FROM {table})")  # noqa: S608  # our own name
    return Field(
        default=None,
        unique=True,
        index=True,
        nullable=False,
        sa_column_kwargs={"default": following},
    )


def only(sqlite: str, postgresql: str | None = None) -> Mapping[str, Any]:
    """Which rows an index has; the condition of both databases where it is the same."""
    return {"sqlite_where": text(sqlite), "postgresql_where": text(postgresql or sqlite)}
