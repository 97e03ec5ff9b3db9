"""A network between two parts, which loses, cuts, refuses and delays what is said."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto

LATE_SECONDS = 1.0


class Fault(Enum):
    """What the network does to a call."""

    LOST = auto()
    """It is carried out, and nobody hears of it."""
    CUT = auto()
    """It is carried out, and half of the answer arrives."""
    REFUSED = auto()
    """It does not arrive."""
    LATE = auto()
    """Its answer arrives late."""


AT: dict[int, Fault] = {1: Fault.LOST, 3: Fault.CUT, 5: Fault.REFUSED, 7: Fault.LATE}
"""Of the calls of one kind, which has what fault."""


class BadNetwork:
    """Stands before a server on this machine. Calls of one kind differ in ids only."""

    def __init__(self, port: int):
        self._server_port = port
        self.port = 0
        self.at: Mapping[int, Fault] = AT
        self.late_seconds = LATE_SECONDS
        self.always: Fault | bytes | None = None
        """What happens to every call, or what is answered to it in place of the server."""
        self.calls: Counter[str] = Counter()
        self.faults: Counter[Fault] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closed(writer):
            with suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                if b"upgrade: websocket" in head.lower():
                    await self._pass_through(head, reader, writer)
                else:
                    await self._answer(head, reader, writer)

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if b"100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)expect: [^\r]*\r\n", b"", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        fault = self._fault_of(head)
        if fault is Fault.REFUSED:
            return
        if isinstance(fault, bytes):
            # What answers HEAD has no body.
            writer.write(
                fault.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head[:4] == b"HEAD" else fault
            )
            return
        # One call a connection: where the answer ends, its connection does.
        head = re.sub(rb"(?i)connection: [^\r]*\r\n", b"", head)[:-2] + b"connection: close\r\n\r\n"
        up, down = await asyncio.open_connection("127.0.0.1", self._server_port)
        async with closed(down):
            down.write(head + body)
            answer = await up.read()
        if fault is Fault.LATE:
            await asyncio.sleep(self.late_seconds)
        elif fault is not None:
            answer = answer[: len(answer) // 2] if fault is Fault.CUT else b""
        writer.write(answer)
        await writer.drain()

    def _fault_of(self, head: bytes) -> Fault | bytes | None:
        line = head.split(b" HTTP/", 1)[0].decode()
        kind = re.sub(r"[0-9a-f-]{36}|\?.*", "*", line)
        self.calls[kind] += 1
        fault = self.always or self.at.get(self.calls[kind])
        if isinstance(fault, Fault):
            self.faults[fault] += 1
        return fault

    async def _pass_through(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", self._server_port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while chunk := await source.read(1 << 16):
                    target.write(chunk)
                    await target.drain()
            target.close()

        async with closed(down):
            down.write(head)
            await asyncio.gather(pump(reader, down), pump(up, writer))


@asynccontextmanager
async def closed(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection at the end, whatever happened to it."""
    try:
        yield
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def bad_network(port: int) -> AsyncIterator[BadNetwork]:
    """A bad network before the server on a port, until the end."""
    network = BadNetwork(port)
    talks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(network.serve(reader, writer))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    network.port = server.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
