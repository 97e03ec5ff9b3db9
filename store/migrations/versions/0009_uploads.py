"""Files that are sent together, and the folders in which they are."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import store.models

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.AutoString
_TIME = store.models.UtcDateTime
_IS_OF_AN_UPLOAD = sa.text("upload_id IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "folder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", _TEXT(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("name", _TEXT(), nullable=False),
        sa.Column("created_at", _TIME(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
        sa.UniqueConstraint("project_id", "name"),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", _TEXT(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("name", _TEXT(), nullable=False),
        sa.Column("meta", store.models.Json, nullable=False),
        sa.Column("folder", _TEXT(), nullable=False),
        sa.Column("created_at", _TIME(), nullable=False),
        sa.Column("updated_at", _TIME(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_index("ix_upload_project", "upload", ["project_id", "created_at", "code"])
    kind = "CHAR(32)" if op.get_bind().dialect.name == "sqlite" else "UUID"
    # Alembic would add the reference afterwards, which SQLite cannot do.
    op.execute(f"ALTER TABLE task ADD COLUMN upload_id {kind} REFERENCES upload (id)")
    op.create_index(
        "ix_task_upload",
        "task",
        ["organization_id", "upload_id"],
        sqlite_where=_IS_OF_AN_UPLOAD,
        postgresql_where=_IS_OF_AN_UPLOAD,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_task_upload", table_name="task")
    op.drop_column("task", "upload_id")
    op.drop_table("upload")
    op.drop_table("folder")
