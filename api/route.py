"""What every address of a surface does before its own work: who asks, in what form, which time."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from api.auth import Spelling, authenticate
from api.bodies import release, require_media_type
from api.idempotency import HEADER, Answering, once


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
                await release(request)

        return handle

    async def respond(self, request: Request, answer: Answering) -> Response:
        """Take a POST in a form that the address describes, and do it once."""
        if request.method != "POST":
            return await answer(request)
        described: dict[str, Any] = (self.openapi_extra or {}).get("requestBody", {})
        require_media_type(request, frozenset(described.get("content", {"application/json": {}})))
        if HEADER in request.headers:
            return await once(request, answer)
        return await answer(request)
