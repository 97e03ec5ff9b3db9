"""Several write transactions that are committed as one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


class Together:
    """The write transaction of some work whose parts are committed together.

    Each part has a session and a savepoint of its own: a part that is refused undoes itself only.
    """

    def __init__(self, begin: Callable[[], AbstractAsyncContextManager[AsyncSession]]):
        """Nothing is begun before the first part; `begin` gives the transaction then."""
        self._begin = begin
        self._turn = asyncio.Lock()
        self._transaction = AsyncExitStack()
        self._connection: AsyncConnection | None = None
        self._broken_by: BaseException | None = None
        self._when_committed: list[Callable[[], None]] = []
        self._when_undone: list[Callable[[], Awaitable[None]]] = []

    @asynccontextmanager
    async def part(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are committed with those of the others, or undone alone."""
        async with self._turn:
            if self._broken_by is not None:
                raise self._broken_by
            try:
                if self._connection is None:
                    session = await self._transaction.enter_async_context(self._begin())
                    self._connection = await session.connection()
                async with self._session(self._connection) as session, session.begin():
                    yield session
            except DBAPIError as error:
                # SQLite may have rolled back all of it (store/group_commit.py).
                if not isinstance(error, IntegrityError):
                    await self.end(error)
                raise

    def look(self) -> AsyncSession | None:
        """A session that sees what the parts have changed; None while nothing is."""
        return self._session(self._connection) if self._connection is not None else None

    def when_committed(self, what: Callable[[], None]) -> None:
        """Do something once the parts so far are committed."""
        self._when_committed.append(what)

    def when_undone(self, what: Callable[[], Awaitable[None]]) -> None:
        """Do something if the parts so far are undone."""
        self._when_undone.append(what)

    async def end(self, error: BaseException | None = None) -> None:
        """Commit what the parts have changed; or undo it, which no later part can mend."""
        self._broken_by = self._broken_by or error
        transaction, self._transaction = self._transaction, AsyncExitStack()
        self._connection = None
        if error is None:
            await transaction.aclose()
            return
        try:
            await transaction.__aexit__(type(error), error, error.__traceback__)
        except BaseException as same:
            if same is not error:
                raise

    async def commit(self) -> None:
        """Commit the parts so far; more may follow, in a transaction of their own.

        Raises:
            DBAPIError: what broke the transaction.
        """
        if self._broken_by is not None:
            raise self._broken_by
        await self.end()
        committed, self._when_committed = self._when_committed, []
        self._when_undone = []
        for what in committed:
            what()

    async def undo(self, error: BaseException, *, is_in_doubt: bool) -> None:
        """Undo the parts since the last commit, for this reason.

        Args:
            error: what ends them.
            is_in_doubt: whether they may be committed after all.
        """
        await self.end(error)
        if is_in_doubt:
            return
        for what in self._when_undone:
            await asyncio.shield(asyncio.ensure_future(what()))

    @staticmethod
    def _session(connection: AsyncConnection) -> AsyncSession:
        return AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
