"""Which task was the first on the same bytes, and who works on a file."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_WITH_INPUT = sa.text("input_file_id IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.add_column("task", sa.Column("duplicate_of", sa.String(), nullable=True))
    op.create_index(
        "ix_task_input",
        "task",
        ["input_file_id"],
        sqlite_where=_WITH_INPUT,
        postgresql_where=_WITH_INPUT,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_input", table_name="task")
    op.drop_column("task", "duplicate_of")
