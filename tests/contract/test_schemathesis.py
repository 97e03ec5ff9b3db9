"""Schemathesis: what the OpenAPI document says of each address is so, whatever is sent there.

Source: https://schemathesis.readthedocs.io
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    positive_data_acceptance,
)

from api.v1 import streams
from store.access import SCOPES
from store.database import database
from store.keys import create_key, issue_token
from tests.contract.conftest import forget
from tests.contract.test_access_matrix import SPELLINGS
from tests.e2e.installation import free_port, wait_until
from tests.whole_app import whole_app

EXAMPLES = 4
"""Requests to each address, beside those that its description has as examples."""

PATIENCE_SECONDS = 120
"""For an answer, on a machine that has much else to do."""

# What JSON Schema cannot say is refused, too, in a body (`quality` of a PNG, a project file that is
# none) and in a query (`from`: an id that is not there).
BEYOND_THE_SCHEMA = [positive_data_acceptance]
# It does not know that the token of an OAuth client and the key of Basic are in a header, and
# leaves them in there where it wants to send none; test_access_matrix.py sends none.
NOT_KNOWN = {"OAuth": [ignored_auth], "Basic": [ignored_auth]}


@pytest.fixture(scope="module")
def keys() -> dict[str, str]:
    """A key by each scheme; filled when the server is there."""
    return {}


@pytest.fixture(scope="module")
def address(
    migrated: Path, tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]
) -> Iterator[str]:
    """A server, with nothing behind it that works on tasks."""
    home = tmp_path_factory.mktemp("home")
    copy(migrated, home / "papertray.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERTRAY_HOME", str(home))
        patch.delenv("PREFECT_API_URL", raising=False)
        # Thousands of requests a minute come from one address, keys that open nothing among them.
        for name in (
            "REQUESTS_PER_MINUTE_PER_KEY",
            "REQUESTS_PER_MINUTE_PER_ORGANIZATION",
            "FAILED_SIGN_INS_PER_MINUTE",
        ):
            patch.setenv(f"PAPERTRAY_{name}", "0")
        patch.setattr(streams, "LIFETIME_SECONDS", 0.0)
        forget()
        keys.update(asyncio.run(_make_keys()))
        forget()
        port = free_port()
        config = uvicorn.Config(whole_app(), port=port, log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            wait_until(lambda: server.started, 60, lambda: "the server did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(60)
            forget()


async def _make_keys() -> dict[str, str]:
    made = await create_key(SCOPES, organization="acme", is_client=True)
    token = await issue_token(str(made.row.id), made.client_secret or "")
    await database().close()
    return dict.fromkeys(SPELLINGS, made.key) | {"OAuth": token.token}


@pytest.fixture(scope="module")
def described(address: str) -> Any:
    """All addresses, but for one that would revoke the key of these tests, and one that says that
    nobody works on tasks here, which is true."""
    found = schemathesis.openapi.from_url(f"{address}/openapi.json")
    return found.exclude(method="DELETE", path="/v1/keys/{key_id}").exclude(path="/readyz")


def checked(operation: Any, scheme: str, key: str) -> Callable[[], None]:
    """A test of one address."""
    excluded = [*NOT_KNOWN.get(scheme, [])]
    if list(operation.body) or list(operation.query):
        excluded += BEYOND_THE_SCHEMA

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        headers = SPELLINGS[scheme](key)
        case.call_and_validate(headers=headers, excluded_checks=excluded, timeout=PATIENCE_SECONDS)

    return check


def test_every_address_does_what_its_description_says(described: Any, keys: dict[str, str]):
    wrong: dict[str, str] = {}
    for found in described.get_all_operations():
        operation = found.ok()
        security = operation.definition.raw.get("security") or [{}]
        scheme = next(iter(security[0]), "ApiKey")
        try:
            checked(operation, scheme, keys[scheme])()
        except FailureGroup as failures:
            wrong[operation.label] = str(failures.exceptions[0])
    assert wrong == {}
