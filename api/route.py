"""What every address of a surface does before its own work: who asks."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from api.auth import Spelling, authenticate

Answering = Callable[[Request], Awaitable[Response]]


class SurfaceRoute(APIRoute):
    """An address of a surface; each surface has a class of its own below this one.

    The key is looked at before the body is read: strangers send no files to this disk.
    """

    surface: ClassVar[str]
    """The way in, for the record."""
    spellings: ClassVar[tuple[Spelling, ...]]
    """How the surface takes keys."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the common part before the handler of the endpoint."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.state.caller = await authenticate(request, self.surface, *self.spellings)
            try:
                return await self.respond(request, answer)
            finally:
                await request.close()

        return handle

    async def respond(self, request: Request, answer: Answering) -> Response:
        """What the surface does for every request of a known caller."""
        return await answer(request)
