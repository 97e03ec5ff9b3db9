"""How much a caller may ask for: token buckets in the memory of this process.

Each server counts by itself: where several share the work, a caller has at most so many times as
much. Nothing is written and nobody is asked, so that a request costs microseconds more.
"""

import ipaddress
from collections.abc import Hashable
from math import ceil
from time import monotonic
from typing import Final

from fastapi import Request

from store.access import Caller
from store.errors import RateLimitedError
from store.settings import settings

WINDOW_SECONDS: Final = 60.0
"""A bucket holds what comes in so long: who was quiet may send that at once."""

MOST_BUCKETS: Final = 10_000
"""Of one limit. Strangers choose their addresses; they must not choose how much memory it takes."""


class RateLimit:
    """Token buckets, one for each whom it counts.

    As virtual scheduling (ITU-T I.371, annex A): kept is when a bucket would be full again.
    """

    def __init__(self, per_minute: int):
        """Let so many through in a minute; all when 0."""
        self._interval = WINDOW_SECONDS / per_minute if per_minute else 0.0
        self._full_at: dict[Hashable, float] = {}

    def wait(self, who: Hashable) -> float:
        """Seconds until the bucket has one; 0 when it has."""
        at = monotonic()
        full_at = max(self._full_at.get(who, at), at)
        return max(0.0, full_at + self._interval - at - WINDOW_SECONDS)

    def spend(self, who: Hashable) -> None:
        """Take one out of the bucket."""
        if not self._interval:
            return
        at = monotonic()
        self._full_at[who] = max(self._full_at.get(who, at), at) + self._interval
        if len(self._full_at) > MOST_BUCKETS:
            self._forget(at)

    def _forget(self, at: float) -> None:
        """Drop the buckets that are full again; or else the older half."""
        left = {who: full_at for who, full_at in self._full_at.items() if full_at > at}
        if len(left) > MOST_BUCKETS:
            left = dict(list(left.items())[MOST_BUCKETS // 2 :])
        self._full_at = left


class RateLimits:
    """The limits of one server; the app has them as `state.rate_limits`."""

    def __init__(self) -> None:
        """Take them from the settings; every bucket is full."""
        self.of_key = RateLimit(settings().requests_per_minute_per_key)
        self.of_organization = RateLimit(settings().requests_per_minute_per_organization)
        self.of_failures = RateLimit(settings().failed_sign_ins_per_minute)


def count_request(request: Request, caller: Caller) -> None:
    """Count a request of a caller.

    Raises:
        RateLimitedError: its key or its organization asks for too much; it is not counted.
    """
    limits: RateLimits = request.app.state.rate_limits
    counted = (
        (limits.of_key, caller.key_id, "key"),
        (limits.of_organization, caller.organization_id, "organization"),
    )
    for limit, who, name in counted:
        if wait := limit.wait(who):
            raise _refused(
                f"The {name} sends more requests than this server lets through.", wait, limit=name
            )
    for limit, who, _ in counted:
        limit.spend(who)


def count_failure(request: Request) -> None:
    """Count that somebody came with what opens nothing.

    Raises:
        RateLimitedError: that happened too often from this address.
    """
    must_not_fail_on(request)
    limits: RateLimits = request.app.state.rate_limits
    limits.of_failures.spend(_address(request))


def must_not_fail_on(request: Request) -> None:
    """Let nobody go on guessing.

    Raises:
        RateLimitedError: too often something that opens nothing came from this address.
    """
    limits: RateLimits = request.app.state.rate_limits
    if wait := limits.of_failures.wait(_address(request)):
        raise _refused(
            "Too many keys that open nothing came from this address.", wait, limit="address"
        )


def _refused(what: str, wait: float, **details: str) -> RateLimitedError:
    seconds = ceil(wait)
    return RateLimitedError(
        f"{what} Send again in {seconds} s.", retry_after_seconds=seconds, **details
    )


def _address(request: Request) -> Hashable:
    """Who is at the other end: an address of IPv4, a network of IPv6, which is one customer's."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False)
