import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.review_pages import assets, words
from api.review_pages.page_route import HEADERS
from tests.review_site import Site
from tests.unit.api.review_pages.visits import Browser


async def test_every_kind_of_answer_has_the_headers_of_trust(ana: Browser, site: Site) -> None:
    task_id = await site.add_task()
    addresses = ["/", "/sign-in", "/review", f"/review/{task_id}", "/review/task_nope"]
    addresses += ["/review?state=nowhere", f"/review/{task_id}/pages/9/image"]
    for address in addresses:
        answer = await ana.get(address)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (address, name)


def test_the_policy_allows_no_inline_script_or_style() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in policy


def test_no_template_has_an_inline_script_or_style_or_trusts_a_value() -> None:
    templates = (Path(words.__file__).parent / "templates").glob("*.html")
    for template in templates:
        text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|Markup", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text), template


async def test_the_files_of_the_pages_are_kept_for_ever_under_their_version(
    stranger: Browser,
) -> None:
    for name, asset in assets.ASSETS.items():
        answer = await stranger.get(assets.static(name))
        assert answer.content == asset.content
        assert "immutable" in answer.headers["cache-control"]
        assert (await stranger.get(f"/static/{name}")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nope.css", "..%2Fassets.py", "%2e%2e/assets.py", ".css"])
async def test_no_other_file_is_sent(stranger: Browser, name: str) -> None:
    assert (await stranger.get(f"/static/{name}")).status_code == 404


async def test_the_start_leads_to_the_queue(ana: Browser) -> None:
    assert (await ana.get("/")).headers["location"] == "/review"


@pytest.mark.parametrize("length", [None, "999999999", "-1", "x"])
async def test_a_form_that_is_too_large_is_not_read(stranger: Browser, length: str | None) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"key=x"

    headers = {"content-type": "application/x-www-form-urlencoded"}
    headers |= {"content-length": length} if length else {}
    answer = await stranger.post("/sign-in", content=body(), headers=headers)
    assert answer.status_code == 413
