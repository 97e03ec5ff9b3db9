"""Small plots, as SVG: a line for each series over days."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 34, 30

_COLOURS: Final = ("#2563eb", "#dc2626", "#059669", "#d97706")

_TICKS: Final = 4


def plot(title: str, days: Sequence[date], series: Mapping[str, Sequence[float | None]]) -> str:
    """Draw series over days.

    Args:
        title: what is drawn, with its unit.
        days: one after the other, the oldest first.
        series: name -> a value for each day, none where there is none; at most four.

    Returns:
        An SVG document.
    """
    top = _round_up(
        max((value or 0.0 for values in series.values() for value in values), default=0)
    )
    drawn = [
        f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(title)}</text>',
        *_axis(top),
        *_dates(days),
    ]
    at = WIDTH - _RIGHT
    for (name, values), colour in zip(series.items(), _COLOURS, strict=False):
        drawn += _line([_point(n, len(days), value, top) for n, value in enumerate(values)], colour)
        drawn.append(
            f'<text x="{at}" y="18" text-anchor="end" fill="{colour}">{escape(name)}</text>'
        )
        at -= 8 * len(name) + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(drawn)}</svg>'
    )


def as_url(svg: str) -> str:
    """A document as a URL that has it in itself (RFC 2397): nothing has to serve it."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"


def _point(index: int, count: int, value: float | None, top: float) -> tuple[float, float] | None:
    if value is None:
        return None
    across = (WIDTH - _LEFT - _RIGHT) * (index + 0.5) / count
    up = (HEIGHT - _TOP - _BOTTOM) * value / top
    return _LEFT + across, HEIGHT - _BOTTOM - up


def _line(points: Sequence[tuple[float, float] | None], colour: str) -> list[str]:
    """A line through the points, broken where there is none, and a dot on each."""
    parts: list[list[str]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(f"{point[0]:.1f},{point[1]:.1f}")
    lines = [
        f'<polyline points="{" ".join(part)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for part in parts
        if len(part) > 1
    ]
    dots = [
        f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3" fill="{colour}"/>'
        for point in points
        if point
    ]
    return lines + dots


def _axis(top: float) -> list[str]:
    drawn: list[str] = []
    for tick in range(_TICKS + 1):
        y = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * tick / _TICKS
        number = f"{top * tick / _TICKS:g}"
        drawn.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number}</text>'
        )
    return drawn


def _dates(days: Sequence[date]) -> list[str]:
    every = max(1, len(days) // 7)
    return [
        f'<text x="{_LEFT + (WIDTH - _LEFT - _RIGHT) * (n + 0.5) / len(days):.1f}"'
        f' y="{HEIGHT - 10}" text-anchor="middle">{day:%d %b}</text>'
        for n, day in enumerate(days)
        if n % every == 0
    ]


def _round_up(value: float) -> float:
    """The next number that four ticks divide well: 1, 2, 4 or 8 times a power of ten."""
    if value <= 0:
        return 1.0
    size = 10.0 ** len(str(int(value)))  # above it
    while size / 10 >= value:
        size /= 10
    return next(size * part for part in (0.1, 0.2, 0.4, 0.8, 1.0) if size * part >= value)
