"""How many tasks came and were settled on each day, how many files were sent, and their indexes.

In the place of the counts of 0012 and of the states of 0017, which say no more than their sums.
"""

import sqlalchemy as sa
from alembic import op

from store.migrations.counters import Counter, Part, epoch

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_DAY = 24 * 60 * 60
_MOMENTS = {"created": "created_at", "settled": "settled_at"}


def _owner(row: str) -> str:
    """Whoever sees it alone; the id without a bit where that is nobody."""
    nobody = "0" * 32
    if op.get_bind().dialect.name == "postgresql":
        nobody = "00000000-0000-0000-0000-000000000000"
    owner = f"{row}.owner_id"
    return f"CASE WHEN {row}.is_private AND {owner} IS NOT NULL THEN {owner} ELSE '{nobody}' END"


def _of_task(row: str) -> list[Part]:
    return [
        Part(
            [
                *(f"{row}.project_id", f"{row}.is_private", _owner(row), f"'{moment}'"),
                f"{epoch(f'{row}.{at}')} / {_DAY}",
                f"{row}.state",
                f"({row}.input_file_id IS NOT NULL)",
                f"({row}.settled_at IS NOT NULL)",
            ],
            ["1"],
            f"{row}.project_id IS NOT NULL AND {row}.deleted_at IS NULL AND {row}.{at} IS NOT NULL",
        )
        for moment, at in _MOMENTS.items()
    ]


def _of_file(row: str) -> list[Part]:
    day = f"{epoch(f'{row}.created_at')} / {_DAY}"
    key = [f"{row}.organization_id", f"{row}.is_private", _owner(row), day]
    return [Part(key, ["1"], f"{row}.task_id IS NULL")]


_TASKS = Counter(
    "taskday",
    of="task",
    key=(
        *("project_id", "is_private", "owner_id", "moment", "day"),
        *("state", "is_on_file", "is_settled"),
    ),
    sums=("counted",),
    watched=(
        *("project_id", "is_private", "owner_id", "created_at", "settled_at"),
        *("state", "input_file_id", "deleted_at"),
    ),
    parts=_of_task,
)
_FILES = Counter(
    "fileday",
    of="file",
    key=("organization_id", "is_private", "owner_id", "day"),
    sums=("counted",),
    watched=("organization_id", "is_private", "owner_id", "created_at", "task_id"),
    parts=_of_file,
)


_PEOPLE = Counter(
    "personday",
    of="task",
    key=("project_id", "actor", "day"),
    sums=("counted",),
    watched=("project_id", "decided_by", "settled_at", "deleted_at", "is_private"),
    parts=lambda row: [
        Part(
            [f"{row}.project_id", f"{row}.decided_by", f"{epoch(f'{row}.settled_at')} / {_DAY}"],
            ["1"],
            f"{_is_shared(row)} AND {row}.settled_at IS NOT NULL AND {row}.decided_by IS NOT NULL",
        )
    ],
    is_exact=True,
)

_TURN = (
    sa.text("priority DESC"),
    sa.text("(due_at IS NULL)"),
    sa.text("due_at"),
    sa.text("created_at"),
)
_HELD = "state = 'in_review' AND claimed_by IS NOT NULL"
_OWN = "task_id IS NULL AND is_private"


def _is_shared(row: str) -> str:
    return f"{row}.project_id IS NOT NULL AND {row}.deleted_at IS NULL AND NOT {row}.is_private"


# As 0012 and 0017 made them.
_SETTLED = Counter(
    "settledcount",
    of="task",
    key=("project_id",),
    sums=("tasks",),
    watched=("settled_at", "deleted_at", "is_private"),
    parts=lambda row: [
        Part([f"{row}.project_id"], ["1"], f"{_is_shared(row)} AND {row}.settled_at IS NOT NULL")
    ],
    trigger="task_settled",
    function="count_settled",
)
_STATES = Counter(
    "statecount",
    of="task",
    key=("project_id", "state", "is_on_file"),
    sums=("tasks",),
    watched=("project_id", "state", "input_file_id", "deleted_at", "is_private"),
    parts=lambda row: [
        Part(
            [f"{row}.project_id", f"{row}.state", f"({row}.input_file_id IS NOT NULL)"],
            ["1"],
            _is_shared(row),
        )
    ],
)


def upgrade() -> None:
    """Go forward."""
    _SETTLED.drop()
    _STATES.drop()
    op.create_table(
        "taskday",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("is_on_file", sa.Boolean(), nullable=False),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint(*_TASKS.unique),
        sqlite_with_rowid=False,  # a list is counted in one stretch
    )
    op.create_table(
        "fileday",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("is_private", sa.Boolean(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.PrimaryKeyConstraint(*_FILES.unique),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "personday",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("counted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint(*_PEOPLE.unique),
        sqlite_with_rowid=False,
    )
    for counter in (_TASKS, _FILES, _PEOPLE):
        counter.keep()
    op.create_index("ix_upload_folder", "upload", ["project_id", "folder", "created_at", "code"])
    op.create_index(
        "ix_file_own",
        "file",
        ["owner_id", "created_at", "id", "organization_id", "is_private", "task_id"],
        sqlite_where=sa.text(f"{_OWN} = 1"),
        postgresql_where=sa.text(_OWN),
    )
    op.create_index(
        "ix_task_turn_held",
        "task",
        ["organization_id", "project_id", "claimed_by", *_TURN],
        sqlite_where=sa.text(_HELD),
        postgresql_where=sa.text(_HELD),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_turn_held", table_name="task")
    op.drop_index("ix_file_own", table_name="file")
    op.drop_index("ix_upload_folder", table_name="upload")
    for counter in (_PEOPLE, _FILES, _TASKS):
        counter.drop()
    op.create_table(
        "settledcount",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "slot"),
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
    _SETTLED.keep()
    _STATES.keep()
