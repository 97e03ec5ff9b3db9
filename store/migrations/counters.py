"""Counters that the database itself keeps: triggers change them in the transaction of each change.

For migrations alone. A migration that makes a counted table anew must make its triggers anew, too:
SQLite drops them with the table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from alembic import op

SLOTS: Final = 16
"""PostgreSQL locks a row until whoever changed it commits: connections share several."""

_EVENTS: Final = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}


@dataclass(frozen=True)
class Part:
    """What a row adds to one row of a counter, in SQL."""

    key: Sequence[str]
    sums: Sequence[str]
    is_there: str
    """Whether it adds anything."""
    many: str = ""
    """What it has several of, each of which adds so much: a function of SQL that gives rows."""


@dataclass(frozen=True)
class Counter:
    """A table of sums over the rows of another."""

    table: str
    of: str
    """The table whose rows are counted."""
    key: tuple[str, ...]
    """Its columns that say what is counted; `slot` is one beside them."""
    sums: tuple[str, ...]
    """The first says how many rows were added up."""
    watched: tuple[str, ...]
    """The columns of those rows on which the sums depend."""
    parts: Callable[[str], Sequence[Part]]
    """Of a row, by what it is called in SQL."""
    watched_once: tuple[tuple[str, str], ...] = ()
    """Of these, which matter only where something is true of the new row."""
    is_exact: bool = False
    """One row a key, without slots, and none of what is no more: where a key tells of somebody."""
    trigger: str = ""
    """What its triggers are called, where not as the table."""
    function: str = ""
    """The same of the function of PostgreSQL, where not `keep_` and the table."""

    def keep(self) -> None:
        """Count what is there, and keep counting."""
        for part in self.parts(self.of):
            groups = [one for one in part.key if not one.startswith("'")]
            op.execute(
                f"INSERT INTO {self.table} ({self._columns})"  # noqa: S608  # our own words
                f" SELECT {', '.join(part.key)}{'' if self.is_exact else ', 0'},"
                f" {', '.join(f'sum({one})' for one in part.sums)}"
                f" FROM {', '.join(filter(None, (self.of, part.many)))}"
                f" WHERE {part.is_there} GROUP BY {', '.join(groups)}"
            )
        for statement in self._of_sqlite() if _is_sqlite() else self._of_postgresql():
            op.execute(statement)

    def drop(self) -> None:
        """Stop counting, and drop what was counted."""
        if _is_sqlite():
            for name in _EVENTS:
                op.execute(f"DROP TRIGGER {self._trigger}_{name}")
        else:
            op.execute(f"DROP TRIGGER {self._trigger} ON {self.of}")
            op.execute(f"DROP FUNCTION {self._function}()")
        op.drop_table(self.table)

    @property
    def _trigger(self) -> str:
        return self.trigger or self.table

    @property
    def _function(self) -> str:
        return self.function or f"keep_{self.table}"

    @property
    def unique(self) -> tuple[str, ...]:
        """The primary key."""
        return self.key if self.is_exact else (*self.key, "slot")

    @property
    def _columns(self) -> str:
        return ", ".join((*self.unique, *self.sums))

    def _added(self, row: str, slot: str) -> str:
        """Statements that add a row to the counter, or take the old one out."""
        sign = "-" if row == "OLD" else "+"
        conflict = ", ".join(self.unique)
        slots = "" if self.is_exact else f", {slot}"
        changes = ", ".join(f"{one} = {self.table}.{one} + excluded.{one}" for one in self.sums)
        return " ".join(
            f"INSERT INTO {self.table} ({self._columns})"  # noqa: S608  # our own words
            f" SELECT {', '.join(part.key)}{slots},"
            f" {', '.join(f'{sign} ({one})' for one in part.sums)}"
            f"{part.many and f' FROM {part.many}'} WHERE {part.is_there}"
            f" ON CONFLICT ({conflict}) DO UPDATE SET {changes};{self._emptied(row, part)}"
            for part in self.parts(row)
        )

    def _emptied(self, row: str, part: Part) -> str:
        if not self.is_exact or row == "NEW":
            return ""
        keys = " AND ".join(
            f"{name} = {value}" for name, value in zip(self.key, part.key, strict=True)
        )
        return f" DELETE FROM {self.table} WHERE {keys} AND {self.sums[0]} = 0;"  # noqa: S608  # our own words

    def _of_sqlite(self) -> list[str]:
        once = dict(self.watched_once)
        is_changed = " OR ".join(
            once.get(one) or f"OLD.{one} IS NOT NEW.{one}" for one in self.watched
        )
        when = {"insert": "", "update": f" WHEN {is_changed}", "delete": ""}
        of = {
            "insert": "INSERT",
            "update": f"UPDATE OF {', '.join(self.watched)}",
            "delete": "DELETE",
        }
        return [
            f"CREATE TRIGGER {self._trigger}_{name} AFTER {of[name]} ON {self.of}{when[name]}"
            f" BEGIN {' '.join(self._added(row, '0') for row in rows)} END"
            for name, rows in _EVENTS.items()
        ]

    def _of_postgresql(self) -> list[str]:
        old, new = (self._added(row, f"pg_backend_pid() % {SLOTS}") for row in ("OLD", "NEW"))
        function = f"""
            CREATE FUNCTION {self._function}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'UPDATE'
                    AND ({", ".join(f"OLD.{one}" for one in self.watched)})
                    IS NOT DISTINCT FROM ({", ".join(f"NEW.{one}" for one in self.watched)})
                    THEN RETURN NULL; END IF;
                IF TG_OP <> 'INSERT' THEN {old} END IF;
                IF TG_OP <> 'DELETE' THEN {new} END IF;
                RETURN NULL;
            END $$
        """
        trigger = (
            f"CREATE TRIGGER {self._trigger} AFTER INSERT OR DELETE"
            f" OR UPDATE OF {', '.join(self.watched)} ON {self.of}"
            f" FOR EACH ROW EXECUTE FUNCTION {self._function}()"
        )
        return [function, trigger]


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def epoch(column: str) -> str:
    """Whole seconds since 1970, rounded down; SQLite alone would round to milliseconds first."""
    if _is_sqlite():
        return f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
    return f"CAST(floor(extract(epoch FROM {column})) AS bigint)"
