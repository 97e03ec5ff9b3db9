"""How many tasks of each project are settled, kept by the database itself.

Whatever writes a row of `task` changes the count in the same transaction. A later migration that
makes the table of tasks anew must make the triggers anew, too: SQLite drops them with the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SLOTS = 16
"""PostgreSQL locks a row until whoever changed it commits: connections share several."""


def _counted(row: str, no: str) -> str:
    """Whether a row is one of those that are counted: that of `ix_task_settled`."""
    return f"({row}settled_at IS NOT NULL AND {row}deleted_at IS NULL AND {no})"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "settledcount",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "slot"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    private = "is_private = 0" if is_sqlite else "NOT is_private"
    op.execute(
        "INSERT INTO settledcount (project_id, slot, tasks) SELECT project_id, 0, count(*)"  # noqa: S608  # our own words
        f" FROM task WHERE project_id IS NOT NULL AND {_counted('', private)} GROUP BY project_id"
    )
    for statement in _of_sqlite() if is_sqlite else _of_postgresql():
        op.execute(statement)


_WATCHED = "UPDATE OF settled_at, deleted_at, is_private"


def _of_sqlite() -> list[str]:
    old, new = (_counted(f"{row}.", f"{row}.is_private = 0") for row in ("OLD", "NEW"))
    changes = {
        "insert": ("INSERT", "NEW", new, "1"),
        "update": (_WATCHED, "NEW", f"{old} <> {new}", f"{new} - {old}"),
        "delete": ("DELETE", "OLD", old, "-1"),
    }
    return [
        f"CREATE TRIGGER task_settled_{name} AFTER {event} ON task"  # noqa: S608  # our own words
        f" WHEN {row}.project_id IS NOT NULL AND {when} BEGIN"
        f" INSERT INTO settledcount (project_id, slot, tasks) VALUES ({row}.project_id, 0, {by})"
        f" ON CONFLICT (project_id, slot) DO UPDATE SET tasks = tasks + excluded.tasks; END"
        for name, (event, row, when, by) in changes.items()
    ]


def _of_postgresql() -> list[str]:
    old, new = (_counted(f"{row}.", f"NOT {row}.is_private") for row in ("OLD", "NEW"))
    function = f"""
        CREATE FUNCTION count_settled() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            project uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.project_id ELSE NEW.project_id END;
            change integer := 0;
        BEGIN
            IF TG_OP <> 'INSERT' AND {old} THEN change := change - 1; END IF;
            IF TG_OP <> 'DELETE' AND {new} THEN change := change + 1; END IF;
            IF change <> 0 AND project IS NOT NULL THEN
                INSERT INTO settledcount AS kept (project_id, slot, tasks)
                VALUES (project, pg_backend_pid() % {_SLOTS}, change)
                ON CONFLICT (project_id, slot) DO UPDATE SET tasks = kept.tasks + change;
            END IF;
            RETURN NULL;
        END $$
    """  # noqa: S608  # our own words
    trigger = (
        f"CREATE TRIGGER task_settled AFTER INSERT OR DELETE OR {_WATCHED} ON task"
        " FOR EACH ROW EXECUTE FUNCTION count_settled()"
    )
    return [function, trigger]


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "sqlite":
        for name in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER task_settled_{name}")
    else:
        op.execute("DROP TRIGGER task_settled ON task")
        op.execute("DROP FUNCTION count_settled()")
    op.drop_table("settledcount")
