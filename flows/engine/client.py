"""The connection to Prefect, and the errors of its answers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.context import SettingsContext
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings

from store.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    PapertrayError,
    PrefectUnreachableError,
)


@dataclass
class _Connection:
    """The client of one event loop, and how many use it."""

    client: PrefectClient
    users: int = 0


_connections: dict[asyncio.AbstractEventLoop, _Connection] = {}


@asynccontextmanager
async def connected() -> AsyncIterator[PrefectClient]:
    """Keep one connection for all calls of this event loop: making one costs 84 ms of CPU.

    Raises:
        PrefectUnreachableError: no address of a server is set.
    """
    if not PREFECT_API_URL.value():
        # Prefect would start a server of its own here, in silence.
        raise PrefectUnreachableError("PREFECT_API_URL is not set.")
    loop = asyncio.get_running_loop()
    connection = _connections.get(loop) or _Connection(get_client())
    _connections[loop] = connection
    connection.users += 1
    try:
        async with connection.client:  # it counts, too, and closes with the last
            yield connection.client
    finally:
        connection.users -= 1
        if not connection.users:
            del _connections[loop]


@cache
def _impatient(url: str) -> SettingsContext:  # noqa: ARG001  # the key: settings differ by server
    """Prefect's settings, but for what takes long: callers here have their own retries."""
    patient = get_current_settings()
    context = SettingsContext.get()
    assert context is not None  # noqa: S101  # the global one is always there
    return SettingsContext(
        profile=context.profile,
        settings=patient.copy_with_update(updates={PREFECT_CLIENT_MAX_RETRIES: 1}),
    )


async def call(method: str, path: str, body: Any = None, **params: Any) -> Any:
    """Make one call; answers the JSON.

    Raises:
        PrefectUnreachableError: no answer, or one that says to come again.
        NotFoundError, ConflictError, InputError: Prefect's 404, 409, 422.
        PapertrayError: any other error.
    """
    async with connected() as client:
        with errors_are_ours(), _impatient(PREFECT_API_URL.value()).model_copy():
            response = await client.request(
                cast(Any, method), cast(Any, path), json=body, params=params or None
            )
    return response.json() if response.content else None


@contextmanager
def errors_are_ours() -> Iterator[None]:
    """Raise what Prefect's client raises inside as the errors of `call`."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise _error_of(error.response) from error
    except httpx.RequestError as error:
        raise PrefectUnreachableError(url=PREFECT_API_URL.value()) from error


def _error_of(response: httpx.Response) -> PapertrayError:
    facts = {
        "prefect_status": response.status_code,
        "prefect_path": response.request.url.path,
    }
    if response.status_code == 404:
        return NotFoundError("Prefect does not know it.", **facts)
    if response.status_code == 409:
        return ConflictError("Prefect has it already.", **facts)
    if response.status_code == 422:
        return InputError("Prefect does not accept it.", **facts)
    if response.status_code in {401, 403}:
        return PrefectUnreachableError("Prefect refuses the credentials of this process.", **facts)
    if response.status_code >= 500:
        return PrefectUnreachableError("Prefect answers with an error.", **facts)
    return PapertrayError("Prefect refuses the call.", **facts)
