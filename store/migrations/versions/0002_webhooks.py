"""Webhooks, deliveries, and the callback of a task."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import store.models

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    # Outside of a batch: that would make the table anew, and its children go with the old one.
    op.add_column(
        "task", sa.Column("callback_url", sqlmodel.sql.sqltypes.AutoString(), nullable=True)
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("url", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("event_types", store.models.Json, nullable=False),
        sa.Column("secret", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("previous_secret", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("previous_secret_until", store.models.UtcDateTime(), nullable=True),
        sa.Column("disabled_at", store.models.UtcDateTime(), nullable=True),
        sa.Column("disabled_reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("resting_until", store.models.UtcDateTime(), nullable=True),
        sa.Column("last_sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", store.models.UtcDateTime(), nullable=False),
        sa.Column("updated_at", store.models.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_index("ix_webhook_organization_id", "webhook", ["organization_id"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("url", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("lane", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("activity_number", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", store.models.UtcDateTime(), nullable=True),
        sa.Column("until", store.models.UtcDateTime(), nullable=False),
        sa.Column("tried_at", store.models.UtcDateTime(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("answer", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("created_at", store.models.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["activity_number"], ["activity.number"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhook.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    for name, columns in (
        ("ix_delivery_activity_number", ["activity_number"]),
        ("ix_delivery_created_at", ["created_at"]),
        ("ix_delivery_due_at", ["due_at"]),
        ("ix_delivery_webhook", ["webhook_id", "id"]),
    ):
        op.create_index(name, "delivery", columns, unique=False)


def downgrade() -> None:
    """Go back."""
    op.drop_table("delivery")
    op.drop_table("webhook")
    op.drop_column("task", "callback_url")
