"""The index by which tasks are found that ended lately."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ENDED = sa.text("finished_at IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_task_ended",
        "task",
        ["organization_id", "finished_at", "created_at"],
        sqlite_where=_ENDED,
        postgresql_where=_ENDED,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_ended", table_name="task")
