"""The browser that the tests and the screenshots of the pages use."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """The Chromium of this machine, without a window."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise RuntimeError("There is no Chromium here: `make setup-system` installs it.")
    async with async_playwright() as playwright:
        # In containers there is neither a sandbox for root nor much shared memory.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def signed_in_page(
    browser: Browser, url: str, key: str, **settings: Any
) -> AsyncIterator[Page]:
    """A page on which somebody has signed in, at the queue; settings are those of a context."""
    settings.setdefault("viewport", DESKTOP)
    context = await browser.new_context(**settings)
    try:
        page = await context.new_page()
        await page.goto(f"{url}/sign-in")
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url("**/review")
        yield page
    finally:
        await context.close()
