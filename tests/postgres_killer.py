"""Kills a PostgreSQL server at an exact point of what is said to it, and starts it again."""

import asyncio
import struct
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from tests.postgres import kill_and_start

_SSL_REQUEST = struct.pack("!I", 80877103)


class Moment(StrEnum):
    """When the server is killed, of one command."""

    BEFORE = "before"
    """The command does not arrive."""
    AFTER = "after"
    """It was carried out; its answer is lost."""


class Killer:
    """Stands before a server; reads the messages of both sides.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self, address: str):
        self._address = address
        self.port = urlsplit(address).port
        self._is_back = asyncio.Event()
        self._is_back.set()
        self.moment = Moment.BEFORE
        self.only_commits = True
        self.kills = 0
        self._kills_at: int | None = None
        self._count = 0
        self._statement = b""

    def kill_before(self, statement: str) -> None:
        """Kill once, when somebody says a statement with this text."""
        self.kills, self._statement = 0, statement.encode()

    def begin(self) -> None:
        """Kill at the first command; then at the second after that, at the third after that ...

        What is tried again from its beginning gets one command further each time.
        """
        self.kills, self._kills_at, self._count = 0, 1, 0

    def end(self) -> int:
        """Kill no more; answers how often it was done."""
        self._kills_at = None
        return self.kills

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Pass on what is said, until one of the two goes or the server is killed."""
        try:
            await self._is_back.wait()
            up, down = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.close()
            return
        sides = [
            asyncio.create_task(self._forth(reader, writer, down)),
            asyncio.create_task(self._back(up, writer)),
        ]
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
            for end in (down, writer):
                end.close()

    async def _forth(self, reader: StreamReader, writer: StreamWriter, down: StreamWriter) -> None:
        prepared: dict[bytes, bytes] = {}
        with suppress(IncompleteReadError, OSError):
            await self._greeting(reader, writer, down)
            while True:
                kind, message = await _message(reader)
                if kind == b"P":
                    name, statement, *_ = message[5:].split(b"\0")
                    prepared[name] = statement
                elif kind == b"B" and self._statement:
                    _, name, *_ = message[5:].split(b"\0")
                    if self._statement in prepared.get(name, b""):
                        self._statement = b""
                        await self._kill()
                elif kind in b"QE" and self.moment is Moment.BEFORE:
                    # "Execute" says not what is executed; who commits says so in a "Query".
                    await self._happens(kind == b"Q" and message[5:].startswith(b"COMMIT;"))
                down.write(message)
                await down.drain()

    async def _greeting(
        self, reader: StreamReader, writer: StreamWriter, down: StreamWriter
    ) -> None:
        """What begins a connection has no kind; who wants it encrypted is told that it is not."""
        while True:
            length = await reader.readexactly(4)
            greeting = await reader.readexactly(_length(length) - 4)
            if greeting != _SSL_REQUEST:
                down.write(length + greeting)
                return
            writer.write(b"N")

    async def _back(self, up: StreamReader, writer: StreamWriter) -> None:
        with suppress(IncompleteReadError, OSError):
            while True:
                kind, message = await _message(up)
                if kind == b"C" and self.moment is Moment.AFTER:
                    await self._happens(message[5:-1] == b"COMMIT")
                writer.write(message)
                await writer.drain()

    async def _happens(self, is_commit: bool) -> None:
        """A command is said, or was carried out: kill the server, if it is its turn.

        Raises:
            ConnectionResetError: it is killed.
        """
        if self.only_commits and not is_commit:
            return
        self._count += 1
        if self._kills_at is None or self._count != self._kills_at:
            return
        self._kills_at, self._count = self._kills_at + 1, 0
        await self._kill()

    async def _kill(self) -> None:
        self.kills += 1
        self._is_back.clear()
        try:
            await asyncio.to_thread(kill_and_start, self._address)
        finally:
            self._is_back.set()
        raise ConnectionResetError


async def _message(reader: StreamReader) -> tuple[bytes, bytes]:
    """The kind of a message, and all of it."""
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(_length(head[1:]) - 4)


def _length(field: bytes) -> int:
    return struct.unpack("!I", field)[0]


@asynccontextmanager
async def killer_before(address: str) -> AsyncIterator[tuple[Killer, str]]:
    """A killer before the server at an address, and its own address, until the end."""
    killer = Killer(address)
    talks: set[asyncio.Task[None]] = set()

    def begin(reader: StreamReader, writer: StreamWriter) -> None:
        talk = asyncio.create_task(killer.serve(reader, writer))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield killer, address.replace(f":{killer.port}", f":{port}")
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


@contextmanager
def killer_in_thread(address: str) -> Iterator[tuple[Killer, str]]:
    """A killer for those who work without an event loop."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(killer_before(address)) as found,
    ):
        yield found
