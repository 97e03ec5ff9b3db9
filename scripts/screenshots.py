"""Take the screenshots for the docs: `python -m scripts.screenshots`.

They show made-up documents, so they can be taken anew whenever the pages change.
"""

import asyncio
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import FloatRect, Page, ViewportSize

from tests.browser import open_browser, signed_in_page
from tests.documents import invoice, project
from tests.e2e.installation import Installation
from tests.review_site import ANA, Site, fill, settings_of

FOLDER = Path(__file__).parents[1] / "docs" / "images"
WINDOW = {"width": 1280, "height": 800}
TALL: ViewportSize = {"width": 1280, "height": 1000}
"""What Prefect shows of a run stands below its graph."""

GRAPH: FloatRect = {"x": 272, "y": 144, "width": 992, "height": 384}
LOOKS = 60
FEW_PIXELS = 100

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
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await _save(page, "review-keys")
        await page.goto(f"{site.url}/review/{ids['completed']}")
        await page.get_by_label("Wrong", exact=True).check()
        await page.get_by_label("Purchase order").check()
        await page.get_by_role("button", name="Keep the verdict").click()
        await page.goto(f"{site.url}/review/metrics")
        await _save(page, "review-metrics")
        await page.goto(f"{site.url}/review/{await site.add_data_task()}")
        await page.locator(".marked").scroll_into_view_if_needed()
        await _save(page, "review-blocks")


async def _save(page: Page, name: str) -> None:
    path = FOLDER / f"{name}.png"
    await page.screenshot(path=path, animations="disabled", caret="hide")
    with Image.open(path) as taken:
        taken.convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size / 1000:.0f} kB")


async def _take_prefect(papertray: Installation, run_id: str) -> None:
    """The run of a task that waits, and the form that ends the wait, in the Prefect UI."""
    address = str(papertray.prefect.base_url).partition("/api")[0]
    async with open_browser() as browser:
        page = await browser.new_page(viewport=TALL)
        await page.goto(f"{address}/runs/flow-run/{run_id}")
        await page.get_by_text("Artifacts", exact=True).last.click()
        await page.get_by_text("fields").first.wait_for()
        await _steps_drawn(page)
        await page.wait_for_timeout(3000)  # until the graph stands still
        await _save(page, "prefect-run")
        await page.get_by_role("button", name="Resume").click()
        await page.get_by_text("Decision", exact=True).wait_for()
        await page.wait_for_timeout(1000)
        await _save(page, "prefect-form")


async def _steps_drawn(page: Page) -> None:
    """Wait until the graph, which is a canvas, has steps in it: boxes in the green of Completed."""
    for _ in range(LOOKS):
        with Image.open(BytesIO(await page.screenshot(clip=GRAPH))) as seen:
            reds, greens, blues = (band.tobytes() for band in seen.convert("RGB").split())
        colors = zip(reds, greens, blues, strict=True)
        if sum(green > 2 * max(red, blue) for red, green, blue in colors) > FEW_PIXELS:
            return
        await page.wait_for_timeout(500)
    raise TimeoutError("Prefect's UI draws no step of the run")


def _prefect(home: Path) -> None:
    papertray = Installation(home)
    papertray.start()
    try:
        papertray.install(project())
        task = papertray.submit(invoice(total="120.00"))
        papertray.until(task, "in_review")
        run = papertray.until_run(task, "Suspended")
        asyncio.run(_take_prefect(papertray, run["id"]))
    finally:
        papertray.stop()


def main() -> None:
    """Make a site with tasks, and a Papertray with a task that waits; take the pictures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        _prefect(Path(home))
    with tempfile.TemporaryDirectory() as home:
        site = Site(Path(home))
        site.prepare()
        ids = fill(site)
        site.start()
        try:
            with settings_of(site.home):
                asyncio.run(_take(site, ids))
        finally:
            site.stop()


if __name__ == "__main__":
    main()
