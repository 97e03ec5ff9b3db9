"""What somebody holds, found by who it is."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_HELD = sa.text("claimed_by IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_task_held",
        "task",
        ["organization_id", "claimed_by", "created_at", "code"],
        sqlite_where=_HELD,
        postgresql_where=_HELD,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_held", table_name="task")
