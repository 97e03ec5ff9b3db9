"""Who asks: the key of a request, and what it allows."""

from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer, SecurityScopes

from store.access import Caller
from store.errors import UnauthenticatedError
from store.keys import caller_of_key, find_key, note_use

# These two only describe the key in the OpenAPI document; `authenticate` reads it.
_HEADER: Final = APIKeyHeader(
    name="x-api-key", scheme_name="ApiKey", description="A key: `ptk_...`.", auto_error=False
)
_BEARER: Final = HTTPBearer(
    scheme_name="Bearer",
    bearerFormat="ptk_...",
    description="The same key as a bearer token.",
    auto_error=False,
)


async def authenticate(request: Request, surface: str) -> Caller:
    """Find out who asks, before anything else of the request is read.

    Args:
        request: its headers are read: `x-api-key`, or else `Authorization: Bearer`.
        surface: the way in, for the record.

    Raises:
        UnauthenticatedError: there is no key, or it opens nothing.
    """
    key = request.headers.get("x-api-key")
    if not key:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else ""
    if not key:
        raise UnauthenticatedError
    row = await find_key(key)
    await note_use(row)
    return await caller_of_key(row, surface)


async def _caller(
    request: Request,
    needed: SecurityScopes,
    _header: Annotated[object, Depends(_HEADER)],
    _bearer: Annotated[object, Depends(_BEARER)],
) -> Caller:
    """The caller that the route found, once it may do what the endpoint needs."""
    caller: Caller = request.state.caller
    for scope in needed.scopes:
        caller.require(scope)
    return caller


TaskReader = Annotated[Caller, Security(_caller, scopes=["task.read"])]
TaskCreator = Annotated[Caller, Security(_caller, scopes=["task.create"])]
TaskEditor = Annotated[Caller, Security(_caller, scopes=["task.edit"])]
FileReader = Annotated[Caller, Security(_caller, scopes=["file.read"])]
FileCreator = Annotated[Caller, Security(_caller, scopes=["file.create"])]
FileDeleter = Annotated[Caller, Security(_caller, scopes=["file.delete"])]
ProjectReader = Annotated[Caller, Security(_caller, scopes=["project.read"])]
WebhookReader = Annotated[Caller, Security(_caller, scopes=["webhook.read"])]
WebhookEditor = Annotated[Caller, Security(_caller, scopes=["webhook.edit"])]
ProjectEditor = Annotated[Caller, Security(_caller, scopes=["project.edit"])]
