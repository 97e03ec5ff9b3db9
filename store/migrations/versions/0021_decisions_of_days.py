"""What people decided on each day, how right it was, and how many tasks are in each state."""

import sqlalchemy as sa
from alembic import op

from store.migrations.counters import Counter, Part, epoch

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_DAY = 24 * 60 * 60
_JUDGED = sa.text("is_correct IS NOT NULL")
_CLAIMED = sa.text("claimed_until IS NOT NULL")
_DECIDED = sa.text("decided_by IS NOT NULL")


def _of_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _key(row: str, name: str) -> list[str]:
    return [f"{row}.project_id", name, f"{epoch(f'{row}.settled_at')} / {_DAY}"]


def _is_counted(row: str) -> str:
    return (
        f"{row}.project_id IS NOT NULL AND {row}.deleted_at IS NULL AND NOT {row}.is_private"
        f" AND {row}.settled_at IS NOT NULL"
    )


def _project(row: str) -> str:
    none = "0" * 32 if _of_sqlite() else "00000000-0000-0000-0000-000000000000"
    return f"coalesce({row}.project_id, '{none}')"


def _people(row: str) -> list[Part]:
    sums = [
        "1",
        f"{row}.handling_seconds",
        f"CASE WHEN {row}.is_correct IS NOT NULL THEN 1 ELSE 0 END",
        f"CASE WHEN {row}.is_correct THEN 1 ELSE 0 END",
    ]
    is_there = f"{_is_counted(row)} AND {row}.decided_by IS NOT NULL"
    return [Part(_key(row, f"{row}.decided_by"), sums, is_there)]


def _fields(row: str) -> list[Part]:
    """Of a task that was judged field by field: that it was, and each field that was wrong."""
    names = f"{row}.wrong_fields"
    # Where there are none it may be the null of JSON, too.
    if _of_sqlite():
        names = f"CASE WHEN json_type({names}) = 'array' THEN {names} ELSE '[]' END"
        count, each = f"json_array_length({names})", f"json_each({names}) AS wrong"
    else:
        names = f"CASE WHEN jsonb_typeof({names}) = 'array' THEN {names} ELSE '[]' END"
        count = f"jsonb_array_length({names})"
        each = f"jsonb_array_elements_text({names}) AS wrong(value)"
    is_judged = f"{_is_counted(row)} AND {row}.is_correct IS NOT NULL"
    return [
        Part(_key(row, "''"), ["1"], f"{is_judged} AND ({row}.is_correct OR {count} > 0)"),
        Part(_key(row, "wrong.value"), ["1"], is_judged, each),
    ]


_WATCHED = ("project_id", "settled_at", "deleted_at", "is_private", "is_correct")

_PEOPLE = Counter(
    "personday",
    of="task",
    key=("project_id", "actor", "day"),
    sums=("counted", "handling_seconds", "audited", "correct"),
    watched=(*_WATCHED, "decided_by", "handling_seconds"),
    parts=_people,
    # A claim changes what is counted only once the task is done with.
    watched_once=(("handling_seconds", "NEW.settled_at IS NOT NULL"),),
    is_exact=True,
)
_FIELDS = Counter(
    "fieldday",
    of="task",
    key=("project_id", "field", "day"),
    sums=("counted",),
    watched=(*_WATCHED, "wrong_fields"),
    parts=_fields,
)
_STATES = Counter(
    "statecount",
    of="task",
    key=("organization_id", "project_id", "is_private", "state"),
    sums=("counted",),
    watched=("organization_id", "project_id", "is_private", "state", "deleted_at"),
    parts=lambda row: [
        Part(
            [f"{row}.organization_id", _project(row), f"{row}.is_private", f"{row}.state"],
            ["1"],
            f"{row}.deleted_at IS NULL",
        )
    ],
)
# As 0018 made it.
_COUNTED_PEOPLE = Counter(
    "personday",
    of="task",
    key=_PEOPLE.key,
    sums=("counted",),
    watched=("project_id", "decided_by", "settled_at", "deleted_at", "is_private"),
    parts=lambda row: [Part(part.key, ["1"], part.is_there) for part in _people(row)],
    is_exact=True,
)


def upgrade() -> None:
    """Go forward."""
    _COUNTED_PEOPLE.drop()
    _make_people(
        sa.Column("handling_seconds", sa.Float(), nullable=False),
        sa.Column("audited", sa.Integer(), nullable=False),
        sa.Column("correct", sa.Integer(), nullable=False),
    )
    op.create_index("ix_personday_day", "personday", ["project_id", "day"])
    op.create_table(
        "fieldday",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint(*_FIELDS.unique),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "statecount",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.PrimaryKeyConstraint(*_STATES.unique),
        sqlite_with_rowid=False,
    )
    for counter in (_PEOPLE, _FIELDS, _STATES):
        counter.keep()
    op.drop_index("ix_task_private", table_name="task")
    _make_private("project_id", "owner_id", "settled_at")
    op.create_index("ix_task_erased_at", "task", ["erased_at"])
    op.create_index(
        "ix_file_test",
        "file",
        ["created_at"],
        sqlite_where=sa.text("is_test = 1"),
        postgresql_where=sa.text("is_test"),
    )
    op.create_index(
        "ix_task_claimed",
        "task",
        ["claimed_until"],
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    )
    op.create_index(
        "ix_task_verdict",
        "task",
        ["organization_id", "state", "is_correct", "created_at", "code"],
        sqlite_where=_JUDGED,
        postgresql_where=_JUDGED,
    )
    op.create_index(
        "ix_task_decided",
        "task",
        ["organization_id", "state", "decided_by", "created_at", "code"],
        sqlite_where=_DECIDED,
        postgresql_where=_DECIDED,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_private", table_name="task")
    _make_private("project_id", "settled_at")
    op.drop_index("ix_task_claimed", table_name="task")
    op.drop_index("ix_file_test", table_name="file")
    op.drop_index("ix_task_erased_at", table_name="task")
    op.drop_index("ix_task_decided", table_name="task")
    op.drop_index("ix_task_verdict", table_name="task")
    for counter in (_STATES, _FIELDS, _PEOPLE):
        counter.drop()
    _make_people()
    _COUNTED_PEOPLE.keep()


def _make_people(*sums: sa.Column[float] | sa.Column[int]) -> None:
    op.create_table(
        "personday",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        *sums,
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint(*_PEOPLE.unique),
        sqlite_with_rowid=False,
    )


def _make_private(*columns: str) -> None:
    op.create_index(
        "ix_task_private",
        "task",
        list(columns),
        sqlite_where=sa.text("is_private = 1"),
        postgresql_where=sa.text("is_private"),
    )
