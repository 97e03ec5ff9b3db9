"""Take the screenshots of the review pages for the docs: `python -m scripts.screenshots`.

They show made-up documents, so they can be taken anew whenever the pages change.
"""

import asyncio
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Page

from tests.browser import open_browser, signed_in_page
from tests.review_site import ANA, Site, fill

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WINDOW = {"width": 1280, "height": 800}
COLORS = 256
"""A page has few colours: a palette keeps the files small without a difference to the eye."""


async def _show_task(page: Page, site: Site, task_id: str) -> None:
    await page.goto(f"{site.url}/review/{task_id}")
    await page.get_by_role("button", name="Claim").click()
    await page.get_by_label("Total").focus()
    await page.wait_for_timeout(1000)  # until the pages have scrolled to the box


async def _take(site: Site, ids: dict[str, str]) -> None:
    async with (
        open_browser() as browser,
        signed_in_page(browser, site.url, site.keys[ANA], viewport=WINDOW, locale="en-GB") as page,
    ):
        await _save(page, "review-queue")
        await _show_task(page, site, ids["invalid"])
        await _save(page, "review-task")


async def _save(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path, animations="disabled", caret="hide")
    with Image.open(path) as taken:
        taken.convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Make a site with tasks, and take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        site = Site(Path(home))
        site.prepare()
        ids = fill(site)
        site.start()
        try:
            asyncio.run(_take(site, ids))
        finally:
            site.stop()


if __name__ == "__main__":
    main()
