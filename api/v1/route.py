"""What every address under /v1 does before its own work: who asks, in what form, which time."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from api.auth import authenticate
from api.bodies import require_media_type
from api.v1.idempotency import HEADER, once

SURFACE = "v1"


class V1Route(APIRoute):
    """An address under /v1.

    The key is looked at before the body is read: strangers send no files to this disk.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the common part before the handler of the endpoint."""
        answer = super().get_route_handler()
        described: dict[str, Any] = (self.openapi_extra or {}).get("requestBody", {})
        accepted = frozenset(described.get("content", {"application/json": {}}))

        async def handle(request: Request) -> Response:
            request.state.caller = await authenticate(request, SURFACE)
            try:
                if request.method != "POST":
                    return await answer(request)
                require_media_type(request, accepted)
                if HEADER in request.headers:
                    return await once(request, answer)
                return await answer(request)
            finally:
                await request.close()

        return handle
