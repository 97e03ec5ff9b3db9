"""When the content of a task is erased, and when its record goes."""

import sqlalchemy as sa
from alembic import op

import store.models

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COLUMNS = ("deleted_at", "erase_after", "erased_at", "forget_after")
_INDEXED = ("erase_after", "forget_after")


def upgrade() -> None:
    """Go forward."""
    # Outside of a batch: that would make the table anew, and its children go with the old one.
    for name in _COLUMNS:
        op.add_column("task", sa.Column(name, store.models.UtcDateTime(), nullable=True))
    for name in _INDEXED:
        op.create_index(f"ix_task_{name}", "task", [name], unique=False)


def downgrade() -> None:
    """Go back."""
    for name in _INDEXED:
        op.drop_index(f"ix_task_{name}", table_name="task")
    for name in reversed(_COLUMNS):
        op.drop_column("task", name)
