"""HTTP to addresses that callers name: only public ones, checked at the address that is dialled.

What a name leads to is asked once, each answer is looked at, and the connection is made to one of
the answers that were looked at: a name that leads elsewhere a moment later (DNS rebinding) gains
nothing. Redirects are answers like any other, and proxies of the environment are not used: they
would do the dialling. How an address is spelt (decimal, octal, IPv4 inside of IPv6 ...) is of no
matter, since the resolver's answer is judged, not the text.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from types import TracebackType
from typing import Any, Final, Self, cast

import httpcore
import httpx

from store.errors import AddressError
from store.settings import settings

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host and a port to the addresses it leads to, as text."""

USER_AGENT: Final = f"papertray/{version('papertray')}"

MAX_URL_CHARACTERS: Final = 2048
MAX_REASON_CHARACTERS: Final = 200

MAX_CONNECTIONS: Final = 512
KEPT_CONNECTIONS: Final = 32
KEPT_SECONDS: Final = 5.0
"""How many idle connections are kept, and how long: for the next of a burst, no longer."""

RESOLVERS: Final = 32
"""Threads that ask for names; a name server that is silent must not use up those of others."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Holds an IPv4 address, to which it is translated. Source: RFC 6052, 2.1."""

_UNICAST: Final = IPv6Network("2000::/3")
"""What is given out to hosts of the internet. Source: IANA, IPv6 Address Space."""

# fmt: off
_NOT_PUBLIC: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(map(ip_network, (
    # network           why it is not public, though Python takes it for global in some version
    "168.63.129.16/32",  # the metadata server of Azure
    "192.0.0.0/24",      # protocols' own, RFC 6890; the metadata server of Oracle
    "192.88.99.0/24",    # relays of 6to4, RFC 7526
    "2001::/23",         # protocols' own, RFC 2928; Teredo: an IPv4 address inside, RFC 4380
    "2002::/16",         # 6to4: an IPv4 address inside, RFC 3056
    "3fff::/20",         # documentation, RFC 9637
)))
# fmt: on


def check_url(url: str) -> str:
    """An address that a caller names, if its form is right; whether it is public is seen later.

    Only what can be seen without asking anybody is looked at: a host that is a number, in
    whatever spelling, must be public, a name may still lead anywhere.

    Args:
        url: absolute, http or https.

    Returns:
        The same.

    Raises:
        AddressError: it is no such address.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise AddressError(f"An address has at most {MAX_URL_CHARACTERS} characters.")
    if not url.isprintable() or any(c.isspace() or c == "\\" for c in url):
        raise AddressError("An address has no spaces, control characters or backslashes.")
    parsed = _parsed(url)
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise AddressError("The address begins neither with https:// nor with http://.")
    if parsed.userinfo:
        raise AddressError("An address with a user or a password in it is not taken.")
    if "#" in url:
        raise AddressError("An address with a fragment (#) is not taken: it would not be sent.")
    port = _port(parsed)
    literal = _literal(parsed.host)
    if literal is not None:
        check_address(literal, port)
    elif port not in settings().allowed_ports and not settings().allowed_networks:
        raise _port_error(port)
    return url


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        raise AddressError("It is no address. Send one like https://example.com/hook.") from None


def _port(url: httpx.URL) -> int:
    return url.port or {"http": 80, "https": 443}[url.scheme]


def _literal(host: str) -> Address | None:
    """The address that a host is a spelling of, as the system's resolver reads it."""
    if host.rstrip(".").lower() == "localhost" or host.rstrip(".").lower().endswith(".localhost"):
        return IPv4Address("127.0.0.1")  # RFC 6761, 6.3
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None


def check_address(address: Address, port: int) -> None:
    """See that an address may be dialled.

    Raises:
        AddressError: it is not public, and no allowed network holds it; or the port is not
            allowed. The message names no address: what a name inside leads to is nobody's.
    """
    meant = _meant(address)
    if any(one in network for one in {address, meant} for network in settings().allowed_networks):
        return
    if not is_public(address):
        raise AddressError(
            "The address is not public. Use one that is, or have the operator of Papertray allow"
            " its network (PAPERTRAY_ALLOWED_NETWORKS)."
        )
    if port not in settings().allowed_ports:
        raise _port_error(port)


def _port_error(port: int) -> AddressError:
    allowed = ", ".join(map(str, settings().allowed_ports))
    return AddressError(
        f"Port {port} is not allowed. Use one of {allowed}, or have the operator of Papertray"
        " allow it (PAPERTRAY_ALLOWED_PORTS)."
    )


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet, for one receiver, and nobody's inside.

    Source: the IANA special-purpose address registries, as Python's `ipaddress` has them, and
    `_NOT_PUBLIC`.
    """
    address = _meant(address)
    if isinstance(address, IPv6Address) and (address.scope_id or address not in _UNICAST):
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _NOT_PUBLIC)
    )


def _meant(address: Address) -> Address:
    """The IPv4 address that packets to an IPv6 address go to in the end, where that is so."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


_resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")


async def ask_system(host: str, port: int) -> list[str]:
    """What the system's resolver answers for a host.

    Raises:
        httpcore.ConnectError: it does not know the host.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            _resolvers, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name is not known") from error
    return [str(address[0]) for *_, address in found]


class _PublicNetwork(httpcore.AsyncNetworkBackend):
    """Dials public addresses."""

    def __init__(self, resolve: Resolve):
        self._resolve = resolve
        self._network = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host, if every address it leads to may be dialled.

        TLS, which comes after, still proves the name: it is the pool that asks for it.

        Raises:
            AddressError: one may not: a name with one foot inside is no name of the internet.
            httpcore.ConnectError: the name is not known, or nobody answers.
        """
        addresses = [ip_address(one) for one in await self._resolve(host, port)]
        for address in addresses:
            check_address(address, port)
        failed = httpcore.ConnectError("the name has no address")
        for address in dict.fromkeys(addresses):
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                failed = error
        raise failed


class PublicHttp:
    """A client for addresses that callers name."""

    def __init__(self, *, resolve: Resolve = ask_system):
        """Make one; it is used as an asynchronous context.

        Args:
            resolve: finds the addresses of a host.
        """
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),  # SSL_CERT_FILE holds here, too
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=KEPT_CONNECTIONS,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_PublicNetwork(resolve),
        )

    async def __aenter__(self) -> Self:
        """Open it."""
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Close its connections."""
        await self._pool.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        timeout_seconds: float,
    ) -> AsyncIterator[httpcore.Response]:
        """Make one request; redirects are not followed, cookies not kept.

        Args:
            method: of HTTP.
            url: one that `check_url` let pass.
            headers: Host and Content-Length are added.
            content: the body.
            timeout_seconds: of each wait: to connect, to send, for each part of the answer. The
                whole is for the caller to limit.

        Yields:
            The answer; its body is read by the caller, who stops where it likes.

        Raises:
            AddressError: the address may not be dialled.
            httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError: no answer.
        """
        parsed = _parsed(url)
        waits = dict.fromkeys(("connect", "read", "write", "pool"), timeout_seconds)
        async with self._pool.stream(
            method,
            httpcore.URL(
                scheme=parsed.raw_scheme,
                host=parsed.raw_host,
                port=parsed.port,
                target=parsed.raw_path,
            ),
            headers=list(headers.items()),
            content=content,
            extensions={"timeout": waits},
        ) as response:
            yield response


UNANSWERED: Final = (
    AddressError,
    TimeoutError,
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
)
"""What a request ends with that got no answer."""


def why_unanswered(error: Exception, seconds: float) -> str:
    """Why there was no answer, for whoever named the address.

    Args:
        error: one of UNANSWERED.
        seconds: how long an answer was waited for.
    """
    if isinstance(error, AddressError):
        return error.message
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return f"There was no answer within {seconds:g} seconds."
    if isinstance(error, httpcore.NetworkError):
        return f"The connection failed: {str(error)[:MAX_REASON_CHARACTERS] or 'it broke'}."
    return "What answered does not speak HTTP, or not well."


def why_refused(status: int) -> str:
    """Why an answer is no success; empty when it is one."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return ""
    if status == HTTPStatus.GONE:
        return "The receiver wants nothing any more (410)."
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"The receiver answered {status}; redirects are not followed."
    return f"The receiver answered {status}."
