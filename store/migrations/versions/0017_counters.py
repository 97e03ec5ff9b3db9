"""What happened to the tasks of each project in each hour, and how many are in each state.

Whatever writes a row of `task` changes these counters in the same transaction. A later migration
that makes the table of tasks anew must make the triggers anew, too: SQLite drops them with the
table.
"""

import sqlalchemy as sa
from alembic import op

from store.migrations.counters import Counter, Part, epoch

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

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
    _FIGURES.keep()
    _STATES.keep()
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


def _is_counted(row: str) -> str:
    # `1 = 0`: false, as both databases understand it.
    return (
        f"{row}.project_id IS NOT NULL AND {row}.deleted_at IS NULL AND {row}.is_private = (1 = 0)"
    )


def _states(row: str) -> list[Part]:
    on_file = f"({row}.input_file_id IS NOT NULL)"
    return [Part([f"{row}.project_id", f"{row}.state", on_file], ["1"], _is_counted(row))]


def _figures(row: str) -> list[Part]:
    """Of a task that was made nothing but that is counted; the rest, of one that is done with."""
    found: list[Part] = []
    for moment, name in _MOMENTS.items():
        at, came = (epoch(f"{row}.{one}") for one in (name, "created_at"))
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
        key = [f"{row}.project_id", f"'{moment}'", f"{at} / 3600"]
        found.append(Part(key, sums, is_there))
    return found


_FIGURES = Counter(
    "taskfigure",
    of="task",
    key=("project_id", "moment", "hour"),
    sums=(
        *("tasks", "completed", "untouched", "decided", "handling_seconds", "turnaround_seconds"),
        *("audited", "correct"),
    ),
    watched=(
        *("project_id", "created_at", "settled_at", "finished_at", "state", "decided_by"),
        *("handling_seconds", "is_correct", "deleted_at", "is_private"),
    ),
    parts=_figures,
    watched_once=(
        # A claim changes what is counted only once the task is done with.
        ("handling_seconds", "(NEW.settled_at IS NOT NULL OR NEW.finished_at IS NOT NULL)"),
    ),
)
_STATES = Counter(
    "statecount",
    of="task",
    key=("project_id", "state", "is_on_file"),
    sums=("tasks",),
    watched=("project_id", "state", "input_file_id", "deleted_at", "is_private"),
    parts=_states,
)


def downgrade() -> None:
    """Go back."""
    for name, table, *_ in _PARTIAL:
        op.drop_index(name, table_name=table)
    op.drop_index("ix_task_organization", table_name="task")
    op.create_index("ix_task_organization", "task", ["organization_id", "created_at", "code"])
    _FIGURES.drop()
    _STATES.drop()
