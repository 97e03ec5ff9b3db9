"""What operators set in Prefect's UI, while everything runs."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from flows.engine import client
from store.errors import ConflictError, NotFoundError

VARIABLES: Final[Mapping[str, Any]] = {
    "papertray_report_days": 14,  # how many days the daily report is about
}
"""Names of Prefect's variables, and what they are until somebody changes them."""


async def ensure_variables() -> None:
    """Make the variables that are missing; leaves the others as they are."""
    for name, value in VARIABLES.items():
        with suppress(ConflictError):
            body = {"name": name, "value": value, "tags": ["papertray"]}
            await client.call("POST", "/variables/", body)


async def variable(name: str) -> Any:
    """The value of one of VARIABLES; what it is at first where it is not there."""
    try:
        return (await client.call("GET", f"/variables/name/{name}"))["value"]
    except NotFoundError:
        return VARIABLES[name]
