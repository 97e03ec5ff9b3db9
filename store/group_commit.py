"""Write transactions of one process that are committed together: one sync of the disk for many.

SQLite has one writer at a time, and each commit waits for the disk. Writers that come meanwhile
would each wait for all before them, disk and all; here they share the next commit. That is the
group commit of transaction systems (DeWitt et al., Implementation Techniques for Main Memory
Database Systems, SIGMOD 1984, section 5.2).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from store.niceness import stands_back

MOST_MEMBERS: Final = 32
"""A group of so many is committed even while others wait, so that the first wait not long."""

MOST_SECONDS: Final = 0.01
"""At that age a group is committed where the process stands back: another one may want to write.
In a worker that is busy, half a second went by before each of 32 members had had its turn."""

PAUSE_SECONDS: Final = 0.005
"""How long after that the next group begins: others get hold of the write lock meanwhile."""


class _Group:
    """A transaction of the database, and those whose changes it holds."""

    def __init__(self, connection: AsyncConnection):
        self.connection = connection
        self.members = 0
        loop = asyncio.get_running_loop()
        self.began = loop.time()
        self.committed: asyncio.Future[None] = loop.create_future()


class GroupCommit:
    """The writers of one process on one database that has one writer at a time."""

    def __init__(self, engine: AsyncEngine):
        """Of an engine whose transactions take the write lock as they begin."""
        self._engine = engine
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        self._not_before = 0.0

    @asynccontextmanager
    async def member(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are on disk at the end, or undone.

        It sees what the members before it in the group changed. What goes wrong in it undoes
        its own changes only (a savepoint); where the transaction itself breaks, every member of
        the group gets the error and nothing of theirs is kept.
        """
        await self._take_turn()
        try:
            group = self._group = self._group or await self._begin()
            group.members += 1
            try:
                async with (
                    AsyncSession(
                        bind=group.connection,
                        expire_on_commit=False,
                        join_transaction_mode="create_savepoint",
                    ) as session,
                    session.begin(),
                ):
                    yield session
            except DBAPIError as error:
                # SQLite may have rolled back all of it (https://sqlite.org/lang_transaction.html,
                # section 3): nobody may go on in what looks like the same transaction.
                if not isinstance(error, IntegrityError):
                    await self._end(group, error)
                raise
            finally:
                if self._group and (not self._waiting or group.members >= MOST_MEMBERS):
                    await self._end(group)
                elif self._group and stands_back():
                    await self._make_room(group)
        finally:
            self._turn.release()
        # Shielded: one who no longer waits must not take the commit from the others.
        await asyncio.shield(group.committed)

    async def _take_turn(self) -> None:
        self._waiting += 1
        try:
            await self._turn.acquire()
        except BaseException:
            # Those before left the commit to this one, who was cancelled while it waited.
            if self._group and self._waiting == 1 and not self._turn.locked():
                await self._end(self._group)
            raise
        finally:
            self._waiting -= 1

    async def _make_room(self, group: _Group) -> None:
        """Let other processes write, if it is time."""
        clock = asyncio.get_running_loop().time
        if clock() - group.began > MOST_SECONDS:
            await self._end(group)
            self._not_before = clock() + PAUSE_SECONDS

    async def _begin(self) -> _Group:
        if (early := self._not_before - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(early)
        connection = self._engine.connect()
        await connection.start()
        try:
            await connection.begin()
        except BaseException:
            await connection.close()
            raise
        return _Group(connection)

    async def _end(self, group: _Group, error: BaseException | None = None) -> None:
        self._group = None
        await asyncio.shield(asyncio.ensure_future(_commit(group, error)))


async def _commit(group: _Group, error: BaseException | None) -> None:
    try:
        if error is None:
            await group.connection.commit()
    except Exception as refused:  # whatever it is, it is raised where somebody waits for it
        error = refused
    try:
        if error is not None:
            # What state the transaction is in is not known: it ends with its connection. But
            # undone first: the driver lets go of a connection, and of the write lock that it
            # has, only when nobody remembers it any more, and an error remembers much.
            with suppress(DBAPIError):
                await group.connection.rollback()
            await group.connection.invalidate()
        await group.connection.close()
    finally:
        if error is None:
            group.committed.set_result(None)
        else:
            group.committed.set_exception(error)
            group.committed.exception()  # the member that broke it does not wait for it
