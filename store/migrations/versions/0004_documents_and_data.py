"""Several documents in a file, their types and groups; tasks of data; the step under review."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import store.models

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Outside of a batch: that would make the tables anew, and their children go with the old ones.
_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Go forward."""
    for table, column in (
        ("task", sa.Column("task_data", store.models.Json, nullable=True)),
        ("task", sa.Column("source", _TEXT(), nullable=False, server_default="")),
        ("task", sa.Column("review_step", _TEXT(), nullable=False, server_default="")),
        ("document", sa.Column("pages_confidence", sa.Float(), nullable=False, server_default="1")),
        ("document", sa.Column("type_confidence", sa.Float(), nullable=False, server_default="1")),
        (
            "document",
            sa.Column("is_extracted", sa.Boolean(), nullable=False, server_default=sa.true()),
        ),
        ("document", sa.Column("group_number", sa.Integer(), nullable=True)),
    ):
        op.add_column(table, column)
    # Every review there was before was one of values.
    op.execute(sa.text("UPDATE task SET review_step = 'extract' WHERE review_round > 0"))


def downgrade() -> None:
    """Go back."""
    for table, names in (
        ("document", ("group_number", "is_extracted", "type_confidence", "pages_confidence")),
        ("task", ("review_step", "source", "task_data")),
    ):
        for name in names:
            op.drop_column(table, name)
