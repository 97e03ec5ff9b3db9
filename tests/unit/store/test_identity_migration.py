"""Migration 0007 on a store that has tasks, events and deliveries already."""

import sqlite3
from pathlib import Path

import pytest

from store.database import migrate

BEFORE = """
INSERT INTO organization (id, name, created_at) VALUES
  ('a0', 'acme', '2026-01-01'), ('b0', 'globex', '2026-01-02');
INSERT INTO project (id, organization_id, name, created_at) VALUES
  ('p1', 'a0', 'invoices', '2026-01-03'), ('p2', 'b0', 'invoices', '2026-01-03');
INSERT INTO activity (number, code, organization_id, type, task_id, subject, actor, surface, reason,
  data, at) VALUES
  (7, 'e7', 'a0', 'task.created', 't1', 'task_x', 'ada', 'v1', '', '{}', '2026-01-04'),
  (9, 'e9', 'a0', 'task.started', 't1', 'task_x', 'flow', 'system', '', '{}', '2026-01-05');
INSERT INTO delivery (id, code, organization_id, lane, activity_number, outcome, attempts, until,
  error, answer, created_at) VALUES
  (1, 'd1', 'a0', 'callback:x', 9, 'waiting', 0, '2026-02-01', '', '', '2026-01-05');
"""


def test_what_was_there_stays_and_gets_numbers(tmp_path: Path) -> None:
    path = tmp_path / "papertray.db"
    url = f"sqlite+aiosqlite:///{path}"
    migrate(url, "0006")
    store = sqlite3.connect(path, isolation_level=None)
    store.executescript(BEFORE)
    columns = [row[1] for row in store.execute("PRAGMA table_info(task)") if row[3]]
    values = {"id": "t1", "code": "x", "organization_id": "a0", "state": "running"}
    given = [values.get(name, "{}" if name in JSON else 0) for name in columns]
    marks = ", ".join("?" * len(columns))
    store.execute(
        f"INSERT INTO task ({', '.join(columns)}) VALUES ({marks})", given
    )  # our own names
    migrate(url, "0007")
    assert store.execute("SELECT id, number FROM organization ORDER BY id").fetchall() == [
        ("a0", 1),
        ("b0", 2),
    ]
    assert [n for (n,) in store.execute("SELECT number FROM project ORDER BY id")] == [1, 2]
    assert store.execute("SELECT number, owner_id, is_private FROM task").fetchall() == [
        (7, None, 0)
    ]
    assert store.execute("SELECT number, code FROM activity").fetchall() == [(7, "e7"), (9, "e9")]
    assert store.execute("SELECT code, activity_number FROM delivery").fetchall() == [("d1", 9)]
    # A number is never given twice, not even that of an event that was forgotten.
    store.execute("PRAGMA foreign_keys = ON")
    store.execute("DELETE FROM activity WHERE number = 9")
    assert store.execute("SELECT count(*) FROM delivery").fetchone() == (0,)
    store.execute(
        "INSERT INTO activity (code, organization_id, type, subject, actor, surface, reason, data,"
        " at) VALUES ('e10', 'a0', 'file.created', 'f', 'ada', 'v1', '', '{}', '2026-01-06')"
    )
    assert store.execute("SELECT max(number) FROM activity").fetchone() == (10,)
    with pytest.raises(sqlite3.IntegrityError):
        store.execute("UPDATE task SET number = NULL, id = NULL")
    store.close()


JSON = {"parameters", "secrets", "task_metadata", "result"}
