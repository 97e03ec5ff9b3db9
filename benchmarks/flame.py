"""Where the processor time of a task goes: a flame graph of API, Prefect server, worker, children.

`python benchmarks/flame.py [--tasks 100] [--svg docs/images/flame.svg] [--most 25]` lets that many
invoices go through a Papertray, looks at each of its processes a hundred times a second (py-spy),
draws what it saw, and prints the functions that most of it is in. Children that end within
milliseconds are seen by the clock of the kernel only: `benchmarks/scale.py` has their time.
"""

import argparse
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path

from benchmarks.scale import Box
from tests.documents import invoice

PARTS = {"API": "serve", "Prefect server": "prefect", "worker": "worker"}
RATE = 100
"""Looks a second."""

WIDTH, ROW, LEAST = 1200, 17, 0.004
"""Of the picture: its width and the height of a row in pixels; the share that is still drawn."""

COLORS = {"API": "#8fb4de", "Prefect server": "#e3b287", "worker": "#9fcfa5"}

Stacks = Counter[tuple[str, ...]]


@contextmanager
def watched(pid: int, to: Path) -> Iterator[None]:
    """Write down what a process does on its processors while the block lasts."""
    command = ("py-spy", "record", "--pid", str(pid), "--rate", str(RATE), "--format", "raw")
    looker = subprocess.Popen(
        [*command, "--nonblocking", "--gil", "--output", str(to)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        looker.send_signal(2)
        looker.wait(60)


def read(part: str, file: Path) -> Stacks:
    """What was seen of a part: stacks without line numbers, and how often."""
    found: Stacks = Counter()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = (frame.rsplit(":", 1)[0].rstrip(")") + ")" for frame in stack.split(";"))
        found[(part, *frames)] += int(count)
    return found


def most(stacks: Mapping[tuple[str, ...], int], count: int) -> list[tuple[int, str]]:
    """The functions in which most was seen, with what they call."""
    seen: Counter[str] = Counter()
    for stack, times in stacks.items():
        for frame in set(stack[1:]):
            seen[frame] += times
    return [(times, frame) for frame, times in seen.most_common(count)]


def drawn(stacks: Stacks) -> str:
    """A flame graph as SVG: who calls stands below, as wide as what it took."""
    total = sum(stacks.values())
    boxes: list[str] = []
    deepest = 0

    def draw(some: Mapping[tuple[str, ...], int], depth: int, left: float, part: str) -> None:
        nonlocal deepest
        below: defaultdict[str, Stacks] = defaultdict(Counter)
        for stack, times in some.items():
            if len(stack) > depth:
                below[stack[depth]][stack] += times
        for frame, its in sorted(below.items()):
            share = sum(its.values()) / total
            if share >= LEAST:
                deepest = max(deepest, depth)
                boxes.append(_box(frame, depth, left, share, COLORS[part or frame]))
                draw(its, depth + 1, left, part or frame)
            left += share

    draw(stacks, 0, 0.0, "")
    height = ROW * (deepest + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {-height} {WIDTH} {height}"'
        f' font-family="sans-serif" font-size="11">{"".join(boxes)}</svg>\n'
    )


def _box(frame: str, depth: int, left: float, share: float, color: str) -> str:
    x, width, y = WIDTH * left, WIDTH * share, -ROW * (depth + 1)
    room = int(width / 7.0)
    shown = frame.split(" (")[0]
    text = shown if len(shown) <= room else shown[: max(0, room - 1)] + "…" if room > 3 else ""
    label = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(text)}</text>' if text else ""
    return (
        f"<g><title>{escape(frame)}, {100 * share:.1f} %</title>"
        f'<rect x="{x:.1f}" y="{y}" width="{max(0.3, width - 0.4):.1f}" height="{ROW - 1}"'
        f' fill="{color}"/>{label}</g>'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--svg", type=Path, help="where the picture gets to")
    parser.add_argument("--most", type=int, default=25, help="functions to print of each part")
    asked = parser.parse_args()
    stacks: Stacks = Counter()
    with tempfile.TemporaryDirectory() as name, Box(Path(name) / "box").running() as box:
        box.cost(10, invoice())
        files = {part: Path(name) / f"{its}.raw" for part, its in PARTS.items()}
        with ExitStack() as stack:
            for part, its in PARTS.items():
                stack.enter_context(watched(box.papertray.pid(its), files[part]))
            cost = box.cost(asked.tasks, invoice())
        print(cost.row(f"{asked.tasks} tasks, looked at"))
        for part, file in files.items():
            seen = read(part, file)
            stacks += seen
            print(f"\n{part}: ms a task, in this function and all that it calls")
            for times, frame in most(seen, asked.most):
                print(f"{1000 * times / RATE / asked.tasks:8.1f}  {frame}")
    if asked.svg:
        asked.svg.write_text(drawn(stacks))


if __name__ == "__main__":
    main()
