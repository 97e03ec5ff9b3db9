"""The index in which private tasks are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    counted = ["organization_id", "state", "project_id", "deleted_at", "is_private"]
    op.create_index(
        "ix_task_counted_private",
        "task",
        [*counted, "owner_id", "id"],
        sqlite_where=sa.text("deleted_at IS NULL AND is_private = 1"),
        postgresql_where=sa.text("deleted_at IS NULL AND is_private"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_counted_private", table_name="task")
