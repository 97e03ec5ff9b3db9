"""What every address under /v1 does before its own work: in what form, which time."""

from typing import Any

from fastapi import Request
from fastapi.responses import Response

from api.auth import V1_SPELLINGS
from api.bodies import require_media_type
from api.route import Answering, SurfaceRoute
from api.v1.idempotency import HEADER, once


class V1Route(SurfaceRoute):
    """An address under /v1."""

    surface = "v1"
    spellings = V1_SPELLINGS

    async def respond(self, request: Request, answer: Answering) -> Response:
        """Take a POST in the form it is described in, and do it once."""
        if request.method != "POST":
            return await answer(request)
        described: dict[str, Any] = (self.openapi_extra or {}).get("requestBody", {})
        require_media_type(request, frozenset(described.get("content", {"application/json": {}})))
        if HEADER in request.headers:
            return await once(request, answer)
        return await answer(request)
