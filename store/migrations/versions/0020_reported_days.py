"""The days that the daily report has counted, and the index of the decisions that were judged."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_JUDGED = sa.text("is_correct IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "reportedday",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("ended_otherwise", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("median_seconds", sa.Float(), nullable=True),
        sa.Column("slow_seconds", sa.Float(), nullable=True),
        sa.Column("untouched", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_index(
        "ix_task_judged",
        "task",
        ["organization_id", "finished_at", "is_correct"],
        sqlite_where=_JUDGED,
        postgresql_where=_JUDGED,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_judged", table_name="task")
    op.drop_table("reportedday")
