"""Where files are put, and who fetches them."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.models

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    # Outside of a batch: that would make the table anew, and its children go with the old one.
    op.add_column(
        "task", sa.Column("export_round", sa.Integer(), nullable=False, server_default="0")
    )
    for name in ("exported_at", "export_failed_at"):
        op.add_column("task", sa.Column(name, store.models.UtcDateTime(), nullable=True))
    op.create_table(
        "exportedfile",
        sa.Column("location", sqlmodel.AutoString(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("name", sqlmodel.AutoString(), nullable=False),
        sa.Column("blob", sqlmodel.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("location"),
    )
    op.create_index("ix_exportedfile_task_id", "exportedfile", ["task_id"], unique=False)


def downgrade() -> None:
    """Go back."""
    op.drop_table("exportedfile")
    for name in ("export_failed_at", "exported_at", "export_round"):
        op.drop_column("task", name)
