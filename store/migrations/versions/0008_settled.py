"""Since when tasks are done with, lists of one project, and webhooks that are told of one."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import store.models

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_TIME = store.models.UtcDateTime

_NOT_SETTLED = "('queued', 'running', 'in_review')"


def _where(sqlite: str, postgresql: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(sqlite), "postgresql_where": sa.text(postgresql)}


def _kept(which: str) -> dict[str, sa.TextClause]:
    both = f"{which} AND deleted_at IS NULL AND"
    return _where(f"{both} is_private = 0", f"{both} NOT is_private")


def upgrade() -> None:
    """Go forward."""
    op.add_column("task", sa.Column("settled_at", _TIME(), nullable=True))
    op.execute(
        "UPDATE task SET settled_at = coalesce(finished_at, updated_at)"  # noqa: S608  # our own words
        f" WHERE state NOT IN {_NOT_SETTLED}"
    )
    op.drop_index("ix_task_finished", table_name="task")
    op.create_index(
        "ix_task_settled",
        "task",
        [
            *("project_id", "settled_at", "code"),
            *("created_at", "decided_by", "is_correct", "source", "handling_seconds"),
            *("deleted_at", "is_private"),
        ],
        **_kept("settled_at IS NOT NULL"),
    )
    op.create_index(
        "ix_task_unsettled",
        "task",
        ["project_id", "created_at", "code", "settled_at", "deleted_at", "is_private"],
        **_kept("settled_at IS NULL"),
    )
    op.create_index(
        "ix_task_private",
        "task",
        ["project_id", "settled_at"],
        **_where("is_private = 1", "is_private"),
    )
    op.add_column("webhook", sa.Column("wording", _TEXT(), nullable=False, server_default=""))
    kind = "CHAR(32)" if op.get_bind().dialect.name == "sqlite" else "UUID"
    # Alembic would add the reference afterwards, which SQLite cannot do.
    op.execute(f"ALTER TABLE webhook ADD COLUMN project_id {kind} REFERENCES project (id)")
    op.create_index("ix_webhook_project_id", "webhook", ["project_id"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_webhook_project_id", table_name="webhook")
    op.drop_column("webhook", "project_id")
    op.drop_column("webhook", "wording")
    for name in ("settled", "unsettled", "private"):
        op.drop_index(f"ix_task_{name}", table_name="task")
    op.create_index(
        "ix_task_finished", "task", ["organization_id", "project_id", "finished_at", "code"]
    )
    op.drop_column("task", "settled_at")
