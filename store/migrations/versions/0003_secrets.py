"""Secret parameters of a task."""

import sqlalchemy as sa
from alembic import op

import store.models

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "task",
        sa.Column("secrets", store.models.Json, nullable=False, server_default=sa.text("'{}'")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("task", "secrets")
