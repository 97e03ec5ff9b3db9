"""What happened to the tasks of each project in each hour, and how many are in each state.

Whatever writes a row of `task` changes these counters in the same transaction. A later migration
that makes the table of tasks anew must make the triggers anew, too: SQLite drops them with the
table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_SLOTS = 16
"""PostgreSQL locks a row until whoever changed it commits: connections share several."""

_COUNTERS = {
    # table: (its key beside the project, what it sums, the columns of tasks it depends on)
    "taskfigure": (
        ("moment", "hour"),
        ("tasks", "completed", "untouched", "decided", "handling_seconds", "turnaround_seconds",
         "audited", "correct"),
        ("project_id", "created_at", "settled_at", "finished_at", "state", "decided_by",
         "handling_seconds", "is_correct", "deleted_at", "is_private"),
    ),
    "statecount": (
        ("state", "is_on_file"),
        ("tasks",),
        ("project_id", "state", "input_file_id", "deleted_at", "is_private"),
    ),
}  # fmt: skip

_MOMENTS = {"created": "created_at", "settled": "settled_at", "ended": "finished_at"}

_SENT = ("organization_id", "created_at", "id", "owner_id", "is_private", "task_id")
_LISTED = (
    *("organization_id", "created_at", "code"),
    *("project_id", "state", "input_file_id", "owner_id", "is_private", "deleted_at"),
)
_OWN = (
    *("owner_id", "created_at", "code"),
    *("project_id", "state", "input_file_id", "is_private", "deleted_at"),
)

_WAITS = "state = 'in_review' AND deleted_at IS NULL AND"
_PARTIAL = (
    ("ix_file_sent", "file", _SENT, "task_id IS NULL", ""),
    ("ix_task_own", "task", _OWN, "is_private = 1", "is_private"),
    (
        "ix_task_waiting",
        "task",
        ("project_id", "review_since"),
        f"{_WAITS} is_private = 0",
        f"{_WAITS} NOT is_private",
    ),
)
"""Name, table, columns, and which rows: on SQLite, and on PostgreSQL where that differs."""


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "taskfigure",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("untouched", sa.Integer(), nullable=False),
        sa.Column("decided", sa.Integer(), nullable=False),
        sa.Column("handling_seconds", sa.Float(), nullable=False),
        sa.Column("turnaround_seconds", sa.Float(), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "moment", "hour", "slot"),
        sqlite_with_rowid=False,  # a span of hours is read as one stretch
    )
    op.create_table(
        "statecount",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("is_on_file", sa.Boolean(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "state", "is_on_file", "slot"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _COUNTERS:
        for statement in _filled(table, is_sqlite=is_sqlite):
            op.execute(statement)
        for statement in _of_sqlite(table) if is_sqlite else _of_postgresql(table):
            op.execute(statement)
    op.drop_index("ix_task_organization", table_name="task")
    op.create_index("ix_task_organization", "task", list(_LISTED))
    for name, table, columns, where, of_postgresql in _PARTIAL:
        op.create_index(
            name,
            table,
            list(columns),
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(of_postgresql or where),
        )


def _epoch(column: str, *, is_sqlite: bool) -> str:
    """Whole seconds since 1970, rounded down; SQLite alone would round to milliseconds first."""
    if is_sqlite:
        return f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
    return f"CAST(floor(extract(epoch FROM {column})) AS bigint)"


def _is_counted(row: str) -> str:
    # `1 = 0`: false, as both databases understand it.
    return (
        f"{row}.project_id IS NOT NULL AND {row}.deleted_at IS NULL AND {row}.is_private = (1 = 0)"
    )


def _parts(table: str, row: str, *, is_sqlite: bool) -> list[tuple[list[str], list[str], str]]:
    """What a row of `task` adds to a counter: key and sums of each row there, and whether it does.

    Of a task that was made nothing but that is counted; the rest, of one that is done with.
    """
    if table == "statecount":
        on_file = f"({row}.input_file_id IS NOT NULL)"
        return [([f"{row}.state", on_file], ["1"], _is_counted(row))]
    found: list[tuple[list[str], list[str], str]] = []
    for moment, name in _MOMENTS.items():
        at, came = (_epoch(f"{row}.{one}", is_sqlite=is_sqlite) for one in (name, "created_at"))
        decided = f"{row}.decided_by IS NOT NULL"
        completed = f"{row}.state = 'completed'"
        sums = [
            "1",
            f"CASE WHEN {completed} THEN 1 ELSE 0 END",
            f"CASE WHEN {completed} AND {row}.decided_by IS NULL THEN 1 ELSE 0 END",
            f"CASE WHEN {decided} THEN 1 ELSE 0 END",
            f"CASE WHEN {decided} THEN {row}.handling_seconds ELSE 0 END",
            f"{at} - {came}",
            f"CASE WHEN {row}.is_correct IS NOT NULL THEN 1 ELSE 0 END",
            f"CASE WHEN {row}.is_correct = (1 = 1) THEN 1 ELSE 0 END",
        ]
        if moment == "created":
            sums[1:] = ["0"] * (len(sums) - 1)
        is_there = f"{_is_counted(row)} AND {row}.{name} IS NOT NULL"
        found.append(([f"'{moment}'", f"{at} / 3600"], sums, is_there))
    return found


def _columns(table: str) -> str:
    key, sums, _ = _COUNTERS[table]
    return ", ".join(("project_id", *key, "slot", *sums))


def _filled(table: str, *, is_sqlite: bool) -> list[str]:
    """Count the tasks that are there."""
    found: list[str] = []
    for key, sums, is_there in _parts(table, "task", is_sqlite=is_sqlite):
        groups = ["project_id", *(one for one in key if not one.startswith("'"))]
        found.append(
            f"INSERT INTO {table} ({_columns(table)})"  # noqa: S608  # our own words
            f" SELECT project_id, {', '.join(key)}, 0, {', '.join(f'sum({one})' for one in sums)}"
            f" FROM task WHERE {is_there} GROUP BY {', '.join(groups)}"
        )
    return found


def _added(table: str, row: str, sign: str, slot: str, *, is_sqlite: bool) -> str:
    """Statements that add a row of `task` to a counter, or take it out."""
    key, names, _ = _COUNTERS[table]
    conflict = ", ".join(("project_id", *key, "slot"))
    changes = ", ".join(f"{one} = {table}.{one} + excluded.{one}" for one in names)
    return " ".join(
        f"INSERT INTO {table} ({_columns(table)})"  # our own words
        f" SELECT {row}.project_id, {', '.join(at)}, {slot},"
        f" {', '.join(f'{sign} ({one})' for one in sums)} WHERE {is_there}"
        f" ON CONFLICT ({conflict}) DO UPDATE SET {changes};"
        for at, sums, is_there in _parts(table, row, is_sqlite=is_sqlite)
    )


_EVENTS = {"insert": ("NEW",), "update": ("OLD", "NEW"), "delete": ("OLD",)}


def _of_sqlite(table: str) -> list[str]:
    _, _, watched = _COUNTERS[table]
    # A claim changes what is counted only once the task is done with.
    is_changed = " OR ".join(
        f"OLD.{one} IS NOT NEW.{one}" for one in watched if one != "handling_seconds"
    )
    if "handling_seconds" in watched:
        is_changed += " OR (NEW.settled_at IS NOT NULL OR NEW.finished_at IS NOT NULL)"
    when = {"insert": "", "update": f" WHEN {is_changed}", "delete": ""}
    of = {"insert": "INSERT", "update": f"UPDATE OF {', '.join(watched)}", "delete": "DELETE"}
    return [
        f"CREATE TRIGGER {table}_{name} AFTER {of[name]} ON task{when[name]} BEGIN "
        + " ".join(
            _added(table, row, "-" if row == "OLD" else "+", "0", is_sqlite=True) for row in rows
        )
        + " END"
        for name, rows in _EVENTS.items()
    ]


def _of_postgresql(table: str) -> list[str]:
    _, _, watched = _COUNTERS[table]
    slot = f"pg_backend_pid() % {_SLOTS}"
    taken_out, added = (
        _added(table, row, sign, slot, is_sqlite=False)
        for row, sign in (("OLD", "-"), ("NEW", "+"))
    )
    function = f"""
        CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE'
                AND ({", ".join(f"OLD.{one}" for one in watched)})
                IS NOT DISTINCT FROM ({", ".join(f"NEW.{one}" for one in watched)})
                THEN RETURN NULL; END IF;
            IF TG_OP <> 'INSERT' THEN {taken_out} END IF;
            IF TG_OP <> 'DELETE' THEN {added} END IF;
            RETURN NULL;
        END $$
    """
    trigger = (
        f"CREATE TRIGGER {table} AFTER INSERT OR DELETE OR UPDATE OF {', '.join(watched)} ON task"
        f" FOR EACH ROW EXECUTE FUNCTION keep_{table}()"
    )
    return [function, trigger]


def downgrade() -> None:
    """Go back."""
    for name, table, *_ in _PARTIAL:
        op.drop_index(name, table_name=table)
    op.drop_index("ix_task_organization", table_name="task")
    op.create_index("ix_task_organization", "task", ["organization_id", "created_at", "code"])
    for table in _COUNTERS:
        if op.get_bind().dialect.name == "sqlite":
            for name in _EVENTS:
                op.execute(f"DROP TRIGGER {table}_{name}")
        else:
            op.execute(f"DROP TRIGGER {table} ON task")
            op.execute(f"DROP FUNCTION keep_{table}()")
        op.drop_table(table)
