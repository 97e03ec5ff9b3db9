"""Whoever asks for too much is told when to ask again, and takes nothing from anybody else."""

import base64
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api import rate_limits
from api.error_shapes import SHAPES
from api.rate_limits import MOST_BUCKETS, WINDOW_SECONDS, RateLimit, RateLimits
from api.review_pages.sessions import COOKIE, begin_session
from store.keys import create_key
from store.settings import settings
from tests.contract.test_errors import problem_in
from tests.contract.world import Client, MakeKey

CALLS: dict[str, tuple[str, Callable[[str], dict[str, str]]]] = {
    "/v1": ("/v1/tasks", lambda key: {"x-api-key": key}),
    "/tasks": ("/tasks", lambda key: {"authorization": f"Bearer {key}"}),
    "/v2": ("/v2/a/project/b/folder", lambda key: {"authorization": f"Bearer {key}"}),
    "/orgs": ("/orgs/1/queues", lambda key: {"authorization": f"Token {key}"}),
    "/jobs": (
        "/jobs",
        lambda key: {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"},
    ),
}
"""An address of each surface, by the first of its prefixes, and how a key is sent there."""


class Clock:
    """Monotonic time that a test moves."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limits, "monotonic", clock)
    return clock


def limits_of(app: FastAPI) -> RateLimits:
    return app.state.rate_limits


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.prefixes[0])
async def test_too_many_requests_of_a_key_are_refused_in_the_shape_of_the_surface(
    shape: Any, app: FastAPI, stranger: Client, make_key: MakeKey, clock: Clock
):
    limits_of(app).of_key = RateLimit(2)
    address, spelt = CALLS[shape.prefixes[0]]
    headers = spelt(await make_key())
    for _ in range(2):
        assert (await stranger.get(address, headers=headers)).status_code != 429
    refused = await stranger.get(address, headers=headers)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["content-type"] == shape.media_type
    assert "Send again in 30 s." in refused.text
    clock.seconds += 30
    assert (await stranger.get(address, headers=headers)).status_code != 429
    assert (await stranger.get(address, headers=headers)).status_code == 429


async def test_a_refused_request_does_nothing_and_the_facts_are_in_the_problem(
    app: FastAPI, client: Client, clock: Clock
):
    limits_of(app).of_key = RateLimit(1)
    await client.get("/v1/tasks")
    problem = problem_in(
        await client.post("/v1/files", files={"file": ("a.png", b"x")}), 429, "rate_limited"
    )
    assert (problem["retry_after_seconds"], problem["limit"]) == (60, "key")
    clock.seconds += 60
    assert (await client.get("/v1/files")).json()["data"] == []


async def test_the_keys_of_an_organization_share_its_limit_and_others_notice_nothing(
    app: FastAPI, stranger: Client, make_key: MakeKey, clock: Clock
):
    limits_of(app).of_organization = RateLimit(3)
    keys = [{"x-api-key": await make_key()} for _ in range(4)]
    statuses = [(await stranger.get("/v1/tasks", headers=key)).status_code for key in keys]
    assert statuses == [200, 200, 200, 429]
    other = {"x-api-key": await make_key(organization="globex")}
    assert (await stranger.get("/v1/tasks", headers=other)).status_code == 200


async def test_keys_that_open_nothing_are_soon_not_looked_at_and_hold_up_nobody(
    app: FastAPI, client: Client, stranger: Client, clock: Clock
):
    wrong = {"x-api-key": "ptk_wrong"}
    most = settings().failed_sign_ins_per_minute
    statuses = [(await stranger.get("/v1/tasks", headers=wrong)).status_code for _ in range(most)]
    assert set(statuses) == {401}
    problem_in(await stranger.get("/v1/tasks", headers=wrong), 429, "rate_limited")
    # From the same address: who has a key is not refused for what others send.
    assert (await client.get("/v1/tasks")).status_code == 200
    # There is no key in these, so nothing was tried.
    assert (await stranger.get("/v1/tasks")).status_code == 401
    clock.seconds += 2
    assert (await stranger.get("/v1/tasks", headers=wrong)).status_code == 401


async def test_nobody_guesses_secrets_of_clients_or_keys_at_the_sign_in(
    app: FastAPI, stranger: Client, clock: Clock
):
    made = await create_key(["admin"], organization="acme", is_client=True)
    right = {"client_id": str(made.row.id), "client_secret": made.client_secret}
    limits_of(app).of_failures = RateLimit(2)
    token = (
        (await stranger.get("/sign-in")).text.split('name="csrf_token" value="')[1].split('"')[0]
    )
    form = {"csrf_token": token, "key": "ptk_wrong"}
    assert (await stranger.post("/sign-in", data=form)).status_code == 401
    wrong = {**right, "client_secret": "pts_wrong"}
    assert (await stranger.post("/oauth/token", json=wrong)).status_code == 401
    refused = await stranger.post("/sign-in", data=form)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
    assert refused.headers["content-security-policy"]
    assert "Send again in 30 s." in refused.text
    for body in (wrong, right):
        assert (await stranger.post("/oauth/token", json=body)).status_code == 429
    clock.seconds += 30
    assert (await stranger.post("/oauth/token", json=right)).status_code == 200
    assert (await stranger.post("/sign-in", data={**form, "key": made.key})).status_code == 303


async def test_the_pages_count_with_the_key_of_who_is_signed_in(
    app: FastAPI, stranger: Client, make_key: MakeKey, clock: Clock
):
    key = await make_key(user="ada@example.com")
    stranger.cookies.set(COOKIE, await begin_session(key))
    limits_of(app).of_key = RateLimit(2)
    assert (await stranger.get("/review")).status_code == 200
    assert (await stranger.get("/v1/tasks", headers={"x-api-key": key})).status_code == 200
    refused = await stranger.get("/review")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")


def test_each_address_that_takes_a_key_says_so(app: FastAPI):
    for path, methods in app.openapi()["paths"].items():
        for method, described in methods.items():
            assert ("429" in described["responses"]) == (
                bool(described.get("security")) or path == "/oauth/token"
            ), (method, path)


@given(
    per_minute=st.integers(1, 600),
    pauses=st.lists(st.floats(0, 90), min_size=1, max_size=60),
    at_once=st.integers(1, 30),
)
def test_in_no_span_of_time_more_gets_through_than_a_full_bucket_and_what_came_in(
    per_minute: int, pauses: list[float], at_once: int
):
    clock = Clock()
    let_through: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rate_limits, "monotonic", clock)
        limit = RateLimit(per_minute)
        for pause in pauses:
            clock.seconds += pause
            for _ in range(at_once):
                wait = limit.wait("a")
                assert 0 <= wait <= WINDOW_SECONDS
                if not wait:
                    limit.spend("a")
                    let_through.append(clock.seconds)
    for first, since in enumerate(let_through):
        seconds = let_through[-1] - since
        most = per_minute + seconds * per_minute / WINDOW_SECONDS
        assert len(let_through) - first <= most + 1e-6


def test_what_strangers_send_takes_no_more_memory_than_there_are_buckets():
    limit = RateLimit(30)
    for number in range(3 * MOST_BUCKETS):
        limit.spend(number)
    assert len(limit._full_at) <= MOST_BUCKETS
    last = 3 * MOST_BUCKETS - 1
    for _ in range(29):
        limit.spend(last)
    assert limit.wait(last) > 0


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
async def test_an_address_of_ipv6_counts_as_its_network(
    first: str, second: str, is_one: bool, app: FastAPI, clock: Clock
):
    assert ip_address(first) != ip_address(second)
    limits_of(app).of_failures = RateLimit(1)
    statuses: list[int] = []
    for host in (first, second):
        transport = httpx.ASGITransport(app, client=(host, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://papertray.test") as http:
            answer = await http.get("/v1/tasks", headers={"x-api-key": "ptk_wrong"})
            statuses.append(answer.status_code)
    assert statuses == [401, 429 if is_one else 401]
