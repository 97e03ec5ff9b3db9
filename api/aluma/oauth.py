"""/oauth/token: a token for the id and the secret of an OAuth client (RFC 6749, section 4.4)."""

import base64
import binascii
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from api.bodies import Text, media_type, read_fields, read_json, require_media_type
from api.error_shapes import ALUMA as SHAPE
from api.problems import described
from api.rate_limits import count_failure, must_not_fail_on
from store.errors import RateLimitedError, UnauthenticatedError
from store.keys import issue_token

router = APIRouter(prefix="/oauth", tags=["aluma"])

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"


class TokenRequest(BaseModel):
    """Who wants a token. What is not known is ignored (RFC 6749, section 3.2)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    client_id: Text = ""
    client_secret: Text = ""
    """Both as `papertray key create --oauth` printed them; or in `Authorization: Basic`."""
    grant_type: Literal["client_credentials"] = "client_credentials"


class Token(BaseModel):
    """A token."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    access_token: str
    """Send it as `Authorization: Bearer`."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the kind of all tokens
    expires_in: int
    """Seconds."""


_EXAMPLE: Final = {"client_id": "5b1f0a3e-8f6c-4a53-9d8e-0c7b1f2a6d11", "client_secret": "pts_..."}
_SCHEMA: Final = TokenRequest.model_json_schema()


@router.post(
    "/token",
    summary="Get a token",
    response_model=Token,
    responses={
        200: {
            "description": "The token.",
            "content": {
                JSON: {
                    "example": {
                        "access_token": "ptt_...",
                        "token_type": "Bearer",
                        "expires_in": 86400,
                    }
                }
            },
        },
        **described(UnauthenticatedError, RateLimitedError, 413, 415, 422, shape=SHAPE),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": _SCHEMA, "example": _EXAMPLE} for kind in (JSON, FORM)},
        }
    },
)
async def get_token(request: Request) -> JSONResponse:
    """Give an OAuth client a token, which opens for a day what its key opens."""
    require_media_type(request, frozenset({JSON, FORM}))
    read: Any = read_json if media_type(request) == JSON else read_fields
    try:
        wanted: TokenRequest = await read(request, TokenRequest)
    finally:
        await request.close()
    client_id, client_secret = wanted.client_id, wanted.client_secret
    if not client_id:
        client_id, client_secret = _basic_credentials(request)
    must_not_fail_on(request)
    try:
        new = await issue_token(client_id, client_secret)
    except UnauthenticatedError:
        count_failure(request)
        raise UnauthenticatedError(
            "There is no client with that client_id and client_secret."
            " `papertray key create --oauth` makes them."
        ) from None
    token = Token(access_token=new.token, expires_in=new.expires_in_seconds)
    return JSONResponse(token.model_dump(), headers={"Cache-Control": "no-store"})


def _basic_credentials(request: Request) -> tuple[str, str]:
    """Id and secret as libraries send them that put them into a header (RFC 6749, 2.3.1)."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(said, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(name), unquote_plus(password)
