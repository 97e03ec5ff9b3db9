"""Tasks that were judged or decided in one way are counted without a look at each."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_INDEXES = {"ix_task_verdict": "is_correct", "ix_task_decided": "decided_by"}
_WHO_SEES = ("deleted_at", "is_private", "owner_id", "id")


def upgrade() -> None:
    """Go forward."""
    _make(*_WHO_SEES)


def downgrade() -> None:
    """Go back."""
    _make()


def _make(*more: str) -> None:
    for name, column in _INDEXES.items():
        there = sa.text(f"{column} IS NOT NULL")
        op.drop_index(name, table_name="task")
        op.create_index(
            name,
            "task",
            ["organization_id", "state", column, "created_at", "code", *more],
            sqlite_where=there,
            postgresql_where=there,
        )
