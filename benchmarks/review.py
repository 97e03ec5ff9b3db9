"""What reviewing costs: races for one task, a long queue, and pages on the screen.

`python benchmarks/review.py` serves the review pages and the API from a home of its own, in a
process of its own, and prints

- 200 races of 16 clients on one decision, and 200 on the next task: one winner each, nothing 5xx;
- the queue page and the next task with 10,000 tasks waiting, and with 100,000;
- in Chromium, an A4 page of 300 dpi after its task was opened, and the next task after completing.
"""

import argparse
import asyncio
import io
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import img2pdf
import psutil
import pypdfium2
from playwright.async_api import Page
from sqlalchemy import insert
from sqlmodel import select

from operations.read_pages import ReadPagesParams, read_pages
from store.database import database
from store.ids import now
from store.models import Project, Task
from store.states import State
from tests.browser import open_browser, signed_in_page
from tests.review_site import ANA, Site, settings_of

CLIENTS = 16
DPI = 300
ROWS_AT_ONCE = 5_000

Read = tuple[list[tuple[bytes, int, int]], list[bytes]]
"""Of each page the image, with its width and height in pixels; and the image for who zooms in."""


def show(name: str, seconds: Sequence[float], target: float, cpu: float | None = None) -> None:
    ordered = sorted(seconds)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    print(
        f"{name:44} p50 {1000 * statistics.median(ordered):7.1f} ms   p95 {1000 * p95:7.1f} ms"
        f"   (target {1000 * target:.0f})"
        + (f"   server CPU {1000 * cpu / len(ordered):.1f} ms each" if cpu is not None else ""),
        flush=True,
    )


def cpu_of(site: Site) -> float:
    assert site.process is not None
    times = psutil.Process(site.process.pid).cpu_times()
    return times.user + times.system


# Races


async def race(
    clients: Sequence[httpx.AsyncClient], path: str, body: Any = None
) -> Sequence[httpx.Response]:
    return await asyncio.gather(*(client.post(path, json=body) for client in clients))


async def races(site: Site, count: int) -> None:
    keys = list(site.keys.values())[:1]
    clients = [
        httpx.AsyncClient(base_url=site.url, headers={"x-api-key": keys[0]}, timeout=60)
        for _ in range(CLIENTS)
    ]
    decided: Counter[int] = Counter()
    winners: Counter[int] = Counter()
    for _ in range(count):
        task_id = await site.add_task()
        body = {"values": {"total": "1285.20"}}
        answers = await race(clients, f"/v1/tasks/{task_id}/complete", body)
        decided.update(answer.status_code for answer in answers)
        winners[sum(answer.status_code == 200 for answer in answers)] += 1
    print(
        f"{count} races of {CLIENTS} on one decision: answers {dict(decided)},"
        f" winners in a race {dict(winners)}",
        flush=True,
    )
    statuses: Counter[int] = Counter()
    doubles = 0
    for _ in range(count):
        waiting = [await site.add_task() for _ in range(2)]
        answers = await race(clients, "/v1/tasks/next")
        statuses.update(answer.status_code for answer in answers)
        got = [answer.json()["id"] for answer in answers if answer.status_code == 200]
        doubles += len(got) - len(set(got))
        if set(got) != set(waiting):
            print(f"  got {sorted(got)} where {sorted(waiting)} waited", flush=True)
    print(
        f"{count} races of {CLIENTS} on the next of two: answers {dict(statuses)},"
        f" tasks given twice {doubles}",
        flush=True,
    )
    for client in clients:
        await client.aclose()


# A long queue


async def let_wait(site: Site, count: int) -> None:
    """Put so many tasks into the store as waiting, beside those that are there."""
    caller = site.callers[ANA]
    async with database().reading() as session:
        project = (await session.execute(select(Project))).scalars().first()
    assert project is not None
    at = now()
    for begin in range(0, count, ROWS_AT_ONCE):
        rows = [
            Task(
                organization_id=caller.organization_id,
                operation="process",
                project_id=project.id,
                project_version_id=project.current_version_id,
                name=f"Invoice {number}",
                state=State.IN_REVIEW,
                priority=number % 3,
                review_round=1,
                review_reason="to be confirmed: total",
                created_at=at - timedelta(seconds=count - number),
                review_since=at - timedelta(seconds=count - number),
                review_due_at=at + timedelta(days=14),
            ).model_dump()
            for number in range(begin, min(begin + ROWS_AT_ONCE, count))
        ]
        async with database().writing() as session:
            await session.execute(insert(Task), rows)


async def timed(times: int, call: Callable[[], Awaitable[httpx.Response]]) -> list[float]:
    seconds: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        answer = await call()
        seconds.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text
    return seconds


async def long_queue(site: Site, count: int, times: int) -> None:
    async with httpx.AsyncClient(base_url=site.url, timeout=60) as browser:
        page = await browser.get("/sign-in")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        await browser.post("/sign-in", data={"csrf_token": token, "key": site.keys[ANA]})
        key = {"x-api-key": site.keys[ANA]}
        for name, target, call in (
            ("queue page", 0.150, lambda: browser.get("/review")),
            ("next task", 0.050, lambda: browser.post("/v1/tasks/next", headers=key)),
        ):
            await timed(3, call)
            before = cpu_of(site)
            seconds = await timed(times, call)
            show(f"{name}, {count:,} waiting", seconds, target, cpu_of(site) - before)


# Pages on the screen


async def scan(pdf: bytes, folder: Path) -> Read:
    """What Papertray keeps of its pages where they came out of a scanner, once it has read them."""
    document = pypdfium2.PdfDocument(pdf)
    pages: list[bytes] = []
    for page in document:
        scale: Any = DPI / 72  # pypdfium2 says int, and takes fractions
        image = io.BytesIO()
        page.render(scale=scale, grayscale=True).to_pil().save(image, "JPEG", dpi=(DPI, DPI))
        pages.append(image.getvalue())
    source = folder / "scan.pdf"
    with source.open("wb") as sink:
        img2pdf.convert(pages, outputstream=sink)
    read = await read_pages.fn(source, ReadPagesParams(dpi=DPI), folder=folder)
    images = [
        ((folder / page.image_file).read_bytes(), page.width_pixels, page.height_pixels)
        for page in read.pages
    ]
    return images, [(folder / page.detail_file).read_bytes() for page in read.pages]


SHOWN = """() => new Promise((done) => {
  const seen = (list) => list.getEntries().forEach((one) => done(one.renderTime));
  new PerformanceObserver(seen).observe({ type: "element", buffered: true });
})"""


async def shown(page: Page) -> float:
    """Seconds from when the browser set out for a task until its first page was on the screen.

    By the clock of the browser (Element Timing), which counts from before the form was sent: what
    drives it takes longer to find out than the image to be there.
    """
    return await page.evaluate(SHOWN) / 1000


async def on_screen(site: Site, times: int) -> None:
    opened: list[float] = []
    completed: list[float] = []
    for _ in range(2 * times + 1):
        await site.add_task(age=timedelta(days=2))
    async with (
        open_browser() as browser,
        signed_in_page(browser, site.url, site.keys[ANA]) as page,
    ):
        for number in range(times):
            await page.goto(f"{site.url}/review")
            await page.get_by_role("button", name="Next task").click()
            await page.wait_for_url("**/task_*")
            opened.append(await shown(page))
            await page.wait_for_load_state("networkidle") if number == 0 else None
            await page.get_by_label("Total").fill("1285.20")
            await page.wait_for_timeout(1000)  # a person takes at least so long
            address = page.url
            await page.keyboard.press("Control+Enter")
            await page.wait_for_url(lambda url, old=address: url != old)
            completed.append(await shown(page))
    show(f"page image of {DPI} dpi after opening", opened[1:], 0.300)
    show("the same, the first in a new browser", opened[:1], 0.300)
    show("next task with its image after completing", completed, 0.500)


async def measure(site: Site, arguments: argparse.Namespace) -> None:
    try:
        await races(site, arguments.races)
        with tempfile.TemporaryDirectory() as folder:
            site.images, site.details = await scan(site.invoice.pdf, Path(folder))
        site.ending = "jpg"
        await on_screen(site, arguments.times // 5)
        waiting = 0
        for count in (10_000, 100_000):
            await let_wait(site, count - waiting)
            waiting = count
            await long_queue(site, count, arguments.times)
    finally:
        await database().close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--races", type=int, default=200, help="of each kind")
    parser.add_argument("--times", type=int, default=100, help="measurements of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        site = Site(Path(home))
        site.prepare()
        site.start()
        try:
            with settings_of(site.home):
                asyncio.run(measure(site, arguments))
        finally:
            site.stop()


if __name__ == "__main__":
    main()
