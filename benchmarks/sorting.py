"""Documents told apart and sorted: what is right of generated stacks, and the time per page.

The stacks are made by `tests/sorting_pages.py`: documents of five types in random order, of one to
three pages, among words that other types have too. Some of the keywords are missing on each.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from operations import classify, segment
from operations.classify import ClassifyParams
from tests.sorting_pages import sample_of, write_pages

STACKS = 5
DOCUMENTS = 20
THRESHOLD = 0.7


async def main() -> None:
    """Print the table."""
    print(f"{STACKS} stacks of {DOCUMENTS} documents for each row")
    print(
        "| separated by | keywords missing | documents exact | types right | of the sure ones"
        " | sure | ms a page |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for by in ("barcode", "blank_page", "first_page"):
        for missing in (0.0, 0.3, 0.6):
            print(await _row(by, missing))


async def _row(by: str, missing: float) -> str:
    exact = right = sure = sure_right = total = page_count = 0
    seconds = 0.0
    for seed in range(STACKS):
        sample = sample_of(seed, by=by, documents=DOCUMENTS, missing=missing)
        with tempfile.TemporaryDirectory() as folder:
            pages = write_pages(sample.pages, Path(folder))
            began = time.perf_counter()
            images = [] if by == "first_page" else pages.images
            segments = (await segment.fn([*pages.words, *images], sample.segment_params)).segments
            found = await classify.fn(
                [pages.words[n - 1] for one in segments for n in one.page_numbers],
                ClassifyParams(
                    page_counts=[len(one.page_numbers) for one in segments], types=sample.types
                ),
            )
            seconds += time.perf_counter() - began
        page_count += len(sample.pages)
        total += len(sample.page_numbers)
        expected = dict(zip(map(tuple, sample.page_numbers), sample.document_types, strict=True))
        for one, told in zip(segments, found.documents, strict=True):
            wanted = expected.get(tuple(one.page_numbers))
            exact += wanted is not None
            right += told.document_type == wanted
            sure += told.confidence >= THRESHOLD
            sure_right += told.confidence >= THRESHOLD and told.document_type == wanted
    return (
        f"| {by} | {missing:.0%} | {exact / total:.1%} | {right / total:.1%} |"
        f" {sure_right / sure if sure else 1:.1%} | {sure / total:.1%} |"
        f" {1000 * seconds / page_count:.0f} |"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["PAPERTRAY_HOME"] = home
        asyncio.run(main())
