"""Databases, disks and processes that fail where a test says so."""

import builtins
import errno
import io
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from store import group_commit
from store.database import Database, database

AWAY, FULL = sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL


def said_by_sqlite(code: int, statement: str = "COMMIT") -> OperationalError:
    """What SQLAlchemy raises where SQLite says this."""
    said = sqlite3.OperationalError("made up")
    said.sqlite_errorcode = code
    return OperationalError(statement, {}, said)


class Statements:
    """Counts what is said to a database, commits included, and lets some of it fail."""

    def __init__(self) -> None:
        self.count = 0
        self.fails_at: int | None = None
        """Which statement fails, from 1."""
        self.code = AWAY
        self.each_fails_once = False
        """Whether each fails the first time that it is reached."""
        self.failed: set[str] = set()
        self.by_chance = 0.0
        """Which share of them fails, locked or full."""
        self.failures_by_chance = 0
        self._chance = random.Random(20261122)

    def _happens(self, statement: str) -> None:
        self.count += 1
        if self.count == self.fails_at:
            raise said_by_sqlite(self.code, statement)
        if self._chance.random() < self.by_chance:
            self.failures_by_chance += 1
            raise said_by_sqlite(self._chance.choice((AWAY, FULL)), statement)
        if self.each_fails_once and statement not in self.failed:
            self.failed.add(statement)
            raise said_by_sqlite(self.code, statement)


@contextmanager
def counted(of: Database | None = None) -> Iterator[Statements]:
    """What is said to the database inside, where it may be made to fail."""
    engine = (of or database()).engine.sync_engine
    statements = Statements()

    def execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements._happens(statement)

    def commit(_: Any) -> None:
        statements._happens("COMMIT")

    event.listen(engine, "before_cursor_execute", execute)
    event.listen(engine, "commit", commit)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", execute)
        event.remove(engine, "commit", commit)


async def all_rows() -> dict[str, list[tuple[Any, ...]]]:
    """All that the store remembers, by table."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    async with database().reading() as session:
        for table in SQLModel.metadata.sorted_tables:
            rows = (await session.execute(select(table))).tuples().all()
            found[table.name] = sorted(tuple(map(repr, row)) for row in rows)
    return found


class Killed(BaseException):
    """As much of a SIGKILL as a test can survive."""


class Commits:
    """Counts commits, and kills at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self.kills_at: int | None = None
        """At which commit, from 1."""
        self.is_after = False
        """Whether it is on disk already."""
        self.stays_dead = False
        """Whether nothing is committed from then on, by nobody who would tidy up."""


@contextmanager
def killed_at_commits() -> Iterator[Commits]:
    """Lets who commits inside be killed, right before or right after."""
    commits, really = Commits(), group_commit._commit

    async def commit(group: Any, error: BaseException | None) -> None:
        commits.count += 1
        is_hit = commits.count == commits.kills_at
        is_dead = commits.stays_dead and commits.count > (commits.kills_at or commits.count)
        if is_dead or (is_hit and not commits.is_after):
            await group.connection.rollback()
            await group.connection.close()
            raise Killed
        await really(group, error)
        if is_hit:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group_commit, "_commit", commit)
        yield commits


REFUSED = (errno.EIO, errno.ENOSPC, errno.EACCES)
"""What a disk says that breaks, is full, or is somebody else's."""


class Disk:
    """Counts what is asked of the disk below a folder, and refuses some of it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self.count = 0
        self.fails_at: int | None = None
        """Which operation is refused, from 1."""
        self.code = errno.EIO
        self.gets_further = False
        """Whether the next one is refused, too, as soon as it is asked for so much."""
        self.refused: list[str] = []

    def asked(self, operation: str, what: Any) -> None:
        """Refuse the operation, if it is its turn."""
        where = str(Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else what)
        if not where.startswith(self._root):
            return
        self.count += 1
        if self.count == self.fails_at:
            self.refused.append(operation)
            code = self.code
            if self.gets_further:
                self.fails_at = self.count + 1
                self.code = REFUSED[len(self.refused) % len(REFUSED)]
            raise OSError(code, os.strerror(code), where)


@contextmanager
def disk_below(root: Path) -> Iterator[Disk]:
    """The disk below a folder, where it may be made to fail; SQLite goes its own ways."""
    disk = Disk(root)

    def counted_call(operation: str, really: Any) -> Any:
        def call(what: Any, *arguments: Any, **options: Any) -> Any:
            is_of_file = not isinstance(what, int) or operation == "fsync"
            if is_of_file and not options.get("ignore_errors"):
                disk.asked(operation, what)
            return really(what, *arguments, **options)

        return call

    really_open = counted_call("open", builtins.open)

    def opened(what: Any, *arguments: Any, **options: Any) -> Any:
        file = really_open(what, *arguments, **options)
        if isinstance(file, io.BufferedWriter):
            write = file.write

            def counted_write(content: bytes) -> int:
                disk.asked("write", what)
                return write(content)

            file.write = counted_write  # pyright: ignore[reportAttributeAccessIssue]  # for this one
        return file

    with pytest.MonkeyPatch.context() as patch:
        for name in ("open", "fsync", "replace", "rename", "unlink", "remove", "mkdir", "rmdir"):
            patch.setattr(os, name, counted_call(name, getattr(os, name)))
        patch.setattr(shutil, "rmtree", counted_call("rmtree", shutil.rmtree))
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield disk
