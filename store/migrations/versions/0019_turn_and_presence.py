"""Whose turn it is down to the last row; who has a page open; page images for who zooms in."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.models

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_WAITS = "state = 'in_review'"
_OF_PROJECT = ["organization_id", "project_id"]
_INDICES = {
    "ix_task_turn": (["organization_id"], _WAITS),
    "ix_task_turn_in_project": (_OF_PROJECT, _WAITS),
    "ix_task_turn_held": ([*_OF_PROJECT, "claimed_by"], f"{_WAITS} AND claimed_by IS NOT NULL"),
}
"""Name, the columns before those of the turn, and which rows."""
_PRIORITY = sa.text("priority DESC")
_TURN = [
    _PRIORITY,
    sa.text("coalesce(due_at, '9999-12-31 23:59:59.999999+00')"),
    *("created_at", "code"),
]
_TURN_BEFORE = [_PRIORITY, sa.text("(due_at IS NULL)"), "due_at", "created_at"]


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "presence",
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("actor", sqlmodel.AutoString(), nullable=False),
        sa.Column("seen_at", store.models.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("task_id", "actor"),
    )
    op.create_index("ix_presence_seen_at", "presence", ["seen_at"])
    op.add_column(
        "page",
        sa.Column("detail_blob", sqlmodel.AutoString(), nullable=False, server_default=""),
    )
    _index(_TURN)


def _index(turn: list[object]) -> None:
    for name, (of, which) in _INDICES.items():
        op.drop_index(name, table_name="task")
        columns = [*of, *turn]
        where = sa.text(which)
        op.create_index(name, "task", columns, sqlite_where=where, postgresql_where=where)  # pyright: ignore[reportArgumentType]  # names and texts, as alembic takes them


def downgrade() -> None:
    """Go back."""
    _index(_TURN_BEFORE)
    op.drop_column("page", "detail_blob")
    op.drop_index("ix_presence_seen_at", table_name="presence")
    op.drop_table("presence")
