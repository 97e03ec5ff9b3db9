"""Operations on PDFs beside poppler and qpdf, on the same files in one run.

`python benchmarks/pdf.py` makes its documents, lets each side work on them in turn, and prints
time on the clock, processor time and the memory of the largest process, medians of the rounds, and
their ratios. An operation is called as a worker calls it: Prefect and the server from which its
children are forked are there already. The other programs are started anew, which takes them some
milliseconds.

It needs `pdftoppm` and `pdftotext` (poppler-utils), and `qpdf`.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pikepdf
import psutil
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

import operations as operations  # fills OPERATIONS
from operations.registry import OPERATIONS
from operations.tools.child import in_child

MIB = 2**20
PROGRAMS = {"pdftoppm": "poppler-utils", "pdftotext": "poppler-utils", "qpdf": "qpdf"}
"""What it is compared with, and the package each is in."""

SENTENCE = "The parties agree that the goods are delivered at the place and on the day as written. "


class Cost(NamedTuple):
    """What one run took."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    """Resident memory of the process that had most."""


def text_document(path: Path, pages: int) -> Path:
    """Pages full of text, as an office program makes them, with a bookmark each."""
    canvas = Canvas(str(path), pagesize=A4, invariant=1, pageCompression=1)
    for number in range(1, pages + 1):
        canvas.bookmarkPage(str(number))
        canvas.addOutlineEntry(f"Section {number}", str(number))
        canvas.setFont("Times-Roman", 10)
        for line in range(50):
            canvas.drawString(60, 780 - 14 * line, f"{number}.{line} {SENTENCE}"[:100])
        canvas.showPage()
    canvas.save()
    with pikepdf.open(path, allow_overwriting_input=True) as document:
        document.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return path


def scanned_document(path: Path, text: Path, pages: int) -> Path:
    """Pages that are gray images of 150 dpi, ten different ones in turn."""
    with tempfile.TemporaryDirectory() as name:
        command = ["pdftoppm", "-r", "150", "-gray", "-l", "10", str(text), f"{name}/page"]
        subprocess.run(command, check=True)
        images: list[Image.Image] = [Image.open(file) for file in sorted(Path(name).iterdir())]
        ten = path.with_name("ten.pdf")
        images[0].save(ten, resolution=150, save_all=True, append_images=images[1:], quality=50)
    with pikepdf.new() as document, pikepdf.open(ten) as source:
        for number in range(pages):
            given = source.pages[number % 10]
            document.pages.append(given)
            image = document.pages[-1].obj.Resources.XObject
            name = next(iter(image.keys()))
            # Each its own, as the images of a scanner are.
            data = next(iter(given.get_images().values())).read_raw_bytes()
            own = document.make_stream(data + bytes(number), dict(image[name].stream_dict))
            document.pages[-1].obj.Resources = pikepdf.Dictionary(
                XObject=pikepdf.Dictionary({name: own})
            )
        document.save(path)
    return path


@contextmanager
def peak_of(
    process: psutil.Process, spare: set[psutil.Process] | None = None
) -> Iterator[Callable[[], float]]:
    """Watch what a process has started; answers the most memory that one of them had, in MiB.

    Args:
        process: the one above them.
        spare: those that do not count.
    """
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.004):
            for one in set(process.children(recursive=True)) - (spare or set()):
                try:
                    most = max(most, one.memory_info().rss)
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: most / MIB
    finally:
        done.set()
        watcher.join()


def cpu_of_tree(process: psutil.Process) -> float:
    """Processor time of a process, and of all below it that have ended or still run."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


async def ours(work: Callable[[], Awaitable[Any]]) -> Cost:
    """What an operation costs: done twice, since watching its memory costs processor time."""
    me = psutil.Process()
    before, began = cpu_of_tree(me), time.monotonic()
    await work()
    seconds, cpu = time.monotonic() - began, cpu_of_tree(me) - before
    with peak_of(me) as peak:
        await work()
        most = peak()
    return Cost(seconds, cpu, most)


def others(command: Sequence[str | Path]) -> Cost:
    """What another program costs; its own word for its memory would have ours in it."""
    began = time.monotonic()
    with peak_of(psutil.Process(), spare=set(psutil.Process().children(recursive=True))) as peak:
        process = subprocess.Popen([str(one) for one in command], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        most = peak()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with status {process.returncode}")
    return Cost(seconds, used.ru_utime + used.ru_stime, most)


def operation(
    name: str, source: Path | list[Path], out: Path, **params: Any
) -> Callable[[], Awaitable[Any]]:
    """One call of an operation."""
    row = OPERATIONS[name]
    checked = row.params.model_validate(params)
    return lambda: row.task.fn(source, checked, folder=out)


def median(costs: Sequence[Cost]) -> Cost:
    """Of each figure."""
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


async def compare(
    title: str,
    work: Callable[[], Awaitable[Any]],
    command: Sequence[str | Path],
    rounds: int,
) -> None:
    """Print a row of the table."""
    pairs = [(await ours(work), others(command)) for _ in range(rounds)]
    mine, other = median([one for one, _ in pairs]), median([two for _, two in pairs])
    print(
        f"| {title} | {mine.seconds:.2f} | {other.seconds:.2f} |"
        f" **{mine.seconds / other.seconds:.2f}** | {mine.cpu_seconds:.2f} |"
        f" {other.cpu_seconds:.2f} | {mine.cpu_seconds / other.cpu_seconds:.2f} |"
        f" {mine.peak_mib:.0f} | {other.peak_mib:.0f} |",
        flush=True,
    )


HEAD = """\
| | s | other's | ratio | CPU s | other's | ratio | MiB | other's |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


async def run(folder: Path, rounds: int) -> None:
    """Make the documents, and let both sides work on them."""
    long = text_document(folder / "long.pdf", 1000)
    middling = text_document(folder / "middling.pdf", 100)
    text = text_document(folder / "text.pdf", 20)
    scan = scanned_document(folder / "scan.pdf", text, 10)
    parts = [text_document(folder / f"part-{n}.pdf", 10) for n in range(100)]
    out, there = folder / "out", folder / "there"
    there.mkdir()
    await in_child(os.getpid)  # the server from which children are forked is there in a worker
    print(HEAD)
    for name, source in (("20 pages of text", text), ("10 scanned pages", scan)):
        await compare(
            f"render, {name}, 300 dpi, PNG; `pdftoppm`",
            operation("render", source, out, dpi=300),
            ["pdftoppm", "-png", "-r", "300", source, there / "page"],
            rounds,
        )
    await compare(
        "text of 100 pages; `pdftotext`",
        operation("extract-text", middling, out, format="plain"),
        ["pdftotext", "-layout", middling, there / "text.txt"],
        rounds,
    )
    await compare(
        "merge 100 files of 10 pages; `qpdf`",
        operation("merge", parts, out),
        ["qpdf", "--empty", "--pages", *parts, "--", there / "merged.pdf"],
        rounds,
    )
    await compare(
        "split 1,000 pages; `qpdf`",
        operation("split", long, out),
        ["qpdf", "--split-pages", long, there / "page.pdf"],
        rounds,
    )
    print("\n| memory of the largest child, MiB | 50 pages | 500 pages |\n| --- | ---: | ---: |")
    few, many = (scanned_document(folder / f"{n}.pdf", text, n) for n in (50, 500))
    for name, params in (("render", {"dpi": 72}), ("split", {}), ("rotate", {"degrees": 90})):
        peaks: list[float] = []
        for source in (few, many):
            with peak_of(psutil.Process()) as peak:
                await operation(name, source, out, **params)()
                peaks.append(peak())
        print(f"| {name} | {peaks[0]:.0f} | {peaks[1]:.0f} |", flush=True)


def main() -> None:
    """Look what is there, and run."""
    missing = sorted({PROGRAMS[name] for name in PROGRAMS if shutil.which(name) is None})
    if missing:
        sys.exit(f"Missing: {', '.join(missing)}. apt-get install {' '.join(missing)}")
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    rounds: int = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("PAPERTRAY_HOME", f"{name}/home")
        asyncio.run(run(Path(name), rounds))


if __name__ == "__main__":
    main()
