"""A program that is told of events, listening on loopback in threads of its own."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Said:
    """One request, and the status that it was answered with."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Program:
    """What was sent to it."""

    port: int = 0
    heard: list[Said] = field(default_factory=list[Said])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def events(self, path: str) -> list[dict[str, Any]]:
        """All that came to a path, refused or not."""
        return [json.loads(said.body) for said in list(self.heard) if said.path == path]

    def taken(self, path: str) -> list[dict[str, Any]]:
        """What came to a path and was answered with 200."""
        return [
            json.loads(said.body)
            for said in list(self.heard)
            if said.path == path and said.status == 200
        ]


@contextmanager
def listening(status_of: Callable[[int], int], answer: str = "") -> Iterator[Program]:
    """A program that listens.

    Args:
        status_of: the status of the answer to the first try of an event, the second ..., from 1.
        answer: its body.
    """
    program = Program()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            earlier = [(said.path, said.id) for said in list(program.heard)]
            status = status_of(1 + earlier.count((self.path, headers["webhook-id"])))
            program.heard.append(Said(self.path, headers, body, status))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    program.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield program
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
