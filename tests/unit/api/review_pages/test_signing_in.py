import hashlib
import re
from datetime import timedelta
from html import unescape

import pytest
from fastapi.routing import APIRoute
from sqlmodel import col, select

from api.review_pages import PARTS, sessions
from api.review_pages.sign_in import inside
from store.database import database
from store.ids import now
from store.models import ApiKey, Session
from store.people import revoke_key
from store.states import State
from tests.review_site import ANA, BEN, Site, settings_of
from tests.unit.api.review_pages.visits import (
    HOST,
    Browser,
    browser,
    task_of,
    token_of,
)

ROUTES = [route for part in PARTS for route in part.router.routes if isinstance(route, APIRoute)]


def address_of(route: APIRoute) -> str:
    return (
        re.sub(r"\{task_id\}", "task_aaaaaaaaaaaaaaaa", route.path)
        .replace("{verb}", "discard")
        .replace("{page_number}", "1")
        .replace("{index}", "0")
        .replace("{file_id}", "file_a")
    )


PERSONAL = [route for route in ROUTES if route.path.startswith("/review")]


POSTS = [route for route in ROUTES if "POST" in (route.methods or ())]


@pytest.mark.parametrize("route", PERSONAL, ids=lambda route: f"{route.name}")
async def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_page(
    stranger: Browser, route: APIRoute
) -> None:
    answer = await stranger.request("POST" if route in POSTS else "GET", address_of(route))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=/review")


@pytest.mark.parametrize("route", POSTS, ids=lambda route: f"{route.name}")
@pytest.mark.parametrize("token", ["", "wrong", "ä"])
async def test_no_form_is_taken_without_the_token_of_its_session(
    ana: Browser, site: Site, route: APIRoute, token: str
) -> None:
    task_id = await site.add_task()
    ana.token = token
    address = address_of(route).replace("task_aaaaaaaaaaaaaaaa", task_id)
    answer = await ana.press(address, key=site.keys[ANA])
    assert answer.status_code == 403
    assert (await task_of(site, task_id)).state is State.IN_REVIEW
    assert (await ana.get("/review")).status_code == 200


async def test_the_token_of_one_person_is_no_good_for_another(
    ana: Browser, ben: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    ana.token = ben.token
    assert (await ana.press(f"/review/{task_id}/discard")).status_code == 403


async def test_signing_in_keeps_hashes_only_and_ends_after_twelve_hours(
    stranger: Browser, site: Site
) -> None:
    answer = await stranger.sign_in(site.keys[ANA])
    assert answer.headers["location"] == "/review"
    cookie = stranger.cookies[sessions.COOKIE]
    async with database().reading() as session:
        row = (await session.execute(select(Session))).scalar_one()
    assert row.sha256 == hashlib.sha256(cookie.encode()).hexdigest()
    assert cookie not in repr(row)
    assert timedelta(hours=11.9) < row.expires_at - now() <= timedelta(hours=12)


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    stranger: Browser, site: Site
) -> None:
    answer = await stranger.sign_in(site.keys[ANA])
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_stays_on_https(site: Site) -> None:
    async with browser("https://papertray.test") as client:
        answer = await client.sign_in(site.keys[ANA])
    assert all("Secure" in c for c in answer.headers.get_list("set-cookie") if "max-age" in c)
    assert "Secure" in answer.headers["set-cookie"]


async def test_behind_a_proxy_that_ends_https_the_cookie_stays_on_https(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERTRAY_PUBLIC_URL", "https://tray.example.org")
    with settings_of(site.home):
        async with browser() as client:
            page = await client.get("/sign-in")
        await database().close()
    assert "Secure" in page.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "ptk_wrong", " ", "\x00", "ключ", "x" * 5000])
async def test_a_wrong_key_opens_nothing_and_says_so(stranger: Browser, key: str) -> None:
    answer = await stranger.sign_in(key)
    assert answer.status_code == 401
    assert "This key is not valid" in answer.text
    assert sessions.COOKIE not in stranger.cookies


async def test_a_key_with_spaces_around_it_from_copying_is_taken(
    stranger: Browser, site: Site
) -> None:
    assert (await stranger.sign_in(f"  {site.keys[ANA]}\n")).status_code == 303


async def test_another_site_cannot_sign_a_browser_in(stranger: Browser, site: Site) -> None:
    answer = await stranger.post("/sign-in", data={"key": site.keys[ANA], "csrf_token": "made-up"})
    assert answer.status_code == 403
    assert sessions.COOKIE not in stranger.cookies


async def test_two_sign_in_pages_side_by_side_both_work(stranger: Browser, site: Site) -> None:
    first = token_of((await stranger.get("/sign-in")).text)
    await stranger.get("/sign-in")
    answer = await stranger.post("/sign-in", data={"key": site.keys[ANA], "csrf_token": first})
    assert answer.status_code == 303


async def test_signing_out_ends_the_session_wherever_its_cookie_still_is(ana: Browser) -> None:
    cookie = ana.cookies[sessions.COOKIE]
    answer = await ana.press("/sign-out")
    assert answer.headers["location"] == "/sign-in"
    assert sessions.COOKIE not in ana.cookies
    ana.cookies.set(sessions.COOKIE, cookie)
    assert (await ana.get("/review")).status_code == 303


async def test_a_session_that_ran_out_opens_nothing_and_is_forgotten(
    ana: Browser, stranger: Browser, site: Site
) -> None:
    async with database().writing() as session:
        row = (await session.execute(select(Session))).scalar_one()
        row.expires_at = now() - timedelta(seconds=1)
    assert (await ana.get("/review")).status_code == 303
    await stranger.sign_in(site.keys[BEN])
    async with database().reading() as session:
        assert len((await session.execute(select(Session))).all()) == 1


async def test_with_its_key_a_session_ends_too(ana: Browser, site: Site) -> None:
    async with database().reading() as session:
        query = select(ApiKey).where(col(ApiKey.prefix) == site.keys[ANA][:12])
        key = (await session.execute(query)).scalar_one()
    await revoke_key(site.callers[ANA], str(key.id))
    assert (await ana.get("/review")).status_code == 303


async def test_after_signing_in_people_are_where_they_wanted_to_be(
    stranger: Browser, site: Site
) -> None:
    task_id = await site.add_task()
    sent = await stranger.get(f"/review/{task_id}?notice=saved")
    page = await stranger.open(sent.headers["location"])
    wanted = unescape(re.findall(r'name="next" value="([^"]*)"', page)[0])
    answer = await stranger.press("/sign-in", key=site.keys[ANA], next=wanted)
    assert answer.headers["location"] == f"/review/{task_id}?notice=saved"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/review",
        "//evil.example/review",
        "/\\evil.example/review",
        "/review\\@evil.example",
        "javascript:alert(1)//review",
        "/elsewhere",
        "",
        "/reviewed",
        "http:/review",
        "///review",
    ],
)
def test_the_way_back_never_leads_to_another_site(address: str) -> None:
    assert inside(address) == "/review"


async def test_a_page_that_follows_a_task_is_sent_whole_to_the_sign_in_page(
    stranger: Browser, site: Site
) -> None:
    task_id = await site.add_task(State.RUNNING)
    answer = await stranger.get(
        f"/review/{task_id}/status",
        headers={"HX-Request": "true", "HX-Current-URL": f"{HOST}/review/{task_id}"},
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == f"/sign-in?next=/review/{task_id}"
