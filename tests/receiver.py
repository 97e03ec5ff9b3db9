"""A receiver of webhooks on loopback, that answers as a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


def answer(status: int, body: str = "", **headers: str) -> bytes:
    """An answer: headers as keywords, `_` for `-`."""
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


Answering = Callable[[Heard], bytes | Awaitable[bytes]]


@dataclass
class Receiver:
    """What it heard, and how it answers: bytes, b"" for hanging up."""

    answering: Answering = lambda _: answer(200)
    heard: list[Heard] = field(default_factory=list[Heard])
    port: int = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def until(self, count: int, seconds: float = 60) -> list[Heard]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(seconds):
            while len(self.heard) < count:
                await asyncio.sleep(0.01)
        return self.heard

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                heard = Heard(first.split()[1], headers, body.decode())
                self.heard.append(heard)
                said = self.answering(heard)
                said = said if isinstance(said, bytes) else await said
                if not said:
                    break
                writer.write(said)
                await writer.drain()
                if headers.get("connection") == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the sender went away, or the test is over
        finally:
            writer.close()


@asynccontextmanager
async def receiving(answering: Answering | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens; it answers 200 where nothing else is said."""
    receiver = Receiver(answering) if answering else Receiver()
    server = await asyncio.start_server(receiver._serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
