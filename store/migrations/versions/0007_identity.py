"""Teams, owners and collaborators; OAuth clients; numbers; whose turn it is."""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

import store.models

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_TIME = store.models.UtcDateTime


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def _columns() -> tuple[tuple[str, sa.Column[object]], ...]:
    return (
        ("organization", sa.Column("number", sa.Integer(), nullable=False, server_default="0")),
        ("user_account", sa.Column("number", sa.Integer(), nullable=False, server_default="0")),
        ("user_account", sa.Column("name", _TEXT(), nullable=False, server_default="")),
        ("apikey", sa.Column("name", _TEXT(), nullable=False, server_default="")),
        ("apikey", _flag("is_test")),
        ("apikey", sa.Column("client_secret_sha256", _TEXT(), nullable=True)),
        ("project", sa.Column("number", sa.Integer(), nullable=False, server_default="0")),
        ("project", sa.Column("deleted_at", _TIME(), nullable=True)),
        ("file", sa.Column("owner_id", sa.Uuid(), nullable=True)),
        ("file", _flag("is_private")),
        ("file", _flag("is_test")),
        ("task", sa.Column("number", sa.BigInteger(), nullable=True)),
        ("task", sa.Column("owner_id", sa.Uuid(), nullable=True)),
        ("task", _flag("is_private")),
        ("task", _flag("is_test")),
        ("task", sa.Column("claimed_at", _TIME(), nullable=True)),
        ("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="0")),
        ("task", sa.Column("due_at", _TIME(), nullable=True)),
        ("task", sa.Column("decided_by", _TEXT(), nullable=True)),
        ("task", sa.Column("handling_seconds", sa.Float(), nullable=False, server_default="0")),
        ("task", sa.Column("is_correct", sa.Boolean(), nullable=True)),
        ("activity", _flag("is_private")),
    )


_OF_A_TEAM = ("apikey", "project")

_TURN = (sa.text("priority DESC"), sa.text("(due_at IS NULL)"), "due_at", "created_at")
_WAITS = sa.text("state = 'in_review'")


def upgrade() -> None:
    """Go forward."""
    _create_tables()
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # Outside of a batch: that would make the tables anew, and their children go with the old ones.
    for table, column in _columns():
        op.add_column(table, column)
    for table in _OF_A_TEAM:
        kind = "CHAR(32)" if is_sqlite else "UUID"
        # Alembic would add the reference afterwards, which SQLite cannot do.
        op.execute(f"ALTER TABLE {table} ADD COLUMN team_id {kind} REFERENCES team (id)")
    _give_numbers()
    _create_indices()
    if is_sqlite:
        _never_give_a_number_twice()
    op.drop_index("ix_activity_organization_id", table_name="activity")
    op.create_index("ix_activity_organization", "activity", ["organization_id", "number"])


def _create_tables() -> None:
    op.create_table(
        "team",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", _TEXT(), nullable=False),
        sa.Column("created_at", _TIME(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organization.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "name"),
    )
    op.create_table(
        "membership",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("team_id", "user_id"),
    )
    op.create_index("ix_membership_user_id", "membership", ["user_id"])
    op.create_table(
        "accesstoken",
        sa.Column("sha256", _TEXT(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", _TIME(), nullable=False),
        sa.Column("expires_at", _TIME(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["apikey.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("ix_accesstoken_key_id", "accesstoken", ["key_id"])
    op.create_index("ix_accesstoken_expires_at", "accesstoken", ["expires_at"])
    op.create_table(
        "collaboration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("steps", store.models.Json, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    for name in ("task_id", "team_id", "user_id"):
        op.create_index(f"ix_collaboration_{name}", "collaboration", [name])


def _give_numbers() -> None:
    for table in ("organization", "user_account", "project"):
        op.execute(
            sa.text(
                f"UPDATE {table} SET number = (SELECT count(*) FROM {table} AS before"  # noqa: S608  # our own names
                f" WHERE before.created_at < {table}.created_at OR"
                f" (before.created_at = {table}.created_at AND before.id <= {table}.id))"
            )
        )
        op.create_index(f"ix_{table}_number", table, ["number"], unique=True)
    op.execute(
        sa.text(
            "UPDATE task SET number = (SELECT min(activity.number) FROM activity"
            " WHERE activity.task_id = task.id)"
        )
    )
    op.create_index("ix_task_number", "task", ["number"], unique=True)


def _create_indices() -> None:
    for name in ("ix_task_waiting", "ix_task_organization"):
        op.drop_index(name, table_name="task")
    for name, columns in (
        ("organization", ["organization_id", "created_at", "code"]),
        ("state", ["organization_id", "state", "created_at", "code"]),
        ("project", ["organization_id", "project_id", "created_at", "code"]),
        ("finished", ["organization_id", "project_id", "finished_at", "code"]),
    ):
        op.create_index(f"ix_task_{name}", "task", columns)
    of = ["organization_id"]
    for name, first in (("turn", of), ("turn_in_project", [*of, "project_id"])):
        op.create_index(
            f"ix_task_{name}",
            "task",
            [*first, *_TURN],
            sqlite_where=_WAITS,
            postgresql_where=_WAITS,
        )


def _never_give_a_number_twice() -> None:
    """Make the table of activities anew: AUTOINCREMENT is told when a table is made.

    The deliveries, which would go with the old table, are kept aside meanwhile.
    """
    op.execute("CREATE TABLE delivery_aside AS SELECT * FROM delivery")
    with op.batch_alter_table(
        "activity", recreate="always", table_kwargs={"sqlite_autoincrement": True}
    ):
        pass
    op.execute("INSERT INTO delivery SELECT * FROM delivery_aside")
    op.drop_table("delivery_aside")


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_activity_organization", table_name="activity")
    op.create_index("ix_activity_organization_id", "activity", ["organization_id"])
    for name in ("organization", "state", "project", "finished", "turn", "turn_in_project"):
        op.drop_index(f"ix_task_{name}", table_name="task")
    op.create_index("ix_task_organization", "task", ["organization_id", "created_at"])
    op.create_index("ix_task_waiting", "task", ["state", "project_id", "created_at"])
    for table in ("organization", "user_account", "project", "task"):
        op.drop_index(f"ix_{table}_number", table_name=table)
    for table in _OF_A_TEAM:
        op.drop_column(table, "team_id")
    for table, column in reversed(_columns()):
        op.drop_column(table, str(column.name))
    for table in ("collaboration", "accesstoken", "membership", "team"):
        op.drop_table(table)
