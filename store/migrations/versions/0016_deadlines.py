"""Deadlines of the tasks that have not ended, which are the few among all."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_OPEN = sa.text("finished_at IS NULL")


def upgrade() -> None:
    """Go forward."""
    op.drop_index("ix_task_deadline_at", table_name="task")
    op.create_index(
        "ix_task_deadline",
        "task",
        ["deadline_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_deadline", table_name="task")
    op.create_index("ix_task_deadline_at", "task", ["deadline_at"])
