"""Who asks: the key of a request, however the surface spells it, and what it allows."""

import base64
import binascii
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBearer, OAuth2, SecurityScopes

from api.rate_limits import count_failure, count_request
from store.access import Caller
from store.errors import UnauthenticatedError
from store.keys import (
    ACCESS_TOKEN_PREFIX,
    FoundKey,
    find_key,
    find_key_of_token,
    note_use,
)


@dataclass(frozen=True)
class Spelling:
    """A way to say in a request which key it is."""

    scheme: Any
    """Describes it in the OpenAPI document; it reads nothing."""
    read: Callable[[Request], str]
    """What was said in this way; empty where it was not."""
    find: Callable[[str], Awaitable[FoundKey]] = find_key
    """The key of what was said."""


def _said_after(scheme: str, request: Request) -> str:
    said, _, rest = request.headers.get("authorization", "").partition(" ")
    return rest.strip() if said.lower() == scheme else ""


def _is_token(said: str) -> bool:
    return said.startswith(ACCESS_TOKEN_PREFIX)


def _bearer_key(request: Request) -> str:
    said = _said_after("bearer", request)
    return "" if _is_token(said) else said


def _bearer_token(request: Request) -> str:
    said = _said_after("bearer", request)
    return said if _is_token(said) else ""


def _basic_user(request: Request) -> str:
    """The user name of Basic credentials; the password may be any (RFC 7617)."""
    try:
        decoded = base64.b64decode(_said_after("basic", request), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return decoded.partition(":")[0]


X_API_KEY: Final = Spelling(
    APIKeyHeader(
        name="x-api-key", scheme_name="ApiKey", description="A key: `ptk_...`.", auto_error=False
    ),
    lambda request: request.headers.get("x-api-key", ""),
)
BEARER_KEY: Final = Spelling(
    HTTPBearer(
        scheme_name="Bearer",
        bearerFormat="ptk_...",
        description="The same key as a bearer token.",
        auto_error=False,
    ),
    _bearer_key,
)
BEARER_TOKEN: Final = Spelling(
    OAuth2(
        flows=OAuthFlows(
            clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token", scopes={})
        ),
        scheme_name="OAuth",
        description="The token of an OAuth client, as a bearer token.",
        auto_error=False,
    ),
    _bearer_token,
    find_key_of_token,
)
TOKEN_KEY: Final = Spelling(
    APIKeyHeader(
        name="authorization",
        scheme_name="Token",
        description="The word `Token`, a space, and a key: `Token ptk_...`.",
        auto_error=False,
    ),
    lambda request: _said_after("token", request),
)
BASIC_KEY: Final = Spelling(
    HTTPBasic(
        scheme_name="Basic",
        description="The key as the user name; the password may be empty.",
        auto_error=False,
    ),
    _basic_user,
)


async def authenticate(request: Request, surface: str, *spellings: Spelling) -> Caller:
    """Find out who asks, before anything else of the request is read.

    Args:
        request: its headers are read; what it sent as its key is `state.credential` afterwards.
        surface: the way in, for the record.
        spellings: those that the surface takes; the first that was used counts.

    Raises:
        UnauthenticatedError: there is no key, or it opens nothing.
        RateLimitedError: it asks for too much; or too many that open nothing came from there.
    """
    for spelling in spellings:
        if said := spelling.read(request):
            try:
                found = await spelling.find(said)
            except UnauthenticatedError:
                # After the look: a key that is valid is never refused for what others send.
                count_failure(request)
                raise
            request.state.credential = said
            await note_use(found.row)
            caller = found.caller(surface)
            count_request(request, caller)
            return caller
    raise UnauthenticatedError


def caller_by(*spellings: Spelling) -> Callable[..., Any]:
    """A dependency: the caller that the route found, once it may do what the endpoint needs.

    `Annotated[Caller, Security(caller_by(BEARER_KEY), scopes=["task.read"])]`

    Args:
        spellings: how the surface takes keys, for the OpenAPI document.
    """

    async def caller(request: Request, needed: SecurityScopes, **_: object) -> Caller:
        found: Caller = request.state.caller
        for scope in needed.scopes:
            found.require(scope)
        return found

    # FastAPI reads from the signature which schemes there are; their number is not known here.
    signature = inspect.signature(caller)
    schemes = [
        inspect.Parameter(
            f"scheme_{number}",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[object, Security(spelling.scheme)],
        )
        for number, spelling in enumerate(spellings)
    ]
    taken = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    caller.__signature__ = signature.replace(parameters=[*taken, *schemes])  # pyright: ignore[reportFunctionMemberAccess]  # read by inspect
    return caller


V1_SPELLINGS: Final = (X_API_KEY, BEARER_KEY)
_caller: Final = caller_by(*V1_SPELLINGS)

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
Admin = Annotated[Caller, Security(_caller, scopes=["admin"])]
