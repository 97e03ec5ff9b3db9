"""What people made of each value, which fields an audit found wrong, and counts of states."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.models

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "valuechange",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("document_number", sa.Integer(), nullable=False),
        sa.Column("name", _TEXT(), nullable=False),
        sa.Column("before", _TEXT(), nullable=False),
        sa.Column("after", _TEXT(), nullable=False),
        sa.Column("method", _TEXT(), nullable=False),
        sa.Column("actor", _TEXT(), nullable=False),
        sa.Column("surface", _TEXT(), nullable=False),
        sa.Column("at", store.models.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_valuechange_task", "valuechange", ["task_id", "at"])
    op.add_column("task", sa.Column("wrong_fields", store.models.Json, nullable=True))
    op.create_index(
        "ix_task_counted",
        "task",
        ["organization_id", "state", "project_id", "deleted_at", "is_private"],
        sqlite_where=sa.text("deleted_at IS NULL AND is_private = 0"),
        postgresql_where=sa.text("deleted_at IS NULL AND NOT is_private"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_counted", table_name="task")
    op.drop_column("task", "wrong_fields")
    op.drop_index("ix_valuechange_task", table_name="valuechange")
    op.drop_table("valuechange")
