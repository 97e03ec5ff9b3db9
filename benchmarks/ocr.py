"""How fast and how well pages are read: beside tesseract itself, and beside ocrmypdf.

`python benchmarks/ocr.py speed` has the same 40-page scan at 300 dpi read in turns by

- **papertray**: a task sent to the API of a real Papertray, from the request until the searchable
  PDF can be fetched: rendered, cleaned, read, page images and JSON of all words written;
- **tesseract**: two long-lived processes with a list file of raw page images each, which are
  there already; text, TSV and text-only PDFs. It is the limit: nothing is rendered or merged;
- **ocrmypdf**: `ocrmypdf --jobs 2 --force-ocr --output-type pdf`, a searchable PDF, too.

`python benchmarks/ocr.py quality` reads pages with known text, with noise, shadow and skew, by
tesseract alone and by us, and tells the share of wrong characters.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.character_errors import error_count, plain
from benchmarks.scans import Damage, Gray, rendered, scan_pdf, scanned, texts, typeset
from operations.tools import tesseract
from operations.tools.reading import Orders, Source, examine, read_by_ocr
from store.fields import PageWords
from tests.e2e.installation import Installation

DPI = 300
PROCESSES = 2
ONE_THREAD = {**os.environ, "OMP_THREAD_LIMIT": "1"}
SPEED_DAMAGES = (Damage(noise=3), Damage(noise=3, skew_degrees=1.2))
"""Half of the pages of the scan are askew."""

PROJECT = """\
name: scans
fields:
  - {name: file, labels: [file], type: number}
read: {mode: force}
review: {when: never}
export: {formats: [pdf]}
"""

QUALITY = {
    "clean": Damage(),
    "noise": Damage(noise=38, shadow=0.35),
    "2 degrees": Damage(skew_degrees=2),
    "both": Damage(noise=38, skew_degrees=2, shadow=0.35),
}


def spent(papertray: Installation) -> float:
    """Processor seconds of this process's children, and of all of Papertray, so far.

    On a machine that others use, too, they tell more than seconds on the clock.
    """
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = own.ru_utime + own.ru_stime
    assert papertray.process is not None
    up = psutil.Process(papertray.process.pid)
    for process in (up, *up.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def make_scan(count: int) -> tuple[list[Gray], bytes]:
    """Raw pages, and the PDF of them."""
    pages = [
        scanned(page, SPEED_DAMAGES[n % 2], n)
        for n, page in enumerate(rendered(typeset(texts(count)), DPI))
    ]
    return pages, scan_pdf(pages, DPI)


def by_papertray(papertray: Installation, scan: bytes, limit_seconds: float) -> float:
    """Seconds from sending the scan to its searchable PDF."""
    began = time.perf_counter()
    task_id = papertray.submit(scan, "scans", "scan.pdf")
    task = papertray.until(task_id, "completed", "failed", seconds=limit_seconds)
    if task["state"] != "completed":
        raise SystemExit(f"the task failed: {task['result']}")
    (file,) = task["result"]["generated_files"]
    papertray.api.get(f"/files/{file['id']}/download").raise_for_status()
    return time.perf_counter() - began


def by_tesseract(folder: Path, count: int) -> float:
    """Seconds of two processes, each with half of the raw pages."""
    halves = [range(n, count, PROCESSES) for n in range(PROCESSES)]
    for n, numbers in enumerate(halves):
        names = "".join(f"{folder}/raw-{number}.pgm\n" for number in numbers)
        (folder / f"list-{n}.txt").write_text(names)
    command = tesseract.find_program().command
    options = ("--dpi", str(DPI), "-c", "textonly_pdf=1", "tsv", "pdf")
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [command, str(folder / f"list-{n}.txt"), str(folder / f"plain-{n}"), *options],
            env=ONE_THREAD,
            stderr=subprocess.DEVNULL,
        )
        for n in range(PROCESSES)
    ]
    if any(process.wait() for process in running):
        raise SystemExit("tesseract failed")
    return time.perf_counter() - began


def by_ocrmypdf(folder: Path) -> float:
    """Seconds until its searchable PDF is there."""
    command = [sys.executable, "-m", "ocrmypdf", "--jobs", str(PROCESSES), "--force-ocr"]
    files = [str(folder / "scan.pdf"), str(folder / "ocrmypdf.pdf")]
    began = time.perf_counter()
    subprocess.run([*command, "--output-type", "pdf", "-q", *files], check=True, env=ONE_THREAD)
    return time.perf_counter() - began


def measure_speed(count: int, repeats: int) -> None:
    """Each in turn, several times over; medians."""
    with tempfile.TemporaryDirectory(prefix="papertray-bench-") as name:
        folder = Path(name)
        pages, scan = make_scan(count)
        (folder / "scan.pdf").write_bytes(scan)
        for n, page in enumerate(pages):
            Image.fromarray(page).save(folder / f"raw-{n}.pgm", format="PPM")
        papertray = Installation(folder / "home")
        papertray.start()
        try:
            papertray.install(PROJECT)
            by_papertray(papertray, scan, 3600)  # warm: imports, first connections
            ways: dict[str, Callable[[], float]] = {
                "papertray": lambda: by_papertray(papertray, scan, 3600),
                "tesseract": lambda: by_tesseract(folder, count),
                "ocrmypdf": lambda: by_ocrmypdf(folder),
            }
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            processor: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(repeats):
                for way, read in ways.items():
                    before = spent(papertray)
                    seconds[way].append(read())
                    processor[way].append(spent(papertray) - before)
                    print(
                        f"{way:10} {seconds[way][-1]:7.1f} s {processor[way][-1]:7.1f} CPU s",
                        flush=True,
                    )
        finally:
            papertray.stop()
    print(f"\n| {count} pages, median of {repeats} | seconds | pages a second | CPU s a page |")
    print("| --- | ---: | ---: | ---: |")
    rates = {way: count / statistics.median(times) for way, times in seconds.items()}
    costs = {way: statistics.median(times) / count for way, times in processor.items()}
    for way, rate in rates.items():
        print(f"| {way} | {count / rate:.1f} | {rate:.3f} | {costs[way]:.2f} |")
    for other in ("tesseract", "ocrmypdf"):
        print(
            f"papertray / {other}: {rates['papertray'] / rates[other]:.3f} by the clock,"
            f" {costs[other] / costs['papertray']:.3f} by processor time"
        )


def measure_quality(count: int) -> None:
    """Share of wrong characters, over all pages of a kind."""
    print(f"| {count} pages each | tesseract | papertray | of it |\n| --- | ---: | ---: | ---: |")
    wanted = ["\n".join(lines) for lines in texts(count)]
    letters = sum(len(plain(text)) for text in wanted)
    for dpi in (300, 200):
        pages = rendered(typeset(texts(count)), dpi)
        for name, damage in QUALITY.items():
            errors = [0, 0]
            for n, (page, right) in enumerate(zip(pages, wanted, strict=True)):
                for way, read in enumerate(both_ways(scanned(page, damage, n), dpi)):
                    errors[way] += error_count(plain(read), plain(right))
            theirs, ours = (100 * count_ / letters for count_ in errors)
            ratio = f"{ours / theirs:.2f}" if theirs else "-"
            print(f"| {dpi} dpi, {name} | {theirs:.2f} % | {ours:.2f} % | {ratio} |", flush=True)


def both_ways(page: Gray, dpi: int) -> tuple[str, str]:
    """What tesseract reads on an image by itself, and what we read on it."""
    with tempfile.TemporaryDirectory(prefix="papertray-bench-") as name:
        folder = Path(name)
        image = Image.fromarray(page)
        theirs = tesseract.recognize(image, languages=["eng"], dpi=dpi, base=folder / "plain")
        path = folder / "page.png"
        image.save(path, dpi=(dpi, dpi), compress_level=1)
        source: Source = examine(path, folder, ["eng"])
        (ours,) = read_by_ocr(source, [1], Orders(["eng"], dpi, folder, with_images=False))
        words = PageWords.model_validate_json((folder / ours.words_file).read_bytes()).words
    return tuple(" ".join(word.text for word in some) for some in (theirs, words))  # pyright: ignore[reportReturnType]  # two of two


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["speed", "quality"], help="both when omitted")
    parser.add_argument("--pages", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    os.environ["OMP_THREAD_LIMIT"] = "1"
    if asked.what != "quality":
        measure_speed(asked.pages or 40, asked.repeats)
    if asked.what != "speed":
        measure_quality(asked.pages or 4)


if __name__ == "__main__":
    main()
